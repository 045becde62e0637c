//! What the benchmarks share: a node with the built binaries, pods, and statistics.

#![forbid(unsafe_code)]

pub mod guard;
pub mod launcher;
pub mod machine;
pub mod node;
pub mod plugin;
pub mod sample;
