//! kubefence on the cluster, by helm as an operator would do it, and the node as it was before.

use std::fs;
use std::sync::{Arc, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use e2e::images;
use e2e::terminal::progress;
use serde_json::{Value, json};

use super::{Cluster, Tree};
use crate::machine::{self, RESTART_COMMAND};
use crate::manifests::{SANDBOXED, pod};
use crate::tools;

/// What helm calls it.
pub(crate) const RELEASE: &str = "kubefence";
/// The image, as `make docker-build` names it.
const IMAGE: &str = "docker.io/library/nono-nri:latest";
/// A profile of the operator's own, which the checks change.
pub(crate) const TEAM: &str = "team";
/// It opens no more than the profile that it extends.
const TEAM_CLOSED: &str = r#"{ "extends": "default", "meta": { "name": "team" } }"#;

/// What has been done to the cluster.
#[derive(Debug, Default)]
pub(crate) struct Installation {
    /// Whether the chart is installed.
    present: bool,
    /// The node's files before that, or before the deployment by hand.
    before: Option<Arc<Tree>>,
}

impl Cluster {
    /// Installs the chart unless it is there already, with a sandboxed and a plain pod for all later checks.
    pub(crate) fn install(&self) -> Result<()> {
        let mut installation = self.lock();
        if installation.present {
            return Ok(());
        }
        self.import_product_as(&[])?;
        *installation = Installation {
            present: false,
            before: Some(Arc::new(Tree::take()?)),
        };
        progress("helm install");
        self.release("install", Wishes::default())
            .with_context(|| self.plugin_state())?;
        installation.present = true;
        Ok(())
    }

    /// What differs on the node from the time before installation or deployment, one line a path.
    pub(crate) fn changes(&self) -> Result<Vec<String>> {
        let before = self.lock().before.clone();
        let before = before.context("nothing was installed")?;
        Ok(before.differences(&Tree::take()?))
    }

    fn lock(&self) -> MutexGuard<'_, Installation> {
        self.installation
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the two pods that most checks look at, unless they are there.
    pub(crate) fn witnesses(&self) -> Result<()> {
        for (name, class) in [(INJECTED, Some(SANDBOXED)), (PLAIN, None)] {
            let present = self.kubectl_output(&["get", "pod", name], "")?;
            if !present.status.success() {
                self.run_pod(&pod(name, class, &["sleep", "infinity"]))?
                    .keep();
            }
        }
        Ok(())
    }

    /// Has the node know the product's image, by further names, too.
    pub(crate) fn import_product_as(&self, aliases: &[&str]) -> Result<()> {
        machine::import(&tools::image_archive()?, IMAGE, aliases)
    }

    /// Gives busybox another name.
    pub(crate) fn import_busybox_as(&self, alias: &str) -> Result<()> {
        let archive = images::archive(images::BUSYBOX)?;
        machine::import(&archive, &images::reference(images::BUSYBOX), &[alias])
    }

    /// Whether the chart is installed.
    pub(crate) fn is_installed(&self) -> bool {
        self.lock().present
    }

    /// Says that the chart was uninstalled.
    pub(crate) fn is_gone(&self) {
        self.lock().present = false;
    }

    /// Keeps the node's files as they are, for a later comparison.
    pub(crate) fn remember_files(&self) -> Result<()> {
        self.lock().before = Some(Arc::new(Tree::take()?));
        Ok(())
    }

    /// Has helm change what is installed.
    pub(crate) fn upgrade(&self, wishes: Wishes) -> Result<()> {
        self.release("upgrade", wishes)
    }

    fn release(&self, verb: &str, wishes: Wishes) -> Result<()> {
        let path = self.scratch().join("values.json");
        fs::write(&path, wishes.values().to_string()).context("cannot write values")?;
        let (values, chart) = (path.to_string_lossy(), tools::chart());
        let what = [verb, RELEASE, &chart.to_string_lossy(), "--values", &values];
        self.helm(&[&what[..], &["--wait", "--timeout=180s"]].concat())?;
        // helm is content with one unavailable pod, which on one node is all of them.
        self.wait_for_rollout()
    }
}

/// The sandboxed pod of most checks.
pub(crate) const INJECTED: &str = "injected";
/// The pod beside it that nobody sandboxes.
pub(crate) const PLAIN: &str = "plain";

/// What an operator may want of the installation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wishes {
    /// The profile of pods that name none.
    pub(crate) default_profile: &'static str,
    /// The text of the profile `team`.
    pub(crate) team: &'static str,
}

impl Default for Wishes {
    fn default() -> Self {
        Self {
            default_profile: "default",
            team: TEAM_CLOSED,
        }
    }
}

impl Wishes {
    fn values(self) -> Value {
        json!({
            "image": { "repository": "nono-nri", "tag": "latest", "pullPolicy": "Never" },
            "config": {
                "defaultProfile": self.default_profile,
                "allowedProfiles": { SANDBOXED: ["default", "strict", TEAM] },
            },
            "nodeSetup": { "restart": "command", "restartCommand": RESTART_COMMAND },
            "profiles": { TEAM: self.team },
        })
    }
}
