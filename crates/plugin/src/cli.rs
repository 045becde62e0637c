//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Sandboxes Kubernetes containers with Landlock, as an NRI plugin.
#[derive(Debug, Parser)]
#[command(name = "10-nono-nri", version)]
pub struct Cli {
    /// Configuration file (TOML) [default: /etc/nri/conf.d/10-nono-nri.toml, if it exists]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Log JSON lines even on a terminal
    #[arg(long)]
    pub json: bool,
    /// Least severe level to log
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub log_level: LogLevel,
    /// Serve /metrics, /healthz and /readyz there, such as 0.0.0.0:9464 [default: nowhere]
    #[arg(long, value_name = "ADDR:PORT")]
    pub metrics_addr: Option<SocketAddr>,
}

/// How severe an event must be to be logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// Decisions and what leads to them.
    Info,
    /// Odd input and degraded operation.
    Warn,
    /// Only what needs an operator.
    Error,
}
