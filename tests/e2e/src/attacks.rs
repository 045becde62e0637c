//! The attack suite: what an image, a pod's author or a process in a container may try to get around the sandbox.
//!
//! The battery runs inside containers and is the same everywhere; the other attacks are about how containers are put
//! together. Each has a control without the sandbox that reaches its goal, on the same node.

pub mod battery;
pub mod cells;
mod disk;
mod ground;
mod inside;
pub mod outcome;
pub mod place;
pub mod rogue;
pub mod stage;
pub mod structural;
pub mod suite;
pub mod table;
