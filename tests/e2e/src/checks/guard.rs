//! The guard in front of the OCI runtime: what joins a container, and what becomes of containers when the plugin is not
//! there, or hangs. Each check has a node of its own, with the guard on the sandboxed handler.

use anyhow::{Context, Result, ensure};

use super::confinement::{
    BARE, CONFINED, LIMIT, PROBE, SLEEP, bare, confined, expect, printed, probing, refusal,
    sleeping,
};
use super::{Check, own};
use crate::daemon::{BASELINE, SANDBOXED};
use crate::images::BUSYBOX;
use crate::node::{Fixture, Node};
use crate::wait;

const ANNOTATION: &str = "nono.sh/profile";

pub(super) const CHECKS: &[Check] = &[
    own(
        "guard: exec is confined as the container's process; control: without the guard it is not",
        exec_is_confined,
    ),
    own(
        "guard: user, capabilities, directory, environment, exit status and streams of an exec stay as they are",
        exec_stays_as_it_is,
    ),
    own(
        "guard: an exec cannot move the policy with its environment or its directory",
        exec_moves_nothing,
    ),
    own(
        "guard: without the plugin, and without NRI, containers are confined under the profile they ask for",
        without_plugin,
    ),
    own(
        "guard: a plugin that is killed or hangs leaves no container bare, and no log that says otherwise",
        plugin_killed_or_hung,
    ),
    own(
        "guard: containers that it wrapped are no unsandboxed ones to a plugin that comes back",
        plugin_comes_back,
    ),
    own("guard: records go with their containers", records_go),
];

/// A node with plugin and guard.
pub(super) fn guarded(containerd: &str) -> Result<Node> {
    Node::start(
        Fixture::containerd(containerd)
            .images(&[BUSYBOX])
            .plugin()
            .guard(),
    )
}

fn exec_is_confined(containerd: &str) -> Result<()> {
    let node = guarded(containerd)?;
    bare(&node.pod("bare").handler(BASELINE).run()?)?;
    confined(&node.pod("sandboxed").run()?)?;
    // Without the guard the plugin confines the first process only.
    let unguarded = Node::start(Fixture::containerd(containerd).images(&[BUSYBOX]).plugin())?;
    let pod = unguarded.pod("unguarded").run()?;
    expect(
        &sleeping(&pod, "main")?.exec(&PROBE)?,
        BARE,
        "the control without the guard",
    )
}

fn exec_stays_as_it_is(containerd: &str) -> Result<()> {
    let node = guarded(containerd)?;
    let script = "/app/tool id cwd env WORD; grep ^Cap /proc/self/status; echo to-stderr >&2";
    let mut seen = Vec::new();
    for handler in [BASELINE, SANDBOXED] {
        let pod = node.pod("same").handler(handler).run()?;
        let container = pod
            .container(BUSYBOX, &SLEEP)
            .user(1000)
            .working_dir("/tmp")
            .env(&[("WORD", "a b")])
            .start()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let output = container.exec_output(&["sh", "-c", script])?;
        let failing = container.exec_output(&["sh", "-c", "exit 7"])?;
        seen.push((
            text(&output.stdout),
            text(&output.stderr),
            exit_status(&text(&failing.stderr))?,
        ));
    }
    let (stdout, _, status) = &seen[0];
    ensure!(
        stdout.contains("id: 1000") && status == "7",
        "the control printed {stdout:?} and exited with {status}"
    );
    ensure!(
        seen[0] == seen[1],
        "bare {:?}, confined {:?}",
        seen[0],
        seen[1]
    );
    Ok(())
}

/// The status in crictl's message about a command that failed.
fn exit_status(message: &str) -> Result<String> {
    let status = message.split("exited with ").nth(1);
    let digits = status.map(|rest| rest.chars().take_while(char::is_ascii_digit).collect());
    digits.with_context(|| format!("crictl tells no exit status: {message}"))
}

fn exec_moves_nothing(containerd: &str) -> Result<()> {
    let node = guarded(containerd)?;
    let pod = node.pod("moving").run()?;
    let container = sleeping(&pod, "main")?;
    let script = "cd /etc && HOME=/etc TMPDIR=/etc XDG_CONFIG_HOME=/etc exec /app/tool write /etc/marker read passwd";
    expect(
        &container.exec(&["sh", "-c", script])?,
        "write /etc/marker: EACCES\nread passwd: EACCES",
        "an exec",
    )?;
    // The same variables, where they count: in the environment that the exec starts with.
    let hostile = pod
        .container(BUSYBOX, &SLEEP)
        .name("hostile")
        .working_dir("/etc")
        .env(&[
            ("HOME", "/etc"),
            ("TMPDIR", "/etc"),
            ("XDG_RUNTIME_DIR", "/etc"),
        ])
        .start()?;
    let probe = ["/app/tool", "write", "/etc/marker", "read", "/etc/passwd"];
    expect(
        &hostile.exec(&probe)?,
        "write /etc/marker: EACCES\nread /etc/passwd: EACCES",
        "an exec of a hostile image",
    )
}

fn without_plugin(containerd: &str) -> Result<()> {
    alone(Fixture::containerd(containerd))
}

/// Checks all that a node promises that has the guard, and no NRI.
pub(super) fn alone(runtime: Fixture<'_>) -> Result<()> {
    let node = Node::start(runtime.images(&[BUSYBOX]).guard().without_nri())?;
    bare(&node.pod("bare").handler(BASELINE).run()?)?;
    confined(&node.pod("default").run()?)?;
    let strict = node.pod("strict").annotation(ANNOTATION, "strict").run()?;
    // Unlike `default`, it has a seccomp filter.
    let filter = ["grep", "^Seccomp:", "/proc/self/status"];
    expect(
        &sleeping(&strict, "main")?.exec(&filter)?,
        "Seccomp:\t2",
        "the filter of an exec",
    )?;
    let plain = node.pod("plain").run()?;
    expect(
        &sleeping(&plain, "main")?.exec(&filter)?,
        "Seccomp:\t0",
        "the control without a filter",
    )?;
    let unknown = node.pod("unknown").annotation(ANNOTATION, "team").run()?;
    let message = refusal(&unknown, "main")?;
    ensure!(
        message.contains("profile \"team\" is not allowed"),
        "the refusal says {message}"
    );
    Ok(())
}

fn plugin_killed_or_hung(containerd: &str) -> Result<()> {
    let node = guarded(containerd)?;
    let plugin = node.plugin()?;
    let pod = node.pod("hung").run()?;
    plugin.freeze()?;
    // Containerd gives up the first creation; those after it go without the plugin.
    let names = ["frozen-1", "frozen-2", "frozen-3", "frozen-4"];
    let outcomes = names.map(|name| (name, sleeping(&pod, name)));
    let mark = plugin.mark();
    plugin.thaw()?;
    ensure!(
        outcomes.iter().any(|(_, outcome)| outcome.is_ok()),
        "no container was started while the plugin hung"
    );
    for (name, outcome) in &outcomes {
        let Ok(container) = outcome else { continue };
        expect(&container.exec(&PROBE)?, CONFINED, name)?;
    }
    plugin.wait_until_registered(mark)?;
    let lied = plugin.lines().into_iter().find(|line| {
        line["msg"] == "injected" && names.iter().any(|name| line["container"] == *name)
    });
    ensure!(
        lied.is_none(),
        "the plugin says that it injected what it did not: {lied:?}"
    );
    plugin.process().signal(rustix::process::Signal::KILL)?;
    let pod = node.pod("killed").run()?;
    let mut started = 0;
    // The runtime drops a closed validator only after it has failed one creation.
    for name in ["killed-1", "killed-2", "killed-3"] {
        let Ok(container) = probing(&pod, &PROBE).name(name).create() else {
            continue;
        };
        container.start()?;
        printed(&container, &PROBE, CONFINED)?;
        started += 1;
    }
    ensure!(started > 0, "no container was started without the plugin");
    Ok(())
}

fn plugin_comes_back(containerd: &str) -> Result<()> {
    let node = guarded(containerd)?;
    let plugin = node.plugin()?;
    let pod = node.pod("alone").run()?;
    plugin.stop()?;
    let container = ["first", "second"]
        .iter()
        .find_map(|name| sleeping(&pod, name).ok());
    let container = container.context("no container was started without the plugin")?;
    let created = ["third", "fourth"]
        .iter()
        .find_map(|name| pod.container(BUSYBOX, &SLEEP).name(name).create().ok())
        .context("no container was created without the plugin")?;
    let mark = plugin.mark();
    node.start_plugin_again()?;
    plugin.wait_for_line("a line \"synchronized\"", mark, |line| {
        line["msg"] == "synchronized"
    })?;
    created
        .start()
        .context("a container that was created without the plugin, and is wrapped by the guard")?;
    for container in [&container, &created] {
        expect(&container.exec(&PROBE)?, CONFINED, "an exec")?;
    }
    let alarms: Vec<_> = plugin
        .lines_since(mark)
        .into_iter()
        .filter(|line| line["level"] == "ERROR")
        .collect();
    ensure!(alarms.is_empty(), "false alarms: {alarms:?}");
    wait::until(
        "the metadata of a container that the guard wrapped",
        LIMIT,
        || {
            Ok(plugin
                .metadata(pod.uid(), container.id())
                .exists()
                .then_some(()))
        },
    )
}

fn records_go(containerd: &str) -> Result<()> {
    let node = guarded(containerd)?;
    let guard = node.guard()?;
    let pod = node.pod("recorded").run()?;
    let container = sleeping(&pod, "main")?;
    let count = guard.record_files()?.len();
    ensure!(count == 2, "{count} records for a sandbox and a container");
    container.remove()?;
    wait::until("the record of a removed container to go", LIMIT, || {
        Ok((guard.record_files()?.len() == 1).then_some(()))
    })?;
    pod.remove()?;
    wait::until("the record of a removed sandbox to go", LIMIT, || {
        Ok(guard.record_files()?.is_empty().then_some(()))
    })
}
