//! Pod sandboxes.

use std::collections::HashMap;

use super::{LinuxNamespace, LinuxResources};

/// A pod sandbox as the runtime describes it to plugins.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PodSandbox {
    /// Runtime-assigned sandbox ID.
    #[prost(string, tag = "1")]
    pub id: String,
    /// Kubernetes pod name.
    #[prost(string, tag = "2")]
    pub name: String,
    /// Kubernetes pod UID.
    #[prost(string, tag = "3")]
    pub uid: String,
    /// Kubernetes namespace.
    #[prost(string, tag = "4")]
    pub namespace: String,
    /// Pod labels.
    #[prost(map = "string, string", tag = "5")]
    pub labels: HashMap<String, String>,
    /// Pod annotations; the pod's author controls them.
    #[prost(map = "string, string", tag = "6")]
    pub annotations: HashMap<String, String>,
    /// Runtime handler that the pod's RuntimeClass selects; empty for the default one.
    #[prost(string, tag = "7")]
    pub runtime_handler: String,
    /// Linux-specific part.
    #[prost(message, optional, tag = "8")]
    pub linux: Option<LinuxPodSandbox>,
    /// Process ID of the sandbox, 0 if there is none.
    #[prost(uint32, tag = "9")]
    pub pid: u32,
    /// IP addresses of the pod.
    #[prost(string, repeated, tag = "10")]
    pub ips: Vec<String>,
}

/// Linux-specific part of a [`PodSandbox`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct LinuxPodSandbox {
    /// Resources the pod needs beyond the sum of its containers.
    #[prost(message, optional, tag = "1")]
    pub pod_overhead: Option<LinuxResources>,
    /// Sum of the resources of the pod's containers.
    #[prost(message, optional, tag = "2")]
    pub pod_resources: Option<LinuxResources>,
    /// Parent cgroup of the pod.
    #[prost(string, tag = "3")]
    pub cgroup_parent: String,
    /// Cgroup of the sandbox itself.
    #[prost(string, tag = "4")]
    pub cgroups_path: String,
    /// Namespaces of the sandbox.
    #[prost(message, repeated, tag = "5")]
    pub namespaces: Vec<LinuxNamespace>,
    /// Resources of the sandbox itself.
    #[prost(message, optional, tag = "6")]
    pub resources: Option<LinuxResources>,
}
