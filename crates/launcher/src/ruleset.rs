//! From a plan to Landlock: the one place that talks to the `landlock` crate.
//!
//! Invariants:
//! - Rights are those that the plan names for the kernel's ABI, as hard requirements: the crate may drop
//!   nothing silently.
//! - `restrict` returns only when the domain and no_new_privs are in force, whatever the system calls answered: a
//!   seccomp profile of the pod can make one that did nothing look like a success.

mod witness;

use std::os::fd::{AsRawFd as _, OwnedFd};

use kubefence_launch_plan::{Abi, FsRight, FsRights, LaunchPlan, NetRight, PortRule, Scope};
use landlock::{
    AccessFs, AccessNet, AddRuleError, AddRulesError, BitFlags, CompatLevel, Compatible,
    CreateRulesetError, LandlockStatus, NetPort, PathBeneath, RestrictSelf, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError,
};

use crate::errno::Errno;
use crate::places::Grant;
use crate::sys;
use witness::Witness;

/// LANDLOCK_RESTRICT_SELF_LOG_NEW_EXEC_ON: denials after the workload's own execve are audited.
const LOG_NEW_EXEC: u32 = 1 << 1;

/// The ABI from which denials after the workload's own execve can be audited.
const AUDIT_ABI: Abi = 7;

/// Why the sandbox cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum SandboxError {
    #[error(
        "Landlock is missing (the profile needs ABI {needed}): the kernel is older than 5.13 or built without it, or a seccomp profile hides it; {SECCOMP} or use another node"
    )]
    NotBuilt {
        needed: Abi,
        #[source]
        errno: Errno,
    },
    #[error(
        "Landlock is off on this node (the profile needs ABI {needed}): add landlock to the kernel's lsm= list"
    )]
    Disabled { needed: Abi },
    #[error("{call} is blocked: {SECCOMP}")]
    Blocked {
        call: &'static str,
        #[source]
        errno: Errno,
    },
    #[error(
        "the profile needs Landlock ABI {needed}, this kernel has {found}: run the pod on a newer kernel or choose a profile that needs less"
    )]
    TooOld { needed: Abi, found: Abi },
    #[error(
        "landlock_restrict_self: {errno}: 16 sandboxes are nested already, the kernel's limit: wrap once, not every command"
    )]
    TooDeep { errno: Errno },
    #[error("{call} failed for {target}")]
    Call {
        call: &'static str,
        target: String,
        #[source]
        errno: Errno,
    },
    #[error("the sandbox is not in force: {0}: {SECCOMP}")]
    NotInForce(&'static str),
    #[error("the kernel would enforce only a part of the profile ({0}): please report it")]
    Partial(String),
}

const SECCOMP: &str = "allow landlock_create_ruleset, landlock_add_rule, landlock_restrict_self and prctl in \
     the pod's seccomp profile";

/// The kernel's Landlock ABI, at most the newest that this build knows, if `plan` accepts it.
pub(crate) fn accepted_abi(plan: &LaunchPlan) -> Result<Abi, SandboxError> {
    let needed = plan.min_abi;
    // Asks for the version, and does nothing else as long as no flag is set.
    let probe = RestrictSelf::default().no_new_privs(false).apply();
    match probe.map_err(|e| explain(e, "the version query"))?.landlock {
        LandlockStatus::Available {
            effective_abi,
            kernel_abi,
        } => {
            let found = kernel_abi.map_or(effective_abi as Abi, |abi| abi.unsigned_abs());
            check_minimum(needed, found).map(|()| effective_abi as Abi)
        }
        LandlockStatus::NotEnabled => Err(SandboxError::Disabled { needed }),
        LandlockStatus::NotImplemented => Err(match sys::probe_landlock() {
            Err(errno @ Errno(libc::EPERM | libc::EACCES)) => SandboxError::Blocked {
                call: "landlock_create_ruleset",
                errno,
            },
            result => SandboxError::NotBuilt {
                needed,
                errno: result.err().unwrap_or(Errno(libc::ENOSYS)),
            },
        }),
    }
}

fn check_minimum(needed: Abi, found: Abi) -> Result<(), SandboxError> {
    if found < needed {
        Err(SandboxError::TooOld { needed, found })
    } else {
        Ok(())
    }
}

/// What a plan demands of a kernel with a given ABI.
#[derive(Debug, PartialEq, Eq)]
struct Demands {
    fs: BitFlags<AccessFs>,
    net: BitFlags<AccessNet>,
    scopes: BitFlags<landlock::Scope>,
    log_new_exec: bool,
}

impl Demands {
    fn of(plan: &LaunchPlan, abi: Abi) -> Self {
        Self {
            fs: access_fs(plan.handled_fs(abi)),
            net: plan.handled_net(abi).into_iter().map(access_net).collect(),
            scopes: plan.handled_scopes(abi).into_iter().map(scope).collect(),
            log_new_exec: plan.log_denials && abi >= AUDIT_ABI,
        }
    }
}

/// A ruleset under construction.
pub(crate) struct Sandbox {
    ruleset: RulesetCreated,
    net: BitFlags<AccessNet>,
    flags: u32,
    witness: Witness,
}

impl Sandbox {
    /// Creates a ruleset that denies everything `plan` handles on a kernel of `abi`. That `own`, the launcher's
    /// directory, is shut afterwards shows that it is in force.
    pub(crate) fn new(plan: &LaunchPlan, abi: Abi, own: OwnedFd) -> Result<Self, SandboxError> {
        let demands = Demands::of(plan, abi);
        let ruleset = create(&demands).map_err(|error| explain(error, "the ruleset"))?;
        Ok(Self {
            ruleset,
            net: demands.net,
            flags: if demands.log_new_exec {
                LOG_NEW_EXEC
            } else {
                0
            },
            witness: Witness::new(own),
        })
    }

    /// Allows what `grant` says; `target` names it in an error.
    pub(crate) fn allow(
        mut self,
        grant: Grant,
        target: impl Fn() -> String,
    ) -> Result<Self, SandboxError> {
        self.witness.heed(&grant);
        let rule = PathBeneath::new(grant.place, access_fs(grant.rights));
        let ruleset = self.ruleset.add_rule(rule);
        let ruleset = ruleset.map_err(|error| explain(error, &target()))?;
        Ok(Self { ruleset, ..self })
    }

    /// Allows what `rule` says of a TCP port, as far as it is denied at all.
    pub(crate) fn allow_port(self, rule: &PortRule) -> Result<Self, SandboxError> {
        let rights: BitFlags<AccessNet> = rule.rights.iter().copied().map(access_net).collect();
        let rights = rights & self.net;
        if rights.is_empty() {
            return Ok(self);
        }
        let ruleset = self.ruleset.add_rule(NetPort::new(rule.port, rights));
        let target = || format!("TCP port {} ({})", rule.port, rule.origin);
        let ruleset = ruleset.map_err(|error| explain(error, &target()))?;
        Ok(Self { ruleset, ..self })
    }

    /// Sets no_new_privs, enters the sandbox, and looks whether both are in force.
    pub(crate) fn restrict(self) -> Result<(), SandboxError> {
        let fail = |call| move |errno| failed(call, "this process", errno);
        sys::set_no_new_privs().map_err(fail("prctl(PR_SET_NO_NEW_PRIVS)"))?;
        if !sys::has_no_new_privs() {
            return Err(SandboxError::NotInForce("no_new_privs is not set"));
        }
        let ruleset = Option::<OwnedFd>::from(self.ruleset)
            .ok_or_else(|| SandboxError::Partial("no ruleset".to_owned()))?;
        let number = ruleset.as_raw_fd();
        sys::restrict_self(number, self.flags).map_err(fail("landlock_restrict_self"))?;
        drop(ruleset);
        // The same call once more, now without a ruleset: the kernel complains. A filter sees only numbers, and has
        // to give the answer that it gave before.
        match sys::restrict_self(number, self.flags) {
            Err(Errno(libc::EBADF)) => self.witness.confirm(),
            _ => Err(SandboxError::NotInForce(
                "landlock_restrict_self is answered without being made",
            )),
        }
    }
}

fn create(demands: &Demands) -> Result<RulesetCreated, RulesetError> {
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(demands.fs)?;
    if !demands.net.is_empty() {
        ruleset = ruleset.handle_access(demands.net)?;
    }
    if !demands.scopes.is_empty() {
        ruleset = ruleset.scope(demands.scopes)?;
    }
    ruleset.create()
}

/// Names the system call that failed, and what to do about the failures that have a remedy.
fn explain(error: RulesetError, target: &str) -> SandboxError {
    let (call, source) = match &error {
        RulesetError::CreateRuleset(CreateRulesetError::CreateRulesetCall { source, .. }) => {
            ("landlock_create_ruleset", source)
        }
        RulesetError::AddRules(
            AddRulesError::Fs(AddRuleError::AddRuleCall { source, .. })
            | AddRulesError::Net(AddRuleError::AddRuleCall { source, .. }),
        ) => ("landlock_add_rule", source),
        other => return SandboxError::Partial(other.to_string()),
    };
    failed(call, target, Errno::of(source))
}

fn failed(call: &'static str, target: &str, errno: Errno) -> SandboxError {
    match errno {
        Errno(libc::E2BIG) if call == "landlock_restrict_self" => SandboxError::TooDeep { errno },
        Errno(libc::EPERM | libc::ENOSYS) => SandboxError::Blocked { call, errno },
        errno => SandboxError::Call {
            call,
            target: target.to_owned(),
            errno,
        },
    }
}

fn access_fs(rights: FsRights) -> BitFlags<AccessFs> {
    rights.iter().map(one_access_fs).collect()
}

fn one_access_fs(right: FsRight) -> AccessFs {
    match right {
        FsRight::Execute => AccessFs::Execute,
        FsRight::WriteFile => AccessFs::WriteFile,
        FsRight::ReadFile => AccessFs::ReadFile,
        FsRight::ReadDir => AccessFs::ReadDir,
        FsRight::RemoveDir => AccessFs::RemoveDir,
        FsRight::RemoveFile => AccessFs::RemoveFile,
        FsRight::MakeChar => AccessFs::MakeChar,
        FsRight::MakeDir => AccessFs::MakeDir,
        FsRight::MakeReg => AccessFs::MakeReg,
        FsRight::MakeSock => AccessFs::MakeSock,
        FsRight::MakeFifo => AccessFs::MakeFifo,
        FsRight::MakeBlock => AccessFs::MakeBlock,
        FsRight::MakeSym => AccessFs::MakeSym,
        FsRight::Refer => AccessFs::Refer,
        FsRight::Truncate => AccessFs::Truncate,
        FsRight::IoctlDev => AccessFs::IoctlDev,
    }
}

fn access_net(right: NetRight) -> AccessNet {
    match right {
        NetRight::BindTcp => AccessNet::BindTcp,
        NetRight::ConnectTcp => AccessNet::ConnectTcp,
    }
}

fn scope(scope: Scope) -> landlock::Scope {
    match scope {
        Scope::AbstractUnixSocket => landlock::Scope::AbstractUnixSocket,
        Scope::Signal => landlock::Scope::Signal,
    }
}

#[cfg(test)]
mod tests;
