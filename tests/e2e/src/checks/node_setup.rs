//! `kubefence node install` and `uninstall`, from where a container runs them, on machines with a real containerd.

mod faults;

use std::fs;

use anyhow::{Context, Result, ensure};

use super::confinement::{BARE, CONFINED, PROBE, expect};
use super::{Check, On, own, own_on};
use crate::daemon::{BASELINE, SANDBOXED};
use crate::machine::{CONFIG, Machine, RESTART, SABOTAGE, succeeded};
use crate::node::Runtime;
use crate::repository;

pub(super) const CHECKS: &[Check] = &[
    own(
        "node install: pods of the handler are confined, others are not, and uninstalling leaves every file as it was",
        there_and_back,
    ),
    own_on(
        On::Containerd1,
        "node install: pods of the handler are confined, others are not, and uninstalling leaves every file as it was",
        there_and_back,
    ),
    own_on(
        On::Crio,
        "node install: pods of the handler are confined, others are not, and uninstalling leaves every file as it was",
        on_crio,
    ),
    own_on(
        On::First,
        "node install: without a configuration file there is one, and none again after uninstalling",
        without_configuration,
    ),
    own_on(
        On::First,
        "node install: done twice, it changes no file and restarts nothing",
        twice,
    ),
    own_on(
        On::First,
        "node install: --dry-run shows every change and makes none",
        dry_run,
    ),
    own_on(
        On::First,
        "node install: what somebody edits afterwards survives uninstalling, and a link stays one",
        edited_since,
    ),
    own_on(
        On::First,
        "node uninstall: refused while a pod of the handler exists, and while the runtime does not answer",
        refused,
    ),
    own(
        "node uninstall: an ended pod does not hinder it, and can be removed afterwards",
        ended_pod,
    ),
    own_on(
        On::Containerd1,
        "node uninstall: an ended pod does not hinder it, and can be removed afterwards",
        ended_pod,
    ),
    own_on(
        On::Crio,
        "node uninstall: refused while a pod of the handler runs; an ended one is waited for, and named if it stays",
        ended_pod_on_crio,
    ),
    own_on(
        On::First,
        "node install: a handler that was configured by hand for the guard is left as it is",
        by_hand,
    ),
    own_on(
        On::First,
        "node status: tells intact from changed, missing and not installed",
        status,
    ),
    faults::NOT_COMING_BACK,
    faults::KILLED,
    faults::READ_ONLY,
    faults::FULL,
];

fn machine(version: &str) -> Result<Machine> {
    Machine::start(Runtime::Containerd(version), |config| config)
}

/// Checks what the first process can do, and one that joins it.
fn behaves(machine: &Machine, handler: &str, expected: &str) -> Result<()> {
    let command = [&PROBE[..], &["trap", "0"]].concat();
    let pod = machine.pod(&format!("{handler}-probe"), handler, &command)?;
    let output = pod.prints("trap: ready")?.replace("trap: ready\n", "");
    expect(&output, expected, "the container's process")?;
    expect(&pod.exec(&PROBE)?, expected, "an exec")?;
    pod.remove()
}

fn finish(machine: Machine) -> Result<()> {
    let leftovers = machine.finish();
    ensure!(
        leftovers.is_empty(),
        "left behind: {}",
        leftovers.join(", ")
    );
    Ok(())
}

fn there_and_back(version: &str) -> Result<()> {
    let machine = machine(version)?;
    there_and_back_on(&machine)?;
    finish(machine)
}

fn on_crio(version: &str) -> Result<()> {
    let machine = Machine::start(Runtime::Crio(version), |config| config)?;
    there_and_back_on(&machine)?;
    finish(machine)
}

fn there_and_back_on(machine: &Machine) -> Result<()> {
    ensure!(
        machine.pod("early", SANDBOXED, &["true"]).is_err(),
        "control: the handler is not there before"
    );
    let before = machine.tree()?;
    machine.install(&[])?;
    behaves(machine, SANDBOXED, CONFINED)?;
    behaves(machine, BASELINE, BARE).context("control")?;
    let during = machine.tree()?;
    for path in ["/opt/nono-nri/nono", "/opt/kubefence/bin/nono-runc.toml"] {
        ensure!(during.has(path), "{path} is not there");
    }
    ensure!(
        before.expect(&during).is_err(),
        "control: something is installed"
    );
    machine.uninstall(&[])?;
    before.expect(&machine.tree()?)?;
    behaves(machine, BASELINE, BARE).context("afterwards")?;
    ensure!(
        machine.pod("late", SANDBOXED, &["true"]).is_err(),
        "the handler is still there"
    );
    Ok(())
}

fn without_configuration(version: &str) -> Result<()> {
    let machine = machine(version)?;
    let kept = machine.read(CONFIG)?;
    // The runtime goes on with what it has read, so only files are looked at.
    fs::remove_file(machine.outside(CONFIG))?;
    fs::remove_dir(machine.outside("/etc/containerd"))?;
    let before = machine.tree()?;
    succeeded(machine.node(&[
        "install",
        "--source",
        &machine.source(),
        "--restart",
        "none",
    ])?)?;
    ensure!(
        machine.read(CONFIG)?.contains(SANDBOXED),
        "no handler in a new {CONFIG}"
    );
    machine.shell("containerd config dump")?;
    succeeded(machine.node(&["uninstall", "--restart", "none"])?)?;
    before.expect(&machine.tree()?)?;
    machine.write(CONFIG, &kept)?;
    finish(machine)
}

fn twice(version: &str) -> Result<()> {
    let machine = machine(version)?;
    machine.install(&[])?;
    let (once, starts) = (machine.tree()?, machine.starts()?);
    let said = machine.install(&[])?;
    ensure!(said.contains("nothing to do"), "it says {said}");
    once.expect(&machine.tree()?)?;
    ensure!(machine.starts()? == starts, "the runtime was restarted");
    // Another guard configuration is no reason to restart the runtime.
    machine.install(&["--allowed-profile", "default"])?;
    ensure!(
        once.expect(&machine.tree()?).is_err(),
        "control: an option counts"
    );
    ensure!(machine.starts()? == starts, "the runtime was restarted");
    finish(machine)
}

fn dry_run(version: &str) -> Result<()> {
    let machine = machine(version)?;
    let (before, starts) = (machine.tree()?, machine.starts()?);
    let diff = machine.install(&["--dry-run"])?;
    for part in [
        "+++ /opt/kubefence/bin/nono-runc\n",
        "+runtime = ",
        "+BinaryName = ",
        "would restart",
    ] {
        let found = diff.contains(part) || diff.replace("'", "\"").contains(part);
        ensure!(found, "no {part:?} in {diff}");
    }
    before.expect(&machine.tree()?)?;
    machine.install(&[])?;
    let during = machine.tree()?;
    let diff = machine.uninstall(&["--dry-run"])?;
    ensure!(diff.contains("would restart"), "it says {diff}");
    during.expect(&machine.tree()?)?;
    ensure!(
        machine.starts()? == starts + 1,
        "a dry run restarts the runtime"
    );
    finish(machine)
}

fn edited_since(version: &str) -> Result<()> {
    let machine = machine(version)?;
    let real = "/etc/real-config.toml";
    fs::rename(machine.outside(CONFIG), machine.outside(real))?;
    // An absolute link that leads nowhere in the container's own file system.
    std::os::unix::fs::symlink(real, machine.outside(CONFIG))?;
    let original = machine.read(real)?;
    // Without imports, the main file itself has to be edited.
    let text: String = original
        .lines()
        .filter(|line| !line.starts_with("imports"))
        .flat_map(|line| [line, "\n"])
        .collect();
    machine.write(real, &text)?;
    machine.install(&[])?;
    ensure!(
        fs::read_link(machine.outside(CONFIG))?.ends_with("real-config.toml"),
        "the link is gone"
    );
    let installed = machine.read(real)?;
    ensure!(
        installed.contains(SANDBOXED),
        "control: the link's target was edited"
    );
    machine.write(real, &format!("# a word of mine\n{installed}"))?;
    let said = machine.uninstall(&[])?;
    ensure!(
        said.contains("somebody has changed it since"),
        "it says {said}"
    );
    let left = machine.read(real)?;
    ensure!(
        left == format!("# a word of mine\n{text}"),
        "left is {left}"
    );
    behaves(&machine, BASELINE, BARE)?;
    finish(machine)
}

fn refused(version: &str) -> Result<()> {
    let machine = machine(version)?;
    machine.install(&[])?;
    let pod = machine.pod("needs-it", SANDBOXED, &["sleep", "300"])?;
    for options in [&["uninstall"][..], &["uninstall", "--dry-run"]] {
        let output = machine.node(options)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            !output.status.success() && said.contains("e2e/needs-it (nono-runc)"),
            "it says {said}"
        );
    }
    ensure!(pod.exec(&PROBE[..3]).is_ok(), "the pod was disturbed");
    pod.remove()?;
    let nowhere = ["uninstall", "--runtime-socket", "/run/nowhere.sock"];
    let output = machine.node(&nowhere)?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        !output.status.success() && said.contains("--force"),
        "it says {said}"
    );
    ensure!(
        machine.tree()?.has("/opt/kubefence/bin/nono-runc"),
        "the guard is gone"
    );
    machine.uninstall(&[]).context("control: without the pod")?;
    finish(machine)
}

fn ended_pod(version: &str) -> Result<()> {
    let machine = machine(version)?;
    machine.install(&[])?;
    let pod = machine.pod("ended", SANDBOXED, &["sleep", "300"])?;
    ensure!(
        machine.node(&["uninstall", "--dry-run"])?.status.code() == Some(1),
        "control: it runs"
    );
    pod.stop()?;
    machine.uninstall(&[])?;
    let listed = machine.cri().call(&["pods", "--quiet"])?;
    ensure!(!listed.is_empty(), "control: the pod is still listed");
    pod.remove()?;
    let listed = machine.cri().call(&["pods", "--quiet"])?;
    ensure!(listed.is_empty(), "the pod is still there");
    finish(machine)
}

fn ended_pod_on_crio(version: &str) -> Result<()> {
    let machine = Machine::start(Runtime::Crio(version), |config| config)?;
    machine.install(&[])?;
    let pod = machine.pod("ended", SANDBOXED, &["sleep", "300"])?;
    let running = machine.node(&["uninstall"])?;
    let said = String::from_utf8_lossy(&running.stderr);
    ensure!(
        !running.status.success() && said.contains("e2e/ended (nono-runc)"),
        "it says {said}"
    );
    pod.stop()?;
    let output = machine.node(&["uninstall", "--timeout", "3"])?;
    let said = String::from_utf8_lossy(&output.stderr);
    for part in ["waiting until the kubelet", "e2e/ended (nono-runc, ended)"] {
        ensure!(
            !output.status.success() && said.contains(part),
            "no {part:?} in {said}"
        );
    }
    pod.remove()?;
    machine.uninstall(&[]).context("control: without the pod")?;
    finish(machine)
}

fn by_hand(version: &str) -> Result<()> {
    let machine = machine(version)?;
    let text = fs::read_to_string(repository::root().join("deploy/containerd-config.toml"))
        .context("no deploy/containerd-config.toml")?;
    machine.write("/etc/containerd/conf.d/kubefence.toml", &text)?;
    machine.shell(RESTART)?;
    machine.cri().wait_until_ready()?;
    let (before, starts) = (machine.tree()?, machine.starts()?);
    machine.install(&[])?;
    ensure!(
        !machine
            .tree()?
            .has("/etc/containerd/conf.d/99-kubefence.toml"),
        "a second configuration"
    );
    ensure!(machine.starts()? == starts, "the runtime was restarted");
    behaves(&machine, SANDBOXED, CONFINED)?;
    machine.uninstall(&[])?;
    before.expect(&machine.tree()?)?;
    finish(machine)
}

fn status(version: &str) -> Result<()> {
    let machine = machine(version)?;
    let ends_with = |code: i32, words: &str| -> Result<()> {
        let output = machine.node(&["status"])?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(
            output.status.code() == Some(code) && said.contains(words),
            "{}: {said}",
            output.status
        );
        Ok(())
    };
    ends_with(3, "not installed")?;
    machine.install(&[])?;
    ends_with(0, "known to the runtime")?;
    let guard = machine.outside("/opt/kubefence/bin/nono-runc.toml");
    let kept = fs::read(&guard)?;
    fs::write(&guard, "")?;
    ends_with(1, "nono-runc.toml was changed")?;
    fs::remove_file(&guard)?;
    ends_with(1, "nono-runc.toml is missing")?;
    fs::write(&guard, kept)?;
    ends_with(0, "as installed")?;
    machine.write(SABOTAGE, "")?;
    machine.shell("kill $(cat /run/e2e/pid)")?;
    ends_with(1, "does not answer")?;
    fs::remove_file(machine.outside(SABOTAGE))?;
    machine.cri().wait_until_ready()?;
    ends_with(0, "as installed")?;
    finish(machine)
}
