//! `make e2e`: runs the checks, one line each, and closes with `N passed, N failed`.

#![forbid(unsafe_code)]

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::Parser;
use e2e::checks::{self, Check, Ground, Run};
use e2e::cleanup::{self, Leftovers};
use e2e::node::{self, Node};
use e2e::terminal::{Style, progress};
use e2e::wait;

/// What removing the last containers of a node may take.
const REMOVAL_LIMIT: Duration = Duration::from_secs(30);

#[derive(Parser)]
#[command(about = "Checks on real container runtimes")]
struct Cli {
    /// Run only the checks whose line contains this (`2.3.7`, `CRI-O`, `annotation`, …)
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
    let mut suite = Suite {
        style: Style::of_stdout(),
        passed: 0,
        failed: 0,
    };
    cleanup::on_interrupt()?;
    if !cli.list {
        node::forget_logs();
    }
    for ground in Ground::all()? {
        let selected: Vec<Check> = checks::all()
            .into_iter()
            .filter(|check| ground.has(check))
            .filter(|check| line(&ground, check.name).contains(&cli.filter))
            .collect();
        if cli.list {
            selected
                .iter()
                .for_each(|check| println!("{}", line(&ground, check.name)));
        } else {
            suite.run_all(&ground, &selected);
        }
    }
    if cli.list {
        return Ok(true);
    }
    ensure!(
        suite.passed + suite.failed > 0,
        "no check matches --filter {}: see --list",
        cli.filter
    );
    println!("{} passed, {} failed", suite.passed, suite.failed);
    Ok(suite.failed == 0)
}

fn line(ground: &Ground, name: &str) -> String {
    format!("{ground}: {name}")
}

/// A name, and what to run on the shared node.
type SharedCheck = (&'static str, fn(&Node) -> Result<()>);

/// Counts and prints.
struct Suite {
    style: Style,
    passed: usize,
    failed: usize,
}

impl Suite {
    fn run_all(&mut self, ground: &Ground, selected: &[Check]) {
        let shared = selected.iter().filter_map(|check| match check.run {
            Run::Shared(run) => Some((check.name, run)),
            Run::Own(_) => None,
        });
        self.run_shared(ground, &shared.collect::<Vec<_>>());
        for check in selected {
            if let Run::Own(run) = check.run {
                self.report(&line(ground, check.name), guarded(|| run(ground.version())));
            }
        }
    }

    fn run_shared(&mut self, ground: &Ground, selected: &[SharedCheck]) {
        if selected.is_empty() {
            return;
        }
        progress(&format!("starting the shared node, {ground}"));
        let node = ground.start_shared();
        let failed_before = self.failed;
        for (name, run) in selected {
            let outcome = match &node {
                Ok(node) => guarded(|| run(node)),
                Err(error) => Err(anyhow!("the node did not start: {error:#}")),
            };
            self.report(&line(ground, name), outcome);
        }
        let Ok(node) = node else { return };
        if self.failed > failed_before {
            eprintln!("{}", node.save_logs());
        }
        let leftovers = end(node);
        let clean = if leftovers.is_empty() {
            Ok(())
        } else {
            Err(anyhow!("{}", leftovers.join(", ")))
        };
        self.report(
            &line(ground, "the shared node leaves nothing behind"),
            clean,
        );
    }

    fn report(&mut self, name: &str, outcome: Result<()>) {
        match outcome {
            Ok(()) => {
                self.passed += 1;
                println!("{} {name}", self.style.good("✓"));
            }
            Err(error) => {
                self.failed += 1;
                // One line a check, whatever the error holds.
                let reason = format!("{error:#}").replace('\n', " ⏎ ");
                println!("{} {name}: {reason}", self.style.bad("✗"));
            }
        }
    }
}

/// Ends a node; says what did not go by itself, the guard's records included.
fn end(node: Node) -> Leftovers {
    let mut leftovers = Leftovers::new();
    if let Err(error) = no_record_stays(&node) {
        leftovers.push(format!("{error:#}"));
    }
    leftovers.extend(node.finish());
    leftovers
}

/// Removes all pods and waits for the end of the guard's records of them.
fn no_record_stays(node: &Node) -> Result<()> {
    let guard = node.guard()?;
    node.cri().remove_all_pods()?;
    let mut present = Vec::new();
    wait::until("the end of the guard's records", REMOVAL_LIMIT, || {
        present = guard.record_files()?;
        Ok(present.is_empty().then_some(()))
    })
    .with_context(|| format!("records of the guard: {present:?}"))
}

/// A check that panics fails; the others still run.
fn guarded(check: impl FnOnce() -> Result<()>) -> Result<()> {
    match catch_unwind(AssertUnwindSafe(check)) {
        Ok(outcome) => outcome,
        Err(panic) => bail!("panicked: {}", panic_text(&*panic)),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let owned = panic.downcast_ref::<String>().map(String::as_str);
    owned
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a message")
}
