//! An SDK for [Node Resource Interface](https://github.com/containerd/nri) (NRI) plugins that fails closed.
//!
//! containerd and CRI-O call NRI plugins when pods and containers come and go; a plugin may adjust a container
//! before it is created. The protocol fails open: if a plugin hangs, panics or hangs up while a container is
//! being created, the runtime drops the plugin and runs the container unadjusted. This crate turns each of
//! these into an error reply where it can, because a reply makes the runtime refuse the container instead.
//!
//! # What it does
//!
//! - Dials the runtime, registers, and reconnects with jittered backoff ([`PluginRunner`]).
//! - Runs each [`Handler`] method on a blocking thread, under a deadline of 80 % of the runtime's own. A method
//!   that panics, fails, blocks or overruns becomes an RPC error that names the plugin, method and container.
//! - Knows which runtime speaks which NRI version and what that version silently drops ([`versions`]), so that
//!   [`Requires::ARGS`] can refuse containers that would otherwise run with their original command line.
//! - Maps the state-change notifications of old runtimes and the dedicated RPCs of new ones to one method.
//!
//! # Non-goals
//!
//! Policy of any kind, logging (the handler sees connects, disconnects and every call), WebAssembly plugins,
//! and the runtime's side of the protocol.
//!
//! # Limits
//!
//! A process that is killed or frozen cannot answer: subscribe to [`Event::ValidateContainerAdjustment`] so
//! that runtimes from NRI 0.10 on refuse the container then, too. Build with unwinding panics; under
//! `panic = "abort"` a panic is a crash. Never ask the runtime for updates from inside a handler: NRI calls are
//! serialised node-wide.
//!
//! # Example
//!
//! ```no_run
//! use std::sync::Arc;
//! use nri_plugin::api::{Container, ContainerUpdate, PodSandbox};
//! use nri_plugin::{Adjustment, CallContext, Event, EventSet, Handler, HandlerError, PluginRunner};
//!
//! struct Greeter;
//!
//! impl Handler for Greeter {
//!     fn events(&self) -> EventSet {
//!         EventSet::of(&[Event::CreateContainer])
//!     }
//!
//!     fn synchronize(
//!         &self,
//!         _ctx: &CallContext,
//!         _pods: Vec<PodSandbox>,
//!         _containers: Vec<Container>,
//!     ) -> Result<Vec<ContainerUpdate>, HandlerError> {
//!         Ok(Vec::new())
//!     }
//!
//!     fn create_container(
//!         &self,
//!         _ctx: &CallContext,
//!         _pod: &PodSandbox,
//!         _container: &Container,
//!     ) -> Result<Adjustment, HandlerError> {
//!         Ok(Adjustment::new().env("GREETING", "hello"))
//!     }
//! }
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! PluginRunner::new("greeter", "50", Arc::new(Greeter))?
//!     .run(std::future::pending())
//!     .await?;
//! # Ok(())
//! # }
//! ```

pub mod api;
pub mod mux;
pub mod versions;

mod adjustment;
mod call;
mod event_set;
mod handler;
mod identity;
mod preinstalled;
mod runner;
mod service;
mod session;
mod status;

pub use adjustment::Adjustment;
pub use api::{Event, ValidateContainerAdjustmentRequest};
pub use call::CallContext;
pub use event_set::EventSet;
pub use handler::{Handler, HandlerError, Requires, Verdict};
pub use identity::InvalidIdentity;
pub use preinstalled::EnvironmentError;
pub use runner::{DEFAULT_SOCKET, PluginRunner, RunError};
pub use versions::{NriVersion, RuntimeInfo};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
