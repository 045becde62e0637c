//! Which profile a container gets, and what is refused.

use anyhow::{Result, ensure};

use super::{Check, shared, shared_once};
use crate::images::BUSYBOX;
use crate::node::Node;

const ANNOTATION: &str = "nono.sh/profile";

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
