//! One probe, as the process of a container and as one that joins it: what it can do bare, and what confined.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail, ensure};

use crate::images::BUSYBOX;
use crate::node::Node;
use crate::pod::{Container, ContainerRequest, Pod};
use crate::repository::Versions;
use crate::subprocess;

pub(super) const LIMIT: Duration = Duration::from_secs(20);
pub(super) const SLEEP: [&str; 2] = ["sleep", "300"];
pub(super) const PROBE: [&str; 5] = ["/app/tool", "read", "/etc/passwd", "write", "/tmp/file"];
pub(super) const BARE: &str = "read /etc/passwd: ok\nwrite /tmp/file: ok\n";
pub(super) const CONFINED: &str = "read /etc/passwd: EACCES\nwrite /tmp/file: ok\n";

/// Says whether it has a terminal, and tries a little.
pub(super) const ON_TERMINAL: &str =
    "test -t 0 && test -t 1 && echo on a terminal; /app/tool id read /etc/passwd write /tmp/file";

pub(super) fn expect(found: &str, expected: &str, what: &str) -> Result<()> {
    ensure!(
        found.trim() == expected.trim(),
        "{what}: {found:?} instead of {expected:?}"
    );
    Ok(())
}

/// A container that does nothing.
pub(super) fn sleeping<'p>(pod: &'p Pod<'_>, name: &str) -> Result<Container<'p>> {
    pod.container(BUSYBOX, &SLEEP).name(name).start()
}

/// Checks that the process of a new container is confined, and one that joins it.
pub(super) fn confined(pod: &Pod<'_>) -> Result<()> {
    prints(pod, &PROBE, CONFINED, |request| request)
}

/// Checks that neither is; the control.
pub(super) fn bare(pod: &Pod<'_>) -> Result<()> {
    prints(pod, &PROBE, BARE, |request| request)
}

/// Checks what `probe` prints as the process of a new container, and as one that joins it.
pub(super) fn prints(
    pod: &Pod<'_>,
    probe: &[&str],
    expected: &str,
    adjust: impl FnOnce(ContainerRequest<'_>) -> ContainerRequest<'_>,
) -> Result<()> {
    let container = adjust(probing(pod, probe)).start()?;
    printed(&container, probe, expected)?;
    container.remove()
}

/// A container that runs the probe, and stays so that it can be joined.
pub(super) fn probing<'p>(pod: &'p Pod<'_>, probe: &[&str]) -> ContainerRequest<'p> {
    pod.container(BUSYBOX, &[probe, &["trap", "0"]].concat())
}

/// Checks what the probe printed in a [`probing`] container, and what it prints in a process that joins it.
pub(super) fn printed(container: &Container<'_>, probe: &[&str], expected: &str) -> Result<()> {
    container.wait_for_output("trap: ready", LIMIT)?;
    let output = container.output()?.replace("trap: ready\n", "");
    // CRI-O logs what runc says of the pod with what the container prints.
    let own = output.lines().filter(|line| !line.starts_with("time=\""));
    let own: String = own.flat_map(|line| [line, "\n"]).collect();
    expect(&own, expected, "the container's process")?;
    expect(&container.exec(probe)?, expected, "an exec")
}

/// The message with which a container is refused, at its creation or its start.
pub(super) fn refusal(pod: &Pod<'_>, name: &str) -> Result<String> {
    match sleeping(pod, name) {
        Ok(_) => bail!("container {name} was started, it should have been refused"),
        Err(error) => Ok(unquoted(&format!("{error:#}"))),
    }
}

/// The runtime's client quotes messages once more.
fn unquoted(message: &str) -> String {
    message.replace("\\\"", "\"").replace("\\\\", "\\")
}

/// What a shell script prints on a terminal in the container. `crictl` insists on a terminal of its own.
pub(super) fn on_terminal(node: &Node, container: &Container<'_>, script: &str) -> Result<String> {
    let line = format!(
        "{} --config={} exec --interactive --tty {} sh -c '{script}'",
        Versions::read()?.home("crictl")?.join("crictl").display(),
        node.scratch().join("crictl.yaml").display(),
        container.id(),
    );
    let arguments = ["--quiet", "--return", "--command", &line, "/dev/null"];
    let output = subprocess::text(Path::new("script"), &arguments, LIMIT)?;
    // What `script` types when its own input ends is echoed by the terminal.
    Ok(output.replace('\r', "").replace("^@", ""))
}
