//! OCI image layout (image-spec 1.1) with one uncompressed layer, as a tar archive.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use super::{ImageConfig, hex};

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Writes `rootfs` as the image `name`.
pub(super) fn write(path: &Path, rootfs: &Path, name: &str, config: &ImageConfig) -> Result<()> {
    let layer_file = path.with_extension("layer");
    let layer = write_layer(&layer_file, rootfs)?;
    let mut archive = Builder::new(BufWriter::new(File::create(path)?));

    let source = BufReader::new(File::open(&layer_file)?);
    append(&mut archive, &blob_path(&layer.digest), layer.size, source)?;
    let config = add_json(&mut archive, &image_config(config, &layer.digest))?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config.descriptor(CONFIG),
        "layers": [layer.descriptor(LAYER)],
    });
    let manifest = add_json(&mut archive, &manifest)?;
    let index = index(name, &manifest);
    add_file(&mut archive, "index.json", index.to_string().as_bytes())?;
    add_file(
        &mut archive,
        "oci-layout",
        br#"{"imageLayoutVersion":"1.0.0"}"#,
    )?;
    archive
        .into_inner()?
        .flush()
        .context("cannot finish the archive")
}

/// A content-addressed part of the image.
struct Blob {
    digest: String,
    size: u64,
}

impl Blob {
    fn descriptor(&self, media_type: &str) -> Value {
        json!({ "mediaType": media_type, "digest": format!("sha256:{}", self.digest), "size": self.size })
    }
}

fn write_layer(path: &Path, rootfs: &Path) -> Result<Blob> {
    let mut layer = Builder::new(Hashing::new(BufWriter::new(File::create(path)?)));
    layer.follow_symlinks(false);
    layer
        .append_dir_all(".", rootfs)
        .context("cannot pack the root filesystem")?;
    let mut hashing = layer.into_inner()?;
    hashing.flush()?;
    Ok(Blob {
        digest: hex(&hashing.hash.finalize()),
        size: hashing.size,
    })
}

fn image_config(config: &ImageConfig, diff_id: &str) -> Value {
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned();
    let env: Vec<String> = [path]
        .into_iter()
        .chain(
            config
                .env
                .iter()
                .map(|(key, value)| format!("{key}={value}")),
        )
        .collect();
    let volumes: Map<String, Value> = config
        .volumes
        .iter()
        .map(|path| ((*path).to_owned(), json!({})))
        .collect();
    json!({
        "architecture": architecture(),
        "os": "linux",
        "config": { "Env": env, "Entrypoint": config.entrypoint, "Volumes": volumes },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{diff_id}")] },
    })
}

fn index(name: &str, manifest: &Blob) -> Value {
    let mut descriptor = manifest.descriptor(MANIFEST);
    descriptor["annotations"] = json!({ "io.containerd.image.name": name });
    descriptor["platform"] = json!({ "architecture": architecture(), "os": "linux" });
    json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [descriptor] })
}

/// Go's name of this architecture.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn add_json(archive: &mut Builder<impl Write>, value: &Value) -> Result<Blob> {
    let text = value.to_string();
    let blob = Blob {
        digest: hex(&Sha256::digest(&text)),
        size: text.len() as u64,
    };
    add_file(archive, &blob_path(&blob.digest), text.as_bytes())?;
    Ok(blob)
}

fn add_file(archive: &mut Builder<impl Write>, path: &str, content: &[u8]) -> Result<()> {
    append(archive, path, content.len() as u64, content)
}

fn append(
    archive: &mut Builder<impl Write>,
    path: &str,
    size: u64,
    content: impl Read,
) -> Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_size(size);
    header.set_mode(0o644);
    archive
        .append_data(&mut header, path, content)
        .with_context(|| format!("cannot add {path}"))
}

fn blob_path(digest: &str) -> String {
    format!("blobs/sha256/{digest}")
}

/// Hashes and counts what passes through.
struct Hashing<W> {
    inner: W,
    hash: Sha256,
    size: u64,
}

impl<W> Hashing<W> {
    fn new(inner: W) -> Self {
        Self {
            inner,
            hash: Sha256::new(),
            size: 0,
        }
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.hash.update(&buffer[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
