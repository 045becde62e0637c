//! One connection to the runtime, from dialling to hanging up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use prost::Message;
use tokio::net::UnixStream;
use ttrpc::asynchronous::transport::{Listener, Socket};
use ttrpc::asynchronous::{Client, Server};
use ttrpc::proto::Request;

use crate::api::{RUNTIME_SERVICE, RegisterPluginRequest};
use crate::identity::Identity;
use crate::mux::{Endpoint, Mux};
use crate::service::{Plugin, PluginService};

/// The NRI version this crate was written for, as plugins state it.
const NRI_VERSION: &str = "0.12.0";
/// The time limit of registration, which is the runtime's default too.
const REGISTRATION_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest time to wait for `connected` and `disconnected`, which nobody at the other end waits for.
const NOTICE_TIMEOUT: Duration = Duration::from_secs(2);

/// How a connection ended.
pub(crate) struct Ended {
    /// How long the plugin was in service: registered and synchronized.
    pub(crate) served: Option<Duration>,
    /// Whether the runtime had asked the plugin to shut down.
    pub(crate) shut_down: bool,
    /// Why it ended, for people.
    pub(crate) reason: String,
}

/// Registers `plugin` over `stream` and serves it until the connection ends.
pub(crate) async fn serve(plugin: &Arc<Plugin>, stream: UnixStream) -> Ended {
    let service = PluginService::new(Arc::clone(plugin));
    let (mux, plugin_endpoint, runtime_endpoint) = Mux::new(stream);
    // Serving starts first: Configure and Synchronize may overtake the reply to RegisterPlugin. Server and
    // client live as long as the mux, which ends when either is gone.
    let _server = match start_server(&service, plugin_endpoint).await {
        Ok(server) => server,
        Err(error) => return Ended::early(format!("the plugin service did not start: {error}")),
    };
    let client = Client::new(Socket::new(runtime_endpoint));
    let mut in_service: Option<Instant> = None;
    let register = async {
        if let Err(error) = register(&client, &plugin.identity).await {
            return format!("registration failed: {error}");
        }
        service.registration().synchronized().await;
        in_service = Some(Instant::now());
        let (handler, runtime) = (
            Arc::clone(&plugin.handler),
            service.registration().runtime(),
        );
        notice(move || handler.connected(&runtime)).await;
        std::future::pending().await
    };
    let reason = tokio::select! {
        ended = mux.drive() => ended.to_string(),
        failed = register => failed,
    };
    Ended {
        served: in_service.map(|since| since.elapsed()),
        shut_down: service.registration().is_shut_down(),
        reason,
    }
}

impl Ended {
    /// A connection that ended before registration, or was never made.
    pub(crate) fn early(reason: String) -> Self {
        Self {
            served: None,
            shut_down: false,
            reason,
        }
    }
}

/// Calls a handler method that has no result, on a blocking thread. Its panics concern nobody else, and it is
/// waited for only so long.
pub(crate) async fn notice(method: impl FnOnce() + Send + 'static) {
    let running = tokio::task::spawn_blocking(method);
    let _ = tokio::time::timeout(NOTICE_TIMEOUT, running).await;
}

async fn start_server(service: &Arc<PluginService>, endpoint: Endpoint) -> ttrpc::Result<Server> {
    let accepted = futures::stream::once(async { Ok(endpoint) });
    let mut server = Server::new()
        .register_service(service.methods())
        .add_listener(Listener::new(accepted));
    server.start().await?;
    Ok(server)
}

async fn register(client: &Client, identity: &Identity) -> ttrpc::Result<()> {
    let message = RegisterPluginRequest {
        plugin_name: identity.name.clone(),
        plugin_idx: identity.index.clone(),
        nri_version: NRI_VERSION.to_owned(),
    };
    let request = Request {
        service: RUNTIME_SERVICE.to_owned(),
        method: "RegisterPlugin".to_owned(),
        payload: message.encode_to_vec(),
        timeout_nano: REGISTRATION_TIMEOUT.as_nanos() as i64,
        ..Request::default()
    };
    client.request(request).await.map(drop)
}
