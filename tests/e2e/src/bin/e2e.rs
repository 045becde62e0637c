//! `make e2e`: runs the checks, one line each, and closes with `N passed, N failed`.

#![forbid(unsafe_code)]

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use anyhow::{Result, anyhow, bail, ensure};
use clap::Parser;
use e2e::checks::{self, Check, On, Run};
use e2e::cleanup;
use e2e::daemon::DaemonOptions;
use e2e::images;
use e2e::node::{self, Node, NodeOptions};
use e2e::repository::Versions;
use e2e::terminal::{Style, progress};

const IMAGES: [&str; 6] = [
    images::BUSYBOX,
    images::SCRATCH,
    images::HOSTILE,
    images::REDIRECT,
    images::GRASPING,
    images::DEBIAN,
];

#[derive(Parser)]
#[command(about = "Checks on real container runtimes")]
struct Cli {
    /// Run only the checks whose line contains this (`2.3.7`, `annotation`, …)
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
    let versions = Versions::read()?;
    let mut suite = Suite {
        style: Style::of_stdout(),
        passed: 0,
        failed: 0,
    };
    cleanup::on_interrupt()?;
    if !cli.list {
        node::forget_logs();
    }
    for (position, containerd) in versions.of("containerd")?.iter().enumerate() {
        let selected: Vec<Check> = checks::all()
            .into_iter()
            .filter(|check| check.versions == On::All || position == 0)
            .filter(|check| line(containerd, check.name).contains(&cli.filter))
            .collect();
        if cli.list {
            selected
                .iter()
                .for_each(|check| println!("{}", line(containerd, check.name)));
        } else {
            suite.run_all(containerd, &selected);
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

fn line(containerd: &str, name: &str) -> String {
    format!("containerd {containerd}: {name}")
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
    fn run_all(&mut self, containerd: &str, selected: &[Check]) {
        let shared = selected.iter().filter_map(|check| match check.run {
            Run::Shared(run) => Some((check.name, run)),
            Run::Own(_) => None,
        });
        self.run_shared(containerd, &shared.collect::<Vec<_>>());
        for check in selected {
            if let Run::Own(run) = check.run {
                self.report(&line(containerd, check.name), guarded(|| run(containerd)));
            }
        }
    }

    fn run_shared(&mut self, containerd: &str, selected: &[SharedCheck]) {
        if selected.is_empty() {
            return;
        }
        progress(&format!(
            "starting the shared node, containerd {containerd}"
        ));
        let options = NodeOptions {
            containerd,
            images: &IMAGES,
            plugin: true,
            daemon: DaemonOptions::default(),
        };
        let node = Node::start(options);
        let failed_before = self.failed;
        for (name, run) in selected {
            let outcome = match &node {
                Ok(node) => guarded(|| run(node)),
                Err(error) => Err(anyhow!("the node did not start: {error:#}")),
            };
            self.report(&line(containerd, name), outcome);
        }
        let Ok(node) = node else { return };
        if self.failed > failed_before {
            eprintln!("{}", node.save_logs());
        }
        let leftovers = node.finish();
        let clean = if leftovers.is_empty() {
            Ok(())
        } else {
            Err(anyhow!("{}", leftovers.join(", ")))
        };
        self.report(
            &line(containerd, "the shared node leaves nothing behind"),
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
