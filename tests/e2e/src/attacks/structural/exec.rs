//! Ways into a running container. Exec probes and lifecycle hooks are ExecSync calls of the kubelet's, which is what
//! `crictl exec --sync` makes; `kubectl exec` is a stream.

use std::path::Path;
use std::process::Output;

use anyhow::{Context, Result, ensure};

use super::{Needs, Run, Structural};
use crate::attacks::ground::{In, LIMIT, Pods};
use crate::images::ATTACK_LINKS;
use crate::node::Node;
use crate::pod::Container;
use crate::repository::Versions;
use crate::subprocess;
use crate::wait;

const SLEEP: [&str; 2] = ["sleep", "300"];
const SECRET: &str = "/secret/flag";
const FLAG: &str = "flag:file";
const WRAPPED: &str = "the guard: an exec is wrapped from the container's record";

pub(super) const ATTACKS: &[Structural] = &[
    Structural {
        name: "exec-absolute-path",
        tries: "exec a program by its absolute path, so that no directory on PATH comes first",
        stopped_by: WRAPPED,
        control: "the program reads the secret",
        needs: Needs::Cri,
        run: Run::Node(|node| {
            reads(node, "/bin/cat", |container, command| {
                container.exec_output(command)
            })
        }),
    },
    Structural {
        name: "exec-path-name",
        tries: "exec a program by its bare name",
        stopped_by: WRAPPED,
        control: "the program reads the secret",
        needs: Needs::Cri,
        run: Run::Node(|node| {
            reads(node, "cat", |container, command| {
                container.exec_output(command)
            })
        }),
    },
    Structural {
        name: "exec-probe-and-hook",
        tries: "enter as exec probes and lifecycle hooks do: ExecSync, with a shell",
        stopped_by: WRAPPED,
        control: "the shell reads the secret",
        needs: Needs::Cri,
        run: Run::Node(|node| {
            reads(node, "cat", |container, command| {
                container.exec_output(&["sh", "-c", &command.join(" ")])
            })
        }),
    },
    Structural {
        name: "exec-stream",
        tries: "enter as `kubectl exec` does: a stream",
        stopped_by: WRAPPED,
        control: "the program reads the secret",
        needs: Needs::Cri,
        run: Run::Node(|node| {
            reads(node, "/bin/cat", |container, command| {
                container.exec_streaming(command)
            })
        }),
    },
    Structural {
        name: "exec-terminal",
        tries: "enter with a terminal, as `kubectl exec -t` does",
        stopped_by: WRAPPED,
        control: "the shell reads the secret",
        needs: Needs::Cri,
        run: Run::Node(terminal),
    },
    Structural {
        name: "relaunch",
        tries: "run the launcher again, under a profile that opens more, with variables of one's own",
        stopped_by: "Landlock: a second domain lies within the first",
        control: "under that profile the file can be read",
        needs: Needs::Cri,
        run: Run::Node(relaunch),
    },
];

/// Reads the secret with `program`, by some way into the container.
fn reads(
    node: &Node,
    program: &str,
    enter: impl Fn(&Container<'_>, &[&str]) -> Result<Output>,
) -> Result<()> {
    let pods = Pods::plain(node);
    let trial = pods.trial(ATTACK_LINKS);
    let command = [program, SECRET];
    let run = |place| {
        trial.with(place, &SLEEP, |container| {
            let output = enter(container, &command)?;
            Ok(text(&output.stdout) + &text(&output.stderr))
        })
    };
    let bare = run(In::Bare).context("control")?;
    ensure!(bare.contains(FLAG), "the control printed {bare:?}");
    let sandboxed = run(In::Sandbox)?;
    ensure!(
        !sandboxed.contains(FLAG) && sandboxed.contains("Permission denied"),
        "it printed {sandboxed:?}"
    );
    Ok(())
}

/// What a terminal shows may get lost when its last process ends, so the shell writes down what it has seen.
fn terminal(node: &Node) -> Result<()> {
    let pods = Pods::plain(node);
    let trial = pods.trial(ATTACK_LINKS);
    let look = format!("'tty > /tmp/seen; cat {SECRET} >> /tmp/seen 2>&1; echo end >> /tmp/seen'");
    for (place, seen) in [(In::Bare, FLAG), (In::Sandbox, "Permission denied")] {
        trial.with(place, &SLEEP, |container| {
            in_terminal(node, container, &["sh", "-c", &look])?;
            let text = wait::until("the shell to end", LIMIT, || {
                let text = read_back(container)?;
                Ok(text.contains("end").then_some(text))
            })?;
            ensure!(
                text.starts_with("/dev/pts/") && text.contains(seen),
                "{place:?}: the shell saw {text:?}"
            );
            Ok(())
        })?;
    }
    Ok(())
}

fn read_back(container: &Container<'_>) -> Result<String> {
    let output = container.exec_output(&["cat", "/tmp/seen"])?;
    Ok(text(&output.stdout))
}

/// `crictl` insists on a terminal of its own.
fn in_terminal(node: &Node, container: &Container<'_>, command: &[&str]) -> Result<()> {
    let crictl = Versions::read()?.home("crictl")?.join("crictl");
    let line = format!(
        "{} --config={} exec --interactive --tty {} {}",
        crictl.display(),
        node.scratch().join("crictl.yaml").display(),
        container.id(),
        command.join(" ")
    );
    let arguments = ["--quiet", "--return", "--command", &line, "/dev/null"];
    subprocess::output(Path::new("script"), &arguments, LIMIT).map(drop)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn relaunch(node: &Node) -> Result<()> {
    let verbs = ["read", "/etc/passwd"];
    Pods::under(node, "claude-code")
        .trial(ATTACK_LINKS)
        .gives(In::Sandbox, &verbs, "ok")
        .context("control")?;
    let again = |flags: &[&str]| {
        let wrap = ["/nono/nono", "wrap", "--profile", "claude-code"];
        let command = [&wrap[..], flags, &["--", "/app/tool"], &verbs].concat();
        command.join(" ")
    };
    let script = [
        again(&[]),
        again(&["--var", "HOME=/etc", "--var", "WORKDIR=/etc"]),
    ];
    let pods = Pods::plain(node);
    pods.trial(ATTACK_LINKS)
        .with(In::Sandbox, &SLEEP, |container| {
            let output = container.exec(&["sh", "-c", &script.join("; ")])?;
            let expected = "read /etc/passwd: EACCES\nread /etc/passwd: EACCES";
            ensure!(output == expected, "it printed {output:?}");
            Ok(())
        })
}
