//! Variables and working directories that point at what a profile must not open, as a pod sets them and as an image
//! does. Each is tried as the container's own process and by exec, which inherits them.

use anyhow::{Context, Result};

use super::{Needs, Run, Structural};
use crate::attacks::ground::Pods;
use crate::images::{ATTACK_LINKS, ATTACK_VARIABLES};
use crate::node::Node;

/// Ways to say /etc.
const ETC: [&str; 4] = ["/etc", "/tmp/../etc", "/to-etc", "/proc/self/root/etc"];
const VARIABLES: &str =
    "the launcher judges where a variable leads; the guard gives an exec those of PID 1";

pub(super) const ATTACKS: &[Structural] = &[
    attack(
        "env-home",
        "HOME=/, /etc, /usr/local/bin, with `..` and through links, under a profile that makes state in the home",
        VARIABLES,
        home,
    ),
    attack(
        "env-xdg",
        "XDG_CONFIG_HOME, XDG_DATA_HOME, XDG_CACHE_HOME and the others at /etc, with `..` and through links",
        VARIABLES,
        xdg,
    ),
    attack(
        "env-tmpdir",
        "TMPDIR=/, /etc, /usr, /nono, with `..` and through links",
        VARIABLES,
        tmpdir,
    ),
    attack(
        "env-path",
        "PATH at directories of the image's, at /etc, and empty",
        "the launcher is started by its absolute path, and PATH grants nothing",
        path,
    ),
    attack(
        "env-profile",
        "NONO_PROFILE and other names of settings, and a configuration directory to go with them",
        "the profile is named in the arguments, and the plan lies beside the launcher",
        profile,
    ),
    attack(
        "env-twice",
        "the same variables set by the image and by the pod, so that keys occur twice",
        VARIABLES,
        twice,
    ),
    attack(
        "working-dir",
        "a working directory of /, /etc, with `..` and through a link, under a profile that opens it for writing",
        "the launcher judges where it leads; the guard gives an exec that of PID 1",
        working_dir,
    ),
];

const fn attack(
    name: &'static str,
    tries: &'static str,
    stopped_by: &'static str,
    run: fn(&Node) -> Result<()>,
) -> Structural {
    Structural {
        name,
        tries,
        stopped_by,
        control: "the files can be read and written",
        needs: Needs::Cri,
        run: Run::Node(run),
    }
}

/// What no value may open, whatever it is.
const SYSTEM: [&str; 6] = [
    "read",
    "/etc/shadow",
    "write",
    "/etc/attacked",
    "write",
    "/usr/local/bin/attacked",
];

const SECRET: [&str; 2] = ["read", "/secret/flag"];

fn home(node: &Node) -> Result<()> {
    let below = [
        "write",
        "/etc/.claude/attacked",
        "write",
        "/usr/local/bin/.claude/attacked",
    ];
    let verbs = [&SYSTEM[..], &below, &SECRET].concat();
    let pods = Pods::under(node, "claude-code");
    pods.trial(ATTACK_LINKS).allows(&verbs)?;
    for value in ETC.into_iter().chain(["/", "/usr/local/bin"]) {
        pods.trial(ATTACK_LINKS)
            .env(&[("HOME", value)])
            .holds(&verbs)
            .with_context(|| format!("HOME={value}"))?;
    }
    Ok(())
}

fn xdg(node: &Node) -> Result<()> {
    let below = ["read", "/etc/claude/flag", "write", "/etc/pip/attacked"];
    let verbs = [&SYSTEM[..], &below, &SECRET].concat();
    let pods = Pods::under(node, "claude-code");
    pods.trial(ATTACK_LINKS).allows(&verbs)?;
    for value in ETC {
        pods.trial(ATTACK_LINKS)
            .env(&[
                ("XDG_CONFIG_HOME", value),
                ("XDG_DATA_HOME", value),
                ("XDG_STATE_HOME", value),
                ("XDG_CACHE_HOME", value),
                ("XDG_RUNTIME_DIR", value),
            ])
            .holds(&verbs)
            .with_context(|| format!("XDG variables at {value}"))?;
    }
    Ok(())
}

fn tmpdir(node: &Node) -> Result<()> {
    let values = ETC.into_iter().chain(["/", "/usr", "/nono", "/proc", "."]);
    each_value(node, "TMPDIR", values)
}

fn path(node: &Node) -> Result<()> {
    each_value(node, "PATH", ["/secret:/bin", "/etc:/tmp", ""])
}

/// No value of the variable opens a system directory or the secret.
fn each_value<'v>(
    node: &Node,
    name: &str,
    values: impl IntoIterator<Item = &'v str>,
) -> Result<()> {
    let verbs = [&SYSTEM[..], &SECRET].concat();
    let pods = Pods::plain(node);
    pods.trial(ATTACK_LINKS).allows(&verbs)?;
    for value in values {
        pods.trial(ATTACK_LINKS)
            .env(&[(name, value)])
            .holds(&verbs)
            .with_context(|| format!("{name}={value}"))?;
    }
    Ok(())
}

fn profile(node: &Node) -> Result<()> {
    Pods::plain(node)
        .trial(ATTACK_LINKS)
        .env(&[
            ("NONO_PROFILE", "claude-code"),
            ("NONO_ALLOW", "/secret"),
            ("NONO_ALLOW_CWD", "1"),
            ("NONO_CONFIG", "/home/.config/nono/config.toml"),
            ("NONO_PLAN", "/home/.config/nono/profiles/default.json"),
            ("HOME", "/home"),
            ("XDG_CONFIG_HOME", "/home/.config"),
        ])
        // The named profile would open the first.
        .denies(&[
            "read",
            "/etc/passwd",
            "read",
            "/secret/flag",
            "write",
            "/etc/attacked",
        ])
}

fn twice(node: &Node) -> Result<()> {
    let below = [
        "write",
        "/etc/.claude/attacked",
        "write",
        "/etc/pip/attacked",
    ];
    let verbs = [&SYSTEM[..], &below, &SECRET].concat();
    for profile in ["default", "claude-code"] {
        let pods = Pods::under(node, profile);
        // What NONO_PROFILE would open.
        let named: &[&str] = if profile == "default" {
            &["read", "/etc/passwd"]
        } else {
            &[]
        };
        let verbs = [&verbs[..], named].concat();
        for value in ["/etc", "/usr/local/bin"] {
            pods.trial(ATTACK_VARIABLES)
                .env(&[
                    ("HOME", value),
                    ("TMPDIR", value),
                    ("XDG_CONFIG_HOME", value),
                    ("XDG_CACHE_HOME", value),
                    ("NONO_PROFILE", "claude-code"),
                    ("PATH", "/bin"),
                ])
                .denies(&verbs)
                .with_context(|| format!("{value} twice, under {profile}"))?;
        }
    }
    Ok(())
}

fn working_dir(node: &Node) -> Result<()> {
    let verbs = [&SYSTEM[..], &SECRET].concat();
    let pods = Pods::under(node, "claude-code");
    for value in ["/", "/etc", "/tmp/../etc", "/to-etc"] {
        pods.trial(ATTACK_LINKS)
            .working_dir(value)
            .denies(&verbs)
            .with_context(|| format!("working directory {value}"))?;
    }
    Ok(())
}
