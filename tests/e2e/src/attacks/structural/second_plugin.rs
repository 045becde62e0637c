//! A second NRI plugin that is called after ours. It runs as root on the host, so this is about mistakes and conflicts:
//! whatever it does, a container is sandboxed or refused.

use anyhow::{Context, Result, ensure};

use super::{Needs, Run, Structural};
use crate::attacks::ground::{In, LIMIT, Pods, says};
use crate::attacks::rogue::{Edit, Rogue};
use crate::images::ATTACK_LINKS;
use crate::node::Node;

const SLEEP: [&str; 2] = ["sleep", "300"];
const VALIDATED: &str =
    "the plugin validates what all plugins made of the container, and refuses it";

pub(super) const ATTACKS: &[Structural] = &[
    attack(
        "second-plugin-args",
        "another plugin replaces the command",
        VALIDATED,
        "the other command runs",
        args,
    ),
    attack(
        "second-plugin-env",
        "another plugin sets NONO_PROFILE, HOME and TMPDIR",
        "nothing of the policy rests on the environment; what both plugins set, the runtime refuses",
        "the files can be read and written",
        env,
    ),
    attack(
        "second-plugin-mount",
        "another plugin mounts over the launcher, below it, or takes its mount away",
        VALIDATED,
        "the mount is seen inside",
        mount,
    ),
    attack(
        "second-plugin-hook",
        "another plugin adds a startContainer hook, which runs a program of the image before the container's command",
        "the guard refuses such hooks",
        "the program has written /etc",
        hook,
    ),
    attack(
        "second-plugin-annotations",
        "another plugin says that the container is a sandbox, or names another profile",
        VALIDATED,
        "the container is created",
        annotations,
    ),
];

const fn attack(
    name: &'static str,
    tries: &'static str,
    stopped_by: &'static str,
    control: &'static str,
    run: fn(&Node) -> Result<()>,
) -> Structural {
    Structural {
        name,
        tries,
        stopped_by,
        control,
        needs: Needs::Nri,
        run: Run::Node(run),
    }
}

fn args(node: &Node) -> Result<()> {
    let _rogue = Rogue::start(node, Edit::Args)?;
    let pods = Pods::plain(node);
    let trial = pods.trial(ATTACK_LINKS);
    let ran = trial.with(In::Bare, &SLEEP, |container| {
        container.wait_for_output("trap: ready", LIMIT)?;
        container.output()
    });
    let ran = ran.context("control")?;
    ensure!(
        ran.starts_with("read /secret/flag: ok"),
        "the control printed {ran:?}"
    );
    says(&trial.refusal()?, &["main"])
}

fn env(node: &Node) -> Result<()> {
    let pods = Pods::plain(node);
    let trial = pods.trial(ATTACK_LINKS);
    let set = ["env", "HOME", "env", "TMPDIR"];
    {
        let _rogue = Rogue::start(node, Edit::Variables)?;
        trial.gives(In::Bare, &set, "/etc").context("control")?;
        trial.denies(&[
            "read",
            "/etc/shadow",
            "write",
            "/etc/attacked",
            "read",
            "/secret/flag",
        ])?;
    }
    // What both set is refused by the runtime.
    let _rogue = Rogue::start(node, Edit::OurVariables)?;
    trial
        .gives(In::Bare, &["env", "NONO_PROFILE"], "claude-code")
        .context("control")?;
    says(&trial.refusal()?, &["NONO_PROFILE"])
}

fn mount(node: &Node) -> Result<()> {
    for (edit, file) in [
        (Edit::MountOver, "/nono/file"),
        (Edit::MountBelow, "/nono/plans/file"),
    ] {
        let _rogue = Rogue::start(node, edit)?;
        let pods = Pods::plain(node);
        let trial = pods.trial(ATTACK_LINKS);
        trial
            .gives(In::Bare, &["read", file], "ok")
            .with_context(|| format!("control of {edit:?}"))?;
        let message = trial.refusal().with_context(|| format!("{edit:?}"))?;
        says(&message, &["/nono"])?;
    }
    // No control: a container of the other handler has nothing there to be taken away.
    let _rogue = Rogue::start(node, Edit::Unmount)?;
    let message = Pods::plain(node)
        .trial(ATTACK_LINKS)
        .refusal()
        .context("Unmount")?;
    says(&message, &["/nono"])
}

fn annotations(node: &Node) -> Result<()> {
    let _rogue = Rogue::start(node, Edit::Annotations)?;
    let pods = Pods::plain(node);
    let trial = pods.trial(ATTACK_LINKS);
    trial
        .with(In::Bare, &SLEEP, |_| Ok(()))
        .context("control")?;
    says(&trial.refusal()?, &["annotation"])
}

fn hook(node: &Node) -> Result<()> {
    let _rogue = Rogue::start(node, Edit::Hook)?;
    let pods = Pods::plain(node);
    let trial = pods.trial(ATTACK_LINKS);
    trial
        .gives(In::Bare, &["read", "/etc/attacked"], "ok")
        .context("control")?;
    says(&trial.refusal()?, &["hook"])
}
