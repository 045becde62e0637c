//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::cluster::ClusterArgs;
use crate::node::NodeArgs;

/// Confines Kubernetes containers with Landlock.
#[derive(Debug, Parser)]
#[command(name = "kubefence", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List, show, check, explain, compare and publish sandbox profiles
    Profile(ProfileArgs),
    /// Set up this node, undo that, and tell how it is
    Node(NodeArgs),
    /// What concerns all nodes of a cluster
    Cluster(ClusterArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write one for each command into a directory
    Man {
        /// Where to write them
        #[arg(value_name = "DIR")]
        directory: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ProfileArgs {
    /// Directory with custom profiles, as profile_dir in the plugin's configuration
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) profile_dir: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: ProfileCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProfileCommand {
    /// List all profiles
    List,
    /// Show what a profile is and takes
    Show(ShowArgs),
    /// Check profile files; exit code 1 if one cannot be used
    Check {
        /// The files, JSON or (.toml) TOML. They may build on each other
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Explain why a profile allows something, or does not
    Why(WhyArgs),
    /// Compare what two profiles allow
    Diff {
        /// The first profile
        a: String,
        /// The second profile
        b: String,
    },
    /// Compile all profiles and publish their plans beside the launcher; exit code 1 if a custom one cannot be used.
    /// For nodes without the NRI plugin, which does this by itself
    Publish(PublishArgs),
    /// Print the JSON Schema of profile files
    Schema,
    /// Print the reference of the profile language as Markdown
    Reference,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The profile
    pub(crate) name: String,
    /// List every grant and denial, and where each is stated
    #[arg(long, conflicts_with = "plan")]
    pub(crate) resolved: bool,
    /// Print the launch plan that the profile is compiled to
    #[arg(long)]
    pub(crate) plan: bool,
    /// With the seccomp filter of a node whose seccomp_profile is this: runtime-default or restricted
    #[arg(long, requires = "plan", value_name = "FILTER")]
    pub(crate) seccomp: Option<kubefence_profile::SeccompProfile>,
}

#[derive(Debug, Args)]
pub(crate) struct PublishArgs {
    /// The launcher's directory, which containers mount
    #[arg(long, default_value = "/opt/nono-nri", value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Add this seccomp filter to all plans: runtime-default or restricted
    #[arg(long, value_name = "FILTER")]
    pub(crate) seccomp_profile: Option<kubefence_profile::SeccompProfile>,
}

#[derive(Debug, Args)]
pub(crate) struct WhyArgs {
    /// The profile
    pub(crate) name: String,
    /// What the program does: read, list, exec, write, truncate, create, mkdir, delete, rmdir, rename, symlink,
    /// mkfifo, socket or ioctl with --path; connect or bind with --port
    #[arg(long, value_name = "OPERATION")]
    pub(crate) op: String,
    /// The path, absolute or below ~
    #[arg(long, required_unless_present = "port", conflicts_with = "port")]
    pub(crate) path: Option<String>,
    /// The TCP port
    #[arg(long)]
    pub(crate) port: Option<u16>,
    /// HOME of the container
    #[arg(long, default_value = "/root", value_name = "DIR", value_parser = directory)]
    pub(crate) home: String,
    /// Working directory of the container
    #[arg(long, default_value = "/", value_name = "DIR", value_parser = directory)]
    pub(crate) workdir: String,
    /// TMPDIR of the container, if it is set
    #[arg(long, value_name = "DIR", value_parser = directory)]
    pub(crate) tmpdir: Option<String>,
    /// User ID of the container
    #[arg(long, value_name = "UID")]
    pub(crate) uid: Option<u32>,
}

/// A directory as the launcher takes it from the container.
fn directory(text: &str) -> Result<String, &'static str> {
    let climbs = text.split('/').any(|component| component == "..");
    match text.starts_with('/') && !climbs {
        true => Ok(text.to_owned()),
        false => Err("an absolute path without `..` is expected; the launcher takes no other"),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
