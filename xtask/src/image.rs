//! `cargo xtask image`: the container image, written without a container engine and without a registry.
//!
//! The same binaries and profiles give the same archive, bit for bit, wherever and whenever it is made: entries are sorted,
//! owned by root, dated by `SOURCE_DATE_EPOCH` (1970 unless set), and compressed by the code that Cargo.lock pins.
//!
//! deploy/images/Dockerfile describes the same image for container engines; a test keeps the two alike. With
//! `--engine` one of them builds it.
//!
//! Not here: building the binaries (`cargo xtask build`), and pushing the image anywhere.

mod content;
mod elf;
mod engine;
mod layer;
mod layout;
mod reference;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use clap::ValueEnum;
use serde::Serialize;

use self::engine::Engine;
use self::layout::Archive;
use self::reference::Reference;
use crate::cargo::root;

/// The image's label `org.opencontainers.image.version`: that of all crates.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What to write, and where.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The image's name
    #[arg(long, value_name = "NAME[:TAG]", default_value = "nono-nri:latest")]
    name: Reference,
    /// The architecture of the binaries [default: this machine's]
    #[arg(long, value_name = "ARCH")]
    arch: Option<Arch>,
    /// Directory of the built binaries [default: the root of the repository]
    #[arg(long, value_name = "DIR")]
    binaries: Option<PathBuf>,
    /// Where to write the archive [default: target/image/kubefence-image.tar]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Have this engine build deploy/images/Dockerfile; `auto` takes the first that works, and otherwise writes the archive
    #[arg(long, value_name = "ENGINE", conflicts_with_all = ["arch", "binaries", "out", "json"])]
    engine: Option<Engine>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// An architecture that kubefence is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Arch {
    /// x86_64.
    Amd64,
    /// aarch64.
    Arm64,
}

impl Arch {
    /// Go's name of it, which images use.
    fn as_str(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    fn of_host() -> anyhow::Result<Self> {
        match std::env::consts::ARCH {
            "x86_64" => Ok(Self::Amd64),
            "aarch64" => Ok(Self::Arm64),
            other => anyhow::bail!("kubefence is not built for {other}: choose --arch"),
        }
    }
}

/// What was written.
#[derive(Debug, Serialize)]
struct Written {
    /// The name, as containerd knows it.
    name: String,
    platform: String,
    /// The digest of the image's manifest.
    digest: String,
    /// The digest of the image's configuration, which is its ID for container engines.
    config: String,
    layer: String,
    files: usize,
    archive: PathBuf,
    size: u64,
}

/// Writes the image, or has it built.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    if let Some(engine) = args.engine
        && engine.build(&args.name)?
    {
        return Ok(());
    }
    let written = write(args)?;
    if args.json {
        println!("{}", serde_json::to_string(&written)?);
        return Ok(());
    }
    println!("image   {} ({})", written.name, written.platform);
    println!("files   {}", written.files);
    println!("layer   {}", written.layer);
    println!("config  {}", written.config);
    println!("digest  {}", written.digest);
    let size = written.size.div_ceil(1024);
    println!("archive {} ({size} KiB)", written.archive.display());
    if args.engine.is_some() {
        let archive = written.archive.display();
        println!(
            "no container engine works here; load the image where one does: `docker load --input {archive}`, `podman \
             load --input {archive}`, or `ctr --namespace k8s.io images import {archive}`"
        );
    }
    Ok(())
}

fn write(args: &Args) -> anyhow::Result<Written> {
    let arch = args.arch.map_or_else(Arch::of_host, Ok)?;
    let root = fs::canonicalize(root())?;
    let binaries = args.binaries.as_deref().unwrap_or(&root);
    let files = content::files(binaries, &root.join("profiles"), arch)?;
    let archive = Archive::of(&files, &args.name, arch, epoch()?)?;
    let out = match &args.out {
        Some(out) => out.clone(),
        None => root.join("target/image/kubefence-image.tar"),
    };
    replace(&out, &archive.bytes)?;
    Ok(Written {
        name: args.name.full(),
        platform: format!("linux/{}", arch.as_str()),
        digest: archive.digest,
        config: archive.config,
        layer: archive.layer,
        files: files.len(),
        size: archive.bytes.len() as u64,
        archive: out,
    })
}

/// The date of everything in the image, in seconds since 1970.
fn epoch() -> anyhow::Result<u64> {
    const VARIABLE: &str = "SOURCE_DATE_EPOCH";
    let Some(value) = std::env::var_os(VARIABLE) else {
        return Ok(0);
    };
    let seconds = value.to_str().and_then(|value| value.parse().ok());
    seconds.with_context(|| {
        format!("{VARIABLE} = {value:?} is no number of seconds since 1970: correct or unset it")
    })
}

/// Nobody ever finds half an archive at `path`.
fn replace(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let name = path.file_name().context("--out names no file")?;
    let parent = path.parent().unwrap_or(Path::new(""));
    ensure!(
        !path.is_dir(),
        "{} is a directory: name a file in it",
        path.display()
    );
    fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    let mut temporary = name.to_owned();
    temporary.push(format!(".{}", std::process::id()));
    let temporary = parent.join(temporary);
    fs::write(&temporary, bytes)
        .and_then(|()| fs::rename(&temporary, path))
        .inspect_err(|_| {
            let _ = fs::remove_file(&temporary);
        })
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests;
