//! `make attacks`: tries to get around the sandbox on every fixture, one line each, and closes with `N passed, N failed`.

#![forbid(unsafe_code)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, ensure};
use clap::Parser;
use e2e::attacks::battery::Battery;
use e2e::attacks::structural::Structural;
use e2e::attacks::suite::{Kind, Stage};
use e2e::attacks::{rogue, table};
use e2e::cleanup;
use e2e::node;
use e2e::terminal::{Style, progress};

#[derive(Parser)]
#[command(about = "Attacks on the sandbox, on real container runtimes")]
struct Cli {
    /// Run only the attacks whose line contains this (`CRI-O`, `hard-link`, …)
    #[arg(long, value_name = "SUBSTR", default_value = "")]
    filter: String,
    /// Print the attacks instead of running them
    #[arg(long)]
    list: bool,
    /// Print the tables of docs/security/attacks.md
    #[arg(long)]
    table: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.split_first() {
        Some((verb, rest)) if verb == rogue::VERB => rogue::run(rest).map(|()| true),
        _ => run(&Cli::parse()),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<bool> {
    if cli.table {
        print!("{}", table::markdown());
        return Ok(true);
    }
    cleanup::on_interrupt()?;
    if !cli.list {
        node::forget_logs();
    }
    let mut suite = Suite {
        style: Style::of_stdout(),
        passed: 0,
        failed: 0,
    };
    for kind in Kind::all()? {
        let selection = Selection::of(&kind, &cli.filter);
        if cli.list {
            selection
                .names()
                .for_each(|name| println!("{kind}: {name}"));
        } else if selection.names().next().is_some() {
            suite.run(&kind, &selection);
        }
    }
    if cli.list {
        return Ok(true);
    }
    ensure!(
        suite.passed + suite.failed > 0,
        "no attack matches --filter {}: see --list",
        cli.filter
    );
    println!("{} passed, {} failed", suite.passed, suite.failed);
    Ok(suite.failed == 0)
}

/// What is to be run on one fixture.
struct Selection {
    battery: Vec<&'static Battery>,
    structural: Vec<Structural>,
}

impl Selection {
    fn of(kind: &Kind, filter: &str) -> Self {
        let chosen = |name: &str| format!("{kind}: {name}").contains(filter);
        let mut battery = kind.battery();
        battery.retain(|attack| chosen(attack.name));
        let mut structural = kind.structural();
        structural.retain(|attack| chosen(attack.name));
        Self {
            battery,
            structural,
        }
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        let inside = self.battery.iter().map(|attack| attack.name);
        inside.chain(self.structural.iter().map(|attack| attack.name))
    }
}

/// Counts and prints.
struct Suite {
    style: Style,
    passed: usize,
    failed: usize,
}

impl Suite {
    fn run(&mut self, kind: &Kind, selection: &Selection) {
        progress(&format!("starting {kind}"));
        let stage = match kind.start() {
            Ok(stage) => stage,
            Err(error) => {
                let error = error.context("it did not start");
                return selection
                    .names()
                    .for_each(|name| self.report(kind, name, Err(anyhow!("{error:#}"))));
            }
        };
        let failed_before = self.failed;
        self.run_battery(kind, &stage, &selection.battery);
        for attack in &selection.structural {
            self.report(kind, attack.name, caught(&stage, attack));
        }
        if self.failed > failed_before {
            eprintln!("{}", stage.save_logs());
        }
        let leftovers = stage.finish();
        let clean = match leftovers.is_empty() {
            true => Ok(String::new()),
            false => Err(anyhow!("{}", leftovers.join(", "))),
        };
        self.report(kind, "nothing is left behind", clean);
    }

    fn run_battery(&mut self, kind: &Kind, stage: &Stage, attacks: &[&Battery]) {
        if attacks.is_empty() {
            return;
        }
        let names: Vec<&str> = attacks.iter().map(|attack| attack.name).collect();
        progress(&format!("{} attacks inside containers", names.len()));
        let results = stage.battery(&names);
        for attack in attacks {
            let outcome = match &results {
                Ok(results) => results.check(kind, attack),
                Err(error) => Err(anyhow!("the attacks did not run: {error:#}")),
            };
            self.report(kind, attack.name, outcome);
        }
    }

    fn report(&mut self, kind: &Kind, name: &str, outcome: Result<String>) {
        match outcome {
            Ok(detail) => {
                self.passed += 1;
                let detail = if detail.is_empty() {
                    detail
                } else {
                    format!(" ({detail})")
                };
                println!("{} {kind}: {name}{detail}", self.style.good("✓"));
            }
            Err(error) => {
                self.failed += 1;
                // One line an attack, whatever the error holds.
                let reason = format!("{error:#}").replace('\n', " ⏎ ");
                println!("{} {kind}: {name}: {reason}", self.style.bad("✗"));
            }
        }
    }
}

/// An attack that panics fails; the others still run.
fn caught(stage: &Stage, attack: &Structural) -> Result<String> {
    catch_unwind(AssertUnwindSafe(|| stage.run(attack)))
        .ok()
        .context("it panicked")?
        .map(|()| String::new())
}
