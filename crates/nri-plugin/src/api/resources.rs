//! Cgroup resources.

use std::collections::HashMap;

use super::{OptionalBool, OptionalInt64, OptionalString, OptionalUInt64};

/// Resource limits of a container or pod.
#[derive(Clone, PartialEq, prost::Message)]
pub struct LinuxResources {
    /// Memory.
    #[prost(message, optional, tag = "1")]
    pub memory: Option<LinuxMemory>,
    /// CPU.
    #[prost(message, optional, tag = "2")]
    pub cpu: Option<LinuxCpu>,
    /// Huge pages, by page size.
    #[prost(message, repeated, tag = "3")]
    pub hugepage_limits: Vec<HugepageLimit>,
    /// Block I/O class, resolved by the runtime.
    #[prost(message, optional, tag = "4")]
    pub blockio_class: Option<OptionalString>,
    /// RDT class, resolved by the runtime.
    #[prost(message, optional, tag = "5")]
    pub rdt_class: Option<OptionalString>,
    /// Cgroup v2 files and the values to write to them.
    #[prost(map = "string, string", tag = "6")]
    pub unified: HashMap<String, String>,
    /// Device access rules, in order.
    #[prost(message, repeated, tag = "7")]
    pub devices: Vec<LinuxDeviceCgroup>,
    /// Number of processes.
    #[prost(message, optional, tag = "8")]
    pub pids: Option<LinuxPids>,
}

/// Memory limits; all in bytes unless said otherwise.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct LinuxMemory {
    /// Hard limit.
    #[prost(message, optional, tag = "1")]
    pub limit: Option<OptionalInt64>,
    /// Soft limit.
    #[prost(message, optional, tag = "2")]
    pub reservation: Option<OptionalInt64>,
    /// Memory plus swap.
    #[prost(message, optional, tag = "3")]
    pub swap: Option<OptionalInt64>,
    /// Kernel memory (cgroup v1).
    #[prost(message, optional, tag = "4")]
    pub kernel: Option<OptionalInt64>,
    /// Kernel TCP buffers (cgroup v1).
    #[prost(message, optional, tag = "5")]
    pub kernel_tcp: Option<OptionalInt64>,
    /// Swappiness, 0 to 100.
    #[prost(message, optional, tag = "6")]
    pub swappiness: Option<OptionalUInt64>,
    /// Whether the OOM killer is off.
    #[prost(message, optional, tag = "7")]
    pub disable_oom_killer: Option<OptionalBool>,
    /// Whether child cgroups count (cgroup v1).
    #[prost(message, optional, tag = "8")]
    pub use_hierarchy: Option<OptionalBool>,
}

/// CPU limits.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct LinuxCpu {
    /// Relative weight; 1024 is one share.
    #[prost(message, optional, tag = "1")]
    pub shares: Option<OptionalUInt64>,
    /// Run time per period in microseconds.
    #[prost(message, optional, tag = "2")]
    pub quota: Option<OptionalInt64>,
    /// Period in microseconds.
    #[prost(message, optional, tag = "3")]
    pub period: Option<OptionalUInt64>,
    /// Real-time run time per period in microseconds.
    #[prost(message, optional, tag = "4")]
    pub realtime_runtime: Option<OptionalInt64>,
    /// Real-time period in microseconds.
    #[prost(message, optional, tag = "5")]
    pub realtime_period: Option<OptionalUInt64>,
    /// CPUs as a list of ranges, such as `0-3,7`.
    #[prost(string, tag = "6")]
    pub cpus: String,
    /// NUMA nodes as a list of ranges.
    #[prost(string, tag = "7")]
    pub mems: String,
}

/// Limit of one huge page size.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct HugepageLimit {
    /// Page size, such as `2MB`.
    #[prost(string, tag = "1")]
    pub page_size: String,
    /// Limit in bytes.
    #[prost(uint64, tag = "2")]
    pub limit: u64,
}

/// A rule of the device cgroup.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct LinuxDeviceCgroup {
    /// Whether the rule allows or denies.
    #[prost(bool, tag = "1")]
    pub allow: bool,
    /// `a`, `c` or `b`.
    #[prost(string, tag = "2")]
    pub r#type: String,
    /// Major number, absent for any.
    #[prost(message, optional, tag = "3")]
    pub major: Option<OptionalInt64>,
    /// Minor number, absent for any.
    #[prost(message, optional, tag = "4")]
    pub minor: Option<OptionalInt64>,
    /// Letters of `rwm`.
    #[prost(string, tag = "5")]
    pub access: String,
}

/// Limit of the number of processes.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct LinuxPids {
    /// Number of tasks, −1 for no limit.
    #[prost(int64, tag = "1")]
    pub limit: i64,
}
