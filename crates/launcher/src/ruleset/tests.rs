use std::ffi::CStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;

use kubefence_launch_plan::{FORMAT, Handled, ProfileName, Volumes};
use landlock::{ABI, Access};

use super::*;
use crate::sys::At;

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

fn directory(path: &CStr) -> OwnedFd {
    sys::open(At::Cwd, path, libc::O_PATH | libc::O_DIRECTORY, 0).unwrap()
}

fn grant(path: &CStr, rights: &[FsRight]) -> Grant {
    let place = directory(path);
    let file = sys::status(At::Dir(&place), c"").unwrap().file;
    let rights = FsRights::of(rights);
    Grant {
        place,
        file,
        rights,
    }
}

/// Enters a sandbox that opens what `grants` say, with `own` for the launcher's directory; only its thread does.
fn restricted(own: &CStr, grants: &[(&CStr, &[FsRight])]) -> Result<(), SandboxError> {
    let enter = || {
        // The launcher has one thread. Here another could take a descriptor's number once it is closed.
        // SAFETY: the call takes an integer only, and this thread uses no descriptor of another.
        #[allow(unsafe_code)]
        let result = unsafe { libc::unshare(libc::CLONE_FILES) };
        assert_eq!(result, 0);
        let plan = plan(false);
        let abi = accepted_abi(&plan)?;
        let sandbox = Sandbox::new(&plan, abi, directory(own))?;
        let mut grants = grants.iter().map(|(path, rights)| grant(path, rights));
        let allow = |sandbox: Sandbox, grant| sandbox.allow(grant, || "a place".to_owned());
        grants.try_fold(sandbox, allow)?.restrict()
    };
    std::thread::scope(|scope| scope.spawn(enter).join().unwrap())
}

fn assert_not_in_force(result: Result<(), SandboxError>) {
    assert!(
        matches!(result, Err(SandboxError::NotInForce(_))),
        "{result:?}"
    );
}

#[test]
fn without_a_sandbox_the_witnesses_say_so() {
    for own in [c"/usr/bin", c"/"] {
        assert_not_in_force(Witness::new(directory(own)).confirm());
        restricted(own, &[]).unwrap();
    }
}

#[test]
fn a_directory_that_a_rule_opens_is_no_witness() {
    let (read, other) = ([FsRight::ReadDir], [FsRight::ReadFile, FsRight::Execute]);
    for opened in [c"/usr/bin", c"/usr"] {
        restricted(c"/usr/bin", &[(opened, &read)]).unwrap();
        let mut witness = Witness::new(directory(c"/usr/bin"));
        witness.heed(&grant(opened, &read));
        // The root directory is left.
        assert_not_in_force(witness.confirm());
        witness.heed(&grant(c"/", &other));
        assert_not_in_force(witness.confirm());
        witness.heed(&grant(c"/", &read));
        witness.confirm().unwrap();
    }
}

#[test]
fn a_sandbox_that_opens_everything_is_one_all_the_same() {
    restricted(c"/usr/bin", &[(c"/", FsRight::ALL)]).unwrap();
}

#[test]
fn a_directory_that_was_shut_before_is_no_witness() {
    let dir = tempfile::tempdir().unwrap();
    let closed = std::fs::Permissions::from_mode(0o000);
    std::fs::set_permissions(&dir, closed).unwrap();
    let own = directory(&sys::c_string(dir.path().as_os_str().as_bytes()));
    let look = || {
        // Root would read it all the same. The bare call changes this thread only.
        // SAFETY: the call takes integers only.
        #[allow(unsafe_code)]
        let result = unsafe { libc::syscall(libc::SYS_setresuid, -1, 65534, -1) };
        assert!(result == 0 || sys::effective_user() != 0);
        Witness::new(own).confirm()
    };
    // The root directory is left.
    assert_not_in_force(std::thread::scope(|scope| {
        scope.spawn(look).join().unwrap()
    }));
}
