//! Images and pods that try to get around the launcher.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{Check, shared};
use crate::daemon::{BASELINE, SANDBOXED};
use crate::images::{BUSYBOX, HOSTILE};
use crate::node::Node;
use crate::pod::Exit;

const LIMIT: Duration = Duration::from_secs(20);

pub(super) const CHECKS: &[Check] = &[
    shared(
        "control: the hostile image runs its library in an unsandboxed process",
        hostile_baseline,
    ),
    shared(
        "nothing of a hostile image runs before Landlock, nor in the launcher",
        hostile_sandboxed,
    ),
    shared(
        "environment of the pod does not reach the launcher's policy",
        environment,
    ),
    shared(
        "a pod's own mount at or below /nono is refused with a message",
        own_mount,
    ),
];

/// Which processes ran the hostile library, as seen in /etc and /tmp of the image.
struct Markers {
    etc: BTreeSet<String>,
    tmp: BTreeSet<String>,
}

fn hostile_baseline(node: &Node) -> Result<()> {
    let markers = run_hostile(node, BASELINE)?;
    ensure!(
        markers.etc.contains("probe"),
        "no marker of the probe in /etc: the image is not hostile enough"
    );
    ensure!(
        markers.tmp.contains("probe"),
        "no marker of the probe in /tmp: the image is not hostile enough"
    );
    Ok(())
}

fn hostile_sandboxed(node: &Node) -> Result<()> {
    let markers = run_hostile(node, SANDBOXED)?;
    ensure!(
        markers.etc.is_empty(),
        "image code ran outside the sandbox: /etc has markers of {:?}",
        markers.etc
    );
    // Inside the sandbox the workload may load whatever it likes.
    let expected = BTreeSet::from(["probe".to_owned()]);
    ensure!(
        markers.tmp == expected,
        "image code ran in {:?}, should be {expected:?}",
        markers.tmp
    );
    Ok(())
}

fn run_hostile(node: &Node, handler: &str) -> Result<Markers> {
    let pod = node.pod("hostile").handler(handler).run()?;
    let container = pod
        .container(HOSTILE, &["/bin/probe", "trap", "0"])
        .start()?;
    container.wait_for_output("trap: ready", LIMIT)?;
    let rootfs = container.rootfs();
    Ok(Markers {
        etc: markers(&rootfs.join("etc"))?,
        tmp: markers(&rootfs.join("tmp"))?,
    })
}

fn markers(directory: &Path) -> Result<BTreeSet<String>> {
    let entries =
        fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let names: Vec<String> = names.collect::<Result<_>>()?;
    Ok(names
        .iter()
        .filter_map(|name| name.strip_prefix("hostile-ran-as-"))
        .map(str::to_owned)
        .collect())
}

fn environment(node: &Node) -> Result<()> {
    let variables = [
        ("NONO_ALLOW", "/etc"),
        ("NONO_PROFILE", "no-such-profile"),
        ("NONO_CONFIG", "/tmp"),
        ("TMPDIR", "/etc"),
        ("HOME", "/etc"),
        ("XDG_CONFIG_HOME", "/tmp"),
        ("XDG_RUNTIME_DIR", "/etc"),
    ];
    let pod = node.pod("environment").run()?;
    let command = ["/app/tool", "read", "/etc/passwd", "write", "/etc/marker"];
    let output = pod
        .container(BUSYBOX, &command)
        .env(&variables)
        .working_dir("/etc")
        .finish(LIMIT)?
        .success()?;
    ensure!(
        output == "read /etc/passwd: EACCES\nwrite /etc/marker: EACCES\n",
        "the probe printed {output:?}"
    );
    Ok(())
}

fn own_mount(node: &Node) -> Result<()> {
    let source = node.scratch().join("mount");
    fs::create_dir_all(&source)?;
    fs::write(source.join("file"), "content\n")?;
    let source = source.to_string_lossy();
    for destination in [
        "/nono",
        "/nono/",
        "/nono/profiles",
        "/tmp/../nono",
        "//nono/./x",
    ] {
        mount_is_effective(node, &source, destination)?;
        let message = refusal_of_mount(node, &source, destination)?;
        ensure!(
            message.contains("/nono"),
            "no \"/nono\" in the refusal of {destination}: {message}"
        );
    }
    // No control: runc follows this link up to 1.3.5 and refuses it itself since.
    let through_proc = "/proc/self/root/nono";
    let message = refusal_of_mount(node, &source, through_proc)?;
    ensure!(
        message.contains(through_proc),
        "the refusal does not name {through_proc}: {message}"
    );
    Ok(())
}

/// The control: without the sandbox the same mount is accepted and seen inside.
fn mount_is_effective(node: &Node, source: &str, destination: &str) -> Result<()> {
    let pod = node.pod("mount").handler(BASELINE).run()?;
    let output = pod
        .container(BUSYBOX, &["cat", &format!("{destination}/file")])
        .mount(source, destination)
        .finish(LIMIT)
        .and_then(Exit::success)
        .with_context(|| format!("an unsandboxed mount at {destination}"))?;
    ensure!(
        output == "content\n",
        "an unsandboxed mount at {destination} shows {output:?}"
    );
    Ok(())
}

/// The plugin refuses when the container is created, before any runc runs; its message names the container.
fn refusal_of_mount(node: &Node, source: &str, destination: &str) -> Result<String> {
    let pod = node.pod("mount").run()?;
    let message = pod
        .container(BUSYBOX, &["sleep", "300"])
        .name("web-server")
        .mount(source, destination)
        .refusal()
        .with_context(|| format!("a mount at {destination}"))?;
    ensure!(
        message.contains("web-server"),
        "no \"web-server\" in the refusal of {destination}: {message}"
    );
    Ok(message)
}
