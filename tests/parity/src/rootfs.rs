//! The root filesystem of a test image, unpacked from its OCI archive.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use tar::{Archive, Entry};

type Member<'a> = Entry<'a, BufReader<File>>;

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Manifest {
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
}

impl Descriptor {
    fn path(&self) -> String {
        format!("blobs/{}", self.digest.replace(':', "/"))
    }
}

/// Unpacks the layers of the image in `archive` into the directory `root`.
pub(crate) fn unpack(archive: &Path, root: &Path) -> Result<()> {
    let index: Index = json(archive, "index.json")?;
    for manifest in &index.manifests {
        let manifest: Manifest = json(archive, &manifest.path())?;
        for layer in &manifest.layers {
            with_member(archive, &layer.path(), |member| extract(member, root))?;
        }
    }
    Ok(())
}

fn extract(layer: Member<'_>, root: &Path) -> Result<()> {
    let mut layer = Archive::new(layer);
    layer.set_preserve_permissions(true);
    layer.set_preserve_ownerships(true);
    layer
        .unpack(root)
        .with_context(|| format!("cannot unpack into {}", root.display()))
}

fn json<T: serde::de::DeserializeOwned>(archive: &Path, name: &str) -> Result<T> {
    with_member(archive, name, |mut member| {
        let mut text = String::new();
        member.read_to_string(&mut text)?;
        serde_json::from_str(&text).with_context(|| format!("{name} is not what it should be"))
    })
}

fn with_member<T>(
    archive: &Path,
    name: &str,
    read: impl FnOnce(Member<'_>) -> Result<T>,
) -> Result<T> {
    let file = File::open(archive).with_context(|| format!("cannot open {}", archive.display()))?;
    let mut archive_file = Archive::new(BufReader::new(file));
    for member in archive_file.entries_with_seek()? {
        let member = member?;
        if member.path()? == Path::new(name) {
            return read(member);
        }
    }
    anyhow::bail!("{} has no {name}", archive.display())
}
