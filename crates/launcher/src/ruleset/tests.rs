use kubefence_launch_plan::{FORMAT, Handled, ProfileName, Volumes};
use landlock::{ABI, Access};

use super::*;

/// A plan that handles everything.
fn plan(log_denials: bool) -> LaunchPlan {
    let handled = |abi| Handled {
        abi,
        fs: FsRight::ALL
            .iter()
            .copied()
            .filter(|r| r.since() == abi)
            .collect(),
        net: NetRight::ALL
            .iter()
            .copied()
            .filter(|r| r.since() == abi)
            .collect(),
        scopes: Scope::ALL
            .iter()
            .copied()
            .filter(|s| s.since() == abi)
            .collect(),
    };
    LaunchPlan {
        format: FORMAT,
        profile: ProfileName::parse("p").unwrap(),
        min_abi: 1,
        log_denials,
        handled: (1..=9).map(handled).collect(),
        rules: Vec::new(),
        ports: Vec::new(),
        deny: Vec::new(),
        volumes: Volumes::None,
        seccomp: Vec::new(),
    }
}

#[test]
fn every_abi_is_asked_for_what_it_has() {
    let plan = plan(true);
    plan.validate().unwrap();
    for abi in 1..=9 {
        let known = ABI::from(abi as i32);
        let demands = Demands::of(&plan, abi);
        // The plan format has no name yet for the right of ABI 9.
        let fs = AccessFs::from_all(known) & !BitFlags::from(AccessFs::ResolveUnix);
        assert_eq!(demands.fs, fs, "ABI {abi}");
        assert_eq!(demands.net, AccessNet::from_all(known), "ABI {abi}");
        assert_eq!(
            demands.scopes,
            landlock::Scope::from_all(known),
            "ABI {abi}"
        );
        assert_eq!(demands.log_new_exec, abi >= 7, "ABI {abi}");
    }
}

#[test]
fn denials_are_logged_only_on_demand() {
    for abi in 1..=9 {
        assert!(!Demands::of(&plan(false), abi).log_new_exec);
    }
}

#[test]
fn nothing_is_handled_that_the_plan_does_not_name() {
    let mut plan = plan(false);
    plan.handled.truncate(1);
    for abi in 1..=9 {
        let demands = Demands::of(&plan, abi);
        assert_eq!(demands.fs, AccessFs::from_all(ABI::V1));
        assert!(demands.net.is_empty() && demands.scopes.is_empty());
    }
}

#[test]
fn the_minimum_is_the_minimum() {
    for (needed, found, accepted) in [
        (1, 1, true),
        (7, 7, true),
        (6, 7, true),
        (8, 7, false),
        (1, 0, false),
    ] {
        assert_eq!(
            check_minimum(needed, found).is_ok(),
            accepted,
            "{needed} {found}"
        );
    }
    let text = check_minimum(8, 3).unwrap_err().to_string();
    assert!(
        text.contains("needs Landlock ABI 8, this kernel has 3"),
        "{text}"
    );
}

#[test]
fn the_file_rights_are_the_kernels() {
    assert_eq!(
        access_fs(kubefence_launch_plan::judge::FILE_RIGHTS),
        AccessFs::from_file(ABI::V8)
    );
}

#[test]
fn remedies_are_named() {
    for (call, errno, expected) in [
        (
            "landlock_restrict_self",
            libc::E2BIG,
            "16 sandboxes are nested",
        ),
        ("landlock_restrict_self", libc::EPERM, "seccomp profile"),
        ("landlock_create_ruleset", libc::ENOSYS, "seccomp profile"),
        ("landlock_add_rule", libc::EPERM, "seccomp profile"),
        (
            "landlock_add_rule",
            libc::E2BIG,
            "landlock_add_rule failed for /x (base)",
        ),
    ] {
        let text = failed(call, "/x (base)", Errno(errno)).to_string();
        assert!(text.contains(expected) && text.contains(call), "{text}");
    }
}
