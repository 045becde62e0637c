//! The container image, as a node gets it.

use anyhow::{Context, Result, ensure};

use super::confinement::LIMIT;
use super::{Check, On, own_on};
use crate::daemon::BASELINE;
use crate::images::BUSYBOX;
use crate::node::{Fixture, Node};
use crate::pod::Pod;
use crate::repository;

/// The image's name.
const NAME: &str = "docker.io/library/nono-nri:latest";

pub(super) const CHECKS: &[Check] = &[own_on(
    On::First,
    "containerd knows the image by its name, and its programs run with nothing else in it",
    programs_run,
)];

fn programs_run(containerd: &str) -> Result<()> {
    let node = Node::start(Fixture::containerd(containerd))?;
    node.daemon().import(&repository::image_archive()?, NAME)?;
    node.cri().wait_for_image(NAME)?;
    let pod = node.pod("image").handler(BASELINE).run()?;
    let version = env!("CARGO_PKG_VERSION");
    prints(&pod, &[], &["--version"], &format!("10-nono-nri {version}"))?;
    for (name, expected) in [("nono", "nono "), ("kubefence", "kubefence ")] {
        let program = format!("/usr/bin/{name}");
        prints(
            &pod,
            &[&program],
            &["--version"],
            &format!("{expected}{version}"),
        )?;
    }
    prints(&pod, &["/usr/bin/kubefence"], &["profile", "list"], "NAME")?;
    // It goes on with the node's OCI runtime, which is none of the image's business.
    let guard = run(&pod, &["/usr/bin/nono-runc"], &["--version"])?;
    ensure!(
        guard
            .output
            .contains("nono-runc.toml: put it beside the program"),
        "the guard printed {:?}",
        guard.output
    );
    let shell = pod.container(BUSYBOX, &["/bin/sh"]).image(NAME).start();
    ensure!(shell.is_err(), "control: the image has a shell");
    Ok(())
}

fn prints(pod: &Pod<'_>, command: &[&str], args: &[&str], expected: &str) -> Result<()> {
    let what = || format!("{command:?} {args:?}");
    let output = run(pod, command, args)?.success().with_context(what)?;
    ensure!(
        output.starts_with(expected),
        "{}: printed {output:?}",
        what()
    );
    Ok(())
}

/// Runs the image as the chart does: no capabilities, nothing writable. Without a command, its own entry point.
fn run(pod: &Pod<'_>, command: &[&str], args: &[&str]) -> Result<crate::pod::Exit> {
    let words = [command, args].concat();
    let name: String = words
        .concat()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    let container = pod
        .container(BUSYBOX, command)
        .image(NAME)
        .args(args)
        .name(&name);
    container.without_capabilities().read_only().finish(LIMIT)
}
