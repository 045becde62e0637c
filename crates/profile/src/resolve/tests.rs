use std::collections::BTreeMap;

use super::*;
use crate::groups::read_groups;
use crate::reader::read_profile;

const GROUPS: &str = r#"{
  "tools": { "description": "", "allow": { "read": ["/usr", "~/bin"] } },
  "more": { "description": "", "allow": { "readwrite": ["/data"] } },
  "secrets": { "description": "", "deny": ["~/.ssh", "/run/secrets"] }
}"#;

struct Files(BTreeMap<String, ProfileSource>);

impl Sources for Files {
    fn source(&self, name: &str) -> Option<&ProfileSource> {
        self.0.get(name)
    }

    fn names(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

/// Resolves the last of `profiles`, each a name and its JSON.
fn resolve_last(profiles: &[(&str, &str)]) -> Result<ResolvedProfile, String> {
    let read = |(name, text): &(&str, &str)| {
        let reading = read_profile(&format!("{name}.json"), text);
        let diagnostics = reading.diagnostics;
        let source = reading
            .profile
            .unwrap_or_else(|| panic!("{name}: {diagnostics:?}"));
        ((*name).to_owned(), source)
    };
    let files = Files(profiles.iter().map(read).collect());
    let last = &files.0[profiles.last().unwrap().0];
    let groups = read_groups("groups.json", GROUPS).unwrap();
    resolve(last, &files, &groups).map_err(|errors| errors[0].to_string())
}

fn places(profile: &ResolvedProfile) -> Vec<String> {
    let grants = profile.grants.iter();
    grants
        .map(|g| format!("{} {} ({})", g.place, g.access.name(), g.origin))
        .collect()
}

#[test]
fn lists_are_appended_and_scalars_replaced() {
    let base = r#"{ "groups": { "include": ["tools"] }, "workdir": { "access": "read" },
        "filesystem": { "read": ["/a"], "volumes": "read" }, "landlock": { "min_abi": 3 },
        "network": { "connect_port": [443] } }"#;
    let child = r#"{ "extends": "base", "groups": { "include": ["more", "tools"] },
        "workdir": { "access": "none" }, "filesystem": { "read": ["/b", "/a"] },
        "network": { "connect_port": [80, 443] } }"#;
    let resolved = resolve_last(&[("base", base), ("child", child)]).unwrap();
    assert_eq!(
        places(&resolved),
        [
            "/usr read (group tools)",
            "$HOME/bin read (group tools)",
            "/data readwrite (group more)",
            "/a read (filesystem.read)",
            "/b read (filesystem.read)",
        ]
    );
    assert_eq!(resolved.volumes, Volumes::Read);
    assert_eq!(resolved.landlock.min_abi, 3);
    let ports: Vec<u16> = resolved
        .network
        .connect
        .unwrap()
        .iter()
        .map(|p| p.value)
        .collect();
    assert_eq!((ports, resolved.network.listen), (vec![443, 80], None));
    assert_eq!(resolved.bases[0].as_str(), "base");
}

#[test]
fn groups_can_be_excluded_unless_they_protect_secrets() {
    let base = r#"{ "groups": { "include": ["tools", "more", "secrets"] } }"#;
    let without = r#"{ "extends": "base", "groups": { "exclude": ["tools"] } }"#;
    let resolved = resolve_last(&[("base", base), ("child", without)]).unwrap();
    assert_eq!(resolved.groups, ["more", "secrets"]);
    let open = r#"{ "extends": "base", "groups": { "exclude": ["secrets"] } }"#;
    let error = resolve_last(&[("base", base), ("child", open)]).unwrap_err();
    assert!(
        error.ends_with("group \"secrets\" protects secrets and cannot be excluded"),
        "{error}"
    );
}

#[test]
fn a_denial_drops_the_grants_that_it_touches() {
    let text = r#"{ "groups": { "include": ["secrets"] },
        "filesystem": { "allow": ["~", "/run", "~/.ssh/x", "/opt"], "deny": ["/opt/private"] } }"#;
    let resolved = resolve_last(&[("p", text)]).unwrap();
    assert!(resolved.grants.is_empty());
    let dropped: Vec<String> = resolved
        .dropped
        .iter()
        .map(|d| {
            format!(
                "{} for {} ({})",
                d.grant.place, d.denial.place, d.denial.origin
            )
        })
        .collect();
    assert_eq!(
        dropped,
        [
            "$HOME for $HOME/.ssh (group secrets)",
            "/run for /run/secrets (group secrets)",
            "$HOME/.ssh/x for $HOME/.ssh (group secrets)",
            "/opt for /opt/private (filesystem.deny)",
        ]
    );
}

#[test]
fn what_a_base_asks_for_can_be_taken_back() {
    let base = r#"{ "network": { "network_profile": "developer" } }"#;
    let resolved = resolve_last(&[("base", base), ("child", r#"{ "extends": "base" }"#)]).unwrap();
    assert_eq!(resolved.unenforceable[0].key, "network.network_profile");
    assert_eq!(resolved.unenforceable[0].at.to_string(), "base.json:1:35");
    let child = r#"{ "extends": "base", "network": { "network_profile": null } }"#;
    assert!(
        resolve_last(&[("base", base), ("child", child)])
            .unwrap()
            .unenforceable
            .is_empty()
    );
}

#[test]
fn inheritance_has_an_end() {
    let error = resolve_last(&[
        ("a", r#"{ "extends": "b" }"#),
        ("b", r#"{ "extends": "a" }"#),
    ]);
    assert_eq!(
        error.unwrap_err(),
        "a.json:1:14: error: extends goes in a circle: b extends a extends b"
    );
    let chain = |length: usize| {
        let files: Vec<(String, String)> = (0..=length)
            .map(|i| match i {
                0 => ("p00".to_owned(), "{}".to_owned()),
                i => (
                    format!("p{i:02}"),
                    format!(r#"{{ "extends": "p{:02}" }}"#, i - 1),
                ),
            })
            .collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(n, t)| (&**n, &**t)).collect();
        resolve_last(&files)
    };
    assert_eq!(chain(10).unwrap().bases.len(), 10);
    let error = chain(11).unwrap_err();
    assert!(
        error.ends_with("extends is more than 10 profiles deep"),
        "{error}"
    );
}

#[test]
fn what_is_not_there_is_named_with_a_hint() {
    for (text, expected) in [
        (
            r#"{ "extends": "bse" }"#,
            "extends \"bse\", which does not exist; profiles: p",
        ),
        (r#"{ "extends": "pp" }"#, "did you mean \"p\"?"),
        (
            r#"{ "groups": { "include": ["tool"] } }"#,
            "group \"tool\" does not exist; did you mean \"tools\"?",
        ),
        (
            r#"{ "groups": { "exclude": ["x"] } }"#,
            "groups: more, secrets, tools",
        ),
    ] {
        let error = resolve_last(&[("p", text)]).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn an_empty_list_takes_nothing_back() {
    let base = r#"{ "network": { "allow_domain": ["a.example"] } }"#;
    let child = r#"{ "extends": "base", "network": { "allow_domain": [] } }"#;
    let resolved = resolve_last(&[("base", base), ("child", child)]).unwrap();
    assert_eq!(resolved.unenforceable[0].key, "network.allow_domain");
}

#[test]
fn a_base_that_two_ways_lead_to_counts_once() {
    let root = r#"{ "workdir": { "access": "read" } }"#;
    let hard = r#"{ "extends": "aroot", "workdir": { "access": "none" } }"#;
    let soft = r#"{ "extends": "aroot" }"#;
    let both = r#"{ "extends": ["hard", "soft"] }"#;
    let profiles = [
        ("aroot", root),
        ("hard", hard),
        ("soft", soft),
        ("zboth", both),
    ];
    assert!(resolve_last(&profiles).unwrap().grants.is_empty());
}
