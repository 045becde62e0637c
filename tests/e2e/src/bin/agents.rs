//! `make agents`: coding agents and language tools under their profiles, one line each, and `N passed, N failed`.

#![forbid(unsafe_code)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use e2e::agents::{self, Check};
use e2e::cleanup;
use e2e::images;
use e2e::node::{self, Fixture, Node};
use e2e::repository::Versions;
use e2e::terminal::{Style, progress};

const AT_A_TIME: usize = 4;

#[derive(Parser)]
#[command(about = "Coding agents and language tools under their profiles")]
struct Cli {
    /// Run only the checks whose line contains this (`codex`, `as root`, …)
    #[arg(long, value_name = "SUBSTR", default_value = "")]
    filter: String,
    /// Print the checks instead of running them
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<bool> {
    let mut selected = agents::all()?;
    selected.retain(|check| check.name.contains(&cli.filter));
    ensure!(
        !selected.is_empty(),
        "no check matches --filter {}: see --list",
        cli.filter
    );
    if cli.list {
        selected.iter().for_each(|check| println!("{}", check.name));
        return Ok(true);
    }
    cleanup::on_interrupt()?;
    node::forget_logs();
    let began = Instant::now();
    let node = start()?;
    let failed = run_all(&selected, &node);
    if failed > 0 {
        eprintln!("{}", node.save_logs());
    }
    let leftovers = node.finish();
    ensure!(
        leftovers.is_empty(),
        "the node left behind: {}",
        leftovers.join(", ")
    );
    progress(&format!("took {} s", began.elapsed().as_secs()));
    println!("{} passed, {failed} failed", selected.len() - failed);
    Ok(failed == 0)
}

fn start() -> Result<Node> {
    let versions = Versions::read()?;
    let containerd = versions
        .of("containerd")?
        .first()
        .context("no containerd is pinned")?;
    progress(&format!("starting a node, containerd {containerd}"));
    let images = [images::AGENTS, images::DEBIAN];
    Node::start(
        Fixture::containerd(containerd)
            .images(&images)
            .plugin()
            .guard(),
    )
}

/// Runs all checks, a few at a time because each mostly waits for its container; how many failed.
fn run_all(selected: &[Check], node: &Node) -> usize {
    let next = AtomicUsize::new(0);
    let failed = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some(check) = selected.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if !report(check, node) {
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    failed.into_inner()
}

/// Runs one check and prints its line; whether it passed.
fn report(check: &Check, node: &Node) -> bool {
    let style = Style::of_stdout();
    let outcome = catch_unwind(AssertUnwindSafe(|| check.run(node)));
    match outcome.unwrap_or_else(|_| bail!("panicked: the message is above")) {
        Ok(()) => {
            println!("{} {}", style.good("✓"), check.name);
            true
        }
        Err(error) => {
            // One line a check, whatever the error holds.
            let reason = format!("{error:#}").replace('\n', " ⏎ ");
            println!("{} {}: {reason}", style.bad("✗"), check.name);
            false
        }
    }
}
