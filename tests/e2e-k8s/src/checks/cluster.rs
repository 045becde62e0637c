//! The cluster itself, before anything of ours is on it: what the other checks rest upon.

use anyhow::{Context, Result, ensure};

use super::Stage;
use crate::cluster::Cluster;
use crate::machine::{NODE, RESTART_COMMAND, SERVICE_IP, on_node};
use crate::manifests::{SLEEP, pod};

/// An address of the service network that no service has.
const NOBODY: &str = "10.96.0.99";

pub(super) const STAGE: Stage = Stage {
    name: "bare cluster",
    prepare: |_| Ok(()),
    checks: &[
        ("the node is ready", node_is_ready),
        ("a pod runs, with exec and logs", pod_runs),
        (
            "a pod reaches the API server at its service address",
            api_is_reached,
        ),
        (
            "the restart command restarts containerd, and pods go on",
            runtime_is_restarted,
        ),
    ],
};

fn node_is_ready(cluster: &Cluster) -> Result<()> {
    let node = cluster.get(&["node", NODE])?;
    let runtime = &node["status"]["nodeInfo"]["containerRuntimeVersion"];
    let runtime = runtime.as_str().unwrap_or_default();
    ensure!(
        runtime.starts_with("containerd://"),
        "its runtime is {runtime:?}"
    );
    cluster.wait_for_node()
}

fn pod_runs(cluster: &Cluster) -> Result<()> {
    let command = format!("echo started; {SLEEP}");
    let pod = cluster.run_pod(&pod("bare", None, &["sh", "-c", &command]))?;
    let output = pod.exec(&["/app/tool", "read", "/etc/shadow"])?;
    ensure!(
        output.trim() == "read /etc/shadow: ok",
        "exec prints {output:?}"
    );
    let logs = pod.logs("main")?;
    ensure!(logs == "started\n", "logs are {logs:?}");
    pod.delete()
}

fn api_is_reached(cluster: &Cluster) -> Result<()> {
    let pod = cluster.run_pod(&pod("reach", None, &["sh", "-c", SLEEP]))?;
    let connect = |address: &str| {
        // Connects and closes: busybox has no TLS to go on with.
        let command = format!("nc -w 2 {address} 443 < /dev/null");
        cluster.kubectl_output(&["exec", pod.name(), "--", "sh", "-c", &command], "")
    };
    ensure!(
        connect(SERVICE_IP)?.status.success(),
        "nothing answers at {SERVICE_IP}"
    );
    ensure!(
        !connect(NOBODY)?.status.success(),
        "something answers at {NOBODY}"
    );
    pod.delete()
}

fn runtime_is_restarted(cluster: &Cluster) -> Result<()> {
    let pod = cluster.run_pod(&pod("survivor", None, &["sh", "-c", SLEEP]))?;
    let before = cluster.machine().containerd_pid()?;
    let restart = on_node(RESTART_COMMAND, cluster.scratch())
        .status()
        .context("cannot run the restart command")?;
    ensure!(restart.success(), "it ends with {restart}");
    ensure!(
        cluster.machine().containerd_pid()? != before,
        "it is still the same process"
    );
    pod.exec(&["true"])?;
    let restarts = pod.object()?["status"]["containerStatuses"][0]["restartCount"].take();
    ensure!(restarts == 0, "the pod was restarted");
    pod.delete()
}
