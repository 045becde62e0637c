//! Restarts, hangs and absences, with the plugin alone but where a check says otherwise. Each check has a node of its
//! own.
//!
//! A plugin that is not there at all is not asked: without the guard its containers start unsandboxed, unless the pod
//! requires the plugin by annotation, or the node requires it for every pod.

use std::fs;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::confinement::{BARE, CONFINED, LIMIT, PROBE, SLEEP, printed, probing, sleeping};
use super::{Check, On, own, own_on};
use crate::daemon::{BASELINE, DaemonOptions};
use crate::images::{self, BUSYBOX};
use crate::node::{Fixture, Node, NodeOptions};
use crate::pod::{Container, Pod};
use crate::wait;

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
    own_on(
        On::First,
        "a node that requires the plugin of every pod refuses plain pods, too, while the plugin is down",
        required_of_all,
    ),
    own(
        "a handler with the guard needs no validator: without the plugin its containers are confined; control: others \
         are bare",
        no_validator,
    ),
];

fn node(containerd: &str, validator: bool) -> Result<Node> {
    let daemon = DaemonOptions {
        validator,
        ..DaemonOptions::default()
    };
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

/// The opt-in whose danger docs/configuration.md tells.
fn required_of_all(containerd: &str) -> Result<()> {
    let daemon = DaemonOptions {
        validator: true,
        required: true,
    };
    let node = Node::start(NodeOptions {
        containerd,
        images: &[images::BUSYBOX],
        plugin: true,
        daemon,
    })?;
    let pod = node.pod("plain").handler(BASELINE).run()?;
    sleeping(&pod, "before").context("control: with the plugin")?;
    node.plugin()?.stop()?;
    // The first may fail at the closed validator, the next ones only at the list.
    for name in ["without-1", "without-2", "without-3"] {
        let message = pod.container(BUSYBOX, &SLEEP).name(name).refusal()?;
        ensure!(
            name == "without-1" || message.contains("nono-nri"),
            "the refusal does not name the plugin: {message}"
        );
    }
    node.start_plugin_again()?;
    sleeping(&pod, "after").map(drop)
}

fn no_validator(containerd: &str) -> Result<()> {
    let plain = Fixture::containerd(containerd).images(&[BUSYBOX]).plugin();
    for (fixture, expected) in [(plain, BARE), (plain.guard(), CONFINED)] {
        let node = Node::start(fixture)?;
        let pod = node.pod("alone").run()?;
        node.plugin()?.stop()?;
        // The runtime drops a closed validator only after it has failed one creation.
        let container = ["alone-1", "alone-2", "alone-3"]
            .into_iter()
            .find_map(|name| probing(&pod, &PROBE).name(name).create().ok())
            .context("no container was created while the plugin was away")?;
        container.start()?;
        printed(&container, &PROBE, expected).with_context(|| node.name().to_owned())?;
    }
    Ok(())
}

fn gone(path: &std::path::Path) -> Result<()> {
    wait::until(&format!("{} to go", path.display()), LIMIT, || {
        Ok((!path.exists()).then_some(()))
    })
}
