//! Sandbox profiles: from the file that an operator reads to the plan that the launcher applies.
//!
//! ```text
//! ProfileSource (a file) ──resolve──▶ ResolvedProfile (grants, denials) ──compile──▶ LaunchPlan
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
mod resolve;
mod source;

pub use access::Access;
pub use catalog::{Catalog, CatalogError};
pub use kubefence_launch_plan::{
    EncodedPlan, InvalidProfileName, LAUNCHER, LaunchPlan, MOUNT_POINT, PLANS_DIR, PROFILES_DIR,
    PlanDigest, ProfileName,
};
pub use resolve::{Grant, ResolveError, ResolvedProfile};
pub use source::{Group, ProfileSource, WorkdirAccess};
