//! What lies in the home: links where a profile keeps state, and profiles.

use anyhow::{Context, Result, ensure};

use super::{Needs, Run, Structural};
use crate::attacks::ground::{In, Pods};
use crate::images::ATTACK_LINKS;
use crate::node::Node;

const LINKS: &str = "the launcher follows no link below a variable";

pub(super) const ATTACKS: &[Structural] = &[
    Structural {
        name: "home-link-of-image",
        tries: "an image whose $HOME/.claude is a link to /etc, and .claude.json one to /etc/shadow",
        stopped_by: LINKS,
        control: "through the links /etc is written and /etc/shadow read",
        needs: Needs::Cri,
        run: Run::Node(of_image),
    },
    Structural {
        name: "home-link-planted",
        tries: "a confined process puts such links there, and waits for the next exec",
        stopped_by: LINKS,
        control: "the next exec writes /etc and reads /etc/shadow through the links",
        needs: Needs::Cri,
        run: Run::Node(planted),
    },
    Structural {
        name: "home-profile",
        tries: "profiles and settings of the image's in its home, in XDG_CONFIG_HOME and in /etc, that open everything",
        stopped_by: "the plan lies beside the launcher, on a read-only mount of the host's",
        control: "the secret can be read",
        needs: Needs::Cri,
        run: Run::Node(profile),
    },
];

fn of_image(node: &Node) -> Result<()> {
    Pods::under(node, "claude-code")
        .trial(ATTACK_LINKS)
        .env(&[("HOME", "/home/linked")])
        .denies(&[
            "write",
            "/home/linked/.claude/attacked",
            "read",
            "/home/linked/.claude.json",
            "write",
            "/etc/attacked",
        ])
}

fn planted(node: &Node) -> Result<()> {
    let plant = "cd /home/clean && rm -rf .claude .claude.json && ln -s /etc .claude && \
                 ln -s /etc/shadow .claude.json && readlink .claude";
    let verbs = [
        "/app/tool",
        "write",
        "/home/clean/.claude/attacked",
        "read",
        "/home/clean/.claude.json",
        "write",
        "/etc/attacked",
    ];
    // The working directory is the home, so that the profile lets it be written.
    let pods = Pods::under(node, "claude-code");
    let trial = pods
        .trial(ATTACK_LINKS)
        .env(&[("HOME", "/home/clean")])
        .working_dir("/home/clean");
    let attack = |place, result: &str| {
        trial.with(place, &["sleep", "300"], |container| {
            let output = container.exec(&["sh", "-c", plant])?;
            ensure!(output == "/etc", "the link is not there: {output:?}");
            let expected: Vec<String> = verbs[1..]
                .chunks(2)
                .map(|verb| format!("{}: {result}", verb.join(" ")))
                .collect();
            let output = container.exec(&verbs)?;
            ensure!(output == expected.join("\n"), "it printed {output:?}");
            Ok(())
        })
    };
    attack(In::Bare, "ok").context("control")?;
    attack(In::Sandbox, "EACCES")
}

fn profile(node: &Node) -> Result<()> {
    let denied = [
        "read",
        "/secret/flag",
        "write",
        "/etc/attacked",
        "read",
        "/etc/passwd",
    ];
    let pods = Pods::plain(node);
    for (home, config) in [("/home", "/home/.config"), ("/root", "/etc")] {
        pods.trial(ATTACK_LINKS)
            .env(&[("HOME", home), ("XDG_CONFIG_HOME", config)])
            .denies(&denied)
            .with_context(|| format!("profiles in {config}"))?;
    }
    Ok(())
}
