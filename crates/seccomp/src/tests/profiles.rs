//! The restricted profile against the default one, and what both must leave alone.

use super::machine::{self, Answer, Call};
use super::{ARCHES, ask, assembled, call};
use crate::syscalls::highest_number;
use crate::{MAX_INSTRUCTIONS, Profile, runtime_filter};

const X32: u32 = 0x4000_0000;

/// Every capability.
fn everything() -> Vec<u8> {
    (0..64).collect()
}

/// First arguments, second ones and third ones that a condition might tell apart.
fn arguments() -> impl Iterator<Item = [u64; 3]> {
    let flags = (17..32).map(|bit| 1 << bit);
    let first = (0..50).chain(flags).chain([0x20008, 0xffff_ffff, u64::MAX]);
    let first: Vec<u64> = first.flat_map(|a| [a, a | 1 << 32]).collect();
    let second = [0, 1, 2, 3, 5, 10, 0x5412, 0x541c, 0x80001, 1 << 32 | 0x5412];
    let third = [0, 1, 6, 16, 132, 256, 262, 1 << 32];
    let pairs = second.into_iter().flat_map(move |b| third.map(|c| (b, c)));
    pairs.flat_map(move |(b, c)| first.clone().into_iter().map(move |a| [a, b, c]))
}

#[test]
fn whatever_restricted_allows_the_default_allows() {
    for arch in ARCHES {
        let [default, restricted] = [Profile::RuntimeDefault, Profile::Restricted]
            .map(|profile| assembled(&runtime_filter(profile, arch).unwrap(), &[]));
        for number in (0..=600).chain(X32..X32 + 600) {
            let compare = |args: &[u64]| {
                let call = Call::new(arch, number, args);
                let (strict, looked) = machine::run(&restricted, &call);
                let (loose, looked_too) = machine::run(&default, &call);
                assert!(
                    strict != Answer::Allow || loose == Answer::Allow,
                    "{call:?}"
                );
                looked || looked_too
            };
            if compare(&[]) {
                arguments().for_each(|args| {
                    compare(&args);
                });
            }
        }
    }
}

#[test]
fn restricted_refuses_more() {
    let refused: &[(&str, &[u64])] = &[
        ("ptrace", &[]),
        ("process_vm_readv", &[]),
        ("process_vm_writev", &[]),
        ("name_to_handle_at", &[]),
        ("vmsplice", &[]),
        ("personality", &[8]),
        ("personality", &[0x20000]),
        ("socket", &[17, 3, 0]),
        ("socket", &[30, 1, 0]),
        ("socket", &[1 << 32 | 17, 3, 0]),
        ("socket", &[16, 3, 12]),
        ("socketpair", &[30, 1, 0]),
        ("ioctl", &[0, 0x5412]),
        ("ioctl", &[0, 1 << 32 | 0x5412]),
        ("ioctl", &[0, 0x541c]),
    ];
    for arch in ARCHES {
        let default = runtime_filter(Profile::RuntimeDefault, arch).unwrap();
        let restricted = runtime_filter(Profile::Restricted, arch).unwrap();
        for (name, args) in refused {
            let call = call(arch, name, args).unwrap();
            assert_eq!(ask(&default, &[], &call), Answer::Allow, "{name} {args:?}");
            let answer = ask(&restricted, &everything(), &call);
            assert_eq!(answer, Answer::Errno(1), "{name} {args:?}");
        }
    }
}

#[test]
fn capabilities_widen_the_default_only() {
    let widened: &[(&str, u8)] = &[
        ("mount", 21),
        ("unshare", 21),
        ("setns", 21),
        ("bpf", 39),
        ("perf_event_open", 38),
        ("chroot", 18),
        ("kcmp", 19),
        ("pidfd_getfd", 19),
        ("process_madvise", 19),
        ("open_by_handle_at", 2),
    ];
    for arch in ARCHES {
        let default = runtime_filter(Profile::RuntimeDefault, arch).unwrap();
        let restricted = runtime_filter(Profile::Restricted, arch).unwrap();
        for (name, capability) in widened {
            let call = call(arch, name, &[]).unwrap();
            assert_eq!(ask(&default, &[], &call), Answer::Errno(1), "{name}");
            assert_eq!(
                ask(&default, &[*capability], &call),
                Answer::Allow,
                "{name}"
            );
            assert_eq!(
                ask(&restricted, &everything(), &call),
                Answer::Errno(1),
                "{name}"
            );
        }
        for name in ["io_uring_setup", "io_uring_enter", "io_uring_register"] {
            let call = call(arch, name, &[]).unwrap();
            assert_eq!(
                ask(&default, &everything(), &call),
                Answer::Errno(1),
                "{name}"
            );
        }
        // No table entry: nothing here is about them.
        for number in [(arch, "userfaultfd"), (arch, "keyctl"), (arch, "add_key")].map(unlisted) {
            let call = Call::new(arch, number, &[]);
            assert_eq!(
                ask(&default, &everything(), &call),
                Answer::Errno(1),
                "{number}"
            );
        }
    }
}

fn unlisted((arch, name): (kubefence_launch_plan::Arch, &str)) -> u32 {
    use kubefence_launch_plan::Arch::{Aarch64, X86_64};
    match (arch, name) {
        (X86_64, "userfaultfd") => 323,
        (Aarch64, "userfaultfd") => 282,
        (X86_64, "keyctl") => 250,
        (Aarch64, "keyctl") => 219,
        (X86_64, "add_key") => 248,
        (Aarch64, "add_key") => 217,
        _ => panic!("{name}"),
    }
}

#[test]
fn namespaces_need_a_capability_and_threads_do_not() {
    const THREAD: u64 = 0x3d_0f00;
    for (arch, profile) in ARCHES
        .into_iter()
        .zip([Profile::RuntimeDefault, Profile::Restricted])
    {
        let filter = runtime_filter(profile, arch).unwrap();
        let clone = |flags| ask(&filter, &[], &call(arch, "clone", &[flags]).unwrap());
        assert_eq!(clone(THREAD), Answer::Allow);
        for flag in [17, 25, 26, 27, 28, 29, 30] {
            assert_eq!(clone(17 | 1 << flag), Answer::Errno(1), "bit {flag}");
        }
        let clone3 = call(arch, "clone3", &[]).unwrap();
        assert_eq!(ask(&filter, &[], &clone3), Answer::Errno(38));
    }
}

#[test]
fn the_launcher_can_go_on() {
    let needed: &[(&str, &[u64])] = &[
        ("execve", &[]),
        ("close_range", &[]),
        ("write", &[]),
        ("prctl", &[]),
        ("seccomp", &[]),
        ("landlock_restrict_self", &[]),
        ("exit_group", &[]),
        ("ioctl", &[0, 0x5401]),
        ("personality", &[0xffff_ffff]),
        ("socket", &[16, 3, 0]),
        ("socket", &[1 << 32 | 1, 1, 0]),
    ];
    for arch in ARCHES {
        for profile in Profile::ALL {
            let filter = runtime_filter(profile, arch).unwrap();
            for (name, args) in needed {
                let call = call(arch, name, args).unwrap();
                assert_eq!(ask(&filter, &[], &call), Answer::Allow, "{name} {args:?}");
            }
        }
    }
}

#[test]
fn other_architectures_are_killed_and_newer_calls_do_not_exist() {
    for arch in ARCHES {
        for profile in Profile::ALL {
            let filter = runtime_filter(profile, arch).unwrap();
            for number in 0..=600 {
                for foreign in [0x4000_0003, 0x4000_0028] {
                    let mut call = Call::new(arch, number, &[]);
                    call.arch = foreign;
                    assert_eq!(ask(&filter, &everything(), &call), Answer::Kill);
                }
            }
            let newer = highest_number(arch) + 1..700;
            for number in newer.chain(X32..X32 + 600).chain([u32::MAX]) {
                let call = Call::new(arch, number, &[]);
                let answer = ask(&filter, &everything(), &call);
                assert_eq!(answer, Answer::Errno(38), "{number}");
            }
        }
    }
}

#[test]
fn equal_input_gives_equal_filters_that_the_kernel_takes() {
    for arch in ARCHES {
        for profile in Profile::ALL {
            let filter = runtime_filter(profile, arch).unwrap();
            assert_eq!(filter, runtime_filter(profile, arch).unwrap());
            assert!(assembled(&filter, &everything()).len() <= MAX_INSTRUCTIONS);
        }
    }
}
