//! The command line.

use std::path::PathBuf;
use std::process::Command;

use clap::{Args, Parser, Subcommand};

/// What is to be run, and where this process stands.
#[derive(Debug, Parser)]
#[command(about = "Checks on a real Kubernetes cluster that is started for them")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) selection: Selection,
    #[command(subcommand)]
    pub(crate) place: Option<Place>,
}

/// Which checks.
#[derive(Debug, Args)]
pub(crate) struct Selection {
    /// Run only the checks whose line contains this (`exec`, `uninstall`, …)
    #[arg(long, value_name = "SUBSTR", default_value = "", global = true)]
    pub(crate) filter: String,
    /// Print the checks instead of running them
    #[arg(long)]
    pub(crate) list: bool,
    /// Run no checks: give a shell on the node, with kubectl and helm, and take everything away when it ends
    #[arg(long, global = true)]
    pub(crate) shell: bool,
}

impl Selection {
    /// Hands the selection on to this program's next start.
    pub(crate) fn pass_to(&self, command: &mut Command) {
        command.arg("--filter").arg(&self.filter);
        if self.shell {
            command.arg("--shell");
        }
    }

    /// Whether a check is selected by its line.
    pub(crate) fn selects(&self, line: &str) -> bool {
        line.contains(&self.filter)
    }
}

/// The later starts of the program, which it makes itself.
#[derive(Debug, Subcommand)]
pub(crate) enum Place {
    /// The first process of the node's namespaces
    #[command(hide = true)]
    Init(Node),
    /// On the node: starts the cluster and runs the checks
    #[command(hide = true)]
    Inside(Node),
}

/// The node that this start belongs to.
#[derive(Debug, Args)]
pub(crate) struct Node {
    /// Its scratch directory.
    pub(crate) scratch: PathBuf,
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_hands_itself_on() {
        Cli::command().debug_assert();
        let cli = Cli::parse_from(["e2e-k8s", "--filter", "a b", "--shell"]);
        let mut command = Command::new("e2e-k8s");
        cli.selection.pass_to(&mut command);
        command.args(["init", "/scratch"]);
        let again = std::iter::once(command.get_program()).chain(command.get_args());
        let again = Cli::parse_from(again);
        assert!(again.selection.shell && again.selection.selects("x a b y"));
        assert!(
            matches!(again.place, Some(Place::Init(node)) if node.scratch == Path::new("/scratch"))
        );
    }
}
