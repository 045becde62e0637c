//! `kubefence cluster`: what concerns all nodes of a cluster. Run by a Job of the Helm chart, with a service account that may do
//! just that.

mod api;
mod objects;
mod rollout;
mod uninstall;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct ClusterArgs {
    #[command(subcommand)]
    command: ClusterCommand,
}

#[derive(Debug, Subcommand)]
enum ClusterCommand {
    /// Uninstall every node: run a DaemonSet whose init container does that on its node, and wait for all. Exit code 1 if
    /// a node failed
    Uninstall(UninstallArgs),
}

#[derive(Debug, Args)]
struct UninstallArgs {
    /// A DaemonSet (JSON) that is run before anything is changed, to see whether every node can be uninstalled
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
    /// A DaemonSet that is deleted before nodes are uninstalled, so that it does not install them again; several are
    /// possible
    #[arg(long = "remove-daemonset", value_name = "NAME")]
    remove: Vec<String>,
    /// The DaemonSet (JSON) that uninstalls
    #[arg(long, value_name = "FILE")]
    manifest: PathBuf,
    /// The namespace of all of them
    #[arg(long, value_name = "NAMESPACE")]
    namespace: String,
    /// How many seconds all of it may take
    #[arg(long, default_value_t = 600, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86400))]
    timeout: u64,
    /// Where the service account's token and the API server's certificate authority are mounted
    #[arg(
        long,
        hide = true,
        default_value = "/var/run/secrets/kubernetes.io/serviceaccount",
        value_name = "DIR"
    )]
    service_account: PathBuf,
}

pub(crate) fn run(args: ClusterArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        ClusterCommand::Uninstall(args) => uninstall::run(&args),
    }
}
