//! Entry point of `10-nono-nri`. Exit codes: 0 after SIGTERM or SIGINT, 2 bad command line, 78 bad
//! configuration (EX_CONFIG), 1 anything else.

use std::process::ExitCode;

use clap::Parser as _;
use kubefence_plugin::cli::Cli;
use kubefence_plugin::config::{Config, EX_CONFIG};
use kubefence_plugin::{logging, run};

fn main() -> ExitCode {
    let cli = Cli::parse();
    logging::init(cli.json, cli.log_level);
    let config = match Config::load(cli.config.as_deref()) {
        Ok(config) => config,
        Err(error) => return fail(&error.into(), EX_CONFIG),
    };
    match run::run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, 1),
    }
}

fn fail(error: &anyhow::Error, code: u8) -> ExitCode {
    tracing::error!(reason = format!("{error:#}"), "cannot run");
    ExitCode::from(code)
}
