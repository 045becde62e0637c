//! The plugin's pod as others see it: what it serves, and what it may do.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::terminal::progress;
use e2e::wait;
use serde_json::Value;

use super::Stage;
use crate::cluster::{Cluster, INJECTED, OciSpec, PLAIN, Wishes};
use crate::manifests::{SANDBOXED, SLEEP, pod};

const LIMIT: Duration = Duration::from_secs(60);

pub(super) const STAGE: Stage = Stage {
    name: "plugin",
    prepare,
    checks: &[
        (
            "its metrics are served on the pod network, and count what it decides",
            metrics,
        ),
        (
            "it has no capability, no token, and a root that cannot be written",
            privileges,
        ),
        (
            "a changed default profile rolls out, and counts for new pods only",
            new_default,
        ),
    ],
};

fn prepare(cluster: &Cluster) -> Result<()> {
    cluster.install()?;
    cluster.witnesses()
}

fn metrics(cluster: &Cluster) -> Result<()> {
    let before = injections(cluster)?;
    let pod = cluster.run_pod(&pod("counted", Some(SANDBOXED), &["sh", "-c", SLEEP]))?;
    wait::until("one more injection", LIMIT, || {
        Ok((injections(cluster)? > before).then_some(()))
    })?;
    pod.delete()
}

/// How many containers the plugin says it has sandboxed.
fn injections(cluster: &Cluster) -> Result<u64> {
    let plugin = cluster.plugin_pod()?;
    let address = plugin["status"]["podIP"].as_str().context("no address")?;
    let url = format!("http://{address}:9464/metrics");
    let text = cluster
        .existing_pod(PLAIN)
        .exec(&["wget", "-q", "-O", "-", &url])?;
    let line = text
        .lines()
        .find(|line| line.starts_with("kubefence_decisions_total{") && line.contains("\"inject\""));
    let value = line.and_then(|line| line.rsplit(' ').next());
    value
        .and_then(|value| value.parse().ok())
        .with_context(|| format!("no count of injections in {text:?}"))
}

fn privileges(cluster: &Cluster) -> Result<()> {
    let plugin = cluster.plugin_pod()?;
    let id = plugin["status"]["containerStatuses"][0]["containerID"].as_str();
    let id = id.and_then(|id| id.strip_prefix("containerd://"));
    let id = id.context("the plugin's pod has no container")?;
    let spec = OciSpec::of(id)?;
    let status = fs::read_to_string(format!("/proc/{}/status", OciSpec::pid_of(id)?))?;
    for expected in [
        "CapEff:\t0000000000000000",
        "CapBnd:\t0000000000000000",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
    ] {
        ensure!(status.contains(expected), "no {expected:?} in {status}");
    }
    ensure!(spec.has_read_only_root(), "its root can be written");
    ensure!(
        spec.mount("/var/run/secrets/kubernetes.io/serviceaccount")
            .is_none(),
        "it has a token of the API server"
    );
    let containers: &Value = &plugin["spec"]["containers"];
    ensure!(
        containers.as_array().is_some_and(|all| all.len() == 1),
        "there are further containers: {containers}"
    );
    Ok(())
}

fn new_default(cluster: &Cluster) -> Result<()> {
    let before = cluster.plugin_uid()?;
    progress("rolling out another default profile");
    cluster.upgrade(Wishes {
        default_profile: "strict",
        ..Wishes::default()
    })?;
    ensure!(
        cluster.plugin_uid()? != before,
        "the plugin's pod was not replaced"
    );
    let new = profile_of(cluster, "strict-by-default");
    let old = cluster.existing_pod(INJECTED).spec()?;
    ensure!(
        old.args().contains(&"default"),
        "the old pod's args are {:?}",
        old.args()
    );
    cluster.upgrade(Wishes::default())?;
    let again = profile_of(cluster, "default-again")?;
    ensure!(
        new? == "strict" && again == "default",
        "after the way back it is {again}"
    );
    Ok(())
}

/// The profile that a new pod gets without asking for one.
fn profile_of(cluster: &Cluster, name: &str) -> Result<String> {
    let pod = cluster.run_pod(&pod(name, Some(SANDBOXED), &["sh", "-c", SLEEP]))?;
    let spec = pod.spec()?;
    let mut args = spec
        .args()
        .into_iter()
        .skip_while(|arg| *arg != "--profile");
    let profile = args.nth(1).context("the pod is not wrapped")?;
    Ok(profile.to_owned())
}
