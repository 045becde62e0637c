//! Restarts, hangs and absences. Each check has a node of its own.
//!
//! A plugin that is not there at all is not asked: without a wrapper around the OCI runtime, its containers start
//! unsandboxed unless the pod requires the plugin by annotation. That gap is documented, and not asserted here.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::{Check, own};
use crate::daemon::DaemonOptions;
use crate::images::{self, BUSYBOX};
use crate::node::{Node, NodeOptions};
use crate::pod::{Container, Pod};
use crate::wait;

const LIMIT: Duration = Duration::from_secs(20);
const SLEEP: [&str; 2] = ["sleep", "300"];
const REQUIRED: (&str, &str) = ("required-plugins.noderesource.dev", r#"["nono-nri"]"#);

pub(super) const CHECKS: &[Check] = &[
    own(
        "the plugin ends with 0 on SIGTERM; after a restart new pods are sandboxed",
        plugin_restart,
    ),
    own(
        "after a restart of containerd the plugin reconnects and reconciles its state",
        daemon_restart,
    ),
    own(
        "a container created while the plugin hangs does not start unsandboxed",
        plugin_hangs,
    ),
    own(
        "a container created while the plugin was away is not started once it is back",
        plugin_away,
    ),
    own(
        "a pod that requires the plugin is refused while the plugin is down",
        required_plugin,
    ),
];

fn node(containerd: &str, validator: bool) -> Result<Node> {
    let daemon = DaemonOptions { validator };
    Node::start(NodeOptions {
        containerd,
        images: &[images::BUSYBOX],
        plugin: true,
        daemon,
    })
}

fn sandboxed(container: &Container<'_>) -> Result<()> {
    let args = container.oci_spec()?["process"]["args"].take();
    ensure!(args[0] == "/nono/nono", "a container has args {args}");
    Ok(())
}

fn new_pods_are_sandboxed(node: &Node) -> Result<()> {
    let pod = node.pod("new").run()?;
    let probe = ["/app/tool", "read", "/etc/passwd", "write", "/tmp/file"];
    let output = pod.container(BUSYBOX, &probe).finish(LIMIT)?.success()?;
    ensure!(
        output == "read /etc/passwd: EACCES\nwrite /tmp/file: ok\n",
        "the probe printed {output:?}"
    );
    pod.remove()
}

fn plugin_restart(containerd: &str) -> Result<()> {
    let node = node(containerd, false)?;
    let pod = node.pod("old").run()?;
    let old = pod.container(BUSYBOX, &SLEEP).start()?;
    let code = node.plugin()?.stop()?;
    ensure!(code == Some(0), "the plugin ended with {code:?} on SIGTERM");
    node.start_plugin_again()?;
    new_pods_are_sandboxed(&node)?;
    let metadata = node.plugin()?.metadata(pod.uid(), old.id());
    ensure!(
        metadata.exists(),
        "the metadata of a running container is gone"
    );
    pod.remove()?;
    gone(&metadata)
}

fn daemon_restart(containerd: &str) -> Result<()> {
    let node = node(containerd, false)?;
    let plugin = node.plugin()?;
    let pod = node.pod("old").run()?;
    let survivor = pod.container(BUSYBOX, &SLEEP).name("survivor").start()?;
    let victim = pod.container(BUSYBOX, &SLEEP).name("victim").start()?;
    let victim_pid = victim.inspect()?["info"]["pid"]
        .as_i64()
        .context("no pid")?;
    let stale = plugin.metadata("uid-stale", &"0".repeat(64));
    let stale_directory = stale
        .parent()
        .context("metadata lies in a directory")?
        .to_owned();

    let mark = plugin.mark();
    node.restart_daemon(|| {
        kill(victim_pid)?;
        fs::create_dir_all(&stale_directory)?;
        fs::copy(plugin.metadata(pod.uid(), survivor.id()), &stale)?;
        Ok(())
    })?;
    plugin.wait_until_registered(mark)?;
    plugin.process().check_alive()?;
    gone(&stale).context("state of a container that no longer exists")?;
    ensure!(
        plugin.metadata(pod.uid(), survivor.id()).exists(),
        "the metadata of a running container is gone"
    );
    sandboxed(&survivor)?;
    new_pods_are_sandboxed(&node)?;
    remove_after_restart(&node, pod)
}

fn remove_after_restart(node: &Node, pod: Pod<'_>) -> Result<()> {
    let state = node.plugin()?.state().join(pod.uid());
    pod.remove()?;
    gone(&state).context("state of a pod that ended around the restart")
}

fn kill(pid: i64) -> Result<()> {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .context("not a process ID")?;
    kill_process(pid, Signal::KILL).context("cannot kill the victim")
}

fn plugin_hangs(containerd: &str) -> Result<()> {
    let node = node(containerd, false)?;
    let plugin = node.plugin()?;
    let pod = node.pod("frozen").run()?;
    plugin.freeze()?;
    let outcome = pod.container(BUSYBOX, &SLEEP).name("bare").start();
    let mark = plugin.mark();
    plugin.thaw()?;
    if let Ok(container) = outcome {
        sandboxed(&container).context("it was started while the plugin hung")?;
    }
    plugin
        .wait_until_registered(mark)
        .context("after it was thawed")?;
    ensure!(
        !plugin
            .lines()
            .iter()
            .any(|line| line["msg"] == "injected" && line["container"] == "bare"),
        "the plugin says that it injected a container which it did not"
    );
    new_pods_are_sandboxed(&node)
}

fn plugin_away(containerd: &str) -> Result<()> {
    let node = node(containerd, false)?;
    let pod = node.pod("bare").run()?;
    node.plugin()?.stop()?;
    // The runtime drops a closed validator only after it has failed one creation.
    let container = ["bare-1", "bare-2", "bare-3"]
        .into_iter()
        .find_map(|name| pod.container(BUSYBOX, &SLEEP).name(name).create().ok())
        .context("no container was created while the plugin was away")?;
    node.start_plugin_again()?;
    let Err(error) = container.start() else {
        bail!("a bare container was started");
    };
    let message = format!("{error:#}");
    ensure!(
        message.contains("does not begin with"),
        "the refusal does not say why: {message}"
    );
    pod.remove()?;
    new_pods_are_sandboxed(&node)
}

fn required_plugin(containerd: &str) -> Result<()> {
    let node = node(containerd, true)?;
    let pod = node
        .pod("required")
        .annotation(REQUIRED.0, REQUIRED.1)
        .run()?;
    sandboxed(&pod.container(BUSYBOX, &SLEEP).name("before").start()?)?;
    node.plugin()?.stop()?;
    let message = pod.container(BUSYBOX, &SLEEP).name("without").refusal()?;
    ensure!(
        message.contains("nono-nri"),
        "the refusal does not name the plugin: {message}"
    );
    node.start_plugin_again()?;
    sandboxed(&pod.container(BUSYBOX, &SLEEP).name("after").start()?)
}

fn gone(path: &std::path::Path) -> Result<()> {
    wait::until(&format!("{} to go", path.display()), LIMIT, || {
        Ok((!path.exists()).then_some(()))
    })
}
