//! The seventeen promises of an installation: the plugin, a sandboxed pod, a plain pod, and what stays of them.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::wait;
use serde_json::Value;

use super::Stage;
use crate::cluster::{Cluster, INJECTED, PLAIN};
use crate::manifests::{SANDBOXED, SLEEP, pod};

const LIMIT: Duration = Duration::from_secs(30);
const STATE: &str = "/run/nono-nri";
const RECORDS: &str = "/run/kubefence/guard";
const COMMAND: &str = "sleep\0infinity\0";

pub(super) const STAGE: Stage = Stage {
    name: "contract",
    prepare,
    checks: &[
        ("the plugin's pod is running and ready", plugin_is_running),
        (
            "the plugin is connected to the runtime",
            plugin_is_connected,
        ),
        ("injected pod: it is running", injected_is_running),
        (
            "injected pod: /proc/1/cmdline shows the original command",
            injected_cmdline,
        ),
        (
            "injected pod: /nono/nono is there with mode -rwxr-xr-x",
            launcher_is_there,
        ),
        (
            "injected pod: the plugin logs `injected`, with its profile",
            injected_is_logged,
        ),
        (
            "injected pod: args[0] of the OCI spec is /nono/nono",
            launcher_is_first,
        ),
        (
            "injected pod: `--` and the command end the args of the OCI spec",
            command_is_last,
        ),
        (
            "injected pod: the OCI spec mounts /nono read-only",
            nono_is_mounted,
        ),
        (
            "injected pod: metadata.json names its profile",
            metadata_names_profile,
        ),
        ("plain pod: it is running", plain_is_running),
        (
            "plain pod: /proc/1/cmdline shows its command",
            plain_cmdline,
        ),
        ("plain pod: there is no /nono", plain_has_no_nono),
        (
            "plain pod: its OCI spec has its own args, and nothing is recorded",
            plain_is_untouched,
        ),
        ("plain pod: the plugin logs `skip`", skip_is_logged),
        ("cleanup: metadata.json goes with its pod", metadata_goes),
        ("cleanup: the guard's record goes with its pod", record_goes),
    ],
};

fn prepare(cluster: &Cluster) -> Result<()> {
    cluster.install()?;
    cluster.witnesses()
}

fn plugin_is_running(cluster: &Cluster) -> Result<()> {
    let pod = cluster.plugin_pod()?;
    let status = &pod["status"];
    ensure!(
        status["phase"] == "Running",
        "its phase is {}",
        status["phase"]
    );
    let containers = &status["containerStatuses"];
    ensure!(
        containers[0]["ready"] == true,
        "it is not ready: {containers}"
    );
    Ok(())
}

fn plugin_is_connected(cluster: &Cluster) -> Result<()> {
    cluster
        .wait_for_plugin("`registered`", |line| line["msg"] == "registered")
        .map(drop)
}

fn injected_is_running(cluster: &Cluster) -> Result<()> {
    is_running(cluster, INJECTED)
}

fn injected_cmdline(cluster: &Cluster) -> Result<()> {
    cmdline(cluster, INJECTED)
}

fn launcher_is_there(cluster: &Cluster) -> Result<()> {
    let listing = cluster
        .existing_pod(INJECTED)
        .exec(&["ls", "-la", "/nono/nono"])?;
    ensure!(listing.starts_with("-rwxr-xr-x"), "ls prints {listing:?}");
    Ok(())
}

fn injected_is_logged(cluster: &Cluster) -> Result<()> {
    let line = decision(cluster, INJECTED, "injected")?;
    ensure!(
        line["decision"] == "inject" && line["profile"] == "default",
        "the line is {line}"
    );
    Ok(())
}

fn launcher_is_first(cluster: &Cluster) -> Result<()> {
    let spec = cluster.existing_pod(INJECTED).spec()?;
    ensure!(
        spec.args().first() == Some(&"/nono/nono"),
        "args are {:?}",
        spec.args()
    );
    Ok(())
}

fn command_is_last(cluster: &Cluster) -> Result<()> {
    let spec = cluster.existing_pod(INJECTED).spec()?;
    ensure!(
        spec.args().ends_with(&["--", "sleep", "infinity"]),
        "args are {:?}",
        spec.args()
    );
    Ok(())
}

fn nono_is_mounted(cluster: &Cluster) -> Result<()> {
    let spec = cluster.existing_pod(INJECTED).spec()?;
    let mount = spec.mount("/nono").context("nothing is mounted at /nono")?;
    let options = mount["options"]
        .as_array()
        .context("the mount has no options")?;
    ensure!(
        mount["source"] == "/opt/nono-nri" && options.iter().any(|option| option == "ro"),
        "the mount is {mount}"
    );
    Ok(())
}

fn metadata_names_profile(cluster: &Cluster) -> Result<()> {
    let path = metadata(cluster, INJECTED)?;
    let text = wait::until("metadata.json", LIMIT, || Ok(fs::read(&path).ok()))
        .with_context(|| format!("{} is missing", path.display()))?;
    let metadata: Value = serde_json::from_slice(&text)?;
    ensure!(
        metadata["profile"] == "default" && metadata["pod"] == INJECTED,
        "it says {metadata}"
    );
    Ok(())
}

fn plain_is_running(cluster: &Cluster) -> Result<()> {
    is_running(cluster, PLAIN)
}

fn plain_cmdline(cluster: &Cluster) -> Result<()> {
    cmdline(cluster, PLAIN)
}

fn plain_has_no_nono(cluster: &Cluster) -> Result<()> {
    let listing = cluster.existing_pod(PLAIN).exec(&["ls", "/"])?;
    let names: Vec<&str> = listing.lines().collect();
    ensure!(names.contains(&"bin"), "ls prints {listing:?}");
    ensure!(!names.contains(&"nono"), "/nono is there");
    Ok(())
}

fn plain_is_untouched(cluster: &Cluster) -> Result<()> {
    let spec = cluster.existing_pod(PLAIN).spec()?;
    ensure!(
        spec.args() == ["sleep", "infinity"],
        "args are {:?}",
        spec.args()
    );
    ensure!(spec.mount("/nono").is_none(), "/nono is mounted");
    let path = metadata(cluster, PLAIN)?;
    ensure!(!path.exists(), "{} exists", path.display());
    Ok(())
}

fn skip_is_logged(cluster: &Cluster) -> Result<()> {
    let line = decision(cluster, PLAIN, "skip")?;
    ensure!(line["decision"] == "skip", "the line is {line}");
    Ok(())
}

fn metadata_goes(cluster: &Cluster) -> Result<()> {
    let pod = cluster.run_pod(&pod("short-lived", Some(SANDBOXED), &["sh", "-c", SLEEP]))?;
    let path = metadata(cluster, pod.name())?;
    let written = wait::until("metadata.json", LIMIT, || Ok(path.exists().then_some(())));
    written.with_context(|| format!("{} is missing", path.display()))?;
    pod.delete()?;
    wait::until("the end of its directory", LIMIT, || {
        let directory = path.ancestors().nth(2).is_some_and(|path| path.exists());
        Ok((!directory).then_some(()))
    })
}

fn record_goes(cluster: &Cluster) -> Result<()> {
    let pod = cluster.run_pod(&pod("recorded", Some(SANDBOXED), &["sh", "-c", SLEEP]))?;
    let id = pod.container_id()?;
    ensure!(records(&id)? == 1, "the guard has no record of {id}");
    pod.delete()?;
    wait::until("the end of the record", LIMIT, || {
        Ok((records(&id)? == 0).then_some(()))
    })
}

fn is_running(cluster: &Cluster, name: &str) -> Result<()> {
    let object = cluster.existing_pod(name).object()?;
    let status = &object["status"];
    let restarts = &status["containerStatuses"][0]["restartCount"];
    ensure!(
        status["phase"] == "Running" && *restarts == 0,
        "its status is {status}"
    );
    Ok(())
}

fn cmdline(cluster: &Cluster, name: &str) -> Result<()> {
    let cmdline = cluster
        .existing_pod(name)
        .exec(&["cat", "/proc/1/cmdline"])?;
    ensure!(cmdline == COMMAND, "it is {cmdline:?}");
    Ok(())
}

/// The plugin's line about a pod.
fn decision(cluster: &Cluster, pod: &str, msg: &str) -> Result<Value> {
    cluster.wait_for_plugin(&format!("{msg:?} of pod {pod}"), |line| {
        line["msg"] == msg && line["pod"] == pod
    })
}

fn metadata(cluster: &Cluster, name: &str) -> Result<PathBuf> {
    let pod = cluster.existing_pod(name);
    let directory = PathBuf::from(STATE).join(pod.uid()?);
    Ok(directory.join(pod.container_id()?).join("metadata.json"))
}

fn records(container: &str) -> Result<usize> {
    let entries = fs::read_dir(RECORDS).with_context(|| format!("cannot read {RECORDS}"))?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let names: Vec<String> = names.collect::<Result<_>>()?;
    let suffix = format!("-{container}.json");
    Ok(names.iter().filter(|name| name.ends_with(&suffix)).count())
}
