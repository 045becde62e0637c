//! `/metrics`, `/healthz` and `/readyz` over HTTP.
//!
//! They are on the pod network, so whoever asks is not trusted: connections are few and short, requests small, and
//! nothing in them chooses anything but which of the three texts is sent.
//!
//! Invariant: nothing that happens here can hold up or end the plugin's service to the runtime. The endpoints have a
//! thread of their own, and only ever read what others have found out.
//!
//! Not here: encryption and authentication. Where the texts are nobody else's business, a network policy says so.

mod pulse;
mod routes;
mod server;

use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use anyhow::Context as _;
use tracing::{error, info};

pub use self::pulse::{Heart, Pulse, pulse};
use crate::health::Health;
use crate::metrics::Metrics;

/// What the endpoints show.
#[derive(Clone)]
pub struct Views {
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Whether containers can be sandboxed.
    pub health: Health,
    /// Whether the event loop answers.
    pub pulse: Pulse,
}

/// A socket that listens and is not served yet.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Listens on `address`; port 0 is a free one.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be listened there; the message names the address.
    pub fn bind(address: SocketAddr) -> anyhow::Result<Self> {
        let bind = || {
            let socket = TcpListener::bind(address)?;
            socket.set_nonblocking(true)?;
            let address = socket.local_addr()?;
            Ok::<_, std::io::Error>(Self { socket, address })
        };
        bind().with_context(|| {
            format!(
                "cannot listen on {address}: choose another --metrics-addr, or end what listens there"
            )
        })
    }

    /// Serves `views` on a thread of its own for as long as the process lives.
    ///
    /// # Errors
    ///
    /// Fails if the thread cannot be started.
    pub fn serve(self, views: Views) -> anyhow::Result<()> {
        let address = self.address;
        std::thread::Builder::new()
            .name("endpoints".to_owned())
            .spawn(move || {
                if let Err(error) = server::run(self.socket, &views) {
                    let reason = error.to_string();
                    error!(reason, "endpoints not served");
                }
            })
            .context("cannot start the thread of the endpoints")?;
        info!(addr = %address, "serving metrics");
        Ok(())
    }
}

impl fmt::Debug for Views {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Views").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
