//! The nodes on which attacks run.

use std::fs;

use anyhow::{Context, Result};

use crate::images;
use crate::node::{Fixture, Node};
use crate::repository;
use crate::subprocess;

/// Profiles that pods may choose.
pub const ALLOWED: [&str; 4] = ["default", "strict", "claude-code", "isolated"];

/// A profile of the operator's: like `default`, and signals and abstract sockets end at the sandbox.
const ISOLATED: &str = r#"{
  "extends": "default",
  "security": { "signal_mode": "isolated", "ipc_mode": "shared_memory_only" }
}"#;

/// The images that attacks use.
const IMAGES: [&str; 8] = [
    images::ATTACK,
    images::ATTACK_LINKS,
    images::ATTACK_VARIABLES,
    images::ATTACK_VOLUME,
    images::ATTACK_LINKED_VOLUME,
    images::ATTACK_NONO_LINK,
    images::ATTACK_NONO_FILE,
    images::ATTACK_NONO_DIRECTORY,
];

/// Starts a node and gives it the operator's profile.
pub fn start(fixture: Fixture<'_>) -> Result<Node> {
    let node = Node::start(fixture.images(&IMAGES))?;
    allow(&node)?;
    Ok(node)
}

fn allow(node: &Node) -> Result<()> {
    let profiles = node.scratch().join("profiles.d");
    fs::create_dir_all(&profiles).context("cannot make a directory of profiles")?;
    fs::write(profiles.join("isolated.json"), ISOLATED)?;
    if let Ok(guard) = node.guard() {
        guard.set("allowed_profiles", ALLOWED.map(String::from).to_vec())?;
    }
    if let Ok(plugin) = node.plugin() {
        let extra =
            format!("profile_dir = {profiles:?}\n[allowed_profiles]\nnono-runc = {ALLOWED:?}\n");
        return plugin.start_with(&extra);
    }
    let (directory, profiles) = (
        node.install()?.directory().to_string_lossy(),
        profiles.to_string_lossy(),
    );
    let arguments = [
        "profile",
        "publish",
        "--dir",
        &directory,
        "--profile-dir",
        &profiles,
    ];
    subprocess::text(
        &repository::command_binary()?,
        &arguments,
        std::time::Duration::from_secs(20),
    )
    .context("cannot publish the operator's profile")
    .map(drop)
}
