//! `make node-systemd`: the checks on a real systemd, one line each, and `N passed, N failed`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use e2e::cleanup;
use e2e::systemd;
use e2e::terminal::Style;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<bool> {
    cleanup::on_interrupt()?;
    let outcomes = systemd::run()?;
    let style = Style::of_stdout();
    for outcome in &outcomes {
        match &outcome.failure {
            None => println!("{} {}", style.good("✓"), outcome.name),
            Some(reason) => println!("{} {}: {reason}", style.bad("✗"), outcome.name),
        }
    }
    let failed = outcomes
        .iter()
        .filter(|outcome| outcome.failure.is_some())
        .count();
    println!("{} passed, {failed} failed", outcomes.len() - failed);
    Ok(failed == 0)
}
