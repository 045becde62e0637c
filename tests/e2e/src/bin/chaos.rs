//! `make chaos`: containers come and go while the plugin is killed, or containerd restarted.

#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};
use e2e::chaos::{Chaos, Disturbance, Load, Report, Total};
use e2e::node;
use e2e::repository::Versions;
use e2e::terminal::{Style, progress};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

const WORKERS: usize = 8;

#[derive(Parser)]
#[command(about = "Containers come and go while the plugin is killed, or containerd restarted")]
struct Cli {
    /// Fewer of everything, to try a change
    #[arg(long)]
    quick: bool,
    /// Run only on this version of containerd
    #[arg(long, value_name = "VERSION")]
    containerd: Option<String>,
    /// Let only this strike
    #[arg(long, value_enum, value_name = "WHAT")]
    only: Option<Strike>,
    /// Leave the guard out, to see that the run finds what is bare then
    #[arg(long)]
    without_guard: bool,
    /// Print the table of docs/security/chaos.md at the end
    #[arg(long)]
    table: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Strike {
    /// The plugin is killed
    Plugin,
    /// containerd is restarted
    Containerd,
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
    let interrupted = interrupt()?;
    node::forget_logs();
    let mut reports = Vec::new();
    for version in versions(cli)? {
        for (disturbance, load) in loads(cli) {
            if interrupted.load(Ordering::Relaxed) {
                return Ok(false);
            }
            progress(&format!("containerd {version}, {disturbance}"));
            let chaos = Chaos {
                containerd: &version,
                disturbance,
                load,
                guard: !cli.without_guard,
                interrupted: &interrupted,
            };
            let report = chaos
                .run()
                .with_context(|| format!("containerd {version}, {disturbance}"))?;
            print(&report);
            reports.push(report);
        }
    }
    if cli.table {
        println!("\n{}", Report::heading());
        reports
            .iter()
            .for_each(|report| println!("{}", report.row()));
        println!();
    }
    let mut total = Total::default();
    reports.iter().for_each(|report| total.add(report));
    println!("{total}");
    Ok(reports.iter().all(Report::is_good))
}

/// Ends the run in order: striker and workers stop, then the node is taken away.
fn interrupt() -> Result<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        flag::register(signal, Arc::clone(&interrupted)).context("cannot catch interrupts")?;
    }
    Ok(interrupted)
}

fn versions(cli: &Cli) -> Result<Vec<String>> {
    let mut versions = Versions::read()?.of("containerd")?.to_vec();
    if let Some(wanted) = &cli.containerd {
        versions.retain(|version| version == wanted);
        ensure!(
            !versions.is_empty(),
            "tools/versions.toml pins no containerd {wanted}"
        );
    }
    Ok(versions)
}

fn loads(cli: &Cli) -> Vec<(Disturbance, Load)> {
    let (containers, kills, restarts) = if cli.quick {
        (60, 12, 3)
    } else {
        (500, 100, 10)
    };
    let load = |strikes: usize| Load {
        containers,
        workers: WORKERS,
        strikes,
    };
    let kills = (Disturbance::PluginKilled, load(kills));
    let restarts = (Disturbance::RuntimeRestarted, load(restarts));
    match cli.only {
        None => vec![kills, restarts],
        Some(Strike::Plugin) => vec![kills],
        Some(Strike::Containerd) => vec![restarts],
    }
}

fn print(report: &Report) {
    let style = Style::of_stdout();
    if report.is_good() {
        println!("{} {report}", style.good("✓"));
        return;
    }
    println!("{} {report}", style.bad("✗"));
    for failure in report.failures() {
        println!("  {}", failure.replace('\n', " ⏎ "));
    }
}
