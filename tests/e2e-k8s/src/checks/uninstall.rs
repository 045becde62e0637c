//! `helm uninstall` gives the node back as it was.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use e2e::terminal::progress;
use e2e::wait;

use super::Stage;
use crate::cluster::{Cluster, INJECTED, PLAIN, RELEASE, Tree};
use crate::machine::{CONTAINERD_CONFIG, on_node};
use crate::manifests::{SANDBOXED, SLEEP, pod};

const LIMIT: Duration = Duration::from_secs(60);
const CLEARING_LIMIT: Duration = Duration::from_secs(240);
const GUARD: &str = "/opt/kubefence/bin/nono-runc";
const COMMAND: &str = "/opt/kubefence/bin/kubefence";
const MANIFEST: &str = "/var/lib/kubefence/manifest.json";
/// What the node and the pods are told; each must have gone.
const PLACES: [&str; 5] = [
    "/opt/kubefence",
    "/opt/nono-nri",
    "/var/lib/kubefence",
    "/run/kubefence",
    "/run/nono-nri",
];

pub(super) const STAGE: Stage = Stage {
    name: "uninstall",
    prepare,
    checks: &[
        (
            "until then the node is changed, and node status finds all of it intact",
            has_changed,
        ),
        (
            "helm uninstall is refused while sandboxed pods run, and changes nothing",
            refused,
        ),
        ("helm uninstall succeeds when they are gone", succeeds),
        ("every file of the node is as it was before", restored),
        (
            "the runtime knows the handler no more, and plain pods still run",
            handler_gone,
        ),
        (
            "what the runtime still keeps of ended pods goes without the handler",
            remains_go,
        ),
        ("nothing is left in the cluster", cluster_is_clean),
    ],
};

fn prepare(cluster: &Cluster) -> Result<()> {
    cluster.install()?;
    cluster.witnesses()
}

fn has_changed(cluster: &Cluster) -> Result<()> {
    let now = Tree::take()?;
    for path in [GUARD, MANIFEST, "/opt/nono-nri/nono"] {
        ensure!(now.contains(path), "there is no {path}");
    }
    let status = on_node(COMMAND, cluster.scratch())
        .args(["node", "status"])
        .output()
        .context("cannot run kubefence")?;
    ensure!(
        status.status.success(),
        "node status ends with {}: {}{}",
        status.status,
        String::from_utf8_lossy(&status.stdout),
        String::from_utf8_lossy(&status.stderr)
    );
    Ok(())
}

fn refused(cluster: &Cluster) -> Result<()> {
    let before = Tree::take()?;
    match cluster.helm(&["uninstall", RELEASE, "--wait", "--timeout=180s"]) {
        Ok(_) => bail!("it went through, with {INJECTED} running"),
        Err(error) => {
            let jobs = [
                "logs",
                "--namespace=kube-system",
                "job/nono-nri-uninstall",
                "--tail=-1",
            ];
            let log = cluster
                .kubectl(&jobs)
                .with_context(|| format!("{error:#}"))?;
            ensure!(
                log.contains(INJECTED),
                "the job does not name the pod: {log:?}"
            );
        }
    }
    let differences = before.differences(&Tree::take()?);
    ensure!(
        differences.is_empty(),
        "files have changed: {}",
        differences.join("; ")
    );
    ensure!(
        cluster.plugin_pod()?["status"]["phase"] == "Running",
        "the plugin has gone"
    );
    Ok(())
}

fn succeeds(cluster: &Cluster) -> Result<()> {
    progress("helm uninstall");
    for name in [INJECTED, PLAIN] {
        cluster.existing_pod(name).delete()?;
    }
    cluster
        .helm(&["uninstall", RELEASE, "--wait", "--timeout=280s"])
        .with_context(|| {
            let jobs = [
                "logs",
                "--namespace=kube-system",
                "job/nono-nri-uninstall",
                "--tail=20",
            ];
            cluster
                .kubectl(&jobs)
                .unwrap_or_else(|error| format!("{error:#}"))
        })?;
    cluster.is_gone();
    Ok(())
}

fn restored(cluster: &Cluster) -> Result<()> {
    let changes = cluster.changes()?;
    ensure!(changes.is_empty(), "{}", changes.join("; "));
    let left: Vec<&str> = PLACES
        .into_iter()
        .filter(|place| fs::symlink_metadata(place).is_ok())
        .collect();
    ensure!(left.is_empty(), "{} are left", left.join(", "));
    Ok(())
}

fn handler_gone(cluster: &Cluster) -> Result<()> {
    let config = fs::read_to_string(CONTAINERD_CONFIG)?;
    ensure!(!config.contains(SANDBOXED), "{CONTAINERD_CONFIG} has it");
    // A RuntimeClass of our own leads to the handler, so that the runtime has to answer.
    cluster.apply(&serde_json::json!({
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": { "name": "probe" },
        "handler": SANDBOXED,
    }))?;
    let orphan = cluster.create_pod(&pod("orphan", Some("probe"), &["sh", "-c", SLEEP]))?;
    let refused = wait::until("the runtime to refuse the handler", LIMIT, || {
        Ok(orphan.events().contains("no runtime for").then_some(()))
    });
    refused.with_context(|| orphan.events())?;
    cluster.kubectl(&["delete", "runtimeclass", "probe"])?;
    let plain = cluster.run_pod(&pod("afterwards", None, &["sh", "-c", SLEEP]))?;
    plain.delete()
}

/// The kubelet removes sandboxes some time after their pods, and the handler is not there any more.
fn remains_go(cluster: &Cluster) -> Result<()> {
    progress("waiting for the kubelet to clear away ended pods");
    let filter = format!("labels.\"io.kubernetes.pod.name\"=={INJECTED}");
    let list = [
        "--namespace=k8s.io",
        "containers",
        "list",
        "--quiet",
        &filter,
    ];
    wait::until("the end of the last container", CLEARING_LIMIT, || {
        let output = on_node("ctr", cluster.scratch()).args(list).output()?;
        ensure!(output.status.success(), "ctr: {}", output.status);
        Ok(output.stdout.is_empty().then_some(()))
    })
}

fn cluster_is_clean(cluster: &Cluster) -> Result<()> {
    let kinds = "daemonsets,jobs,pods,configmaps,serviceaccounts,roles,rolebindings";
    let ours = "--selector=app.kubernetes.io/name=kubefence";
    let left = cluster.kubectl(&["get", kinds, "--all-namespaces", ours, "--output=name"])?;
    ensure!(left.is_empty(), "{} are left", left.replace('\n', " "));
    let classes = cluster.kubectl(&[
        "get",
        "runtimeclasses,clusterroles,clusterrolebindings",
        ours,
        "--output=name",
    ])?;
    ensure!(
        classes.is_empty(),
        "{} are left",
        classes.replace('\n', " ")
    );
    Ok(())
}
