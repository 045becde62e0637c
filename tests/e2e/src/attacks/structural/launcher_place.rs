//! Volumes, links and files of pod and image at and around the launcher's place.

use anyhow::{Context, Result};

use super::{Needs, Run, Structural};
use crate::attacks::ground::{In, Pods, says};
use crate::images::{
    ATTACK_LINKED_VOLUME, ATTACK_LINKS, ATTACK_NONO_DIRECTORY, ATTACK_NONO_FILE, ATTACK_NONO_LINK,
    ATTACK_VOLUME,
};
use crate::node::Node;

const REFUSED: &str = "guard and plugin refuse the container";
const RESOLVED: &str = "the guard resolves every mount in the image, and refuses the container";
const CREATED: &str = "the container is created";

pub(super) const ATTACKS: &[Structural] = &[
    attack(
        "volume-at-nono",
        "pod volumes at /nono, below it, and with `..`, `.` and double slashes in the path",
        REFUSED,
        "the volume is seen inside",
        at_nono,
    ),
    attack(
        "volume-through-link",
        "pod volumes at links of the image that lead to /nono and below",
        RESOLVED,
        "the volume is seen at /nono",
        through_link,
    ),
    attack(
        "volume-into-system",
        "a pod volume at a link of the image that leads into a directory of the system, which profiles open",
        RESOLVED,
        "the volume is seen in /usr/share",
        into_system,
    ),
    attack(
        "volume-through-proc",
        "a pod volume at /proc/self/root/nono",
        REFUSED,
        "none: runc refuses it by itself",
        through_proc,
    ),
    attack(
        "image-volume",
        "an image that declares /nono a volume",
        REFUSED,
        CREATED,
        |node| volume(node, ATTACK_VOLUME),
    ),
    attack(
        "image-volume-through-link",
        "an image that declares a link to /nono a volume",
        RESOLVED,
        CREATED,
        |node| volume(node, ATTACK_LINKED_VOLUME),
    ),
    attack(
        "nono-is-link",
        "an image whose /nono is a link to a directory with a launcher of its own",
        RESOLVED,
        CREATED,
        |node| refused(node, ATTACK_NONO_LINK),
    ),
    attack(
        "nono-is-file",
        "an image whose /nono is a file",
        RESOLVED,
        CREATED,
        |node| refused(node, ATTACK_NONO_FILE),
    ),
    attack(
        "nono-is-directory",
        "an image that has a launcher and a profile of its own in /nono",
        "the host's directory is mounted over it, last",
        "the secret can be read",
        directory,
    ),
    attack(
        "nono-written",
        "replace launcher, profiles and plans from inside",
        "the mount is read-only, and no rule grants writing there",
        "the image's own /nono can be written",
        written,
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

fn at_nono(node: &Node) -> Result<()> {
    let pods = Pods::plain(node);
    for destination in [
        "/nono",
        "/nono/",
        "/nono/profiles",
        "/nono/plans",
        "/tmp/../nono",
        "//nono/./x",
    ] {
        let trial = pods.trial(ATTACK_LINKS).volume(destination)?;
        let file = format!("{destination}/file");
        trial
            .gives(In::Bare, &["read", &file], "ok")
            .with_context(|| format!("control: a volume at {destination}"))?;
        let message = trial
            .refusal()
            .with_context(|| format!("a volume at {destination}"))?;
        says(&message, &["/nono"])?;
    }
    // Beside it there is room.
    Pods::plain(node)
        .trial(ATTACK_LINKS)
        .volume("/nonono")?
        .gives(In::Sandbox, &["write", "/tmp/file"], "ok")
}

fn through_link(node: &Node) -> Result<()> {
    let pods = Pods::plain(node);
    for (destination, seen) in [
        ("/zz", "/nono/file"),
        ("/zz/profiles", "/nono/profiles/file"),
        ("/deep/er/zz", "/nono/profiles/file"),
        ("/deep/../zz/plans/.", "/nono/plans/file"),
    ] {
        let trial = pods.trial(ATTACK_LINKS).volume(destination)?;
        trial
            .gives(In::Bare, &["read", seen], "ok")
            .with_context(|| format!("control: a volume at {destination}"))?;
        let message = trial
            .refusal()
            .with_context(|| format!("a volume at {destination}"))?;
        says(&message, &[destination])?;
    }
    Ok(())
}

fn into_system(node: &Node) -> Result<()> {
    let pods = Pods::plain(node);
    let trial = pods.trial(ATTACK_LINKS).volume("/to-usr")?;
    let verbs = ["read", "/usr/share/volume/file"];
    trial.gives(In::Bare, &verbs, "ok").context("control")?;
    says(&trial.refusal()?, &["/to-usr", "/usr/share/volume"])
}

fn through_proc(node: &Node) -> Result<()> {
    let message = Pods::plain(node)
        .trial(ATTACK_LINKS)
        .volume("/proc/self/root/nono")?
        .refusal()?;
    says(&message, &["/proc/self/root/nono"])
}

fn refused(node: &Node, image: &str) -> Result<()> {
    says(&Pods::plain(node).trial(image).refused()?, &["/nono"])
}

/// CRI-O makes a directory of an image's volume, and mounts nothing.
fn volume(node: &Node, image: &str) -> Result<()> {
    match node.daemon().name() {
        "crio" => Pods::plain(node).trial(image).denies(&[
            "read",
            "/secret/flag",
            "write",
            "/etc/attacked",
        ]),
        _ => refused(node, image),
    }
}

fn directory(node: &Node) -> Result<()> {
    Pods::plain(node).trial(ATTACK_NONO_DIRECTORY).denies(&[
        "read",
        "/secret/flag",
        "write",
        "/etc/attacked",
    ])
}

fn written(node: &Node) -> Result<()> {
    let verbs = [
        "write",
        "/nono/nono",
        "write",
        "/nono/profiles/default.json",
        "write",
        "/nono/plans/new",
    ];
    let pods = Pods::plain(node);
    let trial = pods.trial(ATTACK_NONO_DIRECTORY);
    trial.allows(&verbs)?;
    trial.gives(In::Sandbox, &verbs, "EROFS")
}
