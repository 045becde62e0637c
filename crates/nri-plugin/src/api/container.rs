//! Containers.

use std::collections::HashMap;

use super::{LinuxContainer, OptionalInt};

/// A container as the runtime describes it to plugins.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Container {
    /// Runtime-assigned container ID.
    #[prost(string, tag = "1")]
    pub id: String,
    /// ID of the pod sandbox the container belongs to.
    #[prost(string, tag = "2")]
    pub pod_sandbox_id: String,
    /// Name of the container in its pod.
    #[prost(string, tag = "3")]
    pub name: String,
    /// State of the container.
    #[prost(enumeration = "ContainerState", tag = "4")]
    pub state: i32,
    /// Container labels.
    #[prost(map = "string, string", tag = "5")]
    pub labels: HashMap<String, String>,
    /// Container annotations.
    #[prost(map = "string, string", tag = "6")]
    pub annotations: HashMap<String, String>,
    /// Command line, program first.
    #[prost(string, repeated, tag = "7")]
    pub args: Vec<String>,
    /// Environment as `KEY=value`; a key can occur twice (image and pod).
    #[prost(string, repeated, tag = "8")]
    pub env: Vec<String>,
    /// Mounts in the order of the OCI spec.
    #[prost(message, repeated, tag = "9")]
    pub mounts: Vec<Mount>,
    /// OCI hooks.
    #[prost(message, optional, tag = "10")]
    pub hooks: Option<Hooks>,
    /// Linux-specific part.
    #[prost(message, optional, tag = "11")]
    pub linux: Option<LinuxContainer>,
    /// Process ID of the container, 0 before it is started.
    #[prost(uint32, tag = "12")]
    pub pid: u32,
    /// POSIX resource limits.
    #[prost(message, repeated, tag = "13")]
    pub rlimits: Vec<PosixRlimit>,
    /// Creation time in nanoseconds since the Unix epoch.
    #[prost(int64, tag = "14")]
    pub created_at: i64,
    /// Start time in nanoseconds since the Unix epoch, 0 if not started.
    #[prost(int64, tag = "15")]
    pub started_at: i64,
    /// Exit time in nanoseconds since the Unix epoch, 0 if not exited.
    #[prost(int64, tag = "16")]
    pub finished_at: i64,
    /// Exit code, once exited.
    #[prost(int32, tag = "17")]
    pub exit_code: i32,
    /// Short reason of the state, for machines.
    #[prost(string, tag = "18")]
    pub status_reason: String,
    /// Explanation of the state, for people.
    #[prost(string, tag = "19")]
    pub status_message: String,
    /// CDI devices injected into the container.
    #[prost(message, repeated, tag = "20")]
    pub cdi_devices: Vec<CdiDevice>,
    /// User and groups of the container's process.
    #[prost(message, optional, tag = "21")]
    pub user: Option<User>,
    /// Image of the container; runtimes later than NRI 0.12 send it.
    #[prost(message, optional, tag = "22")]
    pub image: Option<Image>,
}

/// State of a [`Container`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum ContainerState {
    /// Not known.
    Unknown = 0,
    /// Created, its process not started.
    Created = 1,
    /// Frozen.
    Paused = 2,
    /// Running.
    Running = 3,
    /// Exited.
    Stopped = 4,
}

/// A mount of a container.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct Mount {
    /// Path inside the container. Runtimes compare it as a raw string: normalise before judging it.
    #[prost(string, tag = "1")]
    pub destination: String,
    /// File system type, such as `bind`.
    #[prost(string, tag = "2")]
    pub r#type: String,
    /// Path on the host, or the device.
    #[prost(string, tag = "3")]
    pub source: String,
    /// Mount options as in fstab.
    #[prost(string, repeated, tag = "4")]
    pub options: Vec<String>,
}

/// OCI hooks by the point at which they run.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct Hooks {
    /// Deprecated by OCI in favour of the three that follow.
    #[prost(message, repeated, tag = "1")]
    pub prestart: Vec<Hook>,
    /// Run by the runtime before pivot_root, in the runtime's namespaces.
    #[prost(message, repeated, tag = "2")]
    pub create_runtime: Vec<Hook>,
    /// Run before pivot_root, in the container's namespaces.
    #[prost(message, repeated, tag = "3")]
    pub create_container: Vec<Hook>,
    /// Run inside the container before its process starts.
    #[prost(message, repeated, tag = "4")]
    pub start_container: Vec<Hook>,
    /// Run after the container's process started.
    #[prost(message, repeated, tag = "5")]
    pub poststart: Vec<Hook>,
    /// Run after the container was deleted.
    #[prost(message, repeated, tag = "6")]
    pub poststop: Vec<Hook>,
}

/// One OCI hook.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct Hook {
    /// Absolute path of the program.
    #[prost(string, tag = "1")]
    pub path: String,
    /// Command line, program name first.
    #[prost(string, repeated, tag = "2")]
    pub args: Vec<String>,
    /// Environment as `KEY=value`.
    #[prost(string, repeated, tag = "3")]
    pub env: Vec<String>,
    /// Time limit in seconds.
    #[prost(message, optional, tag = "4")]
    pub timeout: Option<OptionalInt>,
}

/// A POSIX resource limit.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct PosixRlimit {
    /// Name such as `RLIMIT_NOFILE`.
    #[prost(string, tag = "1")]
    pub r#type: String,
    /// Ceiling, in the unit of the resource.
    #[prost(uint64, tag = "2")]
    pub hard: u64,
    /// Limit in force, in the unit of the resource.
    #[prost(uint64, tag = "3")]
    pub soft: u64,
}

/// A reference to a CDI device.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct CdiDevice {
    /// Fully qualified name, `vendor/class=device`.
    #[prost(string, tag = "1")]
    pub name: String,
}

/// User and group IDs of a container's process.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct User {
    /// User ID.
    #[prost(uint32, tag = "1")]
    pub uid: u32,
    /// Primary group ID.
    #[prost(uint32, tag = "2")]
    pub gid: u32,
    /// Supplementary group IDs.
    #[prost(uint32, repeated, tag = "3")]
    pub additional_gids: Vec<u32>,
}

/// The image a container was created from.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct Image {
    /// Reference, such as `registry.k8s.io/pause:3.10`.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Digest of the index or manifest, `sha256:…`.
    #[prost(string, tag = "2")]
    pub digest: String,
    /// Digest of the platform's image config, `sha256:…`.
    #[prost(string, tag = "3")]
    pub config_digest: String,
}

/// A key and its value, such as an environment variable.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct KeyValue {
    /// The key; a leading `-` marks a removal.
    #[prost(string, tag = "1")]
    pub key: String,
    /// The value.
    #[prost(string, tag = "2")]
    pub value: String,
}
