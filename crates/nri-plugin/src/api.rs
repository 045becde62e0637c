//! The NRI v1alpha1 messages, as of NRI 0.12 (plus `Container.image`, which follows it).
//!
//! Purpose: plain data types that encode to and decode from the wire format of every NRI release; older
//! peers leave the fields they do not know at their defaults. Non-goals: behaviour, validation, defaults
//! other than protobuf's. Invariant: field numbers and types are those of the upstream API, which
//! `tests/conformance.rs` pins against bytes written by the Go implementation.
//!
//! Message-typed fields are `Option`s because protobuf distinguishes absent from empty; enumerations are
//! stored as `i32` with a typed accessor of the same name, because a newer peer may send values that this
//! version does not know.

mod adjustment;
mod container;
mod event;
mod linux;
mod optional;
mod pod;
mod resources;
mod rpc;
mod seccomp;
mod validation;

pub use adjustment::*;
pub use container::*;
pub use event::*;
pub use linux::*;
pub use optional::*;
pub use pod::*;
pub use resources::*;
pub use rpc::*;
pub use seccomp::*;
pub use validation::*;
