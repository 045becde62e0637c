//! Pods of the checks: started, asked, and deleted when dropped.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::wait;
use serde_json::Value;

use super::{Cluster, OciSpec};

const START_LIMIT: Duration = Duration::from_secs(120);
const END_LIMIT: Duration = Duration::from_secs(90);

/// A pod of the default namespace. One that was created here is deleted when this is dropped, unless it is kept.
pub(crate) struct Pod<'a> {
    cluster: &'a Cluster,
    name: String,
    kept: bool,
}

impl Cluster {
    /// Creates a pod and waits until it is ready.
    pub(crate) fn run_pod(&self, manifest: &Value) -> Result<Pod<'_>> {
        let pod = self.create_pod(manifest)?;
        pod.wait_until("condition=Ready", START_LIMIT)?;
        Ok(pod)
    }

    /// Creates a pod and waits for nothing.
    pub(crate) fn create_pod(&self, manifest: &Value) -> Result<Pod<'_>> {
        let name = manifest["metadata"]["name"]
            .as_str()
            .context("the pod has no name")?;
        self.kubectl_with(&["create", "--filename=-"], &manifest.to_string())?;
        Ok(Pod {
            cluster: self,
            name: name.to_owned(),
            kept: false,
        })
    }

    /// A pod that is there already, and stays.
    pub(crate) fn existing_pod(&self, name: &str) -> Pod<'_> {
        Pod {
            cluster: self,
            name: name.to_owned(),
            kept: true,
        }
    }
}

impl Pod<'_> {
    /// Leaves it to later checks.
    pub(crate) fn keep(mut self) {
        self.kept = true;
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Waits for a condition as `kubectl wait --for` names it; an error tells the pod's events.
    pub(crate) fn wait_until(&self, condition: &str, limit: Duration) -> Result<()> {
        let object = format!("pod/{}", self.name);
        self.cluster
            .wait_for(&[&object], condition, limit)
            .with_context(|| self.events())
    }

    /// What the runtime and the kubelet have said about it, in one line.
    pub(crate) fn events(&self) -> String {
        let field = format!("--field-selector=involvedObject.name={}", self.name);
        let output = "--output=jsonpath={range .items[*]}{.reason}: {.message}; {end}";
        let events = self.cluster.kubectl(&["get", "events", &field, output]);
        events.unwrap_or_else(|error| format!("no events: {error:#}"))
    }

    /// The object as it is now.
    pub(crate) fn object(&self) -> Result<Value> {
        self.cluster.get(&["pod", &self.name])
    }

    /// Its unique ID.
    pub(crate) fn uid(&self) -> Result<String> {
        let object = self.object()?;
        let uid = object["metadata"]["uid"].as_str();
        uid.map(str::to_owned).context("the pod has no UID")
    }

    /// Runs a command in the first container; what it prints.
    pub(crate) fn exec(&self, command: &[&str]) -> Result<String> {
        let all = [&["exec", &self.name, "--"], command].concat();
        self.cluster.kubectl(&all)
    }

    /// What a container has printed.
    pub(crate) fn logs(&self, container: &str) -> Result<String> {
        self.cluster
            .kubectl(&["logs", &self.name, "--container", container])
    }

    /// Waits until a container has printed `text`, and returns everything it printed.
    pub(crate) fn wait_for_log(&self, container: &str, text: &str) -> Result<String> {
        wait::until(&format!("{text:?} in the log"), START_LIMIT, || {
            let found = self.logs(container).unwrap_or_default();
            Ok(found.contains(text).then_some(found))
        })
        .with_context(|| self.events())
    }

    /// The runtime's ID of the main container.
    pub(crate) fn container_id(&self) -> Result<String> {
        let object = self.object()?;
        let id = object["status"]["containerStatuses"][0]["containerID"]
            .as_str()
            .unwrap_or_default();
        let id = id.strip_prefix("containerd://").unwrap_or_default();
        ensure!(!id.is_empty(), "{} has no container yet", self.name);
        Ok(id.to_owned())
    }

    /// The OCI configuration that the main container was started from.
    pub(crate) fn spec(&self) -> Result<OciSpec> {
        OciSpec::of(&self.container_id()?)
    }

    /// Deletes it and waits until it is gone.
    pub(crate) fn delete(&self) -> Result<()> {
        let timeout = format!("--timeout={}s", END_LIMIT.as_secs());
        let arguments = ["delete", "pod", &self.name, "--ignore-not-found", &timeout];
        self.cluster.kubectl(&arguments).map(drop)
    }
}

impl Drop for Pod<'_> {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        let arguments = [
            "delete",
            "pod",
            &self.name,
            "--ignore-not-found",
            "--wait=false",
        ];
        let _ = self.cluster.kubectl(&arguments);
    }
}
