//! The tasks: run everything and compare, or print the table of deviations.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::cleanup;
use e2e::subprocess;
use e2e::terminal::{Style, progress};
use rustix::process::geteuid;

use crate::compare::{self, Row};
use crate::deviations;
use crate::report;
use crate::runs::{self, Launcher, User};
use crate::targets::Table;
use crate::workshop::{Layout, Workshop};

/// Arguments of the comparison.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The upstream nono to compare with
    #[arg(long, value_name = "PROGRAM")]
    nono: PathBuf,
    /// Print one JSON document with all outcomes
    #[arg(long)]
    json: bool,
    /// Print the listed deviations, too
    #[arg(long, short)]
    verbose: bool,
}

/// Runs all probes and fails unless every difference is listed.
pub(crate) fn compare(args: &Args) -> Result<()> {
    ensure!(
        geteuid().is_root(),
        "this needs root: namespaces and mounts"
    );
    cleanup::on_interrupt()?;
    let deviations = deviations::read()?;
    let began = Instant::now();
    let version = subprocess::text(&args.nono, &["--version"], Duration::from_secs(10))
        .context("upstream nono does not start")?;
    progress(&format!("comparing with {}", version.trim()));
    let rows = measure(args)?;
    let comparison = compare::compare(rows, &deviations);
    if args.json {
        println!("{}", report::json(&comparison)?);
    } else {
        print!(
            "{}",
            report::text(&comparison, args.verbose, Style::of_stdout())
        );
    }
    progress(&format!("took {} s", began.elapsed().as_secs()));
    ensure!(
        comparison.holds(),
        "the two differ from what tests/parity/deviations.toml says"
    );
    Ok(())
}

/// Prints the deviations as the documentation has them.
pub(crate) fn deviations() -> Result<()> {
    print!("{}", deviations::markdown(&deviations::read()?));
    Ok(())
}

fn measure(args: &Args) -> Result<Vec<Row>> {
    progress("unpacking the root filesystem");
    let workshop = Workshop::open(&args.nono)?;
    let mut rows = rows_of(workshop.layout(), User::Root)?;
    rows.extend(rows_of(workshop.layout(), User::User)?);
    Ok(rows)
}

fn rows_of(layout: &Layout, user: User) -> Result<Vec<Row>> {
    let probes = Table::read()?.probes();
    progress(&format!("{} probes three times as {user}", probes.len()));
    let run = |launcher| runs::run(layout, launcher, user);
    let bare = run(Launcher::Bare)?;
    let nono = run(Launcher::Nono)?;
    let ours = run(Launcher::Ours)?;
    let outcomes = bare.into_iter().zip(nono).zip(ours);
    let rows = probes.into_iter().zip(outcomes);
    Ok(rows
        .map(|(probe, ((bare, nono), ours))| Row {
            user,
            probe,
            bare,
            nono,
            ours,
        })
        .collect())
}
