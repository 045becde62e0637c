//! The test images, made locally because no registry can be assumed.
//!
//! Each is an OCI archive in `.cache/images`, named after a hash of everything it is made from, and put there by
//! rename: a changed recipe gives a new file, and an interrupted build leaves none.

mod agents;
mod archive;
mod attack;
mod attack_variants;
mod debian;
mod hostile;
mod links;
mod probe;
mod small;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::cleanup;
use crate::repository;
use crate::terminal::progress;

/// Busybox, static: applets in /bin, the probe as /app/tool.
pub const BUSYBOX: &str = "busybox";
/// Debian with Python, Node and Go.
pub const DEBIAN: &str = "debian";
/// Debian with coding agents, Node and git; the user `agent` is 1000.
pub const AGENTS: &str = "agents";
/// Nothing but the static probe, as /probe.
pub const SCRATCH: &str = "scratch";
/// Hostile loader, name service, iconv and preload configuration; a dynamic probe as /bin/probe.
pub const HOSTILE: &str = "hostile";
/// Busybox with /var/run leading to /opt.
pub const REDIRECT: &str = "redirect";
/// Busybox with /srv leading to /vault, and /data as home and temporary directory.
pub const GRASPING: &str = "grasping";
/// The attack program, a set-uid copy of it, a secret, and hostile modules on every road into a process.
pub const ATTACK: &str = "attacker";
/// Busybox with links to system directories, and homes full of them.
pub const ATTACK_LINKS: &str = "attack-links";
/// Busybox with variables that pods set, too.
pub const ATTACK_VARIABLES: &str = "attack-variables";
/// Busybox with a volume at /nono.
pub const ATTACK_VOLUME: &str = "attack-volume";
/// Busybox with a volume at a link to /nono.
pub const ATTACK_LINKED_VOLUME: &str = "attack-linked-volume";
/// Busybox whose /nono is a link.
pub const ATTACK_NONO_LINK: &str = "attack-nono-link";
/// Busybox whose /nono is a file.
pub const ATTACK_NONO_FILE: &str = "attack-nono-file";
/// Busybox with a launcher and profiles of its own in /nono.
pub const ATTACK_NONO_DIRECTORY: &str = "attack-nono-directory";
/// The pod sandbox: waits for SIGTERM.
pub const PAUSE: &str = "pause";

/// What a container inherits from its image.
#[derive(Debug, Default)]
struct ImageConfig {
    entrypoint: &'static [&'static str],
    env: Vec<(&'static str, &'static str)>,
    volumes: Vec<&'static str>,
}

/// Prefix of the directories in which images are made; the maker's process ID follows.
const WORKSHOP: &str = ".making-";

type Fill = Box<dyn Fn(&Path) -> Result<()>>;

/// How to make one image.
struct Recipe {
    /// Changes whenever the image would.
    key: String,
    config: ImageConfig,
    /// Fills an empty root filesystem.
    fill: Fill,
}

/// The full name of an image in the runtime.
pub fn reference(image: &str) -> String {
    format!("kubefence.test/{image}:e2e")
}

/// The archive of an image, made if need be.
pub fn archive(image: &str) -> Result<PathBuf> {
    let recipe = recipe(image)?;
    let directory = repository::cache().join("images");
    let path = directory.join(format!("{image}-{}.tar", short_hash(&recipe.key)));
    if path.is_file() {
        return Ok(path);
    }
    progress(&format!("making the {image} image (once)"));
    let began = Instant::now();
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    sweep(&directory)?;
    make(image, &recipe, &directory, &path)
        .with_context(|| format!("cannot make the {image} image"))?;
    forget_others(image, &directory, &path)?;
    progress(&format!(
        "made the {image} image in {} s",
        began.elapsed().as_secs()
    ));
    Ok(path)
}

fn recipe(image: &str) -> Result<Recipe> {
    match image {
        BUSYBOX => small::busybox(),
        SCRATCH => small::scratch(),
        PAUSE => small::pause(),
        HOSTILE => hostile::recipe(),
        REDIRECT => links::redirect(),
        GRASPING => links::grasping(),
        DEBIAN => debian::recipe(),
        AGENTS => agents::recipe(),
        ATTACK => attack::recipe(),
        ATTACK_LINKS => attack_variants::links(),
        ATTACK_VARIABLES => attack_variants::variables(),
        ATTACK_VOLUME => attack_variants::volume(),
        ATTACK_LINKED_VOLUME => attack_variants::linked_volume(),
        ATTACK_NONO_LINK => attack_variants::nono_link(),
        ATTACK_NONO_FILE => attack_variants::nono_file(),
        ATTACK_NONO_DIRECTORY => attack_variants::nono_directory(),
        _ => bail!("no test image is called {image}"),
    }
}

fn make(image: &str, recipe: &Recipe, directory: &Path, path: &Path) -> Result<()> {
    let workshop = tempfile::Builder::new()
        .prefix(&format!("{WORKSHOP}{}-", std::process::id()))
        .tempdir_in(directory)?;
    let rootfs = workshop.path().join("rootfs");
    fs::create_dir(&rootfs)?;
    (recipe.fill)(&rootfs)?;
    let finished = workshop.path().join("image.tar");
    archive::write(&finished, &rootfs, &reference(image), &recipe.config)?;
    fs::rename(&finished, path)?;
    Ok(())
}

/// Removes the archives of earlier recipes of the same image.
fn forget_others(image: &str, directory: &Path, current: &Path) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path != current && name.starts_with(&format!("{image}-")) {
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

/// Removes what interrupted builds left: directories of processes that are no more.
fn sweep(directory: &Path) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let Some(owner) = name.strip_prefix(WORKSHOP) else {
            continue;
        };
        let pid = owner.split('-').next().unwrap_or_default();
        if !Path::new("/proc").join(pid).exists() {
            cleanup::unmount_below(&path);
            fs::remove_dir_all(&path)
                .with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

fn short_hash(text: &str) -> String {
    hex(&Sha256::digest(text))[..12].to_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
