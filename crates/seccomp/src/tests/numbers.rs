//! The table of system calls, compared with what others know.

use kubefence_launch_plan::Arch;
use seccompiler::{TargetArch, compile_from_json};

use crate::syscalls::{every_name, number};

/// The number that the compiler's own table has; `None` if it lacks the name.
fn compilers_number(name: &str, target: TargetArch) -> Option<u32> {
    let json = format!(
        r#"{{"f": {{"mismatch_action": "trap", "match_action": "allow", "filter": [{{"syscall": "{name}"}}]}}}}"#
    );
    let filters = compile_from_json(json.as_bytes(), target).ok()?;
    // The check of the architecture, the load of the number, the comparison with it.
    Some(filters["f"][4].k)
}

#[test]
fn numbers_are_those_of_the_compiler_where_it_has_them() {
    let mut unknown = Vec::new();
    for name in every_name() {
        for (arch, target) in [
            (Arch::X86_64, TargetArch::x86_64),
            (Arch::Aarch64, TargetArch::aarch64),
        ] {
            match (number(name, arch).unwrap(), compilers_number(name, target)) {
                (Some(_), None) => unknown.push(name),
                (ours, theirs) => assert_eq!(ours, theirs, "{name} on {arch:?}"),
            }
        }
    }
    unknown.dedup();
    // These are newer than the compiler's table (Linux 6.13: 463 to 466).
    let newest = ["getxattrat", "listxattrat", "removexattrat", "setxattrat"];
    assert_eq!(unknown, newest);
    let order = ["setxattrat", "getxattrat", "listxattrat", "removexattrat"];
    for (name, expected) in order.into_iter().zip(463..) {
        assert_eq!(number(name, Arch::X86_64).unwrap(), Some(expected));
    }
}

#[test]
fn numbers_are_those_of_libc() {
    let libc = [
        ("execve", libc::SYS_execve),
        ("close_range", libc::SYS_close_range),
        ("seccomp", libc::SYS_seccomp),
        ("clone3", libc::SYS_clone3),
        ("io_uring_setup", libc::SYS_io_uring_setup),
        ("landlock_restrict_self", libc::SYS_landlock_restrict_self),
        ("fchmodat2", libc::SYS_fchmodat2),
        ("mseal", libc::SYS_mseal),
    ];
    let own = Arch::own().expect("filters exist for the architecture of the tests");
    for (name, theirs) in libc {
        assert_eq!(
            number(name, own).unwrap().map(i64::from),
            Some(theirs),
            "{name}"
        );
    }
}

#[test]
fn newer_calls_have_the_same_number_everywhere() {
    for name in every_name() {
        let [x86_64, aarch64] = super::ARCHES.map(|arch| number(name, arch).unwrap());
        if x86_64.max(aarch64) >= Some(424) {
            assert_eq!(x86_64, aarch64, "{name}");
        }
    }
}
