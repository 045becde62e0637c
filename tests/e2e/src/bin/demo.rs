//! `make demo`: the same workload with and without the sandbox, on a private containerd.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser;
use e2e::cleanup;
use e2e::demo::{self, Table};
use e2e::images;
use e2e::node::{Fixture, Node};
use e2e::repository::Versions;
use e2e::terminal::{Style, progress};

#[derive(Parser)]
#[command(about = "Shows what the sandbox blocks, before and after")]
struct Cli {
    /// Print the table as JSON
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    cleanup::on_interrupt()?;
    let table = measure()?;
    if cli.json {
        println!("{}", serde_json::to_string_pretty(&table)?);
    } else {
        print!("\n{}", table.render(Style::of_stdout()));
    }
    let deviations = table.deviations();
    ensure!(
        deviations.is_empty(),
        "not what the specification says: {}",
        deviations.join("; ")
    );
    Ok(())
}

fn measure() -> Result<Table> {
    // Slow the first time: make the image before anything runs.
    images::archive(images::DEBIAN)?;
    let versions = Versions::read()?;
    let containerd = &versions.of("containerd")?[0];
    progress(&format!(
        "starting a private containerd {containerd} with plugin and guard"
    ));
    let fixture = Fixture::containerd(containerd).images(&[images::DEBIAN]);
    let node = Node::start(fixture.plugin().guard())?;
    let table = demo::run(&node, progress)?;
    progress("cleaning up");
    let leftovers = node.finish();
    ensure!(
        leftovers.is_empty(),
        "these did not go away by themselves: {}",
        leftovers.join(", ")
    );
    Ok(table)
}
