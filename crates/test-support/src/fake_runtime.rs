//! A container runtime, as far as an NRI plugin can tell.
//!
//! It listens on a unix socket, speaks the wire format of NRI 0.8 to 0.12 and misbehaves on request. Replies are
//! awaited for much longer than the time limit told to the plugin, so that tests do not depend on the machine's
//! speed: a real runtime would have given up where [`FakeError::NoReply`] is returned, at the latest.
//!
//! ```no_run
//! # use nri_plugin::NriVersion;
//! # use test_support::{ContainerBuilder, FakeRuntime, PodBuilder};
//! # async fn test() -> Result<(), test_support::FakeError> {
//! let runtime = FakeRuntime::listen("/tmp/test", NriVersion::V0_12).await;
//! // … start the plugin on runtime.socket() …
//! let mut session = runtime.accept().await?;
//! session.handshake(vec![], vec![]).await?;
//! let pod = PodBuilder::new("web").build();
//! let container = ContainerBuilder::new(&pod, "app").build();
//! let response = session.create_container(&pod, &container).await?;
//! # Ok(())
//! # }
//! ```

mod requests;
mod session;
mod wire;

use std::path::{Path, PathBuf};
use std::time::Duration;

use nri_plugin::NriVersion;
use tokio::net::{UnixListener, UnixStream};

pub use session::{Registering, Session};
pub use wire::{Framing, FramingError, GoReader, Message};

/// How long anything is waited for before a test is considered hung.
const PATIENCE: Duration = Duration::from_secs(60);

/// What can go wrong between the fake and a plugin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FakeError {
    /// The plugin replied with an error.
    #[error("the plugin replied with code {code}: {message}")]
    Rpc {
        /// The gRPC status code.
        code: i32,
        /// The status message.
        message: String,
    },
    /// The plugin closed the connection.
    #[error("the plugin hung up")]
    HungUp,
    /// The plugin did nothing for a long time.
    #[error("the plugin did not reply")]
    NoReply,
    /// The plugin sent frames that upstream's reader cannot take.
    #[error("the plugin broke the framing rules: {0}")]
    Framing(#[from] FramingError),
    /// The plugin subscribed to events that this version does not know.
    #[error("the plugin subscribed to unknown events {extra:#x}")]
    UnknownEvents {
        /// The bits that are not valid.
        extra: u32,
    },
    /// The plugin called something else than expected.
    #[error("the plugin called {method} instead of {expected}")]
    UnexpectedCall {
        /// What it called.
        method: String,
        /// What it should have called.
        expected: &'static str,
    },
    /// The plugin does not echo `more`, or updates containers too early.
    #[error("the plugin does not handle Synchronize in chunks")]
    Chunks,
    /// A message of the plugin could not be decoded.
    #[error("the plugin sent a message that cannot be decoded")]
    Decode(#[from] prost::DecodeError),
    /// The socket failed.
    #[error("the socket failed")]
    Io(#[from] std::io::Error),
}

/// A listening fake runtime. Dropping it removes the socket.
#[derive(Debug)]
pub struct FakeRuntime {
    listener: UnixListener,
    socket: PathBuf,
    version: NriVersion,
    request_timeout: Duration,
}

impl FakeRuntime {
    /// Listens on `nri.sock` in `directory` as a runtime with this version of NRI.
    ///
    /// # Panics
    ///
    /// Panics if the socket cannot be bound.
    pub async fn listen(directory: impl AsRef<Path>, version: NriVersion) -> Self {
        let socket = directory.as_ref().join("nri.sock");
        let listener = UnixListener::bind(&socket)
            .unwrap_or_else(|error| panic!("cannot listen on {}: {error}", socket.display()));
        Self {
            listener,
            socket,
            version,
            request_timeout: Duration::from_secs(20),
        }
    }

    /// Sets the time limit that is told to plugins; 20 s by default.
    #[must_use]
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// Where it listens.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Accepts the next connection of a plugin.
    ///
    /// # Errors
    ///
    /// Fails if no plugin comes.
    pub async fn accept(&self) -> Result<Session, FakeError> {
        let accepted = tokio::time::timeout(PATIENCE, self.listener.accept()).await;
        let (stream, _) = accepted.map_err(|_| FakeError::NoReply)??;
        Ok(Session::new(stream, self.version, self.request_timeout))
    }
}

impl Drop for FakeRuntime {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.socket);
    }
}

/// A session over an existing stream, as with a plugin that the runtime started.
pub fn session_over(stream: UnixStream, version: NriVersion) -> Session {
    Session::new(stream, version, Duration::from_secs(20))
}

/// Name and version of a runtime that has this version of NRI.
fn runtime_of(version: NriVersion) -> (&'static str, &'static str) {
    match version {
        NriVersion::V0_9 => ("cri-o", "1.33.0"),
        NriVersion::V0_10 => ("containerd", "v2.2.0"),
        NriVersion::V0_11 => ("containerd", "v2.2.7"),
        NriVersion::V0_12 => ("containerd", "v2.3.4"),
        _ => ("containerd", "v2.1.9"),
    }
}

/// Subscription mask of all events that a runtime with this version of NRI knows.
fn known_events(version: NriVersion) -> u32 {
    match version {
        version if version >= NriVersion::V0_10 => 0x3fff,
        NriVersion::V0_9 => 0x1fff,
        _ => 0x7ff,
    }
}
