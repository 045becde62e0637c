//! Where Claude Code keeps its settings: `~/.claude.json`, which it replaces by renaming a file beside it.
//!
//! Landlock cannot allow making files in the home without allowing it in all of the home. So the settings have to
//! lie in `~/.claude` (`CLAUDE_CONFIG_DIR`), or in a file that exists, which the agent then writes in place.

use std::fs;
use std::os::unix::fs::MetadataExt;

use anyhow::{Context, Result, ensure};

use super::Check;
use super::desk::{Desk, Job, USERS, User, expect};
use crate::images::AGENTS;
use crate::node::Node;

const PROFILE: &str = "claude-code";
const SETTINGS: &str = ".claude.json";
const ADD: [&str; 8] = [
    "claude",
    "mcp",
    "add",
    "--scope",
    "user",
    "kept",
    "--",
    "/bin/true",
];
const GET: [&str; 4] = ["claude", "mcp", "get", "kept"];

type Topic = fn(&Node, &'static User) -> Result<()>;

pub(super) fn checks() -> Vec<Check> {
    let topics: [(&str, Topic); 4] = [
        (
            "control: without a sandbox it makes ~/.claude.json",
            unsandboxed,
        ),
        ("it writes a ~/.claude.json that exists in place", in_place),
        (
            "without one it runs, and says that it could not store settings",
            missing,
        ),
        (
            "an empty ~/.claude.json stops it, so the profile must not have one made",
            empty,
        ),
    ];
    let mut checks = Vec::new();
    for user in USERS {
        for (what, run) in topics {
            let name = format!("{PROFILE} as {}: {what}", user.name);
            checks.push(Check::new(name, move |node| run(node, user)));
        }
    }
    checks
}

fn unsandboxed(node: &Node, user: &'static User) -> Result<()> {
    let desk = Desk::new(node, user)?;
    desk.expect(job(None, &ADD), "kept")?;
    holds_setting(&desk)
}

fn in_place(node: &Node, user: &'static User) -> Result<()> {
    let desk = Desk::new(node, user)?;
    desk.write_home(SETTINGS, "{}")?;
    let before = fs::metadata(desk.home.join(SETTINGS))?.ino();
    desk.expect(job(Some(PROFILE), &ADD), "kept")?;
    holds_setting(&desk)?;
    let after = fs::metadata(desk.home.join(SETTINGS))?.ino();
    ensure!(before == after, "it was replaced");
    desk.expect(job(Some(PROFILE), &GET), "/bin/true")
}

fn missing(node: &Node, user: &'static User) -> Result<()> {
    let desk = Desk::new(node, user)?;
    desk.expect(job(Some(PROFILE), &["claude", "--help"]), "Usage: claude")?;
    let exit = desk.run(job(Some(PROFILE), &ADD))?;
    expect(exit, 1, "may not have been saved")?;
    ensure!(
        !desk.home.join(SETTINGS).exists(),
        "~/{SETTINGS} was made all the same"
    );
    Ok(())
}

fn empty(node: &Node, user: &'static User) -> Result<()> {
    let desk = Desk::new(node, user)?;
    desk.write_home(SETTINGS, "")?;
    expect(desk.run(job(Some(PROFILE), &ADD))?, 1, "is corrupted")
}

fn holds_setting(desk: &Desk<'_>) -> Result<()> {
    let text = fs::read_to_string(desk.home.join(SETTINGS))
        .with_context(|| format!("cannot read ~/{SETTINGS}"))?;
    ensure!(text.contains("kept"), "the setting is not in {text:?}");
    Ok(())
}

fn job<'a>(profile: Option<&'a str>, command: &'a [&'a str]) -> Job<'a> {
    Job {
        image: AGENTS,
        profile,
        command,
        env: &[],
    }
}
