//! What profiles and the node add to Landlock's rules on files: the network, and seccomp filters.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::{Check, own, shared_once};
use crate::daemon::DaemonOptions;
use crate::images::{self, BUSYBOX, DEBIAN};
use crate::node::{Node, NodeOptions};

const ANNOTATION: &str = "nono.sh/profile";
const LIMIT: Duration = Duration::from_secs(20);

/// Nobody listens on this port: the kernel refuses the connection, if it comes to that.
const CONNECT: &str = "import socket\ntry: socket.create_connection(('127.0.0.1', 9), 5)\nexcept OSError as error: print(error)";
/// How many filters there are, and whether a user namespace can be made.
const FILTERS: &str = "grep Seccomp_filters: /proc/self/status; unshare -U true 2>&1 && echo made";

pub(super) const CHECKS: &[Check] = &[
    shared_once(
        "the network is there under default and blocked under strict",
        network,
    ),
    own(
        "seccomp_profile puts a filter beside every profile",
        seccomp_profile,
    ),
];

fn network(node: &Node) -> Result<()> {
    let connect = ["python3", "-c", CONNECT];
    let open = run(node, "default", DEBIAN, &connect)?;
    ensure!(open.contains("Connection refused"), "under default: {open}");
    let blocked = run(node, "strict", DEBIAN, &connect)?;
    ensure!(
        blocked.contains("Permission denied"),
        "under strict: {blocked}"
    );
    Ok(())
}

fn seccomp_profile(containerd: &str) -> Result<()> {
    let node = Node::start(NodeOptions {
        containerd,
        images: &[images::BUSYBOX],
        plugin: true,
        daemon: DaemonOptions::default(),
    })?;
    expect_filters(&node, "default", 0, true)?;
    expect_filters(&node, "strict", 1, true)?;
    node.plugin()?
        .start_with("seccomp_profile = \"restricted\"\n")?;
    expect_filters(&node, "default", 1, false)?;
    expect_filters(&node, "strict", 2, false)
}

fn expect_filters(node: &Node, profile: &str, count: u32, makes_namespace: bool) -> Result<()> {
    let output = run(node, profile, BUSYBOX, &["sh", "-c", FILTERS])?;
    ensure!(
        output.contains(&format!("Seccomp_filters:\t{count}\n"))
            && output.contains("made") == makes_namespace,
        "under {profile}: {output}"
    );
    Ok(())
}

/// What `command` prints in a container under `profile`.
fn run(node: &Node, profile: &str, image: &str, command: &[&str]) -> Result<String> {
    let pod = node.pod("filters").annotation(ANNOTATION, profile).run()?;
    let exit = pod.container(image, command).finish(LIMIT)?;
    pod.remove()?;
    Ok(exit.output)
}
