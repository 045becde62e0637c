//! The harness itself: without the plugin, pods of both handlers are ordinary pods.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::{Check, own};
use crate::daemon::{BASELINE, DaemonOptions, SANDBOXED};
use crate::images;
use crate::node::{Node, NodeOptions};

const LIMIT: Duration = Duration::from_secs(20);

pub(super) const CHECKS: &[Check] = &[own(
    "baseline pods run, and the node leaves nothing behind",
    baseline_pods_run,
)];

fn baseline_pods_run(containerd: &str) -> Result<()> {
    let options = NodeOptions {
        containerd,
        images: &[images::BUSYBOX, images::SCRATCH],
        plugin: false,
        daemon: DaemonOptions::default(),
    };
    let node = Node::start(options)?;
    for handler in [BASELINE, SANDBOXED] {
        exec_and_logs_work(&node, handler)?;
        exit_codes_are_seen(&node, handler)?;
    }
    let leftovers = node.finish();
    ensure!(
        leftovers.is_empty(),
        "left behind: {}",
        leftovers.join(", ")
    );
    Ok(())
}

fn exec_and_logs_work(node: &Node, handler: &str) -> Result<()> {
    let pod = node.pod("baseline").handler(handler).run()?;
    let container = pod
        .container(images::BUSYBOX, &["sh", "-c", "echo hello; exec sleep 300"])
        .start()?;
    container.wait_for_output("hello", LIMIT)?;
    let cmdline = container.exec(&["cat", "/proc/1/cmdline"])?;
    ensure!(
        cmdline == "sleep\u{0}300\u{0}",
        "exec sees {cmdline:?} as process 1"
    );
    let args = container.oci_spec()?["process"]["args"].clone();
    ensure!(args[0] == "sh", "the bundle has args {args}");
    pod.remove()
}

fn exit_codes_are_seen(node: &Node, handler: &str) -> Result<()> {
    let pod = node.pod("exit").handler(handler).run()?;
    let output = pod
        .container(images::SCRATCH, &["/probe", "read", "/probe", "exit", "7"])
        .finish(LIMIT)?
        .expect(7)?;
    ensure!(
        output == "read /probe: ok\n",
        "the probe printed {output:?}"
    );
    pod.remove()
}
