//! The workload receives what the launcher received.

use std::ffi::{CString, c_char};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::harness::*;

/// Runs the same workload with and without the launcher, after the same preparation, and asserts that
/// it prints the same.
#[track_caller]
fn same(node: &Node, argv: &[&str], prepare: fn()) -> String {
    let outcomes = [node.wrap(argv), node.bare(argv)].map(|mut command| {
        // SAFETY: the closures below only make system calls.
        unsafe {
            command.pre_exec(move || {
                prepare();
                Ok(())
            })
        };
        run(&mut command).succeeded().text().to_owned()
    });
    assert_eq!(outcomes[0], outcomes[1]);
    outcomes[0].clone()
}

fn signal_state(prepare: fn()) -> String {
    same(
        &Node::new(&plan()),
        &["grep", "Sig[BIC]", "/proc/self/status"],
        prepare,
    )
}

fn mask(status: &str, name: &str) -> u64 {
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()
}

#[test]
fn sigpipe_stays_ignored_or_default() {
    // SAFETY: sets a disposition that runs no code.
    let ignored = signal_state(|| unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
        libc::signal(libc::SIGTERM, libc::SIG_IGN);
    });
    assert_eq!(mask(&ignored, "SigIgn") & 0x5000, 0x5000, "{ignored}");
    // SAFETY: as above.
    let default = signal_state(|| unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        libc::signal(libc::SIGTERM, libc::SIG_DFL);
    });
    assert_eq!(mask(&default, "SigIgn") & 0x5000, 0, "{default}");
}

#[test]
fn the_signal_mask_stays() {
    let blocked = signal_state(|| {
        // SAFETY: the set is initialised before it is used.
        unsafe {
            let mut set = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            libc::sigaddset(&raw mut set, libc::SIGUSR1);
            libc::sigaddset(&raw mut set, libc::SIGPIPE);
            libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
        }
    });
    assert_eq!(mask(&blocked, "SigBlk"), 0x1200, "{blocked}");
}

#[test]
fn umask_cwd_limits_and_priority_stay() {
    let node = Node::new(&plan().require("$WORKDIR", READ));
    let script = "umask; pwd; cat /proc/self/limits; cut -d ' ' -f 19 /proc/self/stat";
    let text = same(&node, &["/bin/sh", "-c", script], || {
        let limit = |resource, soft, hard| {
            let limit = libc::rlimit {
                rlim_cur: soft,
                rlim_max: hard,
            };
            // SAFETY: the struct outlives the call.
            unsafe { libc::setrlimit(resource, &raw const limit) };
        };
        limit(libc::RLIMIT_NOFILE, 32, 64);
        limit(libc::RLIMIT_CORE, 0, 4096);
        limit(libc::RLIMIT_STACK, 1 << 20, 1 << 22);
        // SAFETY: neither call touches memory.
        unsafe {
            libc::umask(0o137);
            libc::setpriority(libc::PRIO_PROCESS, 0, 7);
        }
    });
    assert!(text.starts_with("0137\n/tmp/nono-"), "{text}");
    assert!(text.ends_with("\n7"), "{text}");
}

#[test]
fn a_tight_descriptor_limit_is_enough() {
    let plan = (0..64).fold(plan(), |plan, i| {
        plan.optional(&format!("/usr/share/{i}"), READ)
    });
    let plan = (0..64).fold(plan, |plan, _| plan.require("/usr/share", READ));
    same(&Node::new(&plan), &["/bin/echo", "hi"], || {
        let limit = libc::rlimit {
            rlim_cur: 12,
            rlim_max: 12,
        };
        // SAFETY: the struct outlives the call.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    });
}

/// A command that executes exactly these bytes.
fn raw(path: &str, argv: &[&[u8]], env: &[&[u8]]) -> Command {
    let own = |list: &[&[u8]]| -> Vec<CString> {
        list.iter().map(|s| CString::new(*s).unwrap()).collect()
    };
    let (path, argv, env) = (CString::new(path).unwrap(), own(argv), own(env));
    let mut command = Command::new("/bin/true");
    // SAFETY: the strings live in the closure, and both arrays end with NULL.
    unsafe {
        command.pre_exec(move || {
            let pointers = |list: &[CString]| -> Vec<*const c_char> {
                list.iter()
                    .map(|s| s.as_ptr())
                    .chain([std::ptr::null()])
                    .collect()
            };
            let (argv, env) = (pointers(&argv), pointers(&env));
            libc::execve(path.as_ptr(), argv.as_ptr(), env.as_ptr());
            Err(io::Error::last_os_error())
        })
    };
    command
}

#[test]
fn arguments_and_environment_stay_byte_for_byte() {
    let node = Node::new(&plan());
    let nono = node.nono();
    let script = b"cat /proc/$$/cmdline /proc/$$/environ";
    let workload: [&[u8]; 6] = [b"/bin/sh", b"-c", script, b"\xff\xfe", b"", b"a\nb"];
    let env: [&[u8]; 6] = [
        b"A=1",
        b"A=2",
        b"=odd",
        b"noequals",
        b"B=\xff\x80",
        b"PATH=/bin",
    ];
    let launcher: [&[u8]; 5] = [b"spoofed", b"wrap", b"--profile", b"test", b"--"];
    let argv: Vec<&[u8]> = launcher.into_iter().chain(workload).collect();
    let wrapped = run(&mut raw(nono.to_str().unwrap(), &argv, &env))
        .succeeded()
        .stdout;
    let bare = run(&mut raw("/bin/sh", &workload, &env)).succeeded().stdout;
    assert_eq!(wrapped, bare);
    let all: Vec<u8> = workload
        .iter()
        .chain(&env)
        .flat_map(|s| [*s, b"\0"].concat())
        .collect();
    assert_eq!(wrapped, all);
}

#[test]
fn the_commands_own_name_stays() {
    let node = Node::new(&plan());
    let argv = ["cat", "/proc/self/cmdline"];
    assert_eq!(
        run(&mut node.wrap(&argv)).succeeded().text(),
        "cat\0/proc/self/cmdline\0"
    );
}

const OPEN_DESCRIPTORS: &str =
    "for f in 0 1 2 3 4 5 6 7 8 9 200; do [ -e /proc/$$/fd/$f ] && echo $f; done; :";

fn open_descriptors(node: &Node, options: &[&str], prepare: fn()) -> String {
    let mut command = Command::new(node.nono());
    command.args(["wrap", "--profile", PROFILE]).args(options);
    command.args(["--", "/bin/sh", "-c", OPEN_DESCRIPTORS]);
    // SAFETY: the closures below only make system calls.
    unsafe {
        command.pre_exec(move || {
            prepare();
            Ok(())
        })
    };
    run(&mut command).succeeded().text().replace('\n', " ")
}

/// Leaves 4, 5, 7 and 200 open.
fn leak_descriptors() {
    for fd in [4, 5, 7, 200] {
        // SAFETY: descriptor 2 is open.
        unsafe { libc::dup2(2, fd) };
    }
}

#[test]
fn other_descriptors_are_closed_unless_preserved() {
    let node = Node::new(&plan());
    let bare = {
        let mut command = node.bare_sh(OPEN_DESCRIPTORS);
        // SAFETY: the closure only makes system calls.
        unsafe {
            command.pre_exec(|| {
                leak_descriptors();
                Ok(())
            })
        };
        run(&mut command).succeeded()
    };
    assert!(bare.text().ends_with("4\n5\n7\n200"), "{bare:?}");
    for (options, expected) in [
        (&[][..], "0 1 2"),
        (&["--preserve-fds", "0"], "0 1 2"),
        (&["--preserve-fds", "2"], "0 1 2 4"),
        (&["--preserve-fds=3"], "0 1 2 4 5"),
        (&["--preserve-fds=2147483644"], "0 1 2 4 5 7 200"),
    ] {
        assert_eq!(
            open_descriptors(&node, options, leak_descriptors),
            expected,
            "{options:?}"
        );
    }
}

#[test]
fn closed_standard_descriptors_stay_closed() {
    let node = Node::new(&plan());
    // SAFETY: nothing in this child uses the descriptors afterwards.
    let closed = open_descriptors(&node, &[], || unsafe {
        libc::close(0);
        libc::close(2);
    });
    assert_eq!(closed, "1");
}
