//! The node's files before and after, byte by byte.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// What an installation may change.
const ROOTS: [&str; 4] = ["/etc", "/opt", "/var/lib", "/usr/local"];
/// What kubelet, runtime and network plugins write all the time.
const RESTLESS: [&str; 3] = ["/var/lib/cni", "/var/lib/containerd", "/var/lib/kubelet"];

/// Every file of those directories, in words that differ when the file does.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Tree(BTreeMap<PathBuf, String>);

impl Tree {
    /// Reads everything.
    pub(crate) fn take() -> Result<Self> {
        Self::of(ROOTS.map(Path::new))
    }

    fn of<'a>(roots: impl IntoIterator<Item = &'a Path>) -> Result<Self> {
        let mut files = BTreeMap::new();
        for root in roots {
            collect(root, &mut files)?;
        }
        Ok(Self(files))
    }

    /// What differs in `now`, one line a path.
    pub(crate) fn differences(&self, now: &Self) -> Vec<String> {
        let paths = self.0.keys().chain(now.0.keys());
        let mut found: Vec<String> = paths
            .filter(|path| self.0.get(*path) != now.0.get(*path))
            .map(|path| {
                let word = |tree: &Self| tree.0.get(path).cloned().unwrap_or("absent".to_owned());
                format!("{}: {} -> {}", path.display(), word(self), word(now))
            })
            .collect();
        found.sort();
        found.dedup();
        found
    }

    /// Whether there is such a file.
    pub(crate) fn contains(&self, path: &str) -> bool {
        self.0.contains_key(Path::new(path))
    }
}

fn collect(path: &Path, files: &mut BTreeMap<PathBuf, String>) -> Result<()> {
    if RESTLESS.iter().any(|restless| path == Path::new(restless)) {
        return Ok(());
    }
    let metadata =
        fs::symlink_metadata(path).with_context(|| format!("cannot look at {}", path.display()))?;
    files.insert(path.to_owned(), describe(path, &metadata)?);
    if metadata.is_dir() {
        let entries =
            fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
        for entry in entries {
            collect(&entry?.path(), files)?;
        }
    }
    Ok(())
}

/// Mode and owner, and what the file holds. A directory's time changes with every temporary file, a file's must not.
fn describe(path: &Path, metadata: &Metadata) -> Result<String> {
    let base = format!(
        "{:o} {}:{}",
        metadata.mode(),
        metadata.uid(),
        metadata.gid()
    );
    if metadata.is_symlink() {
        return Ok(format!("{base} -> {}", fs::read_link(path)?.display()));
    }
    if !metadata.is_file() {
        return Ok(base);
    }
    let content = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let digest = Sha256::digest(content);
    let digest: String = digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(format!("{base} {digest} of {}", metadata.mtime()))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn every_kind_of_change_is_seen_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        for name in ["same", "content", "mode", "gone"] {
            fs::write(path(name), "text").unwrap();
        }
        symlink("same", path("link")).unwrap();
        let before = Tree::of([directory.path()]).unwrap();
        assert_eq!(
            before.differences(&Tree::of([directory.path()]).unwrap()),
            [""; 0]
        );

        fs::write(path("content"), "test").unwrap();
        fs::set_permissions(path("mode"), Permissions::from_mode(0o600)).unwrap();
        fs::remove_file(path("gone")).unwrap();
        fs::remove_file(path("link")).unwrap();
        symlink("mode", path("link")).unwrap();
        fs::create_dir(path("new")).unwrap();
        let now = Tree::of([directory.path()]).unwrap();
        let changed: Vec<String> = before
            .differences(&now)
            .iter()
            .map(|line| line.split(": ").next().unwrap_or_default().to_owned())
            .collect();
        let expected =
            ["content", "gone", "link", "mode", "new"].map(|name| path(name).display().to_string());
        assert_eq!(changed, expected);
    }
}
