//! Which profile a container gets, and what is refused.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{Check, own, shared, shared_once};
use crate::daemon::DaemonOptions;
use crate::images::{self, BUSYBOX};
use crate::node::{Node, NodeOptions};
use crate::wait;

const ANNOTATION: &str = "nono.sh/profile";
const LIMIT: Duration = Duration::from_secs(20);

const LIST: &str = "[allowed_profiles]\nnono-runc = [\"default\", \"team\"]\n";

/// Built-in profiles that ask for proxy filtering.
const PROXIED: [&str; 4] = ["python-dev", "node-dev", "go-dev", "rust-dev"];

/// What every profile of these checks is asked for.
const PROBE: [&str; 7] = [
    "/app/tool",
    "read",
    "/etc/passwd",
    "read",
    "/etc/group",
    "write",
    "/tmp/file",
];

/// Values that are not well formed: characters, first character, length, emptiness, paths.
const INVALID: [&str; 6] = [
    "no spaces",
    "-dash-first",
    "",
    "../etc/shadow",
    "default;rm",
    "x\u{e9}",
];

pub(super) const CHECKS: &[Check] = &[
    shared(
        "the annotation nono.sh/profile names the profile",
        named_profile,
    ),
    shared_once(
        "an invalid annotation falls back to the default profile",
        invalid_annotation,
    ),
    shared(
        "an unknown profile is refused with its name and the container's",
        unknown_profile,
    ),
    shared_once(
        "a container's own annotation overrides the pod's",
        container_annotation,
    ),
    shared(
        "a profile that wrap cannot enforce is refused with the reason",
        unenforceable_profile,
    ),
    own(
        "an operator's own profile applies, and is followed when its file changes, breaks or goes",
        custom_profile,
    ),
    own(
        "pods choose only among the profiles that are allowed for their handler",
        allowed_profiles,
    ),
];

fn named_profile(node: &Node) -> Result<()> {
    expect_profile(node, &[(ANNOTATION, "default")], "default")
}

fn invalid_annotation(node: &Node) -> Result<()> {
    let too_long = "a".repeat(65);
    for value in INVALID.into_iter().chain([too_long.as_str()]) {
        expect_profile(node, &[(ANNOTATION, value)], "default")?;
    }
    Ok(())
}

fn container_annotation(node: &Node) -> Result<()> {
    let annotations = [
        (ANNOTATION, "no-such-profile"),
        ("container.nono.sh/main", "default"),
    ];
    expect_profile(node, &annotations, "default")
}

fn expect_profile(node: &Node, annotations: &[(&str, &str)], expected: &str) -> Result<()> {
    let pod = annotations
        .iter()
        .fold(node.pod("profile"), |pod, (key, value)| {
            pod.annotation(key, value)
        })
        .run()?;
    let container = pod.container(BUSYBOX, &["sleep", "300"]).start()?;
    let args = container.oci_spec()?["process"]["args"].take();
    ensure!(args[3] == expected, "{annotations:?} gives args {args}");
    Ok(())
}

fn unknown_profile(node: &Node) -> Result<()> {
    let pod = node
        .pod("unknown")
        .annotation(ANNOTATION, "no-such-profile")
        .run()?;
    let message = pod
        .container(BUSYBOX, &["sleep", "300"])
        .name("web-server")
        .refusal()?;
    for part in ["no-such-profile", "web-server"] {
        ensure!(
            message.contains(part),
            "no {part:?} in the refusal: {message}"
        );
    }
    Ok(())
}

fn unenforceable_profile(node: &Node) -> Result<()> {
    for profile in PROXIED {
        let message = refusal(node, profile)?;
        for part in [
            profile,
            "nono wrap does not support proxy mode",
            "requires nono run",
            "choose another profile",
        ] {
            ensure!(
                message.contains(part),
                "no {part:?} in the refusal: {message}"
            );
        }
    }
    expect_probe(node, "default", ["EACCES", "EACCES"])
}

/// The message with which a container under `profile` is refused.
fn refusal(node: &Node, profile: &str) -> Result<String> {
    let pod = node.pod("refused").annotation(ANNOTATION, profile).run()?;
    let message = pod.container(BUSYBOX, &["sleep", "300"]).refusal()?;
    // The runtime's client quotes it once more.
    Ok(message.replace("\\\"", "\""))
}

/// Runs the probe under `profile`: what it is to say of the accounts and of the groups.
fn expect_probe(node: &Node, profile: &str, results: [&str; 2]) -> Result<()> {
    let pod = node.pod("probe").annotation(ANNOTATION, profile).run()?;
    let output = pod.container(BUSYBOX, &PROBE).finish(LIMIT)?.success()?;
    let [passwd, group] = results;
    let expected =
        format!("read /etc/passwd: {passwd}\nread /etc/group: {group}\nwrite /tmp/file: ok\n");
    ensure!(
        output == expected,
        "under {profile} the probe printed {output:?}, should be {expected:?}"
    );
    pod.remove()
}

/// A node whose operator has the profile `team`, with `extra` in the plugin's configuration. Returns the
/// profile's file, too.
fn own_node(containerd: &str, extra: &str) -> Result<(Node, PathBuf)> {
    let node = Node::start(NodeOptions {
        containerd,
        images: &[images::BUSYBOX],
        plugin: true,
        daemon: DaemonOptions::default(),
    })?;
    let dir = node.scratch().join("profiles.d");
    fs::create_dir(&dir).context("cannot make a directory of profiles")?;
    let file = dir.join("team.json");
    fs::write(&file, reading("/etc/passwd"))?;
    node.plugin()?
        .start_with(&format!("profile_dir = {dir:?}\n{extra}"))?;
    Ok((node, file))
}

/// A profile that can read one file more than `default`.
fn reading(file: &str) -> String {
    format!(r#"{{ "extends": "default", "filesystem": {{ "read_file": ["{file}"] }} }}"#)
}

fn custom_profile(containerd: &str) -> Result<()> {
    let (node, file) = own_node(containerd, LIST)?;
    expect_probe(&node, "team", ["ok", "EACCES"])?;
    expect_probe(&node, "default", ["EACCES", "EACCES"])?;

    change(&node, &file, &reading("/etc/group"), "profiles reloaded")?;
    expect_probe(&node, "team", ["EACCES", "ok"])?;

    change(&node, &file, "{ \"extend\": [] }", "profile file broken")?;
    expect_probe(&node, "team", ["EACCES", "ok"])?;
    expect_probe(&node, "default", ["EACCES", "EACCES"])?;

    fs::remove_file(&file)?;
    wait::until("the profile to be refused", LIMIT, || {
        // Until then it is created, and removed with its pod.
        let refused = refusal(&node, "team").unwrap_or_default();
        Ok(refused
            .contains("profile \"team\" does not exist")
            .then_some(()))
    })?;
    expect_probe(&node, "default", ["EACCES", "EACCES"])
}

/// Replaces a profile at once, and waits until the plugin says `msg`.
fn change(node: &Node, file: &Path, text: &str, msg: &str) -> Result<()> {
    let mark = node.plugin()?.mark();
    let temporary = file.with_extension("new");
    fs::write(&temporary, text)?;
    fs::rename(&temporary, file)?;
    let what = format!("a line {msg:?} in the plugin's log");
    let line = node
        .plugin()?
        .wait_for_line(&what, mark, |line| line["msg"] == msg);
    line.map(drop)
}

fn allowed_profiles(containerd: &str) -> Result<()> {
    let (node, _) = own_node(containerd, "")?;
    let message = refusal(&node, "team")?;
    ensure!(
        message.contains("profile \"team\" is not allowed"),
        "a profile that no list names gives: {message}"
    );
    expect_probe(&node, "strict", ["EACCES", "EACCES"])?;

    node.plugin()?.start_with(LIST)?;
    let message = refusal(&node, "strict")?;
    for part in [
        "profile \"strict\" is not allowed",
        "profiles for handler \"nono-runc\": default, team",
    ] {
        ensure!(
            message.contains(part),
            "no {part:?} in the refusal: {message}"
        );
    }
    expect_probe(&node, "team", ["ok", "EACCES"])
}
