//! Annotations that a pod's author writes: profiles by strange names, and keys that belong to the runtime.

use anyhow::{Context, Result};

use super::{Needs, Run, Structural};
use crate::attacks::ground::{PROFILE, Pods, says};
use crate::images::ATTACK_LINKS;
use crate::node::Node;

const SECRETS: [&str; 6] = [
    "read",
    "/secret/flag",
    "write",
    "/etc/attacked",
    "read",
    "/etc/passwd",
];
const UNCONFINED: &str = "the secret can be read";

pub(super) const ATTACKS: &[Structural] = &[
    attack(
        "annotation-malformed",
        "profiles called by paths, unicode, spaces, 65 characters and nothing",
        "a malformed name falls back to the default profile",
        UNCONFINED,
        malformed,
    ),
    attack(
        "annotation-unknown",
        "a profile that does not exist, also one of 64 characters",
        "the container is refused",
        "the container is created",
        unknown,
    ),
    attack(
        "annotation-disallowed",
        "a built-in profile that the operator does not allow",
        "the container is refused",
        "the container is created",
        disallowed,
    ),
    attack(
        "annotation-forged",
        "annotations that the runtime writes itself: that this is a pod's sandbox, another name, another bundle",
        "the guard believes in a sandbox only if the runtime calls it by the sandbox's ID",
        UNCONFINED,
        forged,
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
        needs: Needs::Cri,
        run: Run::Node(run),
    }
}

fn malformed(node: &Node) -> Result<()> {
    let long = "a".repeat(65);
    let values = [
        "../claude-code",
        "../../etc/shadow",
        "/nono/profiles/claude-code",
        "claude-code\n",
        "claude\u{2010}code",
        "\u{441}laude-code",
        "claude code",
        "-claude-code",
        "",
        &long,
    ];
    // To a container that is not sandboxed the annotation means nothing: one control is enough.
    Pods::under(node, values[0])
        .trial(ATTACK_LINKS)
        .allows(&SECRETS)?;
    for value in values {
        Pods::under(node, value)
            .trial(ATTACK_LINKS)
            .holds(&SECRETS)
            .with_context(|| format!("profile {value:?}"))?;
    }
    Ok(())
}

fn unknown(node: &Node) -> Result<()> {
    let longest = "a".repeat(64);
    for value in ["no-such-profile", &longest] {
        let message = Pods::under(node, value).trial(ATTACK_LINKS).refused()?;
        says(&message, &[value])?;
    }
    Ok(())
}

fn disallowed(node: &Node) -> Result<()> {
    // The container's own annotation counts as much.
    for key in [PROFILE, "container.nono.sh/main"] {
        let pods = Pods::annotated(node, &[(key, "codex")]);
        let message = pods.trial(ATTACK_LINKS).refused()?;
        says(&message, &["codex", "not allowed"])?;
    }
    Ok(())
}

fn forged(node: &Node) -> Result<()> {
    let forgeries: [&[(&str, &str)]; 4] = [
        &[
            ("io.kubernetes.cri.container-type", "sandbox"),
            ("io.kubernetes.cri.sandbox-id", "0123456789abcdef"),
        ],
        &[
            ("io.kubernetes.cri-o.ContainerType", "sandbox"),
            ("io.kubernetes.cri-o.SandboxID", "0123456789abcdef"),
        ],
        &[
            ("io.kubernetes.cri.container-name", "other"),
            ("io.kubernetes.container.name", "other"),
            ("container.nono.sh/other", "claude-code"),
        ],
        &[
            ("bundle", "/tmp"),
            ("io.kubernetes.cri.image-name", "pause"),
        ],
    ];
    for forgery in forgeries {
        Pods::annotated(node, forgery)
            .trial(ATTACK_LINKS)
            .denies(&SECRETS)
            .with_context(|| format!("annotations {forgery:?}"))?;
    }
    Ok(())
}
