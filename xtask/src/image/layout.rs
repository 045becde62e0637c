//! The image as an archive: an OCI image layout (image-spec 1.1) that also holds what `docker load` reads.
//!
//! Invariant: documents are written from structures, whose fields have an order, and not from maps, whose order depends
//! on how serde_json happens to be built.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::content::{ENTRYPOINT, File};
use super::reference::Reference;
use super::{Arch, VERSION, layer};

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// The user that containers of the image run as, unless the pod says otherwise.
pub(super) const USER: &str = "0";
/// Their `PATH`.
pub(super) const PATH: &str = "/usr/bin";
/// What the image says of itself, besides its version.
pub(super) const LABELS: [(&str, &str); 3] = [
    (
        "org.opencontainers.image.description",
        "Confines Kubernetes containers with Landlock: NRI plugin, guard, launcher and node installer",
    ),
    ("org.opencontainers.image.licenses", "Apache-2.0"),
    ("org.opencontainers.image.title", "kubefence"),
];
/// The label that holds the version.
pub(super) const VERSION_LABEL: &str = "org.opencontainers.image.version";

/// The image in one file.
#[derive(Debug)]
pub(super) struct Archive {
    pub(super) bytes: Vec<u8>,
    /// The digest of the manifest.
    pub(super) digest: String,
    /// The digest of the configuration.
    pub(super) config: String,
    /// The digest of the layer.
    pub(super) layer: String,
}

/// A content-addressed part of the image.
struct Blob {
    digest: String,
    path: String,
    bytes: Vec<u8>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor<'a> {
    media_type: &'a str,
    digest: &'a str,
    size: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<Platform>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<&'a str, &'a str>,
}

#[derive(Serialize)]
struct Platform {
    architecture: &'static str,
    os: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    schema_version: u32,
    media_type: &'a str,
    config: Descriptor<'a>,
    layers: [Descriptor<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index<'a> {
    schema_version: u32,
    media_type: &'a str,
    manifests: [Descriptor<'a>; 1],
}

#[derive(Serialize)]
struct Image<'a> {
    created: &'a str,
    architecture: &'a str,
    os: &'a str,
    config: Execution,
    rootfs: RootFs<'a>,
    history: [History<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Execution {
    user: &'static str,
    env: [String; 1],
    entrypoint: [&'static str; 1],
    working_dir: &'static str,
    labels: BTreeMap<&'static str, &'static str>,
}

#[derive(Serialize)]
struct RootFs<'a> {
    r#type: &'a str,
    diff_ids: [&'a str; 1],
}

#[derive(Serialize)]
struct History<'a> {
    created: &'a str,
    created_by: &'a str,
}

/// What `docker load` looks for.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage<'a> {
    config: &'a str,
    repo_tags: [String; 1],
    layers: [&'a str; 1],
}

impl Archive {
    /// The image of `files`, dated `epoch`.
    pub(super) fn of(
        files: &[File],
        name: &Reference,
        arch: Arch,
        epoch: u64,
    ) -> anyhow::Result<Self> {
        let layer = layer::layer(files, epoch)?;
        let diff_id = digest(&layer);
        let layer = Blob::new(layer::compressed(&layer)?);
        let config = Blob::of(&image(&diff_id, arch, &date(epoch)?))?;
        let manifest = Blob::of(&Manifest {
            schema_version: 2,
            media_type: MANIFEST,
            config: config.descriptor(CONFIG),
            layers: [layer.descriptor(LAYER)],
        })?;
        let index = serde_json::to_vec(&index(&manifest, name, &name.full(), arch))?;
        let docker = serde_json::to_vec(&[DockerImage {
            config: &config.path,
            repo_tags: [name.short()],
            layers: [&layer.path],
        }])?;
        let mut blobs = [&config, &layer, &manifest].map(|blob| (&*blob.path, &*blob.bytes));
        blobs.sort_unstable();
        let documents: [(&str, &[u8]); 3] = [
            ("index.json", &index),
            ("manifest.json", &docker),
            ("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#),
        ];
        Ok(Self {
            bytes: layer::archive(blobs.into_iter().chain(documents), epoch)?,
            digest: manifest.digest,
            config: config.digest,
            layer: layer.digest,
        })
    }
}

impl Blob {
    fn new(bytes: Vec<u8>) -> Self {
        let digest = digest(&bytes);
        let path = format!("blobs/{}", digest.replace(':', "/"));
        Self {
            digest,
            path,
            bytes,
        }
    }

    fn of(document: &impl Serialize) -> anyhow::Result<Self> {
        Ok(Self::new(serde_json::to_vec(document)?))
    }

    fn descriptor<'a>(&'a self, media_type: &'a str) -> Descriptor<'a> {
        Descriptor {
            media_type,
            digest: &self.digest,
            size: self.bytes.len(),
            platform: None,
            annotations: BTreeMap::new(),
        }
    }
}

fn image<'a>(diff_id: &'a str, arch: Arch, created: &'a str) -> Image<'a> {
    let version = [(VERSION_LABEL, VERSION)];
    Image {
        created,
        architecture: arch.as_str(),
        os: "linux",
        config: Execution {
            user: USER,
            env: [format!("PATH={PATH}")],
            entrypoint: [ENTRYPOINT],
            working_dir: "/",
            labels: LABELS.into_iter().chain(version).collect(),
        },
        rootfs: RootFs {
            r#type: "layers",
            diff_ids: [diff_id],
        },
        history: [History {
            created,
            created_by: "cargo xtask image",
        }],
    }
}

fn index<'a>(manifest: &'a Blob, name: &'a Reference, full: &'a str, arch: Arch) -> Index<'a> {
    Index {
        schema_version: 2,
        media_type: INDEX,
        manifests: [Descriptor {
            platform: Some(Platform {
                architecture: arch.as_str(),
                os: "linux",
            }),
            annotations: BTreeMap::from([
                // containerd, Podman and Docker know the image by it.
                ("io.containerd.image.name", full),
                ("org.opencontainers.image.ref.name", name.tag()),
            ]),
            ..manifest.descriptor(MANIFEST)
        }],
    }
}

fn date(epoch: u64) -> anyhow::Result<String> {
    let date = jiff::Timestamp::from_second(epoch.try_into()?);
    Ok(date
        .context("SOURCE_DATE_EPOCH is too far in the future")?
        .to_string())
}

fn digest(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}
