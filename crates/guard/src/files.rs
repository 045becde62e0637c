//! Reading and replacing the files that container runtimes hand over.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, chown};
use std::path::Path;
use std::process;

use anyhow::{Context as _, bail, ensure};

/// Longest file that is read, in bytes: OCI specs have some ten thousand.
const MAX_SIZE: u64 = 16 << 20;

/// Reads the regular file at `path`.
pub(crate) fn read(path: &Path) -> anyhow::Result<String> {
    let open = || -> anyhow::Result<String> {
        // What is no file may be one thing when it is read here, and another when the runtime reads it.
        ensure!(
            fs::symlink_metadata(path)?.is_file(),
            "it is no regular file"
        );
        let mut text = String::new();
        File::open(path)?
            .take(MAX_SIZE + 1)
            .read_to_string(&mut text)?;
        if text.len() as u64 > MAX_SIZE {
            bail!("it has more than {MAX_SIZE} bytes");
        }
        Ok(text)
    };
    open().with_context(|| format!("cannot read {}", path.display()))
}

/// Puts a file with `text` in the place of the one at `path`, with its owner and mode.
pub(crate) fn replace(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".nono-runc.{}", process::id()));
    let temporary = path.with_file_name(name);
    let write = || -> anyhow::Result<()> {
        let old = fs::symlink_metadata(path)?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(text.as_bytes())?;
        chown(&temporary, Some(old.uid()), Some(old.gid()))?;
        file.set_permissions(old.permissions())?;
        Ok(fs::rename(&temporary, path)?)
    };
    write()
        .inspect_err(|_| drop(fs::remove_file(&temporary)))
        .with_context(|| format!("cannot replace {}", path.display()))
}
