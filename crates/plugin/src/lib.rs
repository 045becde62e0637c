//! The NRI plugin: it decides for each container whether and how it is sandboxed, and tells the
//! runtime.
//!
//! The path of one container: [`handler`] receives the event, [`decision`] decides from the pod's
//! handler and annotations, crate `kubefence-injection` plans the edits, and the runtime applies
//! them. The same decision is taken again when the runtime validates, has created, and is about to
//! start the container; what the runtime then reports must match it, or the container is refused.
//! So nothing needs to be remembered between events. Where the guard comes after the plugin, its record of a container
//! stands in for a wrapped spec.
//!
//! Not here: the wire protocol (`nri-plugin`), the wrap contract (`kubefence-injection`), profiles
//! (`kubefence-profile`), enforcement (the launcher).

#![forbid(unsafe_code)]

pub mod cli;
pub mod config;
pub mod connection;
pub mod custom_profiles;
pub mod decision;
pub mod endpoints;
pub mod findings;
mod foreign;
mod guard;
pub mod handler;
pub mod health;
pub mod kernel;
pub mod logging;
pub mod metrics;
pub mod profile_dir;
pub mod profile_set;
pub mod readiness;
pub mod recorder;
pub mod reload;
mod report;
pub mod run;
pub mod state;
mod view;
