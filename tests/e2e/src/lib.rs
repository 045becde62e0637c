//! Harness, demo and checks on real container runtimes.
//!
//! Everything here drives the built binaries from outside, through the container runtime, exactly as a kubelet
//! would; of the product's crates only the SDK is linked, for the attack suite's own hostile plugin. One
//! [`node::Node`] is a private runtime in a scratch directory, with plugin and guard as asked for; it never touches the
//! machine's own runtimes, and takes everything away when dropped.

#![forbid(unsafe_code)]

pub mod agents;
pub mod attacks;
pub mod chaos;
pub mod checks;
pub mod cleanup;
pub mod cri;
pub mod daemon;
pub mod demo;
pub mod guard;
pub mod images;
pub mod install;
pub mod machine;
pub mod node;
pub mod plugin;
pub mod pod;
pub mod podman;
pub mod repository;
pub mod scratch;
pub mod subprocess;
pub mod systemd;
pub mod terminal;
pub mod wait;
