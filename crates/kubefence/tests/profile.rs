//! The command as people and scripts use it.

use std::fs;
use std::process::{Command, Output};

fn kubefence(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubefence"));
    command.args(args).output().unwrap()
}

#[track_caller]
fn stdout(args: &[&str]) -> String {
    let output = kubefence(args);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn json(args: &[&str]) -> serde_json::Value {
    serde_json::from_str(&stdout(&[args, &["--json"]].concat())).unwrap()
}

#[test]
fn a_denial_explains_itself() {
    let args = [
        "profile",
        "why",
        "default",
        "--path",
        "/etc/shadow",
        "--op",
        "read",
    ];
    let text = stdout(&args);
    for part in [
        "denied: read /etc/shadow under profile default",
        "no rule grants read_file on /etc/shadow",
        r#""filesystem": { "read_file": ["/etc/shadow"] }"#,
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert!(
        !text.contains('\u{1b}'),
        "colours only on terminals: {text:?}"
    );
    let answer = json(&args);
    assert_eq!(answer["verdict"], "denied");
    assert!(answer["remedy"].as_str().unwrap().contains("read_file"));
}

#[test]
fn what_is_allowed_names_its_rule() {
    let text = stdout(&[
        "profile",
        "why",
        "claude-code",
        "--path",
        "~/.claude/x",
        "--op",
        "create",
    ]);
    assert!(
        text.starts_with("allowed: create /root/.claude/x"),
        "{text}"
    );
    assert!(
        text.contains("$HOME/.claude (filesystem.state, claude-code.json:"),
        "{text}"
    );
    let text = stdout(&[
        "profile", "why", "strict", "--port", "443", "--op", "connect",
    ]);
    assert!(text.starts_with("denied: connect TCP port 443"), "{text}");
}

#[test]
fn questions_that_cannot_be_answered_say_why() {
    for (args, expected) in [
        (
            ["why", "nope", "--path", "/x", "--op", "read"],
            "profile \"nope\" does not exist (profiles: claude-code,",
        ),
        (
            ["why", "default", "--path", "x", "--op", "read"],
            "\"x\" is no absolute path",
        ),
        (
            ["why", "default", "--path", "/x", "--op", "open"],
            "--op \"open\" is no operation on a path: choose from read,",
        ),
        (
            ["why", "default", "--port", "1", "--op", "read"],
            "choose from connect, bind",
        ),
    ] {
        let output = kubefence(&[&["profile"], &args[..]].concat());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(
            stderr.starts_with("error: ") && stderr.contains(expected),
            "{stderr}"
        );
    }
}

#[test]
fn check_is_for_ci() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let base = file(
        "base.toml",
        "extends = \"default\"\n[filesystem]\nread = [\"/data\"]\n",
    );
    let good = file(
        "good.json",
        "{ \"extends\": \"base\",\n  \"hooks\": { \"x\": 1 } }",
    );
    let output = kubefence(&["profile", "check", &base, &good]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(
        text.starts_with(&format!("{good}:2:3: warning: hooks has no effect")),
        "{text}"
    );

    let bad = file(
        "bad.json",
        "{ \"extends\": \"bsae\",\n  \"filesytem\": {} }",
    );
    let proxy = file("proxy.json", "{ \"extends\": \"python-dev\" }");
    let open = file(
        "open.json",
        "{ \"extends\": \"default\",\n  \"filesystem\": { \"allow\": [\"~\"] } }",
    );
    let output = kubefence(&["profile", "check", &bad, &proxy, &open]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in [
        &format!(
            "{bad}:2:3: error: \"filesytem\" is no key of a profile; did you mean \"filesystem\"?"
        ),
        "nono wrap does not support proxy mode",
        &format!(
            "{open}:2:29: warning: $HOME is dropped, because group deny_credentials denies $HOME/.aws"
        ),
    ] {
        assert!(text.contains(part), "{text} lacks {part}");
    }
    let complaints = json_lenient(&["profile", "check", &bad, "--json"]);
    assert_eq!(complaints[0]["line"], 2);
    assert_eq!(complaints[0]["severity"], "error");
}

fn json_lenient(args: &[&str]) -> serde_json::Value {
    serde_json::from_slice(&kubefence(args).stdout).unwrap()
}

#[test]
fn profiles_are_listed_shown_and_compared() {
    let list = json(&["profile", "list"]);
    let find = |name: &str| {
        let profiles = list.as_array().unwrap().iter();
        profiles
            .clone()
            .find(|profile| profile["name"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(find("default")["usable"], true);
    assert_eq!(find("python-dev")["usable"], false);
    assert!(stdout(&["profile", "list"]).starts_with("NAME"));
    assert!(stdout(&["profile", "show", "strict"]).contains("connect to TCP ports: none"));
    let resolved = stdout(&["profile", "show", "default", "--resolved"]);
    assert!(resolved.contains("/usr") && resolved.contains("group system_read (groups.json:"));
    let diff = stdout(&["profile", "diff", "default", "strict"]);
    assert!(diff.contains("-$WORKDIR read_file\n") && diff.contains("+network blocked: true\n"));
    let same = json(&["profile", "diff", "default", "default"]);
    assert_eq!(same["only_in_first"].as_array().unwrap().len(), 0);
}

#[test]
fn the_plan_that_is_shown_is_one_that_the_launcher_reads() {
    let plan = stdout(&["profile", "show", "default", "--plan"]);
    let plan = kubefence_profile::LaunchPlan::decode(plan.as_bytes()).unwrap();
    assert_eq!(plan.profile.as_str(), "default");
    let filtered = stdout(&[
        "profile",
        "show",
        "default",
        "--plan",
        "--seccomp",
        "restricted",
    ]);
    let filtered = kubefence_profile::LaunchPlan::decode(filtered.as_bytes()).unwrap();
    assert_eq!((plan.seccomp.len(), filtered.seccomp.len()), (0, 1));
    let output = kubefence(&["profile", "show", "python-dev", "--plan"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("requires nono run")
    );
}

#[test]
fn custom_profiles_are_found_in_their_directory() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        dir.path().join("mine.json"),
        r#"{ "filesystem": { "read": ["/data"] } }"#,
    )
    .unwrap();
    let directory = dir.path().to_str().unwrap();
    let why = [
        "profile",
        "why",
        "mine",
        "--path",
        "/data/x",
        "--op",
        "read",
        "--profile-dir",
        directory,
    ];
    assert!(stdout(&why).starts_with("allowed"));
    fs::write(dir.path().join("broken.json"), "{").unwrap();
    let output = kubefence(&why);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.success() && stderr.contains("broken.json:1:"),
        "{stderr}"
    );
}

#[test]
fn shells_and_manuals_are_served() {
    assert!(stdout(&["completions", "bash"]).contains("kubefence"));
    assert!(stdout(&["man"]).contains(".TH kubefence"));
    let dir = tempfile::tempdir().unwrap();
    stdout(&["man", dir.path().to_str().unwrap()]);
    assert!(dir.path().join("kubefence-profile-why.1").exists());
    assert!(stdout(&["profile", "schema"]).contains("additionalProperties"));
}
