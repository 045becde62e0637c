use kubefence_launch_plan::{FsRight, LaunchPlan, ProfileName};

use crate::Catalog;

fn default_plan() -> LaunchPlan {
    let name = ProfileName::parse("default").unwrap();
    Catalog::built_in().unwrap().get(&name).unwrap().compile()
}

#[test]
fn the_default_plan_is_as_reviewed() {
    let plan = default_plan();
    let rules: Vec<String> = plan
        .rules
        .iter()
        .map(|rule| format!("{} {:?} ({})", rule.path, rule.rights, rule.origin))
        .collect();
    insta::assert_snapshot!(rules.join("\n"));
}

#[test]
fn compilation_is_deterministic() {
    assert_eq!(
        default_plan().encode().unwrap(),
        default_plan().encode().unwrap()
    );
}

#[test]
fn every_right_is_handled() {
    let handled = default_plan().handled_fs(u32::MAX);
    assert!(FsRight::ALL.iter().all(|right| handled.contains(*right)));
}

#[test]
fn no_rule_creates_device_nodes_or_opens_secrets() {
    for rule in default_plan().rules {
        let path = rule.path.to_string();
        assert!(!rule.rights.contains(FsRight::MakeChar), "{path}");
        assert!(!rule.rights.contains(FsRight::MakeBlock), "{path}");
        for secret in [
            "/etc/passwd",
            "/etc/shadow",
            "/etc/group",
            "/var/run/secrets/kubernetes.io",
            "/run/secrets",
            "/nono/.canary",
        ] {
            let above = secret.starts_with(&format!("{path}/"));
            assert!(path != secret && !above, "{path} opens {secret}");
        }
    }
}

#[test]
fn writing_is_allowed_only_in_scratch_places_and_devices() {
    let writable: Vec<String> = default_plan()
        .rules
        .iter()
        .filter(|rule| rule.rights.contains(FsRight::WriteFile))
        .map(|rule| rule.path.to_string())
        .collect();
    let expected = [
        "/dev/full",
        "/dev/null",
        "/dev/random",
        "/dev/urandom",
        "/dev/zero",
        "/dev/console",
        "/dev/ptmx",
        "/dev/pts",
        "/dev/tty",
        "/dev/shm",
        "/dev/termination-log",
        "/tmp",
        "$TMPDIR",
    ];
    assert_eq!(writable, expected);
}
