//! The plan's seccomp filters: put together for this process's capabilities, installed, confirmed.
//!
//! Invariants:
//! - Every filter is installed, or the launch ends. The kernel is asked how many there are: a seccomp profile
//!   of the pod can answer the call with success without making it.
//! - A filter for another architecture is never installed: its numbers mean other calls.

use kubefence_launch_plan::{Arch, SeccompFilter};

use crate::errno::Errno;
use crate::procfs::{ProcFs, ProcFsError, StatusFile};
use crate::report::Shown;
use crate::sys;

/// What the kernel takes as one filter.
const MAX_INSTRUCTIONS: usize = 4096;

/// Why the filters are not in force.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum SeccompError {
    #[error(
        "the seccomp filter {0} is for another architecture: install a plugin that knows the architecture of this node"
    )]
    Architecture(Shown),
    #[error(
        "the seccomp filter {0} has {1} instructions, the kernel takes {MAX_INSTRUCTIONS}: please report it"
    )]
    TooLong(Shown, usize),
    #[error("seccomp is blocked: {PROFILE}")]
    Blocked(#[source] Errno),
    #[error("the kernel does not take the seccomp filter {0}: please report it")]
    NotTaken(Shown, #[source] Errno),
    #[error("the seccomp filters are not in force: {PROFILE}")]
    NotInForce,
    #[error(transparent)]
    ProcFs(#[from] ProcFsError),
}

const PROFILE: &str =
    "allow seccomp and prctl in the pod's seccomp profile, or use a kernel with seccomp filters";

/// What is needed to confirm that filters are in force.
pub(crate) struct Witness {
    status: StatusFile,
    before: Option<u32>,
}

impl Witness {
    /// To be called before restriction, which may close `/proc`. `None` if there is nothing to confirm.
    pub(crate) fn new(
        proc: &ProcFs,
        filters: &[SeccompFilter],
    ) -> Result<Option<Self>, SeccompError> {
        if filters.is_empty() {
            return Ok(None);
        }
        let status = proc.status()?;
        let before = status.seccomp_filters()?;
        Ok(Some(Self { status, before }))
    }

    /// Whether `count` filters more are in force than before; where the kernel does not count them, whether
    /// any is.
    fn confirms(&self, count: usize) -> Result<bool, SeccompError> {
        let Some(before) = self.before else {
            return Ok(sys::is_filtered());
        };
        let expected = u32::try_from(count)
            .ok()
            .and_then(|n| before.checked_add(n));
        Ok(expected.is_some() && self.status.seccomp_filters()? == expected)
    }
}

/// Installs `filters`, in their order. Without a `witness` for them nothing can be confirmed, and the launch
/// ends. no_new_privs must be set.
pub(crate) fn install(
    filters: &[SeccompFilter],
    witness: Option<Witness>,
) -> Result<(), SeccompError> {
    let witness = match witness {
        Some(witness) => witness,
        None if filters.is_empty() => return Ok(()),
        None => return Err(SeccompError::NotInForce),
    };
    probe()?;
    for filter in filters {
        let name = || Shown::new(filter.name.as_bytes());
        if Arch::own() != Some(filter.arch) {
            return Err(SeccompError::Architecture(name()));
        }
        let program = assembled(filter, sys::may_have_capability);
        if program.len() > MAX_INSTRUCTIONS {
            return Err(SeccompError::TooLong(name(), program.len()));
        }
        sys::install_filter(&program).map_err(|errno| SeccompError::NotTaken(name(), errno))?;
    }
    match witness.confirms(filters.len())? {
        true => Ok(()),
        false => Err(SeccompError::NotInForce),
    }
}

/// Looks whether the kernel hears the call. A seccomp profile can answer it with success without making it;
/// the kernel complains that there is no filter at the address 0.
fn probe() -> Result<(), SeccompError> {
    match sys::probe_seccomp() {
        Err(Errno(libc::EFAULT)) => Ok(()),
        Err(errno) => Err(SeccompError::Blocked(errno)),
        Ok(()) => Err(SeccompError::NotInForce),
    }
}

/// The instructions of `filter` for a process that may have the capabilities that `has` tells.
fn assembled(filter: &SeccompFilter, has: impl Fn(u8) -> bool) -> Vec<u64> {
    let allowances = filter.allowances.iter();
    let allowances = allowances.filter(|a| a.any_of.iter().any(|c| has(*c)));
    let mut program: Vec<u64> = allowances
        .flat_map(|a| a.instructions.instructions())
        .copied()
        .collect();
    program.extend(filter.program.instructions());
    program
}

#[cfg(test)]
mod tests {
    use kubefence_launch_plan::{Bpf, CapabilityAllowance};

    use super::*;

    #[test]
    fn filters_that_nothing_can_confirm_end_the_launch() {
        let filter = SeccompFilter {
            name: "test".to_owned(),
            arch: Arch::X86_64,
            allowances: Vec::new(),
            program: Bpf::new(vec![6]),
        };
        assert!(matches!(
            install(&[filter], None),
            Err(SeccompError::NotInForce)
        ));
        assert!(install(&[], None).is_ok());
    }

    #[test]
    fn allowances_come_first_and_only_where_a_capability_may_be_had() {
        let allowance = |any_of: &[u8], instruction| CapabilityAllowance {
            any_of: any_of.to_vec(),
            instructions: Bpf::new(vec![instruction]),
        };
        let filter = SeccompFilter {
            name: "test".to_owned(),
            arch: Arch::X86_64,
            allowances: vec![allowance(&[21, 39], 1), allowance(&[18], 2)],
            program: Bpf::new(vec![3, 4]),
        };
        for (capabilities, expected) in [
            (&[][..], &[3, 4][..]),
            (&[39], &[1, 3, 4]),
            (&[18], &[2, 3, 4]),
            (&[18, 21, 39], &[1, 2, 3, 4]),
        ] {
            assert_eq!(assembled(&filter, |c| capabilities.contains(&c)), expected);
        }
    }
}
