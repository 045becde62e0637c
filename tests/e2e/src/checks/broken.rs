//! A node on which something of the guard's is lost or damaged: it refuses, or makes up for it, and still ends
//! containers. Each check has a node of its own.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::confinement::{CONFINED, LIMIT, PROBE, confined, expect, refusal, sleeping};
use super::guard::guarded;
use super::{Check, own};
use crate::daemon::BASELINE;
use crate::images::BUSYBOX;
use crate::node::{Fixture, Node};
use crate::subprocess;

pub(super) const CHECKS: &[Check] = &[
    own(
        "guard: a lost record is made up for from runc's state, if the launcher is inside",
        lost_record,
    ),
    own(
        "guard: a broken configuration creates and executes nothing, and ends everything",
        broken_configuration,
    ),
    own(
        "guard: a missing launcher, a cut plan and a full disk for records refuse containers",
        broken_node,
    ),
    own(
        "guard: with on_unwrapped = \"refuse\", what the plugin has not wrapped is refused",
        refuse_unwrapped,
    ),
];

fn lost_record(containerd: &str) -> Result<()> {
    let node = guarded(containerd)?;
    let pod = node.pod("lost").run()?;
    let container = sleeping(&pod, "main")?;
    let record = node.guard()?.record_of(container.id())?;
    fs::remove_file(&record)?;
    expect(
        &container.exec(&PROBE)?,
        CONFINED,
        "an exec without a record",
    )?;
    // Without the launcher inside there is nothing to go on with: a bare container of another handler, moved here.
    let control = node.pod("bare").handler(BASELINE).run()?;
    let bare = sleeping(&control, "main")?;
    let root = node.daemon().runc_root();
    let guard = node.guard()?.binary();
    let arguments = ["--root", &root.to_string_lossy(), "exec", bare.id(), "true"];
    let output = subprocess::output(&guard, &arguments, LIMIT)?;
    ensure!(
        !output.status.success(),
        "the guard executed something in a bare container"
    );
    let reason = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(
        reason.contains("the guard did not create it"),
        "the refusal says {reason}"
    );
    // Damaged is not lost.
    let second = sleeping(&pod, "second")?;
    fs::write(node.guard()?.record_of(second.id())?, "{")?;
    let output = second.exec_output(&PROBE)?;
    ensure!(
        !output.status.success(),
        "an exec with a damaged record was not refused"
    );
    Ok(())
}

fn broken_configuration(containerd: &str) -> Result<()> {
    let node = guarded(containerd)?;
    let pod = node.pod("broken").run()?;
    let container = sleeping(&pod, "main")?;
    let runtime = node.daemon().runc().display().to_string();
    let broken = format!("runtime = {runtime:?}\ncalled_by = \"nobody\"\n");
    node.guard()?.with_config(&broken, || {
        let message = refusal(&pod, "second")?;
        ensure!(
            message.contains("nono-runc.toml"),
            "the refusal says {message}"
        );
        let output = container.exec_output(&PROBE)?;
        ensure!(
            !output.status.success(),
            "something was executed: {}",
            String::from_utf8_lossy(&output.stdout)
        );
        container.stop(1).context("a container is stopped")?;
        container.remove().context("a container is removed")
    })?;
    confined(&pod)
}

fn broken_node(containerd: &str) -> Result<()> {
    let node = Node::start(
        Fixture::containerd(containerd)
            .images(&[BUSYBOX])
            .guard()
            .without_nri(),
    )?;
    let pod = node.pod("broken").run()?;
    let install = node.install()?;
    let refused = |name: &str, because: &str| -> Result<()> {
        let message = refusal(&pod, name)?;
        ensure!(
            message.contains(because),
            "{name}: the refusal says {message}"
        );
        Ok(())
    };
    let aside = node.scratch().join("aside");
    let moved = |path: &Path, name: &str, because: &str| -> Result<()> {
        fs::rename(path, &aside)?;
        let outcome = refused(name, because);
        fs::rename(&aside, path)?;
        outcome
    };
    moved(
        &install.launcher(),
        "no-launcher",
        "the launcher cannot be trusted",
    )?;
    let link = install.directory().join("profiles/default.json");
    moved(&link, "no-profile", "default")?;
    let plan = install
        .directory()
        .join("profiles")
        .join(fs::read_link(&link)?);
    let whole = fs::read(&plan)?;
    fs::write(&plan, &whole[..whole.len() / 2])?;
    let outcome = refused("cut-plan", "default");
    fs::write(&plan, &whole)?;
    outcome?;
    full_disk(&node, || refused("full-disk", "record"))?;
    confined(&pod)
}

/// Runs `meanwhile` with records on a file system that holds nothing.
fn full_disk(node: &Node, meanwhile: impl FnOnce() -> Result<()>) -> Result<()> {
    let full = node.scratch().join("full");
    fs::create_dir(&full)?;
    let target = full.display().to_string();
    subprocess::text(
        Path::new("/bin/mount"),
        &[
            "-t",
            "tmpfs",
            "-o",
            "size=4k,nr_inodes=2,mode=0700",
            "none",
            &target,
        ],
        LIMIT,
    )?;
    fs::write(full.join("filler"), [0; 4096])?;
    let guard = node.guard()?;
    let before = guard.read_config()?;
    guard.set("state_dir", target.clone())?;
    let outcome = meanwhile();
    guard.write_config(&before)?;
    subprocess::text(Path::new("/bin/umount"), &[&target], LIMIT)?;
    outcome
}

fn refuse_unwrapped(containerd: &str) -> Result<()> {
    let node = guarded(containerd)?;
    node.guard()?.set("on_unwrapped", "refuse")?;
    let pod = node.pod("strictly").run()?;
    confined(&pod)?;
    node.plugin()?.stop()?;
    // The first creation fails at the closed validator already.
    let _ = sleeping(&pod, "first");
    let message = refusal(&pod, "second")?;
    ensure!(
        message.contains("arrived without its sandbox"),
        "the refusal says {message}"
    );
    Ok(())
}
