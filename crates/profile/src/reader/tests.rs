use super::*;
use crate::access::Access;

fn errors(file: &str, text: &str) -> Vec<String> {
    let reading = read_profile(file, text);
    assert!(reading.profile.is_none(), "{reading:?}");
    reading
        .diagnostics
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn profile(text: &str) -> ProfileSource {
    let reading = read_profile("p.json", text);
    reading
        .profile
        .unwrap_or_else(|| panic!("{:?}", reading.diagnostics))
}

#[test]
fn a_profile_in_upstreams_shape_is_read() {
    let profile = profile(
        r#"{
  "$schema": "https://example.org/profile.schema.json",
  "extends": ["default", "strict"],
  "meta": { "name": "mine", "version": "1.0.0", "description": "d", "author": "me" },
  "groups": { "include": ["a", { "name": "b", "when": "linux" }, { "name": "c", "when": "macos" }], "exclude": ["d"] },
  "security": { "groups": ["e"], "signal_mode": "isolated", "ipc_mode": "full" },
  "filesystem": { "allow": ["~/x"], "read_file": [{ "path": "/f", "when": "linux" }], "volumes": "as-mounted", "deny": ["~/y"] },
  "network": { "block": true, "connect_port": [443], "listen_port": [8080], "network_profile": null },
  "workdir": { "access": "readwrite" },
  "landlock": { "min_abi": 4, "log_denials": false, "on_missing": "report" }
}"#,
    );
    let names = |list: &[Located<String>]| -> Vec<String> {
        list.iter().map(|item| item.value.clone()).collect()
    };
    let said = &profile.statements;
    assert_eq!(profile.name.as_str(), "mine");
    assert_eq!(names(&profile.extends), ["default", "strict"]);
    assert_eq!(names(&said.include), ["a", "b", "e"]);
    assert_eq!(names(&said.exclude), ["d"]);
    let grants: Vec<_> = said
        .grants
        .iter()
        .map(|g| (g.path.value.as_str(), g.access))
        .collect();
    assert_eq!(
        grants,
        [("~/x", Access::Readwrite), ("/f", Access::ReadFile)]
    );
    assert_eq!(said.grants[1].path.at.to_string(), "p.json:7:61");
    assert_eq!(
        (said.connect_ports[0].value, said.listen_ports[0].value),
        (443, 8080)
    );
    assert!(said.block.as_ref().unwrap().value && said.isolate_signals.as_ref().unwrap().value);
    assert!(!said.isolate_sockets.as_ref().unwrap().value);
    assert_eq!(
        said.unenforceable.get("network.network_profile"),
        Some(&None)
    );
}

#[test]
fn toml_has_the_same_keys() {
    let reading = read_profile(
        "mine.toml",
        "extends = \"default\"\n[filesystem]\nread = [\"/data\"]\n[landlock]\nmin_abi = 4\n",
    );
    let profile = reading.profile.unwrap();
    assert_eq!(profile.name.as_str(), "mine", "the file names the profile");
    assert_eq!(
        profile.statements.grants[0].path.at.to_string(),
        "mine.toml:3:9"
    );
    assert_eq!(profile.statements.min_abi, Some(4));
}

#[test]
fn every_mistake_is_reported_with_its_place_and_a_hint() {
    let found = errors(
        "p.json",
        r#"{
  "mete": {},
  "filesystem": { "raed": [], "read": ["usr", 7, { "paht": "/x" }], "allow": "~", "state": ["/var/x"] },
  "network": { "connect_port": [0, 70000, "80"], "block": "yes" },
  "workdir": { "access": "all" },
  "landlock": { "min_abi": 0 },
  "security": 7,
  "extends": 7
}"#,
    );
    let expected = [
        "p.json:2:3: error: \"mete\" is no key of a profile; did you mean \"meta\"?",
        "p.json:3:19: error: \"raed\" is no key of filesystem; did you mean \"read\"?",
        "p.json:3:40: error: filesystem.read: \"usr\" is not a place",
        "p.json:3:47: error: filesystem.read: a path is expected, not a number",
        "p.json:3:60: error: filesystem.read: an entry has \"path\" and \"when\", as strings; did you mean \"path\"?",
        "p.json:3:78: error: filesystem.allow: a list of paths is expected, not a string",
        "p.json:3:93: error: filesystem.state: only places below a variable are made",
        "p.json:4:33: error: network.connect_port: a TCP port from 1 to 65535 is expected",
        "p.json:4:36: error: network.connect_port",
        "p.json:4:43: error: network.connect_port",
        "p.json:4:59: error: network.block: true or false is expected, not a string",
        "p.json:5:26: error: workdir.access = \"all\": one of none, read, write, readwrite is expected",
        "p.json:6:28: error: landlock.min_abi = 0 is below 1",
        "p.json:7:15: error: security is an object, not a number",
        "p.json:8:14: error: extends: a list of names is expected, not a number",
    ];
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            found.starts_with(expected),
            "{found}\n  does not begin with\n{expected}"
        );
    }
    assert_eq!(found.len(), expected.len());
}

#[test]
fn what_means_nothing_under_wrap_is_reported_and_accepted() {
    let text = r#"{ "hooks": { "x": 1 }, "rollback": {}, "commands": { "deny": ["rm"] } }"#;
    let reading = read_profile("p.json", text);
    assert!(reading.profile.is_some());
    let found: Vec<String> = reading
        .diagnostics
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        found.len(),
        2,
        "an empty object asks for nothing: {found:?}"
    );
    assert!(found[0].starts_with("p.json:1:3: warning: hooks has no effect: "));
    assert!(found[1].starts_with("p.json:1:54: warning: commands.deny has no effect: "));
}

#[test]
fn what_wrap_cannot_enforce_is_kept_for_the_refusal() {
    let source = profile(
        r#"{ "network": { "network_profile": "developer", "allow_domain": [] },
             "environment": { "deny_vars": ["X"] } }"#,
    );
    let asked: Vec<_> = source.statements.unenforceable.iter().collect();
    let asked: Vec<_> = asked.iter().map(|(key, v)| (**key, v.is_some())).collect();
    let expected = [
        ("environment.deny_vars", true),
        ("network.network_profile", true),
    ];
    assert_eq!(asked, expected);
    for nothing in ["null", "\"\""] {
        let source = profile(&format!(
            r#"{{ "network": {{ "network_profile": {nothing} }} }}"#
        ));
        assert_eq!(
            source.statements.unenforceable["network.network_profile"],
            None
        );
    }
}

#[test]
fn what_would_restrict_nothing_is_an_error() {
    for (text, expected) in [
        (
            r#"{ "network": { "connect_port": [] } }"#,
            "the list is empty; to deny all ports, say network.block",
        ),
        (
            r#"{ "filesystem": { "deny": [{ "path": "/x", "when": "Linux" }] } }"#,
            "\"when\" is linux, macos or windows, not \"Linux\"",
        ),
        (
            r#"{ "filesystem": { "deny": ["/home/$USER/x"] } }"#,
            "only the beginning can be a variable",
        ),
        (
            r#"{ "filesystem": { "state": ["~"] } }"#,
            "only places below a variable are made",
        ),
    ] {
        let found = errors("p.json", text);
        assert!(found[0].contains(expected), "{found:?}");
    }
    let text = r#"{ "filesystem": { "read": [{ "path": "/x", "when": "macos" }] } }"#;
    let reading = read_profile("p.json", text);
    assert!(
        reading.diagnostics[0]
            .to_string()
            .contains("warning: filesystem.read: the entry has no effect on Linux")
    );
}

#[test]
fn a_file_without_a_usable_name_is_an_error() {
    let found = errors("/etc/x/.json", "{}");
    assert!(
        found[0].contains("no meta.name, and the file's own name is none"),
        "{found:?}"
    );
    let found = errors("x.json", r#"{ "meta": { "name": "../x" } }"#);
    assert!(
        found[0].starts_with("x.json:1:21: error: \"../x\" is not a profile name"),
        "{found:?}"
    );
    assert_eq!(
        errors("x.json", "[]"),
        ["x.json:1:1: error: a profile is an object, not a list"]
    );
}
