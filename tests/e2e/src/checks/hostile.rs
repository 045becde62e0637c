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
    let source = source.to_string_lossy();
    for destination in [
        "/nono",
        "/nono/",
        "/nono/profiles",
        "/tmp/../nono",
        "//nono/./x",
    ] {
        let pod = node.pod("mount").run()?;
        let message = pod
            .container(BUSYBOX, &["sleep", "300"])
            .name("web-server")
            .mount(&source, destination)
            .refusal()
            .with_context(|| format!("a mount at {destination}"))?;
        for part in ["/nono", "web-server"] {
            ensure!(
                message.contains(part),
                "no {part:?} in the refusal of {destination}: {message}"
            );
        }
    }
    Ok(())
}
