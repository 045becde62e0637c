//! Tar archives that depend on nothing but their content.

use std::collections::BTreeSet;
use std::io::Write;

use anyhow::Context as _;
use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};

use super::content::File;

/// The image's only layer: the files, and the directories above them.
pub(super) fn layer(files: &[File], epoch: u64) -> anyhow::Result<Vec<u8>> {
    let mut archive = Builder::new(Vec::new());
    let mut seen = BTreeSet::new();
    for file in files {
        for directory in directories(&file.path) {
            if seen.insert(directory) {
                let path = format!("{directory}/");
                append(&mut archive, EntryType::Directory, &path, 0o755, epoch, &[])?;
            }
        }
        append(
            &mut archive,
            EntryType::Regular,
            &file.path,
            file.mode,
            epoch,
            &file.content,
        )?;
    }
    archive.into_inner().context("cannot finish the layer")
}

/// An archive of files alone.
pub(super) fn archive<'a>(
    files: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    epoch: u64,
) -> anyhow::Result<Vec<u8>> {
    let mut archive = Builder::new(Vec::new());
    for (path, content) in files {
        append(
            &mut archive,
            EntryType::Regular,
            path,
            0o644,
            epoch,
            content,
        )?;
    }
    archive.into_inner().context("cannot finish the archive")
}

/// Compressed, without a date or a name in it.
pub(super) fn compressed(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut encoder = GzBuilder::new().write(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish().context("cannot compress the layer")
}

/// All directories above `path`, from the top.
fn directories(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(slash, _)| &path[..slash])
}

fn append(
    archive: &mut Builder<Vec<u8>>,
    kind: EntryType,
    path: &str,
    mode: u32,
    epoch: u64,
    content: &[u8],
) -> anyhow::Result<()> {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(epoch);
    header.set_size(content.len() as u64);
    archive
        .append_data(&mut header, path, content)
        .with_context(|| format!("cannot add {path}"))
}
