//! `kubefence node idle`: a container's first process that does nothing and ends at once when it is told to.

use std::process::ExitCode;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

/// The kernel hands no signal to a container's first process that the process does not ask for.
pub(super) fn run() -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot wait for signals")?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
        std::future::poll_fn(|context| {
            let ended = terminate.poll_recv(context).is_ready();
            match ended || interrupt.poll_recv(context).is_ready() {
                true => std::task::Poll::Ready(()),
                false => std::task::Poll::Pending,
            }
        })
        .await;
        Ok(ExitCode::SUCCESS)
    })
}
