//! The messages of `runtime.v1.RuntimeService`, with the fields that are asked for. Numbers are those of the interface's own
//! `api.proto`; readers of protocol buffers skip what they do not know.

use std::collections::{BTreeSet, HashMap};

use super::Pod;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct VersionRequest {
    #[prost(string, tag = "1")]
    pub(super) version: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct VersionResponse {
    #[prost(string, tag = "2")]
    pub(super) runtime_name: String,
    #[prost(string, tag = "3")]
    pub(super) runtime_version: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct StatusRequest {
    #[prost(bool, tag = "1")]
    pub(super) verbose: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct StatusResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) status: Option<RuntimeStatus>,
    #[prost(map = "string, string", tag = "2")]
    pub(super) info: HashMap<String, String>,
    #[prost(message, repeated, tag = "3")]
    pub(super) runtime_handlers: Vec<RuntimeHandler>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct RuntimeStatus {
    #[prost(message, repeated, tag = "1")]
    pub(super) conditions: Vec<RuntimeCondition>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct RuntimeCondition {
    #[prost(string, tag = "1")]
    pub(super) kind: String,
    #[prost(bool, tag = "2")]
    pub(super) status: bool,
    #[prost(string, tag = "3")]
    pub(super) reason: String,
    #[prost(string, tag = "4")]
    pub(super) message: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct RuntimeHandler {
    #[prost(string, tag = "1")]
    pub(super) name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ListPodSandboxRequest {}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ListPodSandboxResponse {
    #[prost(message, repeated, tag = "1")]
    pub(super) items: Vec<PodSandbox>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ListContainersRequest {}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ListContainersResponse {
    #[prost(message, repeated, tag = "1")]
    pub(super) containers: Vec<Container>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Container {
    #[prost(string, tag = "1")]
    pub(super) id: String,
    #[prost(string, tag = "2")]
    pub(super) pod_sandbox_id: String,
    /// 2: it has ended.
    #[prost(int32, tag = "6")]
    pub(super) state: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PodSandbox {
    #[prost(string, tag = "1")]
    pub(super) id: String,
    #[prost(message, optional, tag = "2")]
    pub(super) metadata: Option<PodSandboxMetadata>,
    /// 0: it runs.
    #[prost(int32, tag = "3")]
    pub(super) state: i32,
    #[prost(string, tag = "7")]
    pub(super) runtime_handler: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PodSandboxStatusRequest {
    #[prost(string, tag = "1")]
    pub(super) pod_sandbox_id: String,
    #[prost(bool, tag = "2")]
    pub(super) verbose: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PodSandboxStatusResponse {
    #[prost(map = "string, string", tag = "2")]
    pub(super) info: HashMap<String, String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PodSandboxMetadata {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "3")]
    pub(super) namespace: String,
}

/// A pod sandbox that runs.
const READY: i32 = 0;
/// A container that has ended.
const EXITED: i32 = 2;

impl Container {
    pub(super) fn has_ended(&self) -> bool {
        self.state == EXITED
    }
}

impl PodSandbox {
    /// A pod whose sandbox was killed may have containers that go on.
    pub(super) fn into_pod(self, containers: &[&Container], handler: String) -> Pod {
        let runs = self.state == READY || containers.iter().any(|container| !container.has_ended());
        let metadata = self.metadata.unwrap_or_default();
        Pod {
            namespace: metadata.namespace,
            name: metadata.name,
            handler,
            runs,
        }
    }
}

impl PodSandboxStatusResponse {
    /// The handler as CRI-O notes it in the sandbox's own specification.
    pub(super) fn noted_handler(&self) -> Option<String> {
        let info: serde_json::Value = serde_json::from_str(self.info.get("info")?).ok()?;
        let annotations = info.pointer("/runtimeSpec/annotations")?;
        Some(
            annotations
                .get("io.kubernetes.cri-o.RuntimeHandler")?
                .as_str()?
                .to_owned(),
        )
    }
}

impl StatusResponse {
    /// Why the runtime is not ready. The network is none of our business.
    pub(super) fn flaw(&self) -> Option<String> {
        let conditions = self.status.iter().flat_map(|status| &status.conditions);
        let mut conditions = conditions.filter(|condition| condition.kind == "RuntimeReady");
        match conditions.next() {
            Some(condition) if condition.status => None,
            Some(condition) => Some(format!("{}: {}", condition.reason, condition.message)),
            None => Some("it does not say that it is".to_owned()),
        }
    }

    /// The handlers: containerd before 2.0 lists them only in the configuration that it shows.
    pub(super) fn handlers(&self) -> Option<BTreeSet<String>> {
        let listed = self.runtime_handlers.iter().map(|handler| &handler.name);
        let listed: BTreeSet<String> = listed.filter(|name| !name.is_empty()).cloned().collect();
        if !listed.is_empty() {
            return Some(listed);
        }
        let config: serde_json::Value = serde_json::from_str(self.info.get("config")?).ok()?;
        let runtimes = config.pointer("/containerd/runtimes")?.as_object()?;
        Some(runtimes.keys().cloned().collect())
    }
}
