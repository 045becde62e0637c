//! What is in the image.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};

use super::{Arch, elf};

/// The programs, in `/usr/bin`.
pub(super) const PROGRAMS: [&str; 4] = ["10-nono-nri", "kubefence", "nono", "nono-runc"];
/// The program that containers of the image start.
pub(super) const ENTRYPOINT: &str = "/usr/bin/10-nono-nri";

/// A file of the image.
#[derive(Debug)]
pub(super) struct File {
    /// Where it is, without the first slash.
    pub(super) path: String,
    pub(super) mode: u32,
    pub(super) content: Vec<u8>,
}

/// All files, sorted by path: the programs from `binaries`, and the sources of the built-in profiles.
pub(super) fn files(binaries: &Path, profiles: &Path, arch: Arch) -> anyhow::Result<Vec<File>> {
    let mut files = Vec::new();
    for name in PROGRAMS {
        let path = binaries.join(name);
        let content = fs::read(&path).with_context(|| {
            format!(
                "cannot read {}: run `make build`, or set --binaries",
                path.display()
            )
        })?;
        elf::check(&content, arch)
            .with_context(|| format!("{} cannot be in the image", path.display()))?;
        files.push(File {
            path: format!("usr/bin/{name}"),
            mode: 0o755,
            content,
        });
    }
    let names = names(profiles)?;
    ensure!(!names.is_empty(), "{} is empty", profiles.display());
    for name in names {
        let path = profiles.join(&name);
        let content = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        files.push(File {
            path: format!("profiles/{name}"),
            mode: 0o644,
            content,
        });
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// The names of all files in `directory`.
pub(super) fn names(directory: &Path) -> anyhow::Result<Vec<String>> {
    let read = || format!("cannot list {}", directory.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).with_context(read)? {
        let entry = entry.with_context(read)?;
        let name = entry.file_name().into_string().ok();
        let name = name.filter(|_| entry.file_type().is_ok_and(|kind| kind.is_file()));
        names.push(name.with_context(|| {
            format!(
                "{} is no plain file: only such can be in the image",
                entry.path().display()
            )
        })?);
    }
    names.sort_unstable();
    Ok(names)
}
