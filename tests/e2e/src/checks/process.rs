//! The workload is started as it would have been: identity, directories, exit status, signals.

use std::fs;

use anyhow::{Context, Result, bail, ensure};

use super::confinement::{BARE, CONFINED, LIMIT, PROBE, printed, probing};
use super::{Check, On, own_on, shared, shared_once};
use crate::daemon::{BASELINE, SANDBOXED};
use crate::images::{BUSYBOX, SCRATCH};
use crate::node::{Fixture, Node};
use crate::pod::{ContainerRequest, FIRST_MAPPED_USER};

pub(super) const CHECKS: &[Check] = &[
    shared("exit statuses pass through", exit_statuses),
    shared_once(
        "a missing command exits 127, one that cannot be executed 126",
        missing_commands,
    ),
    own_on(
        On::First,
        "the launcher's own failure exits 125 and says why in one line",
        launcher_failure,
    ),
    shared_once(
        "a plan that is missing is the guard's to refuse, before the launcher would",
        missing_plan,
    ),
    shared(
        "in a user namespace, process and exec are confined; control: a pod of another handler is not",
        user_namespace,
    ),
    shared(
        "SIGTERM reaches the workload, which ends with its own status",
        sigterm,
    ),
    shared("it works as uid 65532 without capabilities", unprivileged),
    shared("it works on a read-only root filesystem", read_only),
    shared(
        "it works under the runtime's default seccomp profile",
        default_seccomp,
    ),
    shared("it works in an image that holds one static binary", scratch),
    shared_once("a bare `sh -c` works in a busybox image", shell),
    shared_once(
        "an entrypoint in /app works, relative to the working directory too",
        app,
    ),
    shared_once("argv and environment arrive unchanged", argv),
];

fn exit_statuses(node: &Node) -> Result<()> {
    for status in [0, 7, 255] {
        run(
            node,
            &["/app/tool", "exit", &status.to_string()],
            status,
            |r| r,
        )?;
    }
    Ok(())
}

fn missing_commands(node: &Node) -> Result<()> {
    for (command, status) in [
        ("no-such-command", 127),
        ("/app/missing", 127),
        ("/app", 126),
        ("/tmp", 126),
    ] {
        let output = run(node, &[command], status, |r| r)?;
        ensure!(
            output.contains(command),
            "no {command:?} in the message {output:?}"
        );
    }
    Ok(())
}

/// On a node without the guard, which would see it first.
fn launcher_failure(containerd: &str) -> Result<()> {
    let node = Node::start(Fixture::containerd(containerd).images(&[BUSYBOX]).plugin())?;
    let pod = node.pod("launcher").run()?;
    let container = pod.container(BUSYBOX, &["true"]).create()?;
    let exit = without_plan(&node, || {
        container.start()?;
        container.wait(LIMIT)
    })?;
    let output = exit.expect(125)?;
    ensure!(
        output.lines().count() == 1 && output.contains("default"),
        "it says {output:?}"
    );
    Ok(())
}

fn missing_plan(node: &Node) -> Result<()> {
    let pod = node.pod("planless").run()?;
    let container = pod.container(BUSYBOX, &["true"]).create()?;
    let message = without_plan(node, || match container.start() {
        Ok(()) => bail!("the container was started without a plan"),
        Err(error) => Ok(format!("{error:#}").replace("\\\"", "\"")),
    })?;
    ensure!(
        message.contains("no profile \"default\" is published"),
        "the refusal says {message}"
    );
    container.remove()?;
    run(node, &["true"], 0, |r| r).map(drop)
}

/// Runs `meanwhile` while the profile `default` has no plan.
fn without_plan<T>(node: &Node, meanwhile: impl FnOnce() -> Result<T>) -> Result<T> {
    let plan = node.install()?.directory().join("profiles/default.json");
    let aside = plan.with_extension("aside");
    fs::rename(&plan, &aside).with_context(|| format!("cannot rename {}", plan.display()))?;
    let outcome = meanwhile();
    fs::rename(&aside, &plan)?;
    outcome
}

/// What `hostUsers: false` gives a pod.
pub(super) fn user_namespace(node: &Node) -> Result<()> {
    for (handler, expected) in [(BASELINE, BARE), (SANDBOXED, CONFINED)] {
        let pod = node.pod("mapped").handler(handler).user_namespace().run()?;
        let container = probing(&pod, &PROBE).start()?;
        let map = fs::read_to_string(format!("/proc/{}/uid_map", container.pid()?))?;
        let first = FIRST_MAPPED_USER.to_string();
        ensure!(
            map.split_whitespace().nth(1) == Some(&first),
            "its user namespace maps {map:?}"
        );
        printed(&container, &PROBE, expected).with_context(|| format!("handler {handler}"))?;
    }
    Ok(())
}

fn sigterm(node: &Node) -> Result<()> {
    let pod = node.pod("sigterm").run()?;
    let container = pod
        .container(BUSYBOX, &["/app/tool", "trap", "3"])
        .start()?;
    container.wait_for_output("trap: ready", LIMIT)?;
    container.stop(10)?;
    container.wait(LIMIT)?.expect(3).map(drop)
}

fn unprivileged(node: &Node) -> Result<()> {
    let command = [
        "/app/tool",
        "id",
        "write",
        "/tmp/file",
        "read",
        "/tmp/file",
        "read",
        "/etc/passwd",
    ];
    let output = run(node, &command, 0, |r| r.user(65532).without_capabilities())?;
    let expected =
        "id: 65532 65532\nwrite /tmp/file: ok\nread /tmp/file: ok\nread /etc/passwd: EACCES\n";
    same(&output, expected)
}

fn read_only(node: &Node) -> Result<()> {
    let command = [
        "/app/tool",
        "read",
        "/app/tool",
        "write",
        "/tmp/file",
        "read",
        "/etc/passwd",
    ];
    let output = run(node, &command, 0, |r| r.read_only())?;
    same(
        &output,
        "read /app/tool: ok\nwrite /tmp/file: EROFS\nread /etc/passwd: EACCES\n",
    )
}

fn default_seccomp(node: &Node) -> Result<()> {
    let command = ["/app/tool", "write", "/tmp/file", "read", "/etc/passwd"];
    let output = run(node, &command, 0, |r| r.default_seccomp())?;
    same(&output, "write /tmp/file: ok\nread /etc/passwd: EACCES\n")
}

fn scratch(node: &Node) -> Result<()> {
    let pod = node.pod("scratch").run()?;
    let output = pod
        .container(SCRATCH, &["/probe", "read", "/probe", "exit", "4"])
        .finish(LIMIT)?
        .expect(4)?;
    same(&output, "read /probe: ok\n")
}

fn shell(node: &Node) -> Result<()> {
    let script = "echo $((6 * 7)) > /tmp/n && cat /tmp/n && (cat /etc/passwd || true) 2>&1";
    let output = run(node, &["sh", "-c", script], 0, |r| r)?;
    ensure!(
        output.starts_with("42\n") && output.contains("Permission denied"),
        "it printed {output:?}"
    );
    Ok(())
}

fn app(node: &Node) -> Result<()> {
    for command in ["/app/tool", "./tool"] {
        let output = run(node, &[command, "cwd", "read", "/app/tool"], 0, |r| {
            r.working_dir("/app")
        })?;
        same(&output, "cwd: /app\nread /app/tool: ok\n")?;
    }
    Ok(())
}

fn argv(node: &Node) -> Result<()> {
    let command = [
        "/app/tool",
        "env",
        "PLAIN",
        "env",
        "EMPTY",
        "argv",
        "",
        "a b",
        "--",
        "--profile",
        "$HOME",
        "é\n",
    ];
    let output = run(node, &command, 0, |r| {
        r.env(&[("PLAIN", "a=b c"), ("EMPTY", "")])
    })?;
    same(
        &output,
        "env PLAIN: a=b c\nenv EMPTY: \nargv: [] [a b] [--] [--profile] [$HOME] [é\n]\n",
    )
}

/// Runs a busybox container to its end and returns what it printed.
fn run(
    node: &Node,
    command: &[&str],
    status: i64,
    adjust: impl FnOnce(ContainerRequest<'_>) -> ContainerRequest<'_>,
) -> Result<String> {
    let pod = node.pod("process").run()?;
    let request = adjust(pod.container(BUSYBOX, command));
    request
        .finish(LIMIT)?
        .expect(status)
        .with_context(|| format!("command {command:?}"))
}

fn same(got: &str, expected: &str) -> Result<()> {
    ensure!(
        got == expected,
        "it printed {got:?} instead of {expected:?}"
    );
    Ok(())
}
