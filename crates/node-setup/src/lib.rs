//! Setting up a node for kubefence, and undoing it.
//!
//! - [`install`], [`uninstall`] and [`status`]: what can be done.
//! - [`root`]: the node's file system, wherever it is mounted. [`host`]: what planning may ask of it.
//! - [`runtime`]: which container runtime the node has, and what is to become of its configuration. Pure planning.
//! - [`manifest`]: what was installed, and what was there before. [`files`]: how files change.
//! - [`restart`] and [`cri`]: the runtime while it runs.
//!
//! Not here: the command line, and anything that goes on while containers start.

#![forbid(unsafe_code)]

mod change;
pub mod cri;
pub mod files;
pub mod guard_config;
pub mod host;
pub mod install;
pub mod manifest;
pub mod restart;
pub mod root;
pub mod runtime;
pub mod status;
pub mod uninstall;
mod validate;

pub use change::{Action, FileReport};
