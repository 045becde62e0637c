//! What a plugin may ask for: adjustments of a new container, updates and evictions of existing ones.

use std::collections::HashMap;

use super::{
    CdiDevice, Hooks, KeyValue, LinuxDevice, LinuxIoPriority, LinuxMemoryPolicy, LinuxNamespace,
    LinuxNetDevice, LinuxRdt, LinuxResources, LinuxScheduler, LinuxSeccomp, Mount, OptionalInt,
    PosixRlimit,
};

/// Adjustment of a container that is being created; [`Adjustment`](crate::Adjustment) builds it.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ContainerAdjustment {
    /// Annotations to set; a key with a leading `-` removes.
    #[prost(map = "string, string", tag = "2")]
    pub annotations: HashMap<String, String>,
    /// Mounts to add; a destination with a leading `-` removes.
    #[prost(message, repeated, tag = "3")]
    pub mounts: Vec<Mount>,
    /// Environment variables to set; a key with a leading `-` removes.
    #[prost(message, repeated, tag = "4")]
    pub env: Vec<KeyValue>,
    /// OCI hooks to add.
    #[prost(message, optional, tag = "5")]
    pub hooks: Option<Hooks>,
    /// Linux-specific part.
    #[prost(message, optional, tag = "6")]
    pub linux: Option<LinuxContainerAdjustment>,
    /// POSIX resource limits to set.
    #[prost(message, repeated, tag = "7")]
    pub rlimits: Vec<PosixRlimit>,
    /// CDI devices to inject.
    #[prost(message, repeated, tag = "8")]
    pub cdi_devices: Vec<CdiDevice>,
    /// New command line, unless empty. A leading `""` marks the intended override of another plugin's.
    /// Runtimes before NRI 0.10 drop this field silently.
    #[prost(string, repeated, tag = "9")]
    pub args: Vec<String>,
}

/// Linux-specific part of a [`ContainerAdjustment`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct LinuxContainerAdjustment {
    /// Device nodes to add; a path with a leading `-` removes.
    #[prost(message, repeated, tag = "1")]
    pub devices: Vec<LinuxDevice>,
    /// Resource limits to set.
    #[prost(message, optional, tag = "2")]
    pub resources: Option<LinuxResources>,
    /// Cgroup to use, unless empty.
    #[prost(string, tag = "3")]
    pub cgroups_path: String,
    /// OOM killer score adjustment, −1000 to 1000.
    #[prost(message, optional, tag = "4")]
    pub oom_score_adj: Option<OptionalInt>,
    /// I/O priority.
    #[prost(message, optional, tag = "5")]
    pub io_priority: Option<LinuxIoPriority>,
    /// Seccomp filter that replaces the whole existing one.
    #[prost(message, optional, tag = "6")]
    pub seccomp_policy: Option<LinuxSeccomp>,
    /// Namespaces to replace, by kind.
    #[prost(message, repeated, tag = "7")]
    pub namespaces: Vec<LinuxNamespace>,
    /// Kernel parameters to set; a key with a leading `-` removes.
    #[prost(map = "string, string", tag = "8")]
    pub sysctl: HashMap<String, String>,
    /// Network devices to move into the container, by host name.
    #[prost(map = "string, message", tag = "9")]
    pub net_devices: HashMap<String, LinuxNetDevice>,
    /// Scheduling attributes.
    #[prost(message, optional, tag = "10")]
    pub scheduler: Option<LinuxScheduler>,
    /// Intel RDT configuration.
    #[prost(message, optional, tag = "11")]
    pub rdt: Option<LinuxRdt>,
    /// NUMA memory policy.
    #[prost(message, optional, tag = "12")]
    pub memory_policy: Option<LinuxMemoryPolicy>,
}

/// Update of an existing container.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ContainerUpdate {
    /// The container to update.
    #[prost(string, tag = "1")]
    pub container_id: String,
    /// What to update.
    #[prost(message, optional, tag = "2")]
    pub linux: Option<LinuxContainerUpdate>,
    /// Whether the request that carries the update succeeds even if the update fails.
    #[prost(bool, tag = "3")]
    pub ignore_failure: bool,
}

/// Linux-specific part of a [`ContainerUpdate`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct LinuxContainerUpdate {
    /// Resource limits to set.
    #[prost(message, optional, tag = "1")]
    pub resources: Option<LinuxResources>,
}

/// Request to stop a container.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct ContainerEviction {
    /// The container to stop.
    #[prost(string, tag = "1")]
    pub container_id: String,
    /// Reason, for people.
    #[prost(string, tag = "2")]
    pub reason: String,
}
