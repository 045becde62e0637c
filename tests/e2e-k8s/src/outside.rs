//! On the machine itself: prepares the node's directories, starts the namespaces, and takes everything away.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use e2e::cleanup::{self, Territory};
use e2e::images;
use e2e::node;
use e2e::repository;
use e2e::scratch::Scratch;
use e2e::terminal::progress;
use rustix::process::geteuid;

use crate::checks;
use crate::cli::Selection;
use crate::cluster::IMAGES;
use crate::machine::{cgroup, namespaces};
use crate::suite::{Suite, Summary};
use crate::tools::{self, Tools};

/// What has to hold after everything else.
pub(crate) const LAST: &str = "the machine is as it was before";

/// Runs the selected checks; whether all passed.
pub(crate) fn run(selection: &Selection) -> Result<bool> {
    let mut lines = checks::lines();
    lines.push(LAST.to_owned());
    lines.retain(|line| selection.selects(line));
    ensure!(
        !lines.is_empty(),
        "no check matches --filter {}: see --list",
        selection.filter
    );
    if selection.list {
        lines.iter().for_each(|line| println!("{line}"));
        return Ok(true);
    }
    ensure!(
        geteuid().is_root(),
        "a node takes root: run this with sudo, or in a virtual machine"
    );
    let began = Instant::now();
    progress(&format!("using {}", Tools::find()?.versions));
    if !selection.shell {
        tools::image_archive()?;
        node::forget_logs();
    }
    for image in IMAGES {
        images::archive(image)?;
    }
    let outcome = on_a_node(selection, &lines)?;
    progress(&format!("took {} s", began.elapsed().as_secs()));
    Ok(outcome)
}

fn on_a_node(selection: &Selection, lines: &[String]) -> Result<bool> {
    let kernel = namespaces::kernel_wide();
    let scratch = Scratch::create()?;
    let label = scratch.label();
    let territory = Territory::claim(scratch.path(), &label);
    cleanup::on_interrupt()?;
    let status = start(scratch.path(), &label, selection);
    let summary = Summary::read(scratch.path());
    let complete = status.as_ref().is_ok_and(ExitStatus::success);
    if !complete && !selection.shell {
        eprintln!("{}", keep_logs(scratch.path(), &label));
    }
    // The processes are gone by now; empty cgroups and files are not.
    territory.clear();
    let status = status?;
    if selection.shell {
        return Ok(status.success());
    }
    let mut suite = Suite::continued(summary.context("the node came to no end of its checks")?);
    if lines.iter().any(|line| line == LAST) {
        suite.report(LAST, nothing_left(scratch.path(), &label, &kernel));
    }
    println!("{}", suite.total());
    Ok(suite.passed() && status.success())
}

/// Starts the first process of the node and waits for its end.
fn start(scratch: &Path, label: &str, selection: &Selection) -> Result<ExitStatus> {
    namespaces::prepare(scratch)?;
    cgroup::create(label)?;
    let mut command = Command::new("setpriv");
    command
        // Whatever ends this process ends the node.
        .args([
            "--pdeathsig",
            "KILL",
            "unshare",
            "--mount",
            "--net",
            "--pid",
        ])
        .args(["--ipc", "--uts", "--fork", "--kill-child=KILL"])
        .arg(std::env::current_exe()?);
    selection.pass_to(&mut command);
    command
        .arg("init")
        .arg(scratch)
        .status()
        .context("cannot run setpriv and unshare of util-linux")
}

fn nothing_left(scratch: &Path, label: &str, kernel: &[(&str, String)]) -> Result<()> {
    let cgroups = cgroup::remains(label);
    ensure!(cgroups.is_empty(), "cgroups are left: {cgroups:?}");
    ensure!(!scratch.exists(), "{} is left", scratch.display());
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    ensure!(
        !mounts.contains(&*scratch.to_string_lossy()),
        "mounts are left below {}",
        scratch.display()
    );
    for (before, now) in kernel.iter().zip(namespaces::kernel_wide()) {
        ensure!(
            *before == now,
            "{} was {} and is {}",
            now.0,
            before.1,
            now.1
        );
    }
    Ok(())
}

/// Copies what helps to understand a failure to `.cache/logs/NAME`; says where, in words.
fn keep_logs(scratch: &Path, label: &str) -> String {
    let target = repository::cache().join("logs").join(label);
    let copied = fs::create_dir_all(&target)
        .map_err(anyhow::Error::from)
        .and_then(|()| copy(&scratch.join("logs"), &target.join("components")))
        .and_then(|()| copy(&scratch.join("var-log/pods"), &target.join("pods")));
    match copied {
        Ok(()) => format!("logs of components and pods are in {}", target.display()),
        Err(error) => format!("logs could not be kept: {error:#}"),
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if !from.exists() {
        return Ok(());
    }
    let status = Command::new("cp")
        .args(["--recursive", "--no-target-directory"])
        .args([from, to])
        .status()
        .context("cannot run cp")?;
    ensure!(status.success(), "cp: {status}");
    Ok(())
}
