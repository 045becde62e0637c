//! Where the battery runs: roles of containers, kinds of pods, and the two ways into a container.

use std::fmt;

/// A role of a container, or a kind of pod.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Place {
    /// A container that ended before the others began.
    Init,
    /// The container itself.
    Main,
    /// A second container beside it, with the same processes in sight.
    Sidecar,
    /// Added later, in the PID namespace of another container.
    Ephemeral,
    /// In a pod with `hostUsers: false`.
    UserNamespace,
    /// Privileged.
    Privileged,
    /// Privileged, with the host's processes.
    HostPid,
    /// Under a profile that isolates signals and sockets.
    Isolated,
}

impl Place {
    /// All, in the order in which they are reported.
    pub const ALL: [Self; 8] = [
        Self::Init,
        Self::Main,
        Self::Sidecar,
        Self::Ephemeral,
        Self::UserNamespace,
        Self::Privileged,
        Self::HostPid,
        Self::Isolated,
    ];

    /// As in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Main => "main",
            Self::Sidecar => "sidecar",
            Self::Ephemeral => "ephemeral",
            Self::UserNamespace => "user namespace",
            Self::Privileged => "privileged",
            Self::HostPid => "hostPID",
            Self::Isolated => "isolated",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How the attacker got into the container.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Road {
    /// As the container's own command.
    First,
    /// By exec.
    Exec,
}

impl Road {
    /// Both.
    pub const ALL: [Self; 2] = [Self::First, Self::Exec];
}

impl fmt::Display for Road {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::First => "PID 1",
            Self::Exec => "exec",
        })
    }
}
