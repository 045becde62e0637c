//! Seccomp filters, compiled on the host for the launch plan.
//!
//! There are two kinds. [`runtime_filter`] is what the runtimes' default profile refuses, or more: for pods
//! that run without one. [`network_filter`] refuses the ways round Landlock's rules on TCP ports.
//!
//! Invariants:
//! - Equal input yields equal bytes, on every host and for every architecture.
//! - Nothing is left out silently: a system call that the table does not know is an error, and one that
//!   an architecture does not have is marked so in the table.
//! - Integer arguments are compared as the kernel reads them: the lower 32 bits.
//!
//! Not here: the choice of filters (the profile's), installing them (the launcher's).

#![forbid(unsafe_code)]

mod network;
mod profile;
mod program;
mod rules;
mod syscalls;
mod uapi;

pub use network::{NetworkRules, network_filter};
pub use profile::{Profile, UnknownProfile, runtime_filter};
pub use program::MAX_INSTRUCTIONS;

/// Why a filter cannot be compiled. Each is a mistake in this crate, never one of its caller.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// A name that the table of system calls lacks.
    #[error("system call {0:?} is not in the table")]
    UnknownSyscall(String),
    /// A call stands in the same rules both with and without conditions.
    #[error("system call {0:?} has rules with and without conditions")]
    Contradiction(String),
    /// The compiler refused the rules.
    #[error("the rules cannot be compiled")]
    Compiler(#[from] seccompiler::BackendError),
    /// The compiler's output does not have the shape that it is put together from.
    #[error("the compiler's program has another shape than expected")]
    Shape,
    /// The kernel takes at most [`MAX_INSTRUCTIONS`].
    #[error("the filter has {0} instructions, more than {MAX_INSTRUCTIONS}")]
    TooLong(usize),
}

#[cfg(test)]
mod tests;
