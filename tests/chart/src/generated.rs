//! The files that are made from the chart, with the text that they should have.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::helm::Helm;
use crate::{chart, readme, root, yaml};

/// The manifests for `kubectl apply`: the image that `make docker-build` makes, and each node's own configuration,
/// which may have been put there by hand.
const BY_HAND: [&str; 3] = [
    "--set=image.repository=nono-nri",
    "--set=image.tag=latest",
    "--set=config.fromHost=true",
];

/// Labels that say helm manages an object.
const HELM_LABELS: [&str; 2] = ["app.kubernetes.io/managed-by", "helm.sh/chart"];

const DAEMONSET_HEADER: &str = "\
# Everything that `kubectl apply` needs for pods with runtimeClassName nono-runc, on nodes that were prepared by hand as well as
# on others. Rendered from the chart by `make chart`; change the chart instead. docs/operator/install.md tells more.
#
# The plugin reads /etc/nri/conf.d/10-nono-nri.toml of its node if there is one. The guard takes its default profile from the
# arguments of the init container: change both alike.
";

/// A set of values whose render is kept.
#[derive(Debug)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// The values.
    pub values: PathBuf,
    /// The render.
    pub golden: PathBuf,
}

/// All sets of values under tests/chart/cases, by name.
pub fn cases() -> Result<Vec<Case>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut cases = Vec::new();
    for entry in fs::read_dir(here.join("cases")).context("cannot list the cases")? {
        let values = entry?.path();
        let name = values.file_stem().unwrap_or_default().to_string_lossy();
        let name = name.into_owned();
        let golden = here.join("golden").join(format!("{name}.yaml"));
        cases.push(Case {
            name,
            values,
            golden,
        });
    }
    cases.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(cases)
}

/// Every generated file, with its text.
pub fn all() -> Result<Vec<(PathBuf, String)>> {
    let helm = Helm::pinned()?;
    let values = fs::read_to_string(chart().join("values.yaml"))?;
    let deploy = root().join("deploy");
    let mut files = vec![
        (chart().join("README.md"), readme::render(&values)?),
        (deploy.join("daemonset.yaml"), daemonset(&helm)?),
        (deploy.join("uninstall-daemonset.json"), uninstall(&helm)?),
    ];
    for case in cases()? {
        let render = helm
            .render(Some(&case.values), &[])
            .with_context(|| format!("case {}", case.name))?;
        files.push((case.golden, render));
    }
    Ok(files)
}

fn daemonset(helm: &Helm) -> Result<String> {
    let render = helm.render(None, &[&BY_HAND[..], &["--no-hooks"]].concat())?;
    let lines = render.lines().filter(|line| !says_helm(line));
    let lines: String = lines.map(|line| format!("{line}\n")).collect();
    Ok(format!("{DAEMONSET_HEADER}{lines}"))
}

fn says_helm(line: &str) -> bool {
    let key = line.trim().split_once(':').map(|(key, _)| key);
    key.is_some_and(|key| key == "# Source" || HELM_LABELS.contains(&key))
}

/// What the pre-delete hook would create on the nodes.
fn uninstall(helm: &Helm) -> Result<String> {
    let render = helm.render(None, &BY_HAND)?;
    let documents = yaml::documents(&render)?;
    let text = documents
        .iter()
        .find_map(|document| document["data"]["daemonset.json"].as_str())
        .context("the chart renders no DaemonSet that uninstalls")?;
    let mut daemonset: Value = serde_json::from_str(text)?;
    for place in ["/metadata/labels", "/spec/template/metadata/labels"] {
        let labels = daemonset.pointer_mut(place).and_then(Value::as_object_mut);
        let labels = labels.with_context(|| format!("{place} is missing"))?;
        labels.retain(|key, _| !HELM_LABELS.contains(&key.as_str()));
    }
    Ok(format!("{}\n", serde_json::to_string_pretty(&daemonset)?))
}
