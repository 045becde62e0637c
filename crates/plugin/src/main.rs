//! Entry point of `10-nono-nri`. Exit codes: 0 after SIGTERM or SIGINT, 2 bad command line, 78 bad
//! configuration (EX_CONFIG), 1 anything else.

#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser as _;
use kubefence_plugin::cli::Cli;
use kubefence_plugin::config::{Config, EX_CONFIG};
use kubefence_plugin::{logging, run};

/// How long the end waits for the log to be written.
const LAST_WORDS: Duration = Duration::from_secs(1);

fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    let log = logging::init(cli.json, cli.log_level).context("cannot start logging")?;
    let code = match Config::load(cli.config.as_deref()) {
        Ok(config) => {
            run::run(config, cli.metrics_addr).map_or_else(|error| fail(&error, 1), |()| 0)
        }
        Err(error) => fail(&error.into(), EX_CONFIG),
    };
    log.flush(LAST_WORDS);
    Ok(ExitCode::from(code))
}

fn fail(error: &anyhow::Error, code: u8) -> u8 {
    tracing::error!(reason = format!("{error:#}"), "cannot run");
    code
}
