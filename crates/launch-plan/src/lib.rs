//! The launch plan: what the host decided, in the form the launcher applies.
//!
//! The host compiles a profile to a [`LaunchPlan`] and writes it into the directory that every
//! sandboxed container mounts read-only; `nono` reads it there and does nothing that the plan does
//! not say. The format is versioned, because a container can be started by a launcher that is one
//! release older or newer than the plugin that wrote its plan.
//!
//! Invariants:
//! - A decoded plan is valid: paths are absolute and normal, every right of a rule is handled, and
//!   every right stands under the ABI that introduced it.
//! - Encoding is deterministic, so equal plans have equal digests.
//!
//! Not here: reading profiles (crate `kubefence-profile`) and any system call (the launcher).

#![forbid(unsafe_code)]

mod grouped;
pub mod judge;
mod name;
mod place;
mod plan;
mod rights;
mod seccomp;

pub use name::{InvalidProfileName, ProfileName};
pub use place::{InvalidPlace, Place, Variable};
pub use plan::{
    Create, DecodeError, FORMAT, Handled, InvalidPlan, LaunchPlan, MAX_PLAN_SIZE, OLDEST_FORMAT,
    PathRule, PortRule, Volumes,
};
#[cfg(feature = "digest")]
pub use plan::{EncodedPlan, InvalidPlanDigest, PlanDigest};
pub use rights::{Abi, FsRight, FsRights, NetRight, Scope};
pub use seccomp::{Arch, Bpf, CapabilityAllowance, SeccompFilter};

/// Where the host directory with launcher, profiles and plans is mounted in every sandboxed container.
pub const MOUNT_POINT: &str = "/nono";

/// The launcher inside a sandboxed container.
pub const LAUNCHER: &str = "/nono/nono";

/// Directory below [`MOUNT_POINT`] with one link per profile: `NAME.json` to `../plans/DIGEST.json`.
pub const PROFILES_DIR: &str = "profiles";

/// Directory below [`MOUNT_POINT`] with the plans, named by digest.
pub const PLANS_DIR: &str = "plans";
