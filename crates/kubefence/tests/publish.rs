//! Publishing profiles on a node without the plugin.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use kubefence_node_files::plans::{available, lookup};
use kubefence_profile::{LaunchPlan, ProfileName};
use serde_json::Value;
use tempfile::TempDir;

/// A launcher's directory, and one with custom profiles.
struct Node {
    dir: TempDir,
}

impl Node {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("nono")).unwrap();
        fs::create_dir(dir.path().join("custom")).unwrap();
        Self { dir }
    }

    fn nono(&self) -> PathBuf {
        self.dir.path().join("nono")
    }

    fn custom(&self) -> PathBuf {
        self.dir.path().join("custom")
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.custom().join(file), text).unwrap();
    }

    fn publish(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubefence"));
        command
            .args(["profile", "publish", "--dir"])
            .arg(self.nono())
            .args(args);
        command.output().unwrap()
    }

    /// With the custom profiles; the exit code, and the answer for machines.
    fn publish_custom(&self) -> (Option<i32>, Value) {
        let custom = self.custom();
        let output = self.publish(&["--json", "--profile-dir", custom.to_str().unwrap()]);
        let answer = serde_json::from_slice(&output.stdout);
        let answer = answer.unwrap_or_else(|error| panic!("{error}: {output:?}"));
        (output.status.code(), answer)
    }

    fn is_published(&self, profile: &str) -> bool {
        lookup(&self.nono(), &name(profile)).is_ok()
    }
}

fn name(name: &str) -> ProfileName {
    ProfileName::parse(name).unwrap()
}

fn plan(dir: &Path, profile: &str) -> LaunchPlan {
    let link = dir.join(format!("profiles/{profile}.json"));
    LaunchPlan::decode(&fs::read(link).unwrap()).unwrap()
}

/// What the answer says of a profile.
fn outcome<'a>(answer: &'a Value, profile: &str) -> &'a Value {
    let mut outcomes = answer["profiles"].as_array().unwrap().iter();
    outcomes
        .find(|outcome| outcome["name"] == profile)
        .unwrap_or_else(|| panic!("{profile}: {answer}"))
}

#[test]
fn the_built_in_profiles_are_there_for_the_guard_and_the_launcher() {
    let node = Node::new();
    let output = node.publish(&[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    for profile in ["default", "strict", "claude-code"] {
        let published = lookup(&node.nono(), &name(profile)).unwrap();
        assert_eq!(plan(&node.nono(), profile).profile, name(profile));
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(&published.digest.to_string()), "{text}");
    }
    let text = String::from_utf8(output.stdout).unwrap();
    let refused = text.lines().find(|line| line.starts_with("python-dev"));
    let refused = refused.unwrap_or_else(|| panic!("{text}"));
    assert!(
        refused.contains("  no  ") && refused.contains("proxy"),
        "{refused}"
    );
    assert!(!node.is_published("python-dev"));
}

#[test]
fn custom_profiles_are_published_and_taken_away() {
    let node = Node::new();
    node.write(
        "team.json",
        r#"{ "extends": "default", "filesystem": { "read": ["/data"] } }"#,
    );
    let (code, answer) = node.publish_custom();
    assert_eq!(code, Some(0), "{answer}");
    let digest = lookup(&node.nono(), &name("team")).unwrap().digest;
    assert_eq!(outcome(&answer, "team")["plan"], digest.to_string());
    assert_eq!(outcome(&answer, "team")["from"], "custom");
    assert_eq!(outcome(&answer, "default")["from"], "built in");
    // Without the directory nothing is known of custom profiles.
    assert_eq!(node.publish(&[]).status.code(), Some(0));
    assert!(node.is_published("team"));
    fs::remove_file(node.custom().join("team.json")).unwrap();
    let (code, answer) = node.publish_custom();
    assert_eq!(
        (code, &answer["removed"]),
        (Some(0), &serde_json::json!(["team"]))
    );
    let names = available(&node.nono()).unwrap();
    assert!(!names.contains(&name("team")) && names.contains(&name("default")));
}

#[test]
fn a_broken_profile_fails_and_keeps_its_last_version_and_all_others_go_on() {
    let node = Node::new();
    node.write("team.json", r#"{ "extends": "default" }"#);
    node.write("gone.json", r#"{ "extends": "default" }"#);
    assert_eq!(node.publish_custom().0, Some(0));
    let before = lookup(&node.nono(), &name("team")).unwrap();
    fs::remove_file(node.custom().join("gone.json")).unwrap();
    for (broken, part) in [
        ("{ trunc", "team.json:1:"),
        (r#"{ "extends": "nope" }"#, "nope"),
        (r#"{ "extends": "python-dev" }"#, "proxy"),
    ] {
        node.write("team.json", broken);
        node.write("other.json", r#"{ "extends": "strict" }"#);
        let (code, answer) = node.publish_custom();
        assert_eq!(code, Some(1), "{answer}");
        let reasons = answer["profiles"].as_array().unwrap().iter();
        let mut reasons = reasons.filter(|outcome| outcome["from"] == "custom");
        let is_told = |outcome: &Value| outcome["reason"].to_string().contains(part);
        assert!(reasons.any(is_told), "{part}: {answer}");
        assert_eq!(lookup(&node.nono(), &name("team")).unwrap(), before);
        assert!(node.is_published("other") && node.is_published("gone"));
    }
}

#[test]
fn a_custom_profile_cannot_take_a_built_in_name() {
    let node = Node::new();
    assert_eq!(node.publish(&[]).status.code(), Some(0));
    let before = lookup(&node.nono(), &name("default")).unwrap();
    node.write("default.json", r#"{ "filesystem": { "read": ["/data"] } }"#);
    let (code, answer) = node.publish_custom();
    assert_eq!(code, Some(1), "{answer}");
    assert_eq!(lookup(&node.nono(), &name("default")).unwrap(), before);
}

#[test]
fn the_seccomp_filter_is_in_every_plan() {
    let node = Node::new();
    let filters = |args: &[&str]| {
        let output = node.publish(args);
        assert!(output.status.success(), "{output:?}");
        let filters = plan(&node.nono(), "default").seccomp;
        filters.into_iter().map(|filter| filter.name).collect()
    };
    let without: Vec<String> = filters(&[]);
    let with = filters(&["--seccomp-profile", "restricted"]);
    assert!(!without.contains(&"restricted".to_owned()));
    assert!(with.contains(&"restricted".to_owned()), "{with:?}");
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let node = Node::new();
    fs::remove_dir(node.nono()).unwrap();
    let output = node.publish(&[]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("nono/plans: make the launcher's directory writable"),
        "{text}"
    );
}
