//! Seccomp filters, shaped like the OCI spec's.

use super::OptionalUInt32;

/// A seccomp filter.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct LinuxSeccomp {
    /// Action for system calls that no rule names, such as `SCMP_ACT_ERRNO`.
    #[prost(string, tag = "1")]
    pub default_action: String,
    /// Error number of the default action; runtimes lose it when an adjustment sets it.
    #[prost(message, optional, tag = "2")]
    pub default_errno: Option<OptionalUInt32>,
    /// Architectures, such as `SCMP_ARCH_X86_64`.
    #[prost(string, repeated, tag = "3")]
    pub architectures: Vec<String>,
    /// Filter flags, such as `SECCOMP_FILTER_FLAG_LOG`.
    #[prost(string, repeated, tag = "4")]
    pub flags: Vec<String>,
    /// Socket of the agent for `SCMP_ACT_NOTIFY`.
    #[prost(string, tag = "5")]
    pub listener_path: String,
    /// Opaque data for that agent.
    #[prost(string, tag = "6")]
    pub listener_metadata: String,
    /// Rules.
    #[prost(message, repeated, tag = "7")]
    pub syscalls: Vec<LinuxSyscall>,
}

/// A rule of a seccomp filter.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct LinuxSyscall {
    /// System calls by name.
    #[prost(string, repeated, tag = "1")]
    pub names: Vec<String>,
    /// Action, such as `SCMP_ACT_ALLOW`.
    #[prost(string, tag = "2")]
    pub action: String,
    /// Error number for `SCMP_ACT_ERRNO` and `SCMP_ACT_TRACE`.
    #[prost(message, optional, tag = "3")]
    pub errno_ret: Option<OptionalUInt32>,
    /// Conditions on the arguments, all of which must hold.
    #[prost(message, repeated, tag = "4")]
    pub args: Vec<LinuxSeccompArg>,
}

/// A condition on a system call argument.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct LinuxSeccompArg {
    /// Index of the argument, 0 to 5.
    #[prost(uint32, tag = "1")]
    pub index: u32,
    /// Operand, or the mask of `SCMP_CMP_MASKED_EQ`.
    #[prost(uint64, tag = "2")]
    pub value: u64,
    /// Second operand of `SCMP_CMP_MASKED_EQ`.
    #[prost(uint64, tag = "3")]
    pub value_two: u64,
    /// Comparison, such as `SCMP_CMP_EQ`.
    #[prost(string, tag = "4")]
    pub op: String,
}
