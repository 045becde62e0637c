//! `kubefence node`: setting up a node, undoing that, and telling how it is.
//!
//! Works on the node's file system wherever it is mounted, so also from a container that has it at `/host`.

mod args;
mod idle;
mod install;
mod show;
mod status;
mod uninstall;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use kubefence_node_setup::root::{Entrance, Root, enter};

pub(crate) use self::args::NodeArgs;
use self::args::{EnterArgs, NodeCommand};
use crate::print;

/// The name of the hidden command.
const ENTER: &str = "run-in-root";

pub(crate) fn run(args: NodeArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        NodeCommand::Install(args) => install::run(&args),
        NodeCommand::Uninstall(args) => uninstall::run(&args),
        NodeCommand::Status(args) => Ok(status::run(&args)),
        NodeCommand::Idle => idle::run(),
        NodeCommand::RunInRoot(args) => run_in_root(&args),
    }
}

/// The node's file system; its programs are run by this one, started again.
fn open(dir: &Path) -> anyhow::Result<Root> {
    Ok(Root::open(
        dir,
        Entrance::through("/proc/self/exe", &["node", ENTER]),
    )?)
}

fn run_in_root(args: &EnterArgs) -> anyhow::Result<ExitCode> {
    let error = enter(&args.root, &args.program, &args.args);
    let program = args.program.to_string_lossy();
    Err(error).with_context(|| format!("cannot run {program} in {}", args.root.display()))
}

/// Tells what is being done.
fn say(text: &str) {
    anstream::eprintln!("{}", print::styled(print::FAINT, text));
}
