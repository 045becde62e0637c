//! `cargo xtask fuzz`: libFuzzer on what parses bytes that others wrote.
//!
//! The instrumentation needs no nightly compiler: these are flags of LLVM's own passes. What a run finds new
//! is kept in `.cache/fuzz`, so the next one goes on from there.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::cargo::{host_triple, root, run};

/// Coverage feedback, as libFuzzer wants it.
const INSTRUMENTED: &str = "-Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    --cfg fuzzing";

/// Longest input, in bytes: longer than any seed.
const MAX_LEN: u32 = 16 << 10;

/// Arguments of `cargo xtask fuzz`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How long each target runs, in seconds
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Only this target
    target: Option<String>,
}

/// Builds the targets and runs each for a while. A crash is an error, and its input is kept.
pub(crate) fn fuzz(args: &Args) -> anyhow::Result<()> {
    let crate_dir = root().join("fuzz");
    let build_dir = root().join("target/fuzz");
    run(Command::new("cargo")
        .current_dir(&crate_dir)
        .env("RUSTFLAGS", INSTRUMENTED)
        .args(["build", "--release", "--target", &host_triple()?])
        .arg("--target-dir")
        .arg(&build_dir))?;
    let programs = build_dir.join(host_triple()?).join("release");
    let seeds = crate_dir.join("corpus");
    let mut targets = Vec::new();
    for entry in fs::read_dir(&seeds).context("fuzz/corpus cannot be read")? {
        targets.push(entry?.file_name().into_string().unwrap_or_default());
    }
    targets.sort();
    targets.retain(|name| args.target.as_ref().is_none_or(|only| only == name));
    ensure!(!targets.is_empty(), "no such fuzz target");
    for name in &targets {
        let found = root().join(".cache/fuzz").join(name);
        fs::create_dir_all(found.join("corpus"))?;
        println!("\n=== {name} for {} s", args.seconds);
        run(Command::new(programs.join(name))
            .arg(found.join("corpus"))
            .arg(seeds.join(name))
            .arg(format!("-artifact_prefix={}/", found.display()))
            .arg(format!("-max_total_time={}", args.seconds))
            .arg(format!("-max_len={MAX_LEN}"))
            .args(["-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"]))
        .with_context(|| format!("{name} failed; its input lies in {}", found.display()))?;
    }
    println!("\n{} fuzz targets, no failure", targets.len());
    Ok(())
}
