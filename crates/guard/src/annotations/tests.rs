use std::path::Path;

use super::*;
use crate::config::{Launcher, OnUnwrapped};

fn config(allowed: Option<&[&str]>) -> Config {
    let name = |name: &str| ProfileName::parse(name).unwrap();
    let launcher = Path::new("/opt/nono-nri/nono");
    Config {
        runtime: "/usr/bin/runc".into(),
        runtime_root: "/run/runc".into(),
        called_by: Caller::Containerd,
        launcher_dir: kubefence_injection::LauncherDir::of_launcher(launcher).unwrap(),
        default_profile: name("default"),
        allowed_profiles: allowed.map(|names| names.iter().map(|n| name(n)).collect()),
        on_unwrapped: OnUnwrapped::Wrap,
        state_dir: "/run/x".into(),
        launcher: Launcher::Kubefence,
    }
}

fn annotations(pairs: &[(&str, &str)]) -> Annotations {
    let pairs = pairs.iter();
    pairs
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn a_sandbox_is_what_the_runtime_says_is_one() {
    let of = |key: &str, caller| is_sandbox(caller, &annotations(&[(key, "c1")]), "c1");
    let containerd = "io.kubernetes.cri.sandbox-id";
    let crio = "io.kubernetes.cri-o.SandboxID";
    assert!(of(containerd, Caller::Containerd));
    assert!(of(crio, Caller::CriO));
    // Another runtime's key is anybody's to set.
    assert!(!of(crio, Caller::Containerd));
    assert!(!of(containerd, Caller::CriO));
    assert!(!of(crio, Caller::Podman) && !of(containerd, Caller::Podman));
}

#[test]
fn a_forged_kind_makes_no_sandbox() {
    for forged in [
        &[("io.kubernetes.cri.container-type", "sandbox")][..],
        &[("io.kubernetes.cri.sandbox-id", "")],
        &[("io.kubernetes.cri.sandbox-id", "c")],
        &[("io.kubernetes.cri.sandbox-id", "c10")],
        &[("IO.kubernetes.cri.sandbox-id", "c1")],
    ] {
        assert!(
            !is_sandbox(Caller::Containerd, &annotations(forged), "c1"),
            "{forged:?}"
        );
    }
}

#[test]
fn the_profile_is_one_that_is_allowed() {
    let choose = |allowed: Option<&[&str]>, pairs: &[(&str, &str)]| {
        profile(&config(allowed), &annotations(pairs))
            .map(|p| p.to_string())
            .map_err(|e| e.to_string())
    };
    let strict = [("nono.sh/profile", "strict")];
    assert_eq!(choose(None, &[]).unwrap(), "default");
    assert_eq!(choose(None, &strict).unwrap(), "strict");
    let own = [
        ("io.kubernetes.cri.container-name", "agent"),
        ("container.nono.sh/agent", "codex"),
        ("nono.sh/profile", "strict"),
    ];
    assert_eq!(choose(None, &own).unwrap(), "codex");
    for invalid in ["", "../x", "ü", &"x".repeat(65)] {
        assert_eq!(
            choose(None, &[("nono.sh/profile", invalid)]).unwrap(),
            "default"
        );
    }
    let error = choose(Some(&["default", "codex"]), &strict).unwrap_err();
    assert!(
        error.contains("\"strict\" is not allowed (allowed are: default, codex)"),
        "{error}"
    );
    // What an operator adds is for those for whom it is listed.
    assert!(choose(None, &[("nono.sh/profile", "team")]).is_err());
    let team = choose(Some(&["default", "team"]), &[("nono.sh/profile", "team")]);
    assert_eq!(team.unwrap(), "team");
}

/// Podman before 4.6 takes annotations from images.
#[test]
fn with_podman_only_what_is_listed_can_be_chosen() {
    let podman = |allowed| Config {
        called_by: Caller::Podman,
        ..config(allowed)
    };
    let codex = annotations(&[("nono.sh/profile", "codex")]);
    assert!(profile(&podman(None), &codex).is_err());
    assert!(profile(&podman(None), &annotations(&[])).is_ok());
    assert!(profile(&podman(Some(&["default", "codex"])), &codex).is_ok());
}
