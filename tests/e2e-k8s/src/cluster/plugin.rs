//! The plugin's pod on the node, and what it says.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::wait;
use serde_json::Value;

use super::Cluster;

const NAMESPACE: &str = "--namespace=kube-system";
const SELECTOR: &str = "--selector=app=nono-nri";
const LIMIT: Duration = Duration::from_secs(120);

impl Cluster {
    /// The only pod of the DaemonSet.
    pub(crate) fn plugin_pod(&self) -> Result<Value> {
        let pods = self.get(&["pods", NAMESPACE, SELECTOR])?;
        let pods = pods["items"].as_array().context("no list of pods")?;
        ensure!(pods.len() == 1, "the plugin has {} pods", pods.len());
        Ok(pods[0].clone())
    }

    /// The unique ID of that pod, which changes when it is replaced.
    pub(crate) fn plugin_uid(&self) -> Result<String> {
        let pod = self.plugin_pod()?;
        let uid = pod["metadata"]["uid"].as_str();
        uid.map(str::to_owned)
            .context("the plugin's pod has no UID")
    }

    /// All lines of its log that are JSON.
    pub(crate) fn plugin_log(&self) -> Result<Vec<Value>> {
        let arguments = [
            "logs",
            NAMESPACE,
            SELECTOR,
            "--container=nono-nri",
            "--tail=-1",
        ];
        let text = self.kubectl(&arguments)?;
        Ok(text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect())
    }

    /// Waits for a line of its log.
    pub(crate) fn wait_for_plugin(
        &self,
        what: &str,
        is_it: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        wait::until(&format!("the plugin's log to say {what}"), LIMIT, || {
            let lines = self.plugin_log().unwrap_or_default();
            Ok(lines.into_iter().find(|line| is_it(line)))
        })
    }

    /// Waits until the DaemonSet's pod is there, new, and ready.
    pub(crate) fn wait_for_rollout(&self) -> Result<()> {
        let arguments = [
            "rollout",
            "status",
            "daemonset/nono-nri",
            NAMESPACE,
            "--timeout=150s",
        ];
        self.kubectl(&arguments)
            .map(drop)
            .with_context(|| self.plugin_state())
    }

    /// The state of all containers of an application, in one line.
    pub(crate) fn pods_of(&self, app: &str) -> String {
        let selector = format!("--selector=app={app}");
        let output = "--output=jsonpath={.items[*].status}";
        let state = self.kubectl(&["get", "pods", NAMESPACE, &selector, output]);
        state.unwrap_or_else(|error| format!("{error:#}"))
    }

    /// What can be said of a plugin that does not come up, in one line.
    pub(crate) fn plugin_state(&self) -> String {
        let output = "--output=jsonpath={range .items[*]}{.reason}: {.message}; {end}";
        let events = self.kubectl(&["get", "events", NAMESPACE, output]);
        let install = [
            "logs",
            NAMESPACE,
            SELECTOR,
            "--container=install",
            "--tail=5",
        ];
        let plugin = [
            "logs",
            NAMESPACE,
            SELECTOR,
            "--container=nono-nri",
            "--tail=5",
        ];
        let text = |outcome: Result<String>| outcome.unwrap_or_else(|error| format!("{error:#}"));
        format!(
            "events: {} install says: {} the plugin says: {}",
            text(events),
            text(self.kubectl(&install)),
            text(self.kubectl(&plugin))
        )
    }
}
