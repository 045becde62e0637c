use kubefence_launch_plan::{
    Arch, Create, FsRight, LaunchPlan, NetRight, ProfileName, Scope, Volumes,
};

use crate::{Catalog, CompileOptions, SeccompProfile, read_profile};

fn default_plan() -> LaunchPlan {
    built_in("default")
}

fn built_in(name: &str) -> LaunchPlan {
    let name = ProfileName::parse(name).unwrap();
    let catalog = Catalog::built_in().unwrap();
    let profile = catalog.get(&name).unwrap();
    profile.compile(&CompileOptions::default()).unwrap()
}

/// The plan of a profile in JSON.
fn plan(text: &str) -> LaunchPlan {
    let source = read_profile("p.json", text).profile.unwrap();
    let (catalog, rejected) = Catalog::built_in().unwrap().with_custom(vec![source]);
    assert_eq!(rejected, []);
    let name = ProfileName::parse("p").unwrap();
    catalog
        .get(&name)
        .unwrap()
        .compile(&CompileOptions::default())
        .unwrap()
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

#[test]
fn ports_and_scopes_are_handled_only_when_restricted() {
    let open = plan("{}");
    assert!(open.handled_net(u32::MAX).is_empty() && open.handled_scopes(u32::MAX).is_empty());
    assert_eq!(open.min_abi, 1);

    let ports = plan(r#"{ "network": { "connect_port": [443] } }"#);
    assert_eq!(ports.handled_net(u32::MAX), [NetRight::ConnectTcp]);
    assert_eq!(
        (ports.ports.len(), ports.ports[0].port, ports.min_abi),
        (1, 443, 4)
    );

    let text = r#"{ "network": { "block": true, "listen_port": [80] },
        "security": { "signal_mode": "isolated", "ipc_mode": "shared_memory_only" } }"#;
    let blocked = plan(text);
    assert_eq!(
        blocked.handled_net(4),
        [NetRight::BindTcp, NetRight::ConnectTcp]
    );
    assert_eq!(
        blocked.handled_scopes(6),
        [Scope::AbstractUnixSocket, Scope::Signal]
    );
    assert_eq!(
        (blocked.ports[0].rights[0], blocked.min_abi),
        (NetRight::BindTcp, 6)
    );
}

#[test]
fn a_profile_may_say_that_an_old_kernel_is_good_enough() {
    let text =
        r#"{ "network": { "block": true }, "landlock": { "min_abi": 2, "on_missing": "report" } }"#;
    assert_eq!(plan(text).min_abi, 2);
    assert_eq!(
        plan(r#"{ "network": { "block": true }, "landlock": { "min_abi": 2 } }"#).min_abi,
        4
    );
    assert_eq!(plan(r#"{ "landlock": { "min_abi": 7 } }"#).min_abi, 7);
}

#[test]
fn files_directories_and_state_become_different_rules() {
    let text = r#"{ "filesystem": { "read": ["/x"], "allow_file": ["/x"], "state": ["~/.s"], "allow": ["~/.s"],
        "state_file": ["~/.f"], "volumes": "read" } }"#;
    let plan = plan(text);
    let rules: Vec<_> = plan.rules.iter().skip(3).collect();
    let listed: Vec<String> = rules
        .iter()
        .map(|r| format!("{} {}", r.path, r.origin))
        .collect();
    assert_eq!(
        listed,
        [
            "/x filesystem.read",
            "/x filesystem.allow_file",
            "$HOME/.s filesystem.state, filesystem.allow",
            "$HOME/.f filesystem.state_file",
        ]
    );
    assert!(!rules[1].rights.contains(FsRight::ReadDir));
    assert_eq!(rules[2].create, Some(Create::Directory));
    assert_eq!(rules[3].create, Some(Create::File));
    assert_eq!(plan.volumes, Volumes::Read);
}

#[test]
fn strict_has_neither_network_nor_home() {
    let strict = built_in("strict");
    assert_eq!(
        strict.handled_net(4),
        [NetRight::BindTcp, NetRight::ConnectTcp]
    );
    assert!(strict.ports.is_empty());
    for rule in &strict.rules {
        let place = rule.path.to_string();
        assert!(
            !place.starts_with("$HOME") && !place.starts_with("$WORKDIR"),
            "{place}"
        );
        assert!(!place.starts_with("/home"), "{place}");
    }
}

#[test]
fn seccomp_filters_come_with_the_node_or_with_ports() {
    assert!(plan("{}").seccomp.is_empty());
    let listen = plan(r#"{ "network": { "listen_port": [80] } }"#).seccomp;
    let connect = plan(r#"{ "network": { "connect_port": [443] } }"#).seccomp;
    let blocked = plan(r#"{ "network": { "block": true } }"#).seccomp;
    assert_eq!((listen.len(), &listen), (1, &connect));
    assert_ne!(
        connect, blocked,
        "UDP stays open where only ports are restricted"
    );

    let name = ProfileName::parse("default").unwrap();
    let catalog = Catalog::built_in().unwrap();
    let profile = catalog.get(&name).unwrap();
    for seccomp in SeccompProfile::ALL {
        let on = |arch| CompileOptions {
            seccomp: Some(seccomp),
            arch,
        };
        let x86_64 = profile.compile(&on(Some(Arch::X86_64))).unwrap();
        let aarch64 = profile.compile(&on(Some(Arch::Aarch64))).unwrap();
        assert_ne!(x86_64.seccomp[0].program, aarch64.seccomp[0].program);
        let error = profile.compile(&on(None)).unwrap_err().to_string();
        assert!(
            error.contains("exists for x86_64 and aarch64 only"),
            "{error}"
        );
    }
}
