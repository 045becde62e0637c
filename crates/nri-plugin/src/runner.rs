//! The life of a plugin: connect, serve, reconnect.

use std::future::Future;
use std::hash::{BuildHasher, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixStream;

use crate::call::{InFlight, Workers};
use crate::handler::{Handler, Requires};
use crate::identity::{Identity, InvalidIdentity};
use crate::preinstalled::{self, EnvironmentError};
use crate::service::Plugin;
use crate::session::{self, Ended};

/// Where runtimes listen for plugins unless configured otherwise.
pub const DEFAULT_SOCKET: &str = "/var/run/nri/nri.sock";

/// Handler methods that may run at once. Runtimes call one at a time, so all but one are room for calls that hang.
const DEFAULT_WORKERS: usize = 8;
/// Longest time to finish requests on shutdown; they end at 80 % of the runtime's limit, which is 2 s by default.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
const SHORTEST_BACKOFF: Duration = Duration::from_millis(50);
const LONGEST_BACKOFF: Duration = Duration::from_secs(2);

/// Why a plugin stopped running.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The socket that the runtime handed over could not be used.
    #[error("the socket handed over by the runtime cannot be used")]
    Socket(#[source] std::io::Error),
    /// The runtime that started this plugin hung up without asking it to shut down.
    #[error("the runtime that started the plugin is gone: {reason}")]
    Disconnected {
        /// How the connection ended.
        reason: String,
    },
}

/// Runs a [`Handler`] as an NRI plugin.
pub struct PluginRunner {
    identity: Identity,
    handler: Arc<dyn Handler>,
    requires: Requires,
    workers: usize,
    socket: PathBuf,
    inherited: Option<std::os::unix::net::UnixStream>,
}

impl PluginRunner {
    /// A plugin called `name` with a two-digit `index`; runtimes call plugins in ascending order of index.
    ///
    /// # Errors
    ///
    /// Fails if a runtime would refuse the name or the index.
    pub fn new(
        name: impl Into<String>,
        index: impl Into<String>,
        handler: Arc<dyn Handler>,
    ) -> Result<Self, InvalidIdentity> {
        Ok(Self {
            identity: Identity::new(name.into(), index.into())?,
            handler,
            requires: Requires::NONE,
            workers: DEFAULT_WORKERS,
            socket: DEFAULT_SOCKET.into(),
            inherited: None,
        })
    }

    /// Sets the runtime's socket, [`DEFAULT_SOCKET`] unless set.
    #[must_use]
    pub fn socket(mut self, path: impl AsRef<Path>) -> Self {
        self.socket = path.as_ref().to_owned();
        self
    }

    /// Sets what the runtime must be capable of, nothing unless set.
    #[must_use]
    pub fn requires(mut self, requires: Requires) -> Self {
        self.requires = requires;
        self
    }

    /// Sets how many handler methods may run at once, counting those that hang; 8 unless set, at least 1.
    #[must_use]
    pub fn workers(mut self, count: usize) -> Self {
        self.workers = count;
        self
    }

    /// Takes name, index and connection from the environment if a runtime started this process as a plugin
    /// (`NRI_PLUGIN_NAME`, `NRI_PLUGIN_IDX`, `NRI_PLUGIN_SOCKET`); otherwise changes nothing. Such a plugin serves
    /// that one connection and does not reconnect.
    ///
    /// # Errors
    ///
    /// Fails if the variables do not hold a valid name, index and open socket, or if they were used before.
    pub fn from_environment(mut self) -> Result<Self, EnvironmentError> {
        if let Some(environment) = preinstalled::read()? {
            let name = environment.name.unwrap_or(self.identity.name);
            let index = environment.index.unwrap_or(self.identity.index);
            self.identity = Identity::new(name, index)?;
            self.inherited = Some(environment.socket);
        }
        Ok(self)
    }

    /// Runs the plugin until `shutdown` completes, reconnecting as needed. Requests that are being served then are
    /// finished first.
    ///
    /// Needs a Tokio runtime with I/O and time enabled; a current-thread one will do, but nothing else may block
    /// it, or deadlines are missed. On shutdown, handler
    /// methods that still run keep their threads: end the runtime with
    /// [`shutdown_background`](tokio::runtime::Runtime::shutdown_background) so as not to wait for one that hangs.
    ///
    /// # Errors
    ///
    /// Fails only in pre-installed mode, if the runtime's socket cannot be used or the runtime goes away.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), RunError> {
        let plugin = Arc::new(Plugin {
            identity: self.identity,
            handler: self.handler,
            requires: self.requires,
            workers: Workers::new(self.workers),
            in_flight: InFlight::new(),
        });
        let serve = async {
            match self.inherited {
                Some(socket) => serve_inherited(&plugin, socket).await,
                None => Err(serve_forever(&plugin, &self.socket).await),
            }
        };
        tokio::pin!(serve);
        tokio::select! {
            () = shutdown => {}
            ended = &mut serve => return ended,
        }
        // Hanging up amid a CreateContainer would make the runtime run the container unadjusted.
        tokio::select! {
            _ = tokio::time::timeout(DRAIN_TIMEOUT, plugin.in_flight.drained()) => {}
            _ = &mut serve => {}
        }
        Ok(())
    }
}

async fn serve_inherited(
    plugin: &Arc<Plugin>,
    socket: std::os::unix::net::UnixStream,
) -> Result<(), RunError> {
    let stream = UnixStream::from_std(socket).map_err(RunError::Socket)?;
    let ended = session::serve(plugin, stream).await;
    report(plugin, &ended.reason).await;
    match ended.shut_down {
        true => Ok(()),
        false => Err(RunError::Disconnected {
            reason: ended.reason,
        }),
    }
}

async fn serve_forever(plugin: &Arc<Plugin>, socket: &Path) -> RunError {
    let mut backoff = SHORTEST_BACKOFF / 2;
    let mut undialled = String::new();
    loop {
        let ended = match UnixStream::connect(socket).await {
            Ok(stream) => {
                undialled.clear();
                let ended = session::serve(plugin, stream).await;
                report(plugin, &ended.reason).await;
                ended
            }
            Err(error) => {
                let reason = format!("cannot connect to {}: {error}", socket.display());
                if reason != undialled {
                    report(plugin, &reason).await;
                    undialled.clone_from(&reason);
                }
                Ended::early(reason)
            }
        };
        backoff = next_backoff(backoff, ended.served);
        tokio::time::sleep(jittered(backoff)).await;
    }
}

async fn report(plugin: &Arc<Plugin>, reason: &str) {
    let (handler, reason) = (Arc::clone(&plugin.handler), reason.to_owned());
    session::notice(move || handler.disconnected(&reason)).await;
}

/// How long to wait after a connection during which the plugin was in service for `served`. One that a
/// runtime accepted only to drop it at once counts as a failure, or it would be asked all the time.
fn next_backoff(last: Duration, served: Option<Duration>) -> Duration {
    match served {
        Some(time) if time >= LONGEST_BACKOFF => SHORTEST_BACKOFF,
        _ => (last * 2).min(LONGEST_BACKOFF),
    }
}

/// Between half of `backoff` and all of it, so that the plugins of a node do not come back in step.
fn jittered(backoff: Duration) -> Duration {
    // The standard library seeds its hashers randomly; nothing here needs better randomness.
    let random = std::hash::RandomState::new().build_hasher().finish();
    let share = (random >> 11) as f64 / (1_u64 << 53) as f64;
    backoff.mul_f64(0.5 + share / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_grows_until_a_connection_has_lasted() {
        let brief = Some(Duration::from_millis(1));
        assert_eq!(next_backoff(SHORTEST_BACKOFF, None), SHORTEST_BACKOFF * 2);
        assert_eq!(next_backoff(SHORTEST_BACKOFF, brief), SHORTEST_BACKOFF * 2);
        assert_eq!(next_backoff(LONGEST_BACKOFF, brief), LONGEST_BACKOFF);
        assert_eq!(
            next_backoff(LONGEST_BACKOFF, Some(LONGEST_BACKOFF)),
            SHORTEST_BACKOFF
        );
    }

    #[test]
    fn backoff_is_jittered_within_bounds() {
        let delays: Vec<_> = (0..100).map(|_| jittered(LONGEST_BACKOFF)).collect();
        let within = LONGEST_BACKOFF / 2..=LONGEST_BACKOFF;
        assert!(delays.iter().all(|delay| within.contains(delay)));
        assert!(delays.iter().any(|delay| delay != &delays[0]));
    }
}
