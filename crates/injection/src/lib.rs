//! The wrap contract: how a container is changed so that its process starts under a profile, and how
//! to tell that a container was changed that way.
//!
//! This is the one place that knows the contract. It edits and judges plain values, so the same code
//! serves everything on the host that starts containers, and it does no I/O.
//!
//! Invariants:
//! - [`Injection::plan`] and [`verify()`] agree: whatever the first produces, the second accepts.
//! - [`wrapping`] reads back what [`Injection::plan`] and [`wrap_prefix`] write, to the element: what follows is the
//!   original command. It takes nothing else for a wrap, not even what the launcher would accept.
//! - Wrapping what was unwrapped yields the same again, `PATH` included.
//! - A container whose own mounts could cover the launcher is refused, never silently repaired.
//!
//! Limit: mount destinations are judged as text. A link in the image can redirect a mount to `/nono`
//! all the same; only code that sees the root file system can notice.

#![forbid(unsafe_code)]

mod annotation;
mod destination;
mod flags;
mod verify;
mod wrap;

pub use annotation::{CONTAINER_ANNOTATION_PREFIX, POD_ANNOTATION, ProfileChoice, choose_profile};
pub use destination::may_cover_launcher;
pub use flags::{Flags, Wrapping, wrap_prefix, wrapping};
pub use verify::{NotWrapped, is_launcher_mount, verify};
pub use wrap::{
    BindMount, Injection, InvalidLauncherPath, LauncherDir, PROFILE_VARIABLE, Refusal,
    wrapped_profile,
};

/// The parts of a container that the contract is about.
#[derive(Clone, Copy, Debug)]
pub struct Container<'a> {
    /// Its command and arguments.
    pub args: &'a [String],
    /// Its environment, `KEY=VALUE`.
    pub env: &'a [String],
    /// Its mounts.
    pub mounts: &'a [Mount<'a>],
}

/// A mount of a container.
#[derive(Clone, Copy, Debug)]
pub struct Mount<'a> {
    /// Where it appears in the container.
    pub destination: &'a str,
    /// What appears there.
    pub source: &'a str,
    /// Its type, such as `bind`.
    pub kind: &'a str,
    /// Its options, as the runtime spells them.
    pub options: &'a [String],
}
