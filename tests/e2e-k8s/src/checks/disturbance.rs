//! What must hold while parts of the node and of the installation come and go.

mod churn;

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::terminal::progress;
use e2e::wait;
use serde_json::{Value, json};

use self::churn::Churn;
use super::Stage;
use crate::cluster::{Cluster, INJECTED, TEAM, Wishes, running};
use crate::manifests::{SANDBOXED, SLEEP, pod};

const LIMIT: Duration = Duration::from_secs(150);
const WITNESS: [&str; 3] = ["/app/tool", "read", "/etc/shadow"];
const DENIED: &str = "read /etc/shadow: EACCES";
const ALLOWED: &str = "read /etc/shadow: ok";
/// What the witness tries, granted.
const TEAM_OPEN: &str = r#"{ "extends": "default", "meta": { "name": "team" }, "filesystem": { "read_file": ["/etc/shadow"] } }"#;
const STATIC_POD: &str = "/etc/kubernetes/manifests/static.json";

pub(super) const STAGE: Stage = Stage {
    name: "disturbance",
    prepare,
    checks: &[
        (
            "a changed profile counts for new pods, without a restart of the plugin",
            live_profile,
        ),
        (
            "a rolling update under churn leaves no pod unsandboxed, and does not restart containerd",
            rolling_update,
        ),
        (
            "pods go on and are sandboxed after a restart of the kubelet",
            kubelet_restart,
        ),
        (
            "pods go on and are sandboxed after a restart of containerd",
            containerd_restart,
        ),
        (
            "a cold start without the plugin starts static and system pods, and no bare sandboxed pod",
            cold_start,
        ),
        ("the plugin comes back after the cold start", plugin_returns),
    ],
};

fn prepare(cluster: &Cluster) -> Result<()> {
    cluster.install()?;
    cluster.witnesses()
}

fn live_profile(cluster: &Cluster) -> Result<()> {
    let plugin = cluster.plugin_uid()?;
    let old = cluster.run_pod(&team_pod("old-profile"))?;
    let before = old.exec(&WITNESS)?;
    ensure!(before.contains(DENIED), "before the change: {before:?}");

    let reloads = said(cluster, "profiles reloaded")?;
    cluster.upgrade(Wishes {
        team: TEAM_OPEN,
        ..Wishes::default()
    })?;
    wait::until("the plugin to take the profile", LIMIT, || {
        Ok((said(cluster, "profiles reloaded")? > reloads).then_some(()))
    })?;
    let new = cluster.run_pod(&team_pod("new-profile"))?;
    let after = new.exec(&WITNESS)?;
    ensure!(after.contains(ALLOWED), "after the change: {after:?}");
    let kept = old.exec(&WITNESS)?;
    ensure!(kept.contains(DENIED), "a pod that ran already: {kept:?}");
    ensure!(
        cluster.plugin_uid()? == plugin,
        "the plugin's pod was replaced"
    );
    Ok(())
}

fn team_pod(name: &str) -> Value {
    let mut manifest = pod(name, Some(SANDBOXED), &["sh", "-c", SLEEP]);
    manifest["metadata"]["annotations"] = json!({ "nono.sh/profile": TEAM });
    manifest
}

fn rolling_update(cluster: &Cluster) -> Result<()> {
    let (plugin, containerd) = (cluster.plugin_uid()?, cluster.machine().containerd_pid()?);
    progress("pods come and go");
    let churn = Churn::start(cluster)?;
    progress("rolling update");
    let arguments = [
        "rollout",
        "restart",
        "daemonset/nono-nri",
        "--namespace=kube-system",
    ];
    cluster.kubectl(&arguments)?;
    cluster.wait_for_rollout()?;
    // As long again with the new one.
    churn.wait_for_more()?;
    let tally = churn.end()?;
    ensure!(
        cluster.plugin_uid()? != plugin,
        "the plugin's pod is the old one"
    );
    ensure!(
        cluster.machine().containerd_pid()? == containerd,
        "containerd was restarted although its configuration is the same"
    );
    ensure!(
        tally.free == 0,
        "{} of {} were not confined",
        tally.free,
        tally.all()
    );
    Ok(())
}

fn kubelet_restart(cluster: &Cluster) -> Result<()> {
    let before = cluster.machine().kubelet_pid()?;
    cluster.machine().restart_kubelet()?;
    ensure!(
        cluster.machine().kubelet_pid()? != before,
        "the kubelet was not restarted"
    );
    cluster.wait_for_node()?;
    goes_on(cluster, "after-kubelet")
}

fn containerd_restart(cluster: &Cluster) -> Result<()> {
    let connected = said(cluster, "registered")?;
    cluster.machine().restart_containerd()?;
    wait::until("the plugin to connect again", LIMIT, || {
        Ok((said(cluster, "registered")? > connected).then_some(()))
    })?;
    goes_on(cluster, "after-containerd")
}

/// How often the plugin has said something.
fn said(cluster: &Cluster, msg: &str) -> Result<usize> {
    let lines = cluster.plugin_log()?;
    Ok(lines.iter().filter(|line| line["msg"] == msg).count())
}

/// The old pod runs on, confined, and so does a new one.
fn goes_on(cluster: &Cluster, name: &str) -> Result<()> {
    let old = cluster.existing_pod(INJECTED);
    let restarts = old.object()?["status"]["containerStatuses"][0]["restartCount"].take();
    ensure!(restarts == 0, "the old pod was restarted {restarts} times");
    let new = cluster.run_pod(&pod(name, Some(SANDBOXED), &["sh", "-c", SLEEP]))?;
    for pod in [&old, &new] {
        let output = pod.exec(&WITNESS)?;
        ensure!(
            output.contains(DENIED),
            "in {} the witness says {output:?}",
            pod.name()
        );
    }
    let line = cluster.wait_for_plugin(&format!("`injected` of {name}"), |line| {
        line["msg"] == "injected" && line["pod"] == name
    })?;
    ensure!(line["profile"] == "default", "the line is {line}");
    Ok(())
}

fn cold_start(cluster: &Cluster) -> Result<()> {
    banish_plugin(cluster, true)?;
    let mut system = pod("system", None, &["sh", "-c", SLEEP]);
    system["spec"]["priorityClassName"] = json!("system-node-critical");
    let system = cluster.run_pod(&system)?;
    let static_pod = pod("static", None, &["sh", "-c", SLEEP]);
    fs::write(STATIC_POD, static_pod.to_string()).context("cannot write the static pod")?;
    let outcome = start_cold(cluster, system.name());
    fs::remove_file(STATIC_POD).context("cannot remove the static pod")?;
    outcome
}

fn start_cold(cluster: &Cluster, system: &str) -> Result<()> {
    let mirror = format!("static-{}", crate::machine::NODE);
    wait_for_start(cluster, &mirror, 0)?;
    let names = [mirror.as_str(), system, INJECTED];
    let mut before = Vec::new();
    for name in names {
        before.push(starts(cluster, name)?);
    }
    progress("cold start");
    cluster.machine().reboot()?;
    cluster.wait_for_node()?;
    for (name, before) in names.iter().zip(before) {
        wait_for_start(cluster, name, before + 1)?;
    }
    let bare: Vec<_> = running()?
        .into_iter()
        .filter(|spec| spec.pod() == INJECTED && !spec.is_wrapped())
        .collect();
    ensure!(bare.is_empty(), "it runs bare: {bare:?}");
    let output = cluster.existing_pod(INJECTED).exec(&WITNESS)?;
    ensure!(output.contains(DENIED), "the witness says {output:?}");
    let plugins = cluster.get(&["pods", "--namespace=kube-system", "--selector=app=nono-nri"])?;
    ensure!(
        plugins["items"].as_array().is_some_and(Vec::is_empty),
        "the plugin was there"
    );
    Ok(())
}

fn plugin_returns(cluster: &Cluster) -> Result<()> {
    banish_plugin(cluster, false)?;
    cluster.wait_for_rollout()?;
    let new = cluster.run_pod(&pod("returned", Some(SANDBOXED), &["sh", "-c", SLEEP]))?;
    cluster
        .wait_for_plugin("`injected` of the new pod", |line| {
            line["msg"] == "injected" && line["pod"] == new.name()
        })
        .map(drop)
}

/// Has the DaemonSet select no node, or all again.
fn banish_plugin(cluster: &Cluster, away: bool) -> Result<()> {
    let label = if away { json!("nowhere") } else { Value::Null };
    let patch = json!({ "spec": { "template": { "spec": { "nodeSelector": { "e2e": label } } } } });
    let patch = format!("--patch={patch}");
    let arguments = [
        "patch",
        "daemonset",
        "nono-nri",
        "--namespace=kube-system",
        &patch,
    ];
    cluster.kubectl(&arguments)?;
    if !away {
        return Ok(());
    }
    wait::until("the plugin's pod to go", LIMIT, || {
        let pods = cluster.get(&["pods", "--namespace=kube-system", "--selector=app=nono-nri"])?;
        Ok(pods["items"]
            .as_array()
            .is_some_and(Vec::is_empty)
            .then_some(()))
    })
}

/// How often the main container of a pod was started again.
fn starts(cluster: &Cluster, name: &str) -> Result<u64> {
    let object = cluster.existing_pod(name).object()?;
    let count = &object["status"]["containerStatuses"][0]["restartCount"];
    count
        .as_u64()
        .with_context(|| format!("{name} has no container yet"))
}

/// Waits until the main container runs after at least so many restarts.
fn wait_for_start(cluster: &Cluster, name: &str, restarts: u64) -> Result<()> {
    wait::until(&format!("the start of {name}"), LIMIT, || {
        let Ok(object) = cluster.existing_pod(name).object() else {
            return Ok(None);
        };
        let status = &object["status"]["containerStatuses"][0];
        let enough = status["restartCount"].as_u64() >= Some(restarts);
        Ok((enough && status["ready"] == true).then_some(()))
    })
    .with_context(|| cluster.existing_pod(name).events())
}
