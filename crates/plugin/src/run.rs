//! Start-up, the connection to the runtime, and shutdown.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use kubefence_profile::Catalog;
use nri_plugin::{PluginRunner, Requires};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};

use crate::config::Config;
use crate::counters::Counters;
use crate::handler::Sandboxer;
use crate::kernel::landlock_abi;
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

/// Serves the runtime until SIGTERM or SIGINT.
pub fn run(config: Config) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(THREADS)
        .build()
        .context("cannot start the async runtime")?;
    let result = runtime.block_on(serve(config));
    // A handler that hangs must not keep the process from ending.
    runtime.shutdown_background();
    result
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let catalog = Catalog::built_in().context("the built-in profiles are damaged")?;
    let abi = landlock_abi();
    info!(
        version = env!("CARGO_PKG_VERSION"), landlock_abi = abi, handlers = config.handlers(),
        default_profile = %config.default_profile, nono_bin_dir = config.launcher_dir.as_str(), "starting"
    );
    let readiness = Arc::new(Readiness::new(
        config.clone(),
        catalog.clone(),
        landlock_abi,
    ));
    prepare(&config, catalog, &readiness)?;
    let mut term = signal(SignalKind::terminate()).context("cannot handle SIGTERM")?;
    let mut int = signal(SignalKind::interrupt()).context("cannot handle SIGINT")?;
    let shutdown = async move {
        tokio::select! {
            _ = term.recv() => info!(reason = "SIGTERM", "stopping"),
            _ = int.recv() => info!(reason = "SIGINT", "stopping"),
        }
    };
    let socket = config.socket_path.clone();
    let state = StateDir::new(config.state_dir.clone());
    let recorder = Recorder::start(state).context("cannot start the thread that keeps state")?;
    let handler = Arc::new(Sandboxer::new(config, readiness, recorder.clone()));
    let mut runner = PluginRunner::new(NAME, INDEX, handler)?
        .requires(Requires::ARGS)
        .from_environment()?;
    if let Some(socket) = socket {
        runner = runner.socket(socket);
    }
    let result = runner.run(shutdown).await;
    recorder.flush(LAST_WORDS);
    result.context("the connection to the runtime ended for good")
}

/// Makes the node ready meanwhile: a disk that is stuck must not keep the plugin from registering, because
/// without it containers start bare, and with it they are refused.
fn prepare(config: &Config, catalog: Catalog, readiness: &Arc<Readiness>) -> anyhow::Result<()> {
    let counters = Arc::new(Counters::default());
    let readiness = Arc::clone(readiness);
    let reloader = Reloader::new(config.profile_dir.clone(), catalog, readiness, counters);
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
