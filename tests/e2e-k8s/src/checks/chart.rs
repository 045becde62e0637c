//! The chart and its golden renders, judged by helm and by the API server.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use e2e::repository;
use serde_json::json;

use super::Stage;
use crate::cluster::Cluster;
use crate::tools;

/// The namespace that a render is asked to use.
const ANOTHER: &str = "sandboxes";
/// Needs its RuntimeClass, which is not stored by a dry run; the deployment by hand runs it.
const TEST_POD: &str = "test-pod.yaml";
/// Needs the Prometheus operator's definitions, which this cluster does not have.
const FOREIGN: &str = "kind: PodMonitor";

pub(super) const STAGE: Stage = Stage {
    name: "chart",
    prepare,
    checks: &[
        ("helm lint finds nothing", lint),
        ("the API server accepts every golden render", golden_renders),
        (
            "the API server accepts every file in deploy/",
            deployed_files,
        ),
    ],
};

fn prepare(cluster: &Cluster) -> Result<()> {
    cluster
        .apply(&json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": ANOTHER } }))
}

fn lint(cluster: &Cluster) -> Result<()> {
    let chart = tools::chart();
    cluster
        .helm(&["lint", "--strict", &chart.to_string_lossy()])
        .map(drop)
}

fn golden_renders(cluster: &Cluster) -> Result<()> {
    let renders = manifests(repository::root().join("tests/chart/golden"))?;
    ensure!(
        renders.len() > 5,
        "there are only {} renders",
        renders.len()
    );
    accepted(cluster, &renders)
}

fn deployed_files(cluster: &Cluster) -> Result<()> {
    let mut files = manifests(tools::deploy("."))?;
    files.retain(|path| !path.ends_with(TEST_POD));
    ensure!(files.len() >= 3, "there are only {} files", files.len());
    accepted(cluster, &files)
}

fn manifests(directory: PathBuf) -> Result<Vec<PathBuf>> {
    let entries =
        fs::read_dir(&directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let paths = entries.map(|entry| Ok(entry?.path()));
    let mut paths: Vec<PathBuf> = paths.collect::<Result<_>>()?;
    paths.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "yaml" || extension == "json")
    });
    paths.sort();
    Ok(paths)
}

/// Has the API server validate every document, as it would before storing it.
fn accepted(cluster: &Cluster, paths: &[PathBuf]) -> Result<()> {
    for path in paths {
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let documents = text.split("\n---").filter(|part| !part.contains(FOREIGN));
        let text: Vec<&str> = documents.collect();
        if text.iter().all(|part| part.trim().is_empty()) {
            continue;
        }
        let arguments = [
            "apply",
            "--dry-run=server",
            "--validate=strict",
            "--filename=-",
        ];
        cluster
            .kubectl_with(&arguments, &text.join("\n---"))
            .with_context(|| format!("the API server refuses {}", path.display()))?;
    }
    Ok(())
}
