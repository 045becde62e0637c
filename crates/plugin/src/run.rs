//! Start-up, the connection to the runtime, and shutdown.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use kubefence_profile::Catalog;
use nri_plugin::{PluginRunner, Requires};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};

use crate::config::Config;
use crate::connection::Connection;
use crate::endpoints::{Listener, Views, pulse};
use crate::handler::Sandboxer;
use crate::health::Health;
use crate::kernel::landlock_abi;
use crate::metrics::Metrics;
use crate::readiness::Readiness;
use crate::recorder::Recorder;
use crate::reload::Reloader;
use crate::state::StateDir;

/// The plugin's name, as runtimes and `required_plugins` lists know it.
pub const NAME: &str = "nono-nri";

/// Where the plugin stands among others; lower ones are asked earlier.
pub const INDEX: &str = "10";

/// How long the end waits for the state directory.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Handlers at once, and besides them the notices of connections that come and go.
const THREADS: usize = 12;

/// Serves the runtime until SIGTERM or SIGINT, and metrics at `endpoints` if they are wanted.
pub fn run(config: Config, endpoints: Option<SocketAddr>) -> anyhow::Result<()> {
    // Before anything else: a plugin that cannot be observed as it was told to does not start.
    let endpoints = endpoints.map(Listener::bind).transpose()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(THREADS)
        .build()
        .context("cannot start the async runtime")?;
    let result = runtime.block_on(serve(config, endpoints));
    // A handler that hangs must not keep the process from ending.
    runtime.shutdown_background();
    result
}

async fn serve(config: Config, endpoints: Option<Listener>) -> anyhow::Result<()> {
    let catalog = Catalog::built_in().context("the built-in profiles are damaged")?;
    let abi = landlock_abi();
    info!(
        version = env!("CARGO_PKG_VERSION"), landlock_abi = abi, handlers = config.handlers(),
        default_profile = %config.default_profile, nono_bin_dir = config.launcher_dir.as_str(), "starting"
    );
    let metrics = Arc::<Metrics>::default();
    metrics.landlock_abi(abi);
    let connection = Arc::new(Connection::new(Arc::clone(&metrics)));
    let readiness = Readiness::new(config.clone(), catalog.clone(), landlock_abi);
    let readiness = Arc::new(readiness);
    if let Some(endpoints) = endpoints {
        let health = Health::new(&config, Arc::clone(&readiness), Arc::clone(&connection));
        observe(endpoints, Arc::clone(&metrics), health)?;
    }
    prepare(&config, catalog, &readiness, &metrics)?;
    let shutdown = shutdown()?;
    let socket = config.socket_path.clone();
    let state = StateDir::new(config.state_dir.clone());
    let recorder = Recorder::start(state).context("cannot start the thread that keeps state")?;
    let handler =
        Sandboxer::new(config, readiness, recorder.clone()).observed_by(metrics, connection);
    let mut runner = PluginRunner::new(NAME, INDEX, Arc::new(handler))?
        .requires(Requires::ARGS)
        .from_environment()?;
    if let Some(socket) = socket {
        runner = runner.socket(socket);
    }
    let result = runner.run(shutdown).await;
    recorder.flush(LAST_WORDS);
    result.context("the connection to the runtime ended for good")
}

/// Completes at SIGTERM or SIGINT.
fn shutdown() -> anyhow::Result<impl Future<Output = ()> + Send> {
    let mut term = signal(SignalKind::terminate()).context("cannot handle SIGTERM")?;
    let mut int = signal(SignalKind::interrupt()).context("cannot handle SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = term.recv() => info!(reason = "SIGTERM", "stopping"),
            _ = int.recv() => info!(reason = "SIGINT", "stopping"),
        }
    })
}

/// Shows what the plugin knows of itself. To be called on the event loop, which is asked whether it answers.
fn observe(endpoints: Listener, metrics: Arc<Metrics>, health: Health) -> anyhow::Result<()> {
    let (pulse, heart) = pulse();
    tokio::spawn(heart);
    endpoints.serve(Views {
        metrics,
        health,
        pulse,
    })
}

/// Makes the node ready meanwhile: a disk that is stuck must not keep the plugin from registering, because
/// without it containers start bare, and with it they are refused.
fn prepare(
    config: &Config,
    catalog: Catalog,
    readiness: &Arc<Readiness>,
    metrics: &Arc<Metrics>,
) -> anyhow::Result<()> {
    let (readiness, metrics) = (Arc::clone(readiness), Arc::clone(metrics));
    let reloader = Reloader::new(config.profile_dir.clone(), catalog, readiness, metrics);
    std::thread::Builder::new()
        .name("profiles".to_owned())
        .spawn(move || reloader.run())
        .context("cannot start the thread that publishes plans")?;
    Ok(())
}

/// Says that this node cannot sandbox, and why.
pub(crate) fn not_ready(reason: &anyhow::Error) {
    let reason = format!("{reason:#}");
    error!(
        reason,
        "not ready; containers of the configured handlers are refused"
    );
}
