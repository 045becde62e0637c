//! Images that try to reach what the pod mounts: its service-account token and its volumes.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::{Check, shared};
use crate::daemon::{BASELINE, SANDBOXED};
use crate::images::{BUSYBOX, GRASPING, REDIRECT};
use crate::node::Node;
use crate::pod::{ContainerRequest, Exit, Pod};

const LIMIT: Duration = Duration::from_secs(20);

/// Where every kubelet mounts the token's directory.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const TOKEN_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
const TOKEN: &str = "token-of-the-pod";

/// Volumes by mount point, each with the same content.
const VOLUMES: [&str; 3] = ["/vault", "/data", "/outer/inner"];

pub(super) const CHECKS: &[Check] = &[
    shared(
        "control: an unsandboxed process reads the service-account token through the image's link",
        token_baseline,
    ),
    shared(
        "a service-account token that the image redirects into a granted directory is not mounted there",
        redirected_token,
    ),
    shared(
        "the service-account token stays unreadable in an ordinary image, which runs",
        ordinary_token,
    ),
    shared(
        "control: links and variables of the image lead an unsandboxed process into the pod's volumes",
        volumes_baseline,
    ),
    shared(
        "links and variables of the image do not open the pod's volumes",
        volumes_sandboxed,
    ),
];

fn token_baseline(node: &Node) -> Result<()> {
    for image in [REDIRECT, BUSYBOX] {
        let output = read_token(node, BASELINE, image, &["cat", TOKEN_FILE])?
            .success()
            .with_context(|| format!("the {image} image"))?;
        ensure!(output.trim() == TOKEN, "{image} printed {output:?}");
    }
    // The link works: what is mounted below /var/run is seen in /opt.
    let target = "/opt/secrets/kubernetes.io/serviceaccount/token";
    let output = read_token(node, BASELINE, REDIRECT, &["cat", target])?.success()?;
    ensure!(output.trim() == TOKEN, "{target} holds {output:?}");
    Ok(())
}

fn redirected_token(node: &Node) -> Result<()> {
    let pod = node.pod("token").run()?;
    let Err(error) = with_token(node, &pod, REDIRECT, &["cat", TOKEN_FILE])?.start() else {
        bail!("the container was started, the guard should have refused it");
    };
    let message = format!("{error:#}").replace('\\', "");
    let expected = format!(
        "its mount at \"{SERVICE_ACCOUNT}\" leads to \"/opt/secrets/kubernetes.io/serviceaccount\" \
         through links in the image"
    );
    ensure!(message.contains(&expected), "the refusal says {message:?}");
    Ok(())
}

fn ordinary_token(node: &Node) -> Result<()> {
    let command = ["/app/tool", "write", "/tmp/file", "read", TOKEN_FILE];
    let output = read_token(node, SANDBOXED, BUSYBOX, &command)?.success()?;
    let expected = format!("write /tmp/file: ok\nread {TOKEN_FILE}: EACCES\n");
    ensure!(output == expected, "the probe printed {output:?}");
    Ok(())
}

/// Runs `command` in a container that has a service-account token.
fn read_token(node: &Node, handler: &str, image: &str, command: &[&str]) -> Result<Exit> {
    let pod = node.pod("token").handler(handler).run()?;
    with_token(node, &pod, image, command)?.finish(LIMIT)
}

/// A container to be made, with a service-account token.
fn with_token<'p>(
    node: &Node,
    pod: &'p Pod<'_>,
    image: &str,
    command: &[&str],
) -> Result<ContainerRequest<'p>> {
    let source = node.scratch().join("service-account");
    fs::create_dir_all(&source)?;
    fs::write(source.join("token"), TOKEN)?;
    Ok(pod
        .container(image, command)
        .mount_read_only(&source.to_string_lossy(), SERVICE_ACCOUNT))
}

fn volumes_baseline(node: &Node) -> Result<()> {
    reach_for_volumes(node, BASELINE, "ok")
}

fn volumes_sandboxed(node: &Node) -> Result<()> {
    reach_for_volumes(node, SANDBOXED, "EACCES")
}

/// Opens files of all volumes by every name and from every working directory that could earn a grant.
fn reach_for_volumes(node: &Node, handler: &str, outcome: &str) -> Result<()> {
    let command = [
        "/app/tool",
        "env",
        "TMPDIR",
        "read",
        "/srv/file",
        "read",
        "/vault/file",
        "read",
        "/data/.local/bin/file",
        "write",
        "/data/new",
        "read",
        "/outer/inner/file",
        "write",
        "/tmp/file",
    ];
    let expected = format!(
        "env TMPDIR: /data\nread /srv/file: {outcome}\nread /vault/file: {outcome}\n\
         read /data/.local/bin/file: {outcome}\nwrite /data/new: {outcome}\n\
         read /outer/inner/file: {outcome}\nwrite /tmp/file: ok\n"
    );
    // The root, a volume, and a directory that contains one.
    for directory in ["/", "/data", "/outer"] {
        let pod = node.pod("volumes").handler(handler).run()?;
        let mut request = pod.container(GRASPING, &command).working_dir(directory);
        for destination in VOLUMES {
            let source = node.scratch().join("volumes").join(&destination[1..]);
            fill_volume(&source)?;
            request = request.mount(&source.to_string_lossy(), destination);
        }
        let output = request
            .finish(LIMIT)?
            .success()
            .with_context(|| format!("working directory {directory}"))?;
        ensure!(
            output == expected,
            "in working directory {directory} the probe printed {output:?}"
        );
    }
    Ok(())
}

fn fill_volume(source: &Path) -> Result<()> {
    let programs = source.join(".local/bin");
    fs::create_dir_all(&programs)?;
    for directory in [source, &programs] {
        fs::write(directory.join("file"), "content")?;
    }
    Ok(())
}
