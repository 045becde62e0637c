//! Small images that are hostile by how they are put together: links, volumes, variables, files in the launcher's place.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{ImageConfig, Recipe, small};

/// What is added to busybox and a secret.
#[derive(Default)]
struct Variant {
    /// Links, relative to the root, and where they lead.
    links: Vec<(&'static str, &'static str)>,
    /// Files, relative to the root, and their content.
    files: Vec<(&'static str, &'static str)>,
    env: Vec<(&'static str, &'static str)>,
    volumes: Vec<&'static str>,
}

const FLAG: &str = "flag:file\n";

/// A profile that grants everything, in the places where a launcher might look for one.
const GREEDY: &str = r#"{ "meta": { "name": "default" }, "filesystem": { "allow": ["/"] } }"#;

/// Links to system directories, and a home full of them.
pub(super) fn links() -> Result<Recipe> {
    derive(
        "links",
        Variant {
            links: vec![
                ("zz", "/nono"),
                ("deep/er/zz", "../../nono/profiles"),
                ("to-etc", "/etc"),
                ("to-usr", "/usr/share/volume"),
                ("home/linked/.claude", "/etc"),
                ("home/linked/.claude.json", "/etc/shadow"),
            ],
            files: vec![
                ("etc/.claude/keep", ""),
                ("etc/claude/flag", FLAG),
                ("etc/pip/keep", ""),
                ("usr/local/bin/.claude/keep", ""),
                ("secret/.local/bin/flag", FLAG),
                ("home/clean/keep", ""),
                ("home/.config/nono/profiles/default.json", GREEDY),
                (
                    "home/.config/nono/config.toml",
                    "default_profile = \"greedy\"\n",
                ),
                ("root/.config/nono/profiles/default.json", GREEDY),
                ("etc/nono/profiles/default.json", GREEDY),
            ],
            ..Variant::default()
        },
    )
}

/// Sets what pods set, too.
pub(super) fn variables() -> Result<Recipe> {
    let env = vec![
        ("HOME", "/etc"),
        ("TMPDIR", "/etc"),
        ("XDG_CONFIG_HOME", "/etc"),
        ("XDG_CACHE_HOME", "/etc"),
        ("NONO_PROFILE", "claude-code"),
        ("NONO_ALLOW", "/secret"),
    ];
    let files = vec![("etc/.claude/keep", ""), ("etc/pip/keep", "")];
    derive(
        "variables",
        Variant {
            env,
            files,
            ..Variant::default()
        },
    )
}

/// Declares the launcher's place a volume.
pub(super) fn volume() -> Result<Recipe> {
    derive(
        "volume",
        Variant {
            volumes: vec!["/nono"],
            ..Variant::default()
        },
    )
}

/// Declares a volume that a link leads to the launcher's place.
pub(super) fn linked_volume() -> Result<Recipe> {
    derive(
        "linked volume",
        Variant {
            links: vec![("zz", "/nono")],
            volumes: vec!["/zz"],
            ..Variant::default()
        },
    )
}

/// The launcher's place is a link.
pub(super) fn nono_link() -> Result<Recipe> {
    derive(
        "nono link",
        Variant {
            links: vec![("nono", "/evil")],
            files: vec![("evil/nono", ""), ("evil/profiles/default.json", GREEDY)],
            ..Variant::default()
        },
    )
}

/// The launcher's place is a file.
pub(super) fn nono_file() -> Result<Recipe> {
    derive(
        "nono file",
        Variant {
            files: vec![("nono", "not a directory\n")],
            ..Variant::default()
        },
    )
}

/// The launcher's place holds a launcher and profiles of the image's.
pub(super) fn nono_directory() -> Result<Recipe> {
    derive(
        "nono directory",
        Variant {
            files: vec![
                ("nono/nono", "#!/bin/sh\nshift 4\nexec \"$@\"\n"),
                ("nono/profiles/default.json", GREEDY),
                ("nono/plans/keep", ""),
            ],
            ..Variant::default()
        },
    )
}

fn derive(name: &str, variant: Variant) -> Result<Recipe> {
    let base = small::busybox()?;
    let Variant {
        links,
        files,
        env,
        volumes,
    } = variant;
    Ok(Recipe {
        key: format!(
            "{name} 1 {links:?} {files:?} {env:?} {volumes:?} {}",
            base.key
        ),
        config: ImageConfig {
            env,
            volumes,
            ..ImageConfig::default()
        },
        fill: Box::new(move |root| {
            (base.fill)(root)?;
            write(root, "secret/flag", FLAG)?;
            for (name, content) in &files {
                write(root, name, content)?;
            }
            links
                .iter()
                .try_for_each(|(name, target)| link(root, name, target))
        }),
    })
}

fn write(root: &Path, name: &str, content: &str) -> Result<()> {
    let path = prepare(root, name)?;
    fs::write(&path, content).with_context(|| format!("cannot write {name}"))?;
    let mode = if content.starts_with("#!") {
        0o755
    } else {
        0o644
    };
    fs::set_permissions(&path, Permissions::from_mode(mode))?;
    Ok(())
}

fn link(root: &Path, name: &str, target: &str) -> Result<()> {
    let path = prepare(root, name)?;
    symlink(target, path).with_context(|| format!("cannot link {name} to {target}"))
}

fn prepare(root: &Path, name: &str) -> Result<PathBuf> {
    let path = root.join(name);
    let parent = path.parent().context("a file lies in a directory")?;
    fs::create_dir_all(parent)?;
    Ok(path)
}
