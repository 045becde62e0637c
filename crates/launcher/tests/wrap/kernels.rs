//! Kernels and seccomp profiles that stand in the way of Landlock.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use kubefence_launch_plan::{LaunchPlan, Volumes};

use crate::harness::*;
use crate::pod::{self, Pod};

/// The outcome of a launch under a seccomp filter that answers `errno` to the system call `number`.
fn without(number: libc::c_long, errno: i32) -> Outcome {
    let node = Node::new(&plan());
    run(answering(&mut node.wrap(&["true"]), number, errno))
}

/// Puts `command` under a filter that answers `errno` to the system call `number`.
fn answering(command: &mut Command, number: libc::c_long, errno: i32) -> &mut Command {
    let instruction = |code: u32, jt, jf, k| libc::sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    };
    let fail = libc::SECCOMP_RET_ERRNO | errno as u32;
    let filter = [
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        instruction(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            0,
            1,
            number as u32,
        ),
        instruction(libc::BPF_RET | libc::BPF_K, 0, 0, fail),
        instruction(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    // SAFETY: the program and the filter it points to outlive the calls, which are all the closure makes.
    unsafe {
        command.pre_exec(move || {
            let program = libc::sock_fprog {
                len: filter.len() as u16,
                filter: filter.as_ptr().cast_mut(),
            };
            let mode = libc::SECCOMP_MODE_FILTER;
            if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
                || libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program) != 0
            {
                return Err(io::Error::last_os_error());
            }
            Ok(())
        })
    }
}

#[test]
fn a_seccomp_profile_that_blocks_landlock_is_named() {
    for (number, call) in [
        (libc::SYS_landlock_create_ruleset, "landlock_create_ruleset"),
        (libc::SYS_landlock_add_rule, "landlock_add_rule"),
        (libc::SYS_landlock_restrict_self, "landlock_restrict_self"),
    ] {
        for errno in [libc::EPERM, libc::ENOSYS] {
            without(number, errno).refused(125, &[call, "seccomp profile"]);
        }
    }
    // The filter itself is harmless.
    without(libc::SYS_acct, libc::EPERM).succeeded();
}

#[test]
fn a_kernel_with_landlock_switched_off_is_named() {
    let outcome = without(libc::SYS_landlock_create_ruleset, libc::EOPNOTSUPP);
    outcome.refused(125, &["Landlock is off", "lsm="]);
}

#[test]
fn other_calls_that_the_launch_needs_are_named() {
    without(libc::SYS_close_range, libc::EPERM).refused(125, &["close_range", "seccomp"]);
    without(libc::SYS_openat2, libc::ENOSYS).refused(125, &["openat2", "seccomp"]);
    without(libc::SYS_prctl, libc::EPERM).refused(125, &["PR_SET_NO_NEW_PRIVS", "seccomp"]);
    without(libc::SYS_statx, libc::ENOSYS).refused(125, &["ENOSYS"]);
}

#[test]
fn a_success_that_is_none_is_noticed() {
    // A filter can answer a call with success without making it.
    for (number, what) in [
        (
            libc::SYS_landlock_restrict_self,
            "landlock_restrict_self is answered without being made",
        ),
        (libc::SYS_prctl, "no_new_privs is not set"),
    ] {
        without(number, 0).refused(125, &["not in force", what, "seccomp profile"]);
    }
}

/// A container of uid 1000 whose image lets nobody list the root directory.
fn closed_root(plan: &LaunchPlan) -> Pod {
    let pod = Pod::new(plan)
        .with_user(1000)
        .with_set_up("chmod 711 $root");
    pod.bare("cat /etc/shadow").succeeded();
    pod.bare("ls /").denied();
    pod
}

#[test]
fn a_success_that_is_none_is_noticed_where_the_root_directory_tells_nothing() {
    let reach = |plan: LaunchPlan| plan.optional("/nono", RX);
    for plan in [plan(), reach(plan())] {
        let pod = closed_root(&plan);
        let mut command = pod.wrapped(&[], "echo ran; cat /etc/shadow");
        run(answering(&mut command, libc::SYS_landlock_restrict_self, 0))
            .refused(125, &["not in force", "seccomp profile"]);
        // The filter itself is harmless, and so is such an image.
        let mut command = pod.wrapped(&[], "echo ran; cat /etc/shadow");
        let outcome = run(answering(&mut command, libc::SYS_acct, 0)).denied();
        assert_eq!(outcome.text(), "ran");
    }
}

#[test]
fn a_launcher_directory_that_is_open_by_another_name_is_no_obstacle() {
    let pod =
        closed_root(&pod::with(Volumes::Read)).with_set_up("mount --bind $root/nono $root/data");
    pod.check("ls /data /nono", true);
    pod.check("cat /etc/shadow", false);
}
