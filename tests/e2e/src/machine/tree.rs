//! What files there are, and what they are like.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// What programs write while they run.
const ALIVE: [&str; 15] = [
    "/etc/cni",
    "/opt/cni",
    "/opt/containerd",
    "/opt/nri",
    "/run/containerd",
    "/run/containers",
    "/run/crio",
    "/run/e2e",
    "/run/nri",
    "/run/runc",
    "/run/systemd",
    "/var/lib/containerd",
    "/var/lib/containers",
    "/var/lib/crio",
    "/var/lib/kubelet",
];

/// Files, links and directories by path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree(BTreeMap<PathBuf, Entry>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    mode: u32,
    owner: (u32, u32),
    /// Directories change with what is in them.
    modified: Option<(i64, i64)>,
    content: Vec<u8>,
}

impl Tree {
    pub(super) fn of(places: &[(&str, PathBuf)]) -> Result<Self> {
        let mut entries = BTreeMap::new();
        for (name, outside) in places {
            add(&mut entries, Path::new(name), outside)?;
        }
        Ok(Self(entries))
    }

    /// An error that names what differs, if anything does.
    pub fn expect(&self, found: &Self) -> Result<()> {
        let paths = self.0.keys().chain(found.0.keys());
        let mut differing: Vec<String> = paths
            .filter(|path| self.0.get(*path) != found.0.get(*path))
            .map(|path| {
                let state = |tree: &Self| {
                    tree.0
                        .get(path)
                        .map(|entry| (entry.mode, entry.modified, entry.content.len()))
                };
                format!(
                    "{}: {:?} became {:?}",
                    path.display(),
                    state(self),
                    state(found)
                )
            })
            .collect();
        differing.sort();
        differing.dedup();
        ensure!(
            differing.is_empty(),
            "not as before:\n  {}",
            differing.join("\n  ")
        );
        Ok(())
    }

    /// Whether something is at a path.
    pub fn has(&self, path: &str) -> bool {
        self.0.contains_key(Path::new(path))
    }
}

fn add(entries: &mut BTreeMap<PathBuf, Entry>, name: &Path, outside: &Path) -> Result<()> {
    if ALIVE.iter().any(|alive| name.starts_with(alive)) {
        return Ok(());
    }
    let read = || format!("cannot read {}", outside.display());
    let metadata = fs::symlink_metadata(outside).with_context(read)?;
    let is_directory = metadata.is_dir();
    let content = match metadata.file_type() {
        kind if kind.is_file() => fs::read(outside).with_context(read)?,
        kind if kind.is_symlink() => fs::read_link(outside)
            .with_context(read)?
            .into_os_string()
            .into_encoded_bytes(),
        _ => Vec::new(),
    };
    let entry = Entry {
        mode: metadata.mode(),
        owner: (metadata.uid(), metadata.gid()),
        modified: (!is_directory).then(|| (metadata.mtime(), metadata.mtime_nsec())),
        content,
    };
    entries.insert(name.to_owned(), entry);
    if is_directory {
        for entry in fs::read_dir(outside).with_context(read)? {
            let entry = entry?;
            add(entries, &name.join(entry.file_name()), &entry.path())?;
        }
    }
    Ok(())
}
