//! What must be there before the probe can try anything.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use anyhow::{Context, Result};

use super::PROBE;
use crate::runs::User;
use crate::targets::{FILE, Make, Owner, Set, Table, expand};

/// The usual mode of directories and programs.
const EVERYBODY: u32 = 0o755;

/// Makes links and targets.
pub(super) fn make(table: &Table, user: User) -> Result<()> {
    for link in &table.links {
        fs::create_dir_all(&link.to)?;
        symlink(&link.to, &link.path).with_context(|| format!("cannot link {}", link.path))?;
    }
    for set in &table.sets {
        let owner = match set.owner {
            Owner::Root => 0,
            Owner::User => user.id(),
        };
        for path in &set.paths {
            target(set, &expand(path, user.home()), owner, user)
                .with_context(|| format!("cannot prepare {path}"))?;
        }
    }
    Ok(())
}

fn target(set: &Set, path: &Path, owner: u32, user: User) -> Result<()> {
    if set.make == Make::Nothing {
        return Ok(());
    }
    let missing = !path.exists();
    match set.make {
        Make::Directory => {
            directory(path, owner)?;
            entries(set, path, user.id())?;
        }
        Make::File if missing => file(path, owner)?,
        Make::Program if missing => program(path, owner)?,
        Make::File | Make::Program | Make::Nothing => {}
    }
    match set.mode {
        Some(mode) if missing => Ok(fs::set_permissions(path, Permissions::from_mode(mode))?),
        _ => Ok(()),
    }
}

/// What the operations on a directory need, owned by whoever tries them: then only the directory decides.
fn entries(set: &Set, directory: &Path, user: u32) -> Result<()> {
    program(&directory.join(FILE), user)?;
    for operation in &set.operations {
        let entry = directory.join(format!("parity-{operation}"));
        match operation.as_str() {
            "unlink" | "rename" => file(&entry, user)?,
            "rmdir" => self::directory(&entry, user)?,
            "move" => {
                file(&entry, user)?;
                self::directory(&directory.join("parity-into"), user)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// A directory and those above it that are missing.
fn directory(path: &Path, owner: u32) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        directory(parent, owner)?;
    }
    fs::create_dir(path)?;
    fs::set_permissions(path, Permissions::from_mode(EVERYBODY))?;
    Ok(chown(path, Some(owner), Some(owner))?)
}

fn file(path: &Path, owner: u32) -> Result<()> {
    parent(path, owner)?;
    fs::write(path, "secret\n")?;
    fs::set_permissions(path, Permissions::from_mode(0o644))?;
    Ok(chown(path, Some(owner), Some(owner))?)
}

fn program(path: &Path, owner: u32) -> Result<()> {
    parent(path, owner)?;
    fs::copy(PROBE, path)?;
    fs::set_permissions(path, Permissions::from_mode(EVERYBODY))?;
    Ok(chown(path, Some(owner), Some(owner))?)
}

fn parent(path: &Path, owner: u32) -> Result<()> {
    path.parent().map_or(Ok(()), |path| directory(path, owner))
}
