//! `cargo xtask boundaries`: the dependency rules of ARCHITECTURE.md, checked from `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;

use crate::cargo::root;

/// Which workspace crates each crate may depend on. Tests may use more (dev-dependencies).
const ALLOWED: &[(&str, &[&str])] = &[
    ("nri-plugin", &[]),
    ("kubefence-launch-plan", &[]),
    ("kubefence-seccomp", &["kubefence-launch-plan"]),
    (
        "kubefence-profile",
        &["kubefence-launch-plan", "kubefence-seccomp"],
    ),
    ("kubefence-injection", &["kubefence-launch-plan"]),
    ("kubefence-launcher", &["kubefence-launch-plan"]),
    ("kubefence-node-files", &["kubefence-launch-plan"]),
    (
        "kubefence-plugin",
        &[
            "nri-plugin",
            "kubefence-profile",
            "kubefence-injection",
            "kubefence-node-files",
        ],
    ),
    (
        "kubefence-guard",
        &[
            "kubefence-profile",
            "kubefence-injection",
            "kubefence-node-files",
        ],
    ),
    (
        "kubefence-node-setup",
        &["kubefence-profile", "kubefence-node-files"],
    ),
    (
        "kubefence",
        &[
            "kubefence-profile",
            "kubefence-node-files",
            "kubefence-node-setup",
        ],
    ),
    ("test-support", &["nri-plugin"]),
    // The attack suite has a plugin of its own, which changes what ours has done.
    ("e2e", &["nri-plugin"]),
    ("e2e-k8s", &["e2e"]),
    ("chart", &[]),
    ("parity", &["e2e", "kubefence-profile"]),
    (
        "bench",
        &[
            "kubefence-plugin",
            "nri-plugin",
            "kubefence-profile",
            "test-support",
        ],
    ),
    ("xtask", &[]),
];

/// Crates that the launcher must never pull in, however indirectly.
const TOO_BIG_FOR_LAUNCHER: [&str; 4] =
    ["tokio", "tracing", "kubefence-profile", "kubefence-seccomp"];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: BTreeSet<String>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<NodeDependency>,
}

#[derive(Deserialize)]
struct NodeDependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    kind: Option<String>,
}

/// Checks every workspace crate against the rules.
pub(crate) fn check() -> anyhow::Result<()> {
    let output = Command::new("cargo")
        .current_dir(root())
        .args(["metadata", "--format-version", "1"])
        .output()
        .context("cannot run cargo metadata")?;
    ensure!(
        output.status.success(),
        "cargo metadata failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Metadata = serde_json::from_slice(&output.stdout)?;
    let mut broken = direct(&metadata);
    broken.extend(launcher(&metadata)?);
    if broken.is_empty() {
        println!(
            "dependency rules hold for {} crates",
            metadata.workspace_members.len()
        );
        return Ok(());
    }
    bail!("dependency rules are broken:\n  {}", broken.join("\n  "))
}

fn direct(metadata: &Metadata) -> Vec<String> {
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    let members: Vec<&Package> = metadata
        .packages
        .iter()
        .filter(|p| metadata.workspace_members.contains(&p.id))
        .collect();
    let names: BTreeSet<&str> = members.iter().map(|p| p.name.as_str()).collect();
    let mut broken = Vec::new();
    for package in &members {
        let Some(allowed) = allowed.get(package.name.as_str()) else {
            broken.push(format!(
                "{} has no rule: add one and say why in ARCHITECTURE.md",
                package.name
            ));
            continue;
        };
        let used = package
            .dependencies
            .iter()
            .filter(|d| d.kind.as_deref() != Some("dev"));
        for dependency in used.filter(|d| names.contains(d.name.as_str())) {
            if !allowed.contains(&dependency.name.as_str()) {
                broken.push(format!(
                    "{} must not depend on {}",
                    package.name, dependency.name
                ));
            }
        }
    }
    broken
}

fn launcher(metadata: &Metadata) -> anyhow::Result<Vec<String>> {
    let names: BTreeMap<&str, &str> = metadata
        .packages
        .iter()
        .map(|p| (p.id.as_str(), p.name.as_str()))
        .collect();
    let nodes: BTreeMap<&str, &Node> = metadata
        .resolve
        .nodes
        .iter()
        .map(|n| (n.id.as_str(), n))
        .collect();
    let start = metadata
        .packages
        .iter()
        .find(|p| p.name == "kubefence-launcher");
    let mut queue = vec![start.context("there is no launcher crate")?.id.as_str()];
    let mut seen = BTreeSet::new();
    while let Some(id) = queue.pop() {
        if !seen.insert(id) {
            continue;
        }
        let normal = nodes[id]
            .deps
            .iter()
            .filter(|d| d.dep_kinds.iter().any(|k| k.kind.is_none()));
        queue.extend(normal.map(|d| d.pkg.as_str()));
    }
    let found = seen
        .iter()
        .map(|id| names[id])
        .filter(|name| TOO_BIG_FOR_LAUNCHER.contains(name));
    Ok(found
        .map(|name| format!("kubefence-launcher must not pull in {name}"))
        .collect())
}
