//! Seccomp filters: what they refuse on the real kernel, and that the rest goes on working.

mod network;

use std::fs;
use std::os::fd::{FromRawFd, OwnedFd};
use std::process::{Command, Stdio};

use kubefence_launch_plan::{Arch, Bpf, CapabilityAllowance, LaunchPlan, SeccompFilter};
use kubefence_seccomp::{NetworkRules, Profile, network_filter, runtime_filter};

use crate::harness::*;

fn own() -> Arch {
    Arch::own().expect("there are no filters for this architecture")
}

fn with(filters: impl IntoIterator<Item = SeccompFilter>) -> LaunchPlan {
    let mut plan = plan();
    plan.seccomp.extend(filters);
    plan
}

fn runtime(profile: Profile) -> Node {
    Node::new(&with([runtime_filter(profile, own()).unwrap()]))
}

/// Perl that makes one system call and exits with its error number, or with 0.
fn perl(number: libc::c_long, arguments: &str) -> [String; 3] {
    let script = format!(
        "$s = 'user'; $b = \"\\0\" x 256; $r = syscall({number}, {arguments}); exit($r == -1 ? $!+0 : 0)"
    );
    ["perl".to_owned(), "-e".to_owned(), script]
}

/// The same command as a process that can never have the capability `name`.
fn without_capability(name: &str, command: &Command) -> Command {
    let mut limited = Command::new("setpriv");
    limited.args(["--bounding-set", &format!("-{name}"), "--"]);
    limited.arg(command.get_program()).args(command.get_args());
    limited.current_dir(command.get_current_dir().unwrap());
    limited
}

fn code(command: &mut Command) -> Option<i32> {
    let outcome = run(command);
    assert!(!outcome.stderr.starts_with("nono:"), "{outcome:?}");
    outcome.code
}

/// Calls with the exit codes bare, under `runtime-default` and under `restricted`, all capabilities in the
/// bounding set.
#[test]
fn profiles_refuse_calls_that_work_without_them() {
    let cases = [
        (libc::SYS_personality, "0xffffffff", [0, 0, 0]),
        (libc::SYS_personality, "0", [0, 0, 0]),
        (libc::SYS_personality, "0x0020000", [0, 0, 1]), // UNAME26
        (libc::SYS_personality, "0x0040000", [0, 1, 1]), // ADDR_NO_RANDOMIZE
        (libc::SYS_keyctl, "0, -3, 0", [0, 1, 1]),
        (libc::SYS_add_key, "$s, $s, $s, 1, -2", [0, 1, 1]),
        (libc::SYS_userfaultfd, "1", [0, 1, 1]),
        (libc::SYS_io_uring_setup, "1, $b", [0, 1, 1]),
        (libc::SYS_ptrace, "0, 0, 0, 0", [0, 0, 1]),
        (libc::SYS_process_vm_readv, "$$, 0, 0, 0, 0, 0", [0, 0, 1]),
        (
            libc::SYS_vmsplice,
            "-1, 0, 0, 0",
            [libc::EBADF, libc::EBADF, 1],
        ),
        (libc::SYS_socket, "1, 1, 0", [0, 0, 0]),
        (libc::SYS_socket, "2, 1, 0", [0, 0, 0]),
        (libc::SYS_socket, "16, 3, 0", [0, 0, 0]), // NETLINK_ROUTE
        (libc::SYS_socket, "16, 3, 16", [0, 0, 1]), // NETLINK_GENERIC
        (libc::SYS_socket, "17, 3, 0", [0, 0, 1]), // AF_PACKET
        (libc::SYS_unshare, "0x10000000", [0, 0, 1]), // CLONE_NEWUSER
        (
            libc::SYS_sethostname,
            "0, 100000",
            [libc::EINVAL, libc::EINVAL, 1],
        ),
        (
            libc::SYS_clone3,
            "0, 0",
            [libc::EINVAL, libc::EINVAL, libc::ENOSYS],
        ),
    ];
    let (default, restricted) = (
        runtime(Profile::RuntimeDefault),
        runtime(Profile::Restricted),
    );
    for (number, arguments, expected) in cases {
        let argv = perl(number, arguments);
        let codes = [
            default.bare(&argv),
            default.wrap(&argv),
            restricted.wrap(&argv),
        ];
        let codes = codes.map(|mut command| code(&mut command));
        assert_eq!(codes, expected.map(Some), "{number} {arguments}");
    }
}

/// The kernel answers an error of its own where it has no such sockets; the filter's is EPERM.
#[test]
fn sockets_of_virtual_machines_and_of_the_crypto_interface_are_refused() {
    for family in [libc::AF_VSOCK, libc::AF_ALG] {
        let argv = perl(libc::SYS_socket, &format!("{family}, 5, 0"));
        for profile in Profile::ALL {
            let node = runtime(profile);
            assert_eq!(code(&mut node.wrap(&argv)), Some(libc::EPERM), "{profile}");
            assert_ne!(code(&mut node.bare(&argv)), Some(libc::EPERM));
        }
    }
}

/// The arguments are nonsense, so that a call which reaches the kernel fails there, with its own error.
#[test]
fn capabilities_in_the_bounding_set_widen_the_default() {
    let cases = [
        ("sys_admin", libc::SYS_mount, "1, 1, 1, 0, 1", libc::EFAULT),
        ("sys_admin", libc::SYS_unshare, "0x10000000", 0),
        ("sys_admin", libc::SYS_clone3, "0, 0", libc::EINVAL),
        ("sys_chroot", libc::SYS_chroot, "1", libc::EFAULT),
        ("sys_ptrace", libc::SYS_pidfd_getfd, "-1, 0, 0", libc::EBADF),
        (
            "sys_nice",
            libc::SYS_set_mempolicy,
            "99, 0, 0",
            libc::EINVAL,
        ),
    ];
    let node = runtime(Profile::RuntimeDefault);
    for (capability, number, arguments, reached) in cases {
        let argv = perl(number, arguments);
        let refused = if number == libc::SYS_clone3 {
            libc::ENOSYS
        } else {
            libc::EPERM
        };
        let wrapped = || node.wrap(&argv);
        assert_eq!(code(&mut wrapped()), Some(reached), "{capability} {number}");
        let mut limited = without_capability(capability, &wrapped());
        assert_eq!(code(&mut limited), Some(refused), "{capability} {number}");
        // Not the kernel's own refusal, for want of the capability.
        let mut bare = without_capability(capability, &node.bare(&argv));
        assert_eq!(code(&mut bare), Some(reached), "{capability} {number}");
    }
}

#[test]
fn namespaces_cannot_be_made_without_a_capability() {
    let argv = ["unshare", "--user", "true"];
    let node = runtime(Profile::RuntimeDefault);
    run(&mut without_capability("sys_admin", &node.wrap(&argv))).denied();
    run(&mut without_capability("sys_admin", &node.bare(&argv))).succeeded();
    run(&mut node.wrap(&argv)).succeeded();
    let node = runtime(Profile::Restricted);
    run(&mut node.wrap(&argv)).denied();
    run(&mut node.bare(&argv)).succeeded();
}

/// Threads and processes: clone3 is not there, so that clone is called instead.
#[test]
fn ordinary_programs_work() {
    let script = "use threads; my $t = threads->create(sub { 7 }); $t->join == 7 or exit 1;
        my $pid = fork; exit 3 unless $pid; waitpid $pid, 0; exit($? >> 8 == 3 ? 0 : 2)";
    let shell =
        "ls /usr >/dev/null && echo b a | tr ' ' '\\n' | sort | head -n 1 && (sleep 0 & wait)";
    for profile in Profile::ALL {
        for rules in network::EVERY {
            let filters = [
                runtime_filter(profile, own()).unwrap(),
                network_filter(rules, own()).unwrap(),
            ];
            let node = Node::new(&with(filters));
            run(&mut node.wrap(&["perl", "-e", script])).succeeded();
            assert_eq!(run(&mut node.wrap_sh(shell)).succeeded().text(), "a");
            let mut limited = without_capability("sys_admin", &node.wrap(&["perl", "-e", script]));
            run(&mut limited).succeeded();
        }
    }
}

#[test]
fn as_many_filters_are_in_force_as_the_plan_has() {
    let count = |command: &mut Command| -> usize {
        let outcome = run(command).succeeded();
        let count = outcome.text().strip_prefix("Seccomp_filters:\t");
        count.unwrap().parse().unwrap()
    };
    let argv = ["grep", "Seccomp_filters", "/proc/self/status"];
    let filters = [
        runtime_filter(Profile::RuntimeDefault, own()).unwrap(),
        network_filter(NetworkRules::Block { tcp: false }, own()).unwrap(),
    ];
    let node = Node::new(&with(filters));
    let before = count(&mut node.bare(&argv));
    assert_eq!(count(&mut node.wrap(&argv)), before + 2);
    assert_eq!(count(&mut Node::new(&plan()).wrap(&argv)), before);
}

/// A pair of terminal ends, which must live as long as the terminal.
fn terminal() -> (OwnedFd, OwnedFd) {
    let (mut ours, mut theirs) = (0, 0);
    let (no_name, no_settings, no_size) =
        (std::ptr::null_mut(), std::ptr::null(), std::ptr::null());
    // SAFETY: both numbers are written to, and null is allowed for all else.
    let result = unsafe { libc::openpty(&mut ours, &mut theirs, no_name, no_settings, no_size) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    // SAFETY: the call succeeded, so both are open and nobody else owns them.
    unsafe { (OwnedFd::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs)) }
}

#[test]
fn restricted_does_not_type_into_a_terminal() {
    let push = perl(libc::SYS_ioctl, "0, 0x5412, $s");
    let settings = perl(libc::SYS_ioctl, "0, 0x5401, $b");
    let (default, restricted) = (
        runtime(Profile::RuntimeDefault),
        runtime(Profile::Restricted),
    );
    let on_terminal = |mut command: Command| {
        let (_ours, theirs) = terminal();
        command.stdin(Stdio::from(theirs)).status().unwrap().code()
    };
    assert_eq!(on_terminal(default.bare(&push)), Some(0));
    assert_eq!(on_terminal(default.wrap(&push)), Some(0));
    assert_eq!(on_terminal(restricted.wrap(&push)), Some(libc::EPERM));
    assert_eq!(on_terminal(restricted.wrap(&settings)), Some(0));
}

/// A 64-bit program that makes a system call the way 32-bit programs do: getpid.
#[cfg(target_arch = "x86_64")]
const INT_80: &str =
    r#"int main(void) { long n = 20; __asm__ volatile("int $0x80" : "+a"(n)); return n <= 0; }"#;

#[cfg(target_arch = "x86_64")]
#[test]
fn calls_of_32_bit_programs_end_the_process() {
    let filters = [
        runtime_filter(Profile::RuntimeDefault, own()).unwrap(),
        runtime_filter(Profile::Restricted, own()).unwrap(),
        network_filter(NetworkRules::TcpPorts, own()).unwrap(),
    ];
    for filter in filters {
        let node = Node::with(|work| with([filter]).require(work, RX));
        fs::write(node.path("work/int80.c"), INT_80).unwrap();
        run(&mut node.bare(&["gcc", "-o", "int80", "int80.c"])).succeeded();
        let outcome = run(&mut node.wrap(&["./int80"]));
        assert_eq!(outcome.signal, Some(libc::SIGSYS), "{outcome:?}");
        run(&mut node.bare(&["./int80"])).succeeded();
        // The x32 variants of getpid and socket.
        for number in [0x4000_0027, 0x4000_0029] {
            let argv = perl(number, "2, 1, 262");
            assert_eq!(code(&mut node.wrap(&argv)), Some(libc::ENOSYS));
        }
    }
    let unfiltered = Node::with(|work| plan().require(work, RX));
    fs::write(unfiltered.path("work/int80.c"), INT_80).unwrap();
    run(&mut unfiltered.bare(&["gcc", "-o", "int80", "int80.c"])).succeeded();
    run(&mut unfiltered.wrap(&["./int80"])).succeeded();
}

/// A filter whose instructions are given as text.
fn handmade(instructions: &[u64]) -> SeccompFilter {
    SeccompFilter {
        name: "handmade".to_owned(),
        arch: own(),
        allowances: Vec::new(),
        program: Bpf::new(instructions.to_vec()),
    }
}

const ALLOW: u64 = 0x7fff_0000_0000_0006;

#[test]
fn filters_that_cannot_be_installed_end_the_launch() {
    let other = match own() {
        Arch::X86_64 => Arch::Aarch64,
        Arch::Aarch64 => Arch::X86_64,
    };
    let foreign = runtime_filter(Profile::RuntimeDefault, other).unwrap();
    let mut long = handmade(&[ALLOW; 4000]);
    long.allowances.push(CapabilityAllowance {
        any_of: vec![0],
        instructions: Bpf::new(vec![ALLOW; 97]),
    });
    for (filter, parts) in [
        (foreign, &["architecture", "runtime-default", "install"][..]),
        (long, &["4097 instructions", "handmade"]),
        (handmade(&[0]), &["handmade", "EINVAL"]),
        (handmade(&[]), &["handmade", "EINVAL"]),
    ] {
        run(&mut Node::new(&with([filter])).wrap(&["true"])).refused(125, parts);
    }
    run(&mut Node::new(&with([handmade(&[ALLOW; 4096])])).wrap(&["true"])).succeeded();
}

/// A filter that answers `errno` to the system call `number`.
fn answering(number: libc::c_long, errno: i32) -> SeccompFilter {
    let number = u64::try_from(number).unwrap();
    let errno = u64::try_from(errno).unwrap();
    handmade(&[
        0x20,
        number << 32 | 1 << 24 | 0x15,
        (0x0005_0000 | errno) << 32 | 0x06,
        ALLOW,
    ])
}

#[test]
fn a_pods_own_profile_that_stands_in_the_way_is_named() {
    let inner = runtime(Profile::RuntimeDefault);
    let nono = inner.nono();
    let reach = |plan: LaunchPlan| plan.require(inner.nono_dir().to_str().unwrap(), RX);
    let argv = [
        nono.to_str().unwrap(),
        "wrap",
        "--profile",
        PROFILE,
        "--",
        "true",
    ];
    for (number, errno, parts) in [
        (
            libc::SYS_seccomp,
            libc::EPERM,
            &["seccomp is blocked", "EPERM"][..],
        ),
        (
            libc::SYS_seccomp,
            libc::ENOSYS,
            &["seccomp is blocked", "ENOSYS"],
        ),
        // Answers as if the call had been made.
        (libc::SYS_seccomp, 0, &["not in force", "seccomp profile"]),
    ] {
        let outer = Node::new(&reach(with([answering(number, errno)])));
        run(&mut outer.wrap(&argv)).refused(125, parts);
    }
    let outer = Node::new(&reach(with([answering(libc::SYS_acct, libc::EPERM)])));
    run(&mut outer.wrap(&argv)).succeeded();
}

/// A filter that answers success to seccomp(2) unless its third argument is null: what asks whether the call
/// is heard is heard.
fn swallowing() -> SeccompFilter {
    let number = u64::try_from(libc::SYS_seccomp).unwrap();
    handmade(&[
        0x20,
        number << 32 | 3 << 24 | 0x15,
        32 << 32 | 0x20,
        1 << 16 | 0x15,
        0x0005_0000 << 32 | 0x06,
        ALLOW,
    ])
}

#[test]
fn filters_that_were_swallowed_end_the_launch() {
    let inner = runtime(Profile::RuntimeDefault);
    let nono = inner.nono();
    let argv = [nono.to_str().unwrap(), "wrap", "--profile", PROFILE, "true"];
    for (filter, is_swallowed) in [(swallowing(), true), (handmade(&[ALLOW]), false)] {
        let plan = with([filter]).require(inner.nono_dir().to_str().unwrap(), RX);
        let outcome = run(&mut Node::new(&plan).wrap(&argv));
        match is_swallowed {
            true => outcome.refused(125, &["not in force", "seccomp profile"]),
            false => outcome.succeeded(),
        };
    }
}
