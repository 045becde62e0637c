//! Sandbox profiles: from the file that an operator writes to the plan that the launcher applies.
//!
//! ```text
//! text ──read──▶ ProfileSource ──resolve──▶ ResolvedProfile (grants, denials) ──compile──▶ LaunchPlan
//! ```
//!
//! Everything here is pure: no system call, no clock, no environment. What depends on the container
//! (its home, its working directory, its program) stays a variable in the plan, and the launcher
//! judges what it turns out to be.
//!
//! Not here: writing plans to disk (the plugin) and applying them (the launcher).

#![forbid(unsafe_code)]

mod access;
mod catalog;
mod compile;
mod conflict;
mod diagnostic;
mod document;
mod explain;
mod groups;
mod inherit;
mod keys;
mod path;
mod reader;
mod reference;
mod resolve;
mod schema;
mod source;
mod suggest;

pub use access::Access;
pub use catalog::{Catalog, CatalogError, Provenance, Rejected};
pub use compile::{CompileError, CompileOptions};
pub use diagnostic::{Diagnostic, Severity};
pub use document::{Located, Location, MAX_SIZE};
pub use explain::{
    Explanation, Operation, PortExplanation, PortOperation, RightExplained, RuleNamed,
    Surroundings, UnknownPath, Verdict,
};
pub use groups::{Group, Groups};
pub use keys::{Effect, KEYS, Key, Kind};
pub use kubefence_launch_plan::{
    Abi, Arch, EncodedPlan, FsRight, FsRights, InvalidPlanDigest, InvalidProfileName, LAUNCHER,
    LaunchPlan, MOUNT_POINT, PLANS_DIR, PROFILES_DIR, Place, PlanDigest, ProfileName, Variable,
    Volumes, judge,
};
pub use kubefence_seccomp::Profile as SeccompProfile;
pub use reader::{Reading, read_profile};
pub use reference::reference;
pub use resolve::{Denial, Dropped, Grant, Landlock, Network, ResolvedProfile, Unenforceable};
pub use schema::schema;
pub use source::{OnMissing, ProfileSource, Stated, Statements};
