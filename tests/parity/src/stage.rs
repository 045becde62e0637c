//! Inside the namespaces of one run: build the container, start what stands outside of the sandbox, run the probe.
//!
//! This is the first process of its PID namespace, so everything that it starts or mounts ends with it.

mod container;
mod devices;
mod fixtures;
mod outside;

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use rustix::fs::Mode;
use rustix::process::umask;

use self::outside::Outside;
use crate::outcome::Outcome;
use crate::runs::{Launcher, User};
use crate::targets::{Probe, Table, expand};
use crate::workshop::{Layout, PROFILE};

/// Where the probe is in the container: in a directory that both launchers grant to everybody.
const PROBE: &str = "/usr/local/bin/parity-probe";
/// Upstream nono's directory in the container.
const UPSTREAM: &str = "/upstream";
/// Our launcher's directory in the container.
const OURS: &str = "/nono";
/// The working directory.
const WORKDIR: &str = "/work/project";
/// The value of TMPDIR.
const TMPDIR: &str = "/scratch";
/// The value of PATH.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Arguments of the hidden subcommand.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The scratch directory that the other side made
    #[arg(long)]
    scratch: PathBuf,
    /// What the probe is started with
    #[arg(long)]
    launcher: Launcher,
    /// Who runs it
    #[arg(long)]
    user: User,
}

/// Runs all probes and prints their outcomes as JSON.
pub(crate) fn run(args: &Args) -> Result<()> {
    let table = Table::read()?;
    umask(Mode::from_raw_mode(0o022));
    container::enter(&Layout::of(&args.scratch))?;
    let terminal = devices::terminal(args.user)?;
    fixtures::make(&table, args.user)?;
    let outside = Outside::start(args.user)?;

    let probes = table.probes();
    let mut command = command(args.launcher);
    for probe in &probes {
        command
            .arg(&probe.operation)
            .arg(argument(probe, args.user, &outside));
    }
    let output = as_user(&mut command, args.user)
        .stdin(terminal.reopen()?)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .context("cannot start the launcher")?;
    ensure!(
        output.status.success(),
        "{}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    let outcomes = parse(&String::from_utf8(output.stdout)?, probes.len())?;
    println!("{}", serde_json::to_string(&outcomes)?);
    Ok(())
}

/// What starts the probe: with a controlling terminal, which setsid takes from standard input.
fn command(launcher: Launcher) -> Command {
    let mut command = Command::new("/usr/bin/setsid");
    command.args(["--ctty", "/bin/sh", "-c", r#"exec "$@" </dev/null"#, "sh"]);
    let program = match launcher {
        Launcher::Bare => None,
        // Silent: no banner. Otherwise as a pod would have it.
        Launcher::Nono => Some((UPSTREAM, &["wrap", "--silent"][..])),
        Launcher::Ours => Some((OURS, &["wrap"][..])),
    };
    if let Some((directory, arguments)) = program {
        command
            .arg(format!("{directory}/nono"))
            .args(arguments)
            .args(["--profile", PROFILE, "--"]);
    }
    command.arg(PROBE);
    command
}

/// The user's identity, environment and working directory.
fn as_user(command: &mut Command, user: User) -> &mut Command {
    command
        // The standard library gives up supplementary groups together with the UID.
        .uid(user.id())
        .gid(user.id())
        .current_dir(WORKDIR)
        .env_clear()
        .env("PATH", PATH)
        .env("HOME", user.home())
        .env("TMPDIR", TMPDIR)
}

/// The target as the probe needs it.
fn argument(probe: &Probe, user: User, outside: &Outside) -> PathBuf {
    match probe.operation.as_str() {
        "signal" => outside.pid().to_string().into(),
        "connect" | "bind" | "abstract" => PathBuf::from(&probe.target),
        _ => expand(&probe.target, user.home()),
    }
}

/// Lines of `NUMBER OUTCOME`, in order and complete.
fn parse(text: &str, expected: usize) -> Result<Vec<Outcome>> {
    let outcomes = text.lines().enumerate().map(|(number, line)| {
        line.strip_prefix(&format!("{number} "))
            .map(Outcome::new)
            .with_context(|| format!("line {number} of the probe is {line:?}"))
    });
    let outcomes = outcomes.collect::<Result<Vec<_>>>()?;
    ensure!(
        outcomes.len() == expected,
        "the probe printed {} lines for {expected} probes",
        outcomes.len()
    );
    Ok(outcomes)
}
