//! Fakes and builders for tests of this workspace; not published.
//!
//! [`fake_runtime`] is the runtime's side of NRI over a real unix socket. It shares the message types with
//! `nri-plugin` but none of its wire code, so that one checks the other.
#![forbid(unsafe_code)]

pub mod builders;
pub mod fake_runtime;

pub use builders::{ContainerBuilder, PodBuilder};
pub use fake_runtime::{FakeError, FakeRuntime, Session};
