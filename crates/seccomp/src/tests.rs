//! What the compiled programs answer, asked on a machine that runs them as the kernel does.

mod containerd;
mod machine;
mod network;
mod numbers;
mod profiles;

use kubefence_launch_plan::{Arch, SeccompFilter};

use crate::syscalls::number;
use machine::{Answer, Call};

const ARCHES: [Arch; 2] = [Arch::X86_64, Arch::Aarch64];

/// What `filter` answers a process with `capabilities` in its bounding set.
fn ask(filter: &SeccompFilter, capabilities: &[u8], call: &Call) -> Answer {
    machine::run(&assembled(filter, capabilities), call).0
}

/// The instructions that the launcher installs.
fn assembled(filter: &SeccompFilter, capabilities: &[u8]) -> Vec<u64> {
    let applies = |any_of: &[u8]| any_of.iter().any(|c| capabilities.contains(c));
    let allowances = filter.allowances.iter().filter(|a| applies(&a.any_of));
    let parts = allowances.map(|a| &a.instructions).chain([&filter.program]);
    parts.flat_map(|p| p.instructions()).copied().collect()
}

/// A call by name; `None` if `arch` does not have it.
fn call(arch: Arch, name: &str, args: &[u64]) -> Option<Call> {
    let number = number(name, arch).unwrap()?;
    Some(Call::new(arch, number, args))
}
