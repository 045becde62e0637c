//! The filters that refuse what the runtimes refuse by default, or more.

use std::fmt;
use std::str::FromStr;

use kubefence_launch_plan::{Arch, CapabilityAllowance, SeccompFilter};

use crate::CompileError;
use crate::program::{ALLOW, Program, refuse};
use crate::rules::{Arg, Rules};
use crate::syscalls::names;
use crate::uapi::*;

/// How much a filter refuses. What is not listed as allowed is refused with EPERM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Profile {
    /// What the default profile of containerd refuses.
    RuntimeDefault,
    /// More: nothing depends on capabilities, and what only debuggers, virtual machines and exploits call
    /// is refused.
    Restricted,
}

/// Text that names no [`Profile`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no seccomp profile: use \"restricted\" or \"runtime-default\"")]
pub struct UnknownProfile(String);

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 2] = [Self::RuntimeDefault, Self::Restricted];

    /// The name in configuration files.
    pub fn name(self) -> &'static str {
        match self {
            Self::RuntimeDefault => "runtime-default",
            Self::Restricted => "restricted",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Profile {
    type Err = UnknownProfile;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let profile = Self::ALL.into_iter().find(|p| p.name() == text);
        profile.ok_or_else(|| UnknownProfile(text.to_owned()))
    }
}

const RUNTIME_DEFAULT: &str = include_str!("../data/runtime-default.txt");

/// What the runtime's default allows and the restricted profile does not, whatever the arguments.
const REFUSED: [&str; 5] = [
    "name_to_handle_at",
    "process_vm_readv",
    "process_vm_writev",
    "ptrace",
    "vmsplice",
];

/// What the runtime's default always allows, and the restricted profile with some arguments only.
const CONDITIONAL: [&str; 2] = ["ioctl", "socketpair"];

/// Capabilities by number (capabilities(7)), and what one of them is enough for.
const ALLOWANCES: [(u8, &[&str]); 14] = [
    (2, &["open_by_handle_at"]), // CAP_DAC_READ_SEARCH
    (16, &["delete_module", "finit_module", "init_module"]), // CAP_SYS_MODULE
    (17, &["ioperm", "iopl"]),   // CAP_SYS_RAWIO
    (18, &["chroot"]),           // CAP_SYS_CHROOT
    (19, &["kcmp", "pidfd_getfd", "process_madvise"]), // CAP_SYS_PTRACE
    (20, &["acct"]),             // CAP_SYS_PACCT
    (21, &ADMINISTRATION),       // CAP_SYS_ADMIN
    (22, &["reboot"]),           // CAP_SYS_BOOT
    (23, &MEMORY_POLICY),        // CAP_SYS_NICE
    (
        25,
        &["clock_settime", "clock_settime64", "settimeofday", "stime"],
    ), // CAP_SYS_TIME
    (26, &["vhangup"]),          // CAP_SYS_TTY_CONFIG
    (34, &["syslog"]),           // CAP_SYSLOG
    (38, &["perf_event_open"]),  // CAP_PERFMON
    (39, &["bpf"]),              // CAP_BPF
];

const ADMINISTRATION: [&str; 23] = [
    "bpf",
    "clone",
    "clone3",
    "fanotify_init",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "lookup_dcookie",
    "mount",
    "mount_setattr",
    "move_mount",
    "open_tree",
    "perf_event_open",
    "quotactl",
    "quotactl_fd",
    "setdomainname",
    "sethostname",
    "setns",
    "syslog",
    "umount",
    "umount2",
    "unshare",
];

const MEMORY_POLICY: [&str; 4] = [
    "get_mempolicy",
    "mbind",
    "set_mempolicy",
    "set_mempolicy_home_node",
];

/// The filter of `profile` for processes of `arch`.
///
/// # Errors
/// Only if this crate contradicts itself.
pub fn runtime_filter(profile: Profile, arch: Arch) -> Result<SeccompFilter, CompileError> {
    // Programs try clone3 first, and fall back on clone, whose flags a filter can see, only on ENOSYS.
    let program = Program::new(arch)?
        .refuse_newer(arch)
        .then(Rules::new(arch).all(["clone3"])?, &refuse(ENOSYS))?
        .then(allowed(profile, arch)?, &ALLOW)?
        .otherwise(&refuse(EPERM))
        .encode()?;
    let allowances = match profile {
        Profile::RuntimeDefault => allowances(arch)?,
        Profile::Restricted => Vec::new(),
    };
    Ok(SeccompFilter {
        name: profile.to_string(),
        arch,
        allowances,
        program,
    })
}

fn allowances(arch: Arch) -> Result<Vec<CapabilityAllowance>, CompileError> {
    let allowance = |(capability, names): (u8, &[&str])| {
        let rules = Rules::new(arch).all(names.iter().copied())?;
        let instructions = Program::new(arch)?.then(rules, &ALLOW)?.encode()?;
        Ok(CapabilityAllowance {
            any_of: vec![capability],
            instructions,
        })
    };
    ALLOWANCES.into_iter().map(allowance).collect()
}

/// What a process without any special capability may call.
fn allowed(profile: Profile, arch: Arch) -> Result<Rules, CompileError> {
    let names = names(RUNTIME_DEFAULT.lines());
    let rules = Rules::new(arch).when("clone", &[Arg::Masked(0, CLONE_NEW, 0)])?;
    match profile {
        Profile::RuntimeDefault => runtime_default(rules.all(names)?),
        Profile::Restricted => {
            let kept = names.filter(|n| !REFUSED.contains(n) && !CONDITIONAL.contains(n));
            restricted(rules.all(kept)?)
        }
    }
}

fn runtime_default(rules: Rules) -> Result<Rules, CompileError> {
    // PER_LINUX, PER_LINUX32, both with UNAME26, and the question which one it is.
    let personalities = [0, 0x0008, 0x20000, 0x20008, u32::MAX];
    let rules = when_first_is(rules, "personality", &personalities)?;
    // Every family but AF_ALG and AF_VSOCK; 0 is none.
    let rules = rules.when("socket", &[Arg::Below(0, AF_ALG)])?;
    let families = [AF_NFC, AF_KCM, AF_QIPCRTR, AF_SMC, AF_XDP, AF_MCTP];
    when_first_is(rules, "socket", &families)
}

fn restricted(rules: Rules) -> Result<Rules, CompileError> {
    let rules = when_first_is(rules, "personality", &[0, u32::MAX])?;
    let rules = when_first_is(rules, "socket", &[AF_UNIX, AF_INET, AF_INET6])?;
    rules
        .when(
            "socket",
            &[Arg::Is(0, AF_NETLINK), Arg::Is(2, NETLINK_ROUTE)],
        )?
        .when("socketpair", &[Arg::Is(0, AF_UNIX)])?
        .when("ioctl", &[Arg::IsNot(1, TIOCSTI), Arg::IsNot(1, TIOCLINUX)])
}

fn when_first_is(rules: Rules, name: &str, values: &[u32]) -> Result<Rules, CompileError> {
    let mut values = values.iter();
    values.try_fold(rules, |rules, value| {
        rules.when(name, &[Arg::Is(0, *value)])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_from_the_default_is_in_it() {
        let default: Vec<&str> = names(RUNTIME_DEFAULT.lines()).collect();
        for name in REFUSED.iter().chain(&CONDITIONAL) {
            assert!(default.contains(name), "{name}");
        }
    }

    #[test]
    fn names_are_those_of_the_configuration() {
        for profile in Profile::ALL {
            assert_eq!(profile.to_string().parse(), Ok(profile));
        }
        let error = Profile::from_str("strict").unwrap_err();
        assert!(error.to_string().contains("runtime-default"));
    }
}
