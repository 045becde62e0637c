//! Busybox images whose links and variables point at what the pod mounts.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, Result};

use super::{ImageConfig, Recipe, small};

/// A link of an image, relative to its root, and where it leads.
type Link = (&'static str, &'static str);

/// What is mounted below /var/run lands in /opt, a place that profiles grant.
pub(super) fn redirect() -> Result<Recipe> {
    derive("redirect 1", vec![("var/run", "/opt")], Vec::new())
}

/// Names that profiles grant, and both variables that choose such places, lead to volumes.
pub(super) fn grasping() -> Result<Recipe> {
    let env = vec![("HOME", "/data"), ("TMPDIR", "/data")];
    derive("grasping 1", vec![("srv", "/vault")], env)
}

fn derive(name: &str, links: Vec<Link>, env: Vec<(&'static str, &'static str)>) -> Result<Recipe> {
    let base = small::busybox()?;
    Ok(Recipe {
        key: format!("{name} {links:?} {env:?} {}", base.key),
        config: ImageConfig {
            env,
            ..ImageConfig::default()
        },
        fill: Box::new(move |root| {
            (base.fill)(root)?;
            links.iter().try_for_each(|link| add(root, *link))
        }),
    })
}

fn add(root: &Path, (name, target): Link) -> Result<()> {
    let path = root.join(name);
    let parent = path.parent().context("a link lies in a directory")?;
    fs::create_dir_all(parent)?;
    symlink(target, &path).with_context(|| format!("cannot link {name} to {target}"))
}
