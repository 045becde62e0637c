//! Pods that cannot be sandboxed as they ask for do not run, and say why.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::wait;
use serde_json::json;

use super::Stage;
use crate::cluster::Cluster;
use crate::manifests::{SANDBOXED, SLEEP, pod};

const LIMIT: Duration = Duration::from_secs(60);

pub(super) const STAGE: Stage = Stage {
    name: "refusal",
    prepare: Cluster::install,
    checks: &[
        (
            "a profile that does not exist shows in kubectl describe, and nothing runs",
            absent,
        ),
        (
            "a profile that is not allowed shows in kubectl describe, and nothing runs",
            forbidden,
        ),
        (
            "a volume over /nono shows in kubectl describe, and nothing runs",
            covered,
        ),
        ("a profile that is allowed runs", allowed),
    ],
};

fn absent(cluster: &Cluster) -> Result<()> {
    refused(cluster, "absent", &["\"nobody\"", "nono.sh"], |manifest| {
        manifest["metadata"]["annotations"] = json!({ "nono.sh/profile": "nobody" });
    })
}

fn forbidden(cluster: &Cluster) -> Result<()> {
    refused(
        cluster,
        "forbidden",
        &["\"codex\"", "is not allowed", "strict"],
        |manifest| {
            manifest["metadata"]["annotations"] = json!({ "nono.sh/profile": "codex" });
        },
    )
}

fn covered(cluster: &Cluster) -> Result<()> {
    refused(cluster, "covered", &["/nono"], |manifest| {
        manifest["spec"]["volumes"] = json!([{ "name": "cover", "emptyDir": {} }]);
        manifest["spec"]["containers"][0]["volumeMounts"] =
            json!([{ "name": "cover", "mountPath": "/nono" }]);
    })
}

fn allowed(cluster: &Cluster) -> Result<()> {
    let mut manifest = pod("allowed", Some(SANDBOXED), &["sh", "-c", SLEEP]);
    manifest["metadata"]["annotations"] = json!({ "nono.sh/profile": "strict" });
    let pod = cluster.run_pod(&manifest)?;
    let args = pod.spec()?;
    ensure!(
        args.args()
            .starts_with(&["/nono/nono", "wrap", "--profile", "strict"]),
        "args are {:?}",
        args.args()
    );
    Ok(())
}

/// Creates a pod that differs from a good one by `spoil`, and waits for all words of the reason.
fn refused(
    cluster: &Cluster,
    name: &str,
    words: &[&str],
    spoil: impl Fn(&mut serde_json::Value),
) -> Result<()> {
    let mut manifest = pod(name, Some(SANDBOXED), &["sh", "-c", SLEEP]);
    spoil(&mut manifest);
    let pod = cluster.create_pod(&manifest)?;
    let mut text = String::new();
    wait::until("the reason in kubectl describe", LIMIT, || {
        text = cluster.kubectl(&["describe", "pod", name])?;
        let failed = text
            .lines()
            .find(|line| line.contains("Warning") && words.iter().all(|word| line.contains(word)));
        Ok(failed.is_some().then_some(()))
    })
    .with_context(|| format!("the events are: {}", pod.events()))?;
    let object = pod.object()?;
    let state = &object["status"]["containerStatuses"][0]["state"];
    ensure!(state.get("waiting").is_some(), "its state is {state}");
    ensure!(
        object["status"]["containerStatuses"][0]["lastState"]
            .get("terminated")
            .is_none_or(|terminated| terminated["startedAt"].is_null()
                || terminated["reason"] == "StartError"),
        "it has run: {object}"
    );
    Ok(())
}
