//! The Linux part of a container: namespaces, devices, scheduling, memory policy.

use std::collections::HashMap;

use super::{
    LinuxResources, LinuxSeccomp, OptionalBool, OptionalFileMode, OptionalInt,
    OptionalRepeatedString, OptionalString, OptionalUInt32,
};

/// Linux-specific part of a [`Container`](super::Container).
#[derive(Clone, PartialEq, prost::Message)]
pub struct LinuxContainer {
    /// Namespaces of the container.
    #[prost(message, repeated, tag = "1")]
    pub namespaces: Vec<LinuxNamespace>,
    /// Device nodes.
    #[prost(message, repeated, tag = "2")]
    pub devices: Vec<LinuxDevice>,
    /// Resource limits.
    #[prost(message, optional, tag = "3")]
    pub resources: Option<LinuxResources>,
    /// OOM killer score adjustment, −1000 to 1000.
    #[prost(message, optional, tag = "4")]
    pub oom_score_adj: Option<OptionalInt>,
    /// Cgroup of the container.
    #[prost(string, tag = "5")]
    pub cgroups_path: String,
    /// I/O priority.
    #[prost(message, optional, tag = "6")]
    pub io_priority: Option<LinuxIoPriority>,
    /// Seccomp profile the pod asked for.
    #[prost(message, optional, tag = "7")]
    pub seccomp_profile: Option<SecurityProfile>,
    /// Seccomp filter in force; containerd sends it from 2.3 on.
    #[prost(message, optional, tag = "8")]
    pub seccomp_policy: Option<LinuxSeccomp>,
    /// Kernel parameters of the container's namespaces.
    #[prost(map = "string, string", tag = "9")]
    pub sysctl: HashMap<String, String>,
    /// Network devices moved into the container, by host name.
    #[prost(map = "string, message", tag = "10")]
    pub net_devices: HashMap<String, LinuxNetDevice>,
    /// Scheduling attributes.
    #[prost(message, optional, tag = "11")]
    pub scheduler: Option<LinuxScheduler>,
    /// Intel RDT configuration.
    #[prost(message, optional, tag = "12")]
    pub rdt: Option<LinuxRdt>,
}

/// A namespace of a container or sandbox.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct LinuxNamespace {
    /// Kind, such as `network` or `pid`.
    #[prost(string, tag = "1")]
    pub r#type: String,
    /// Path of the namespace to join; empty for a new one.
    #[prost(string, tag = "2")]
    pub path: String,
}

/// A device node of a container.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct LinuxDevice {
    /// Path inside the container.
    #[prost(string, tag = "1")]
    pub path: String,
    /// `c`, `b`, `u` or `p`.
    #[prost(string, tag = "2")]
    pub r#type: String,
    /// Major number.
    #[prost(int64, tag = "3")]
    pub major: i64,
    /// Minor number.
    #[prost(int64, tag = "4")]
    pub minor: i64,
    /// Permission bits.
    #[prost(message, optional, tag = "5")]
    pub file_mode: Option<OptionalFileMode>,
    /// Owner.
    #[prost(message, optional, tag = "6")]
    pub uid: Option<OptionalUInt32>,
    /// Owning group.
    #[prost(message, optional, tag = "7")]
    pub gid: Option<OptionalUInt32>,
}

/// The seccomp profile a pod asked for, by reference.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct SecurityProfile {
    /// Kind of the profile.
    #[prost(enumeration = "ProfileType", tag = "1")]
    pub profile_type: i32,
    /// Path of the profile, for [`ProfileType::Localhost`].
    #[prost(string, tag = "2")]
    pub localhost_ref: String,
}

/// Kind of a [`SecurityProfile`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum ProfileType {
    /// The runtime's default profile.
    RuntimeDefault = 0,
    /// No profile.
    Unconfined = 1,
    /// A file on the node.
    Localhost = 2,
}

/// I/O priority of a container's process.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct LinuxIoPriority {
    /// Scheduling class.
    #[prost(enumeration = "IoPrioClass", tag = "1")]
    pub class: i32,
    /// Priority in the class, 0 (highest) to 7.
    #[prost(int32, tag = "2")]
    pub priority: i32,
}

/// I/O scheduling class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum IoPrioClass {
    /// Not set.
    None = 0,
    /// Real time.
    Rt = 1,
    /// Best effort.
    Be = 2,
    /// Only when nobody else wants the disk.
    Idle = 3,
}

/// A network device that is moved into a container.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct LinuxNetDevice {
    /// Name inside the container.
    #[prost(string, tag = "1")]
    pub name: String,
}

/// Scheduling attributes of a container's process, as for sched_setattr(2).
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct LinuxScheduler {
    /// Scheduling policy.
    #[prost(enumeration = "LinuxSchedulerPolicy", tag = "1")]
    pub policy: i32,
    /// Nice value, −20 to 19.
    #[prost(int32, tag = "2")]
    pub nice: i32,
    /// Real-time priority, 1 to 99.
    #[prost(int32, tag = "3")]
    pub priority: i32,
    /// Flags.
    #[prost(enumeration = "LinuxSchedulerFlag", repeated, tag = "4")]
    pub flags: Vec<i32>,
    /// Deadline scheduling: run time per period in nanoseconds.
    #[prost(uint64, tag = "5")]
    pub runtime: u64,
    /// Deadline scheduling: relative deadline in nanoseconds.
    #[prost(uint64, tag = "6")]
    pub deadline: u64,
    /// Deadline scheduling: period in nanoseconds.
    #[prost(uint64, tag = "7")]
    pub period: u64,
}

/// Scheduling policy of sched_setattr(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
#[allow(missing_docs)] // the kernel's names
pub enum LinuxSchedulerPolicy {
    None = 0,
    Other = 1,
    Fifo = 2,
    Rr = 3,
    Batch = 4,
    Iso = 5,
    Idle = 6,
    Deadline = 7,
}

/// Flag of sched_setattr(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
#[allow(missing_docs)] // the kernel's names
pub enum LinuxSchedulerFlag {
    ResetOnFork = 0,
    Reclaim = 1,
    DlOverrun = 2,
    KeepPolicy = 3,
    KeepParams = 4,
    UtilClampMin = 5,
    UtilClampMax = 6,
}

/// Intel RDT configuration.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct LinuxRdt {
    /// Class of service.
    #[prost(message, optional, tag = "1")]
    pub clos_id: Option<OptionalString>,
    /// Lines of the class's schemata file.
    #[prost(message, optional, tag = "2")]
    pub schemata: Option<OptionalRepeatedString>,
    /// Whether to create a monitoring group.
    #[prost(message, optional, tag = "3")]
    pub enable_monitoring: Option<OptionalBool>,
    /// Adjustments only: remove the container's RDT configuration.
    #[prost(bool, tag = "4")]
    pub remove: bool,
}

/// NUMA memory policy, as for set_mempolicy(2).
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct LinuxMemoryPolicy {
    /// Mode.
    #[prost(enumeration = "MpolMode", tag = "1")]
    pub mode: i32,
    /// NUMA nodes as a list of ranges, such as `0-1,3`.
    #[prost(string, tag = "2")]
    pub nodes: String,
    /// Mode flags.
    #[prost(enumeration = "MpolFlag", repeated, tag = "3")]
    pub flags: Vec<i32>,
}

/// Mode of set_mempolicy(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
#[allow(missing_docs)] // the kernel's names
pub enum MpolMode {
    Default = 0,
    Preferred = 1,
    Bind = 2,
    Interleave = 3,
    Local = 4,
    PreferredMany = 5,
    WeightedInterleave = 6,
}

/// Mode flag of set_mempolicy(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
#[allow(missing_docs)] // the kernel's names
pub enum MpolFlag {
    StaticNodes = 0,
    RelativeNodes = 1,
    NumaBalancing = 2,
}
