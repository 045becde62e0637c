//! A scratch directory with everything that the runs need: the root filesystem, both launchers and the probe.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::cleanup::Territory;
use e2e::scratch::Scratch;
use e2e::{images, repository, subprocess};
use kubefence_profile::{
    Catalog, CompileOptions, LaunchPlan, PLANS_DIR, PROFILES_DIR, ProfileName,
};

use crate::rootfs;

/// The profile that is compared.
pub(crate) const PROFILE: &str = "default";

/// Where things are in the scratch directory.
#[derive(Clone, Debug)]
pub(crate) struct Layout(PathBuf);

impl Layout {
    /// The layout of an existing scratch directory.
    pub(crate) fn of(scratch: &Path) -> Self {
        Self(scratch.to_owned())
    }

    /// The directory itself.
    pub(crate) fn scratch(&self) -> &Path {
        &self.0
    }

    /// The unpacked image, which stays as it is.
    pub(crate) fn rootfs(&self) -> PathBuf {
        self.0.join("rootfs")
    }

    /// A directory laid out as the one that is mounted at /nono.
    pub(crate) fn ours(&self) -> PathBuf {
        self.0.join("ours")
    }

    /// The directory of upstream nono.
    pub(crate) fn upstream(&self) -> PathBuf {
        self.0.join("upstream")
    }

    /// The program that tries the operations.
    pub(crate) fn probe(&self) -> PathBuf {
        self.0.join("probe")
    }

    /// An empty directory to mount things on.
    pub(crate) fn stage(&self) -> PathBuf {
        self.0.join("stage")
    }
}

/// The scratch directory; it goes away when this is dropped, or when the program is interrupted.
pub(crate) struct Workshop {
    territory: Arc<Territory>,
    layout: Layout,
}

impl Drop for Workshop {
    fn drop(&mut self) {
        for leftover in self.territory.clear() {
            eprintln!("this did not go away by itself: {leftover}");
        }
    }
}

impl Workshop {
    /// Makes the directory; `upstream` is the nono to compare with.
    pub(crate) fn open(upstream: &Path) -> Result<Self> {
        // The first time this takes minutes: before there is anything to clean up.
        let image = images::archive(images::DEBIAN)?;
        let scratch = Scratch::create()?;
        let workshop = Self {
            territory: Territory::claim(scratch.path(), &scratch.label()),
            layout: Layout::of(scratch.path()),
        };
        let layout = &workshop.layout;
        for directory in [layout.rootfs(), layout.upstream(), layout.stage()] {
            fs::create_dir(&directory)?;
        }
        rootfs::unpack(&image, &layout.rootfs())?;
        copy(upstream, &layout.upstream().join("nono"))?;
        install_ours(&layout.ours())?;
        compile_probe(&layout.probe())?;
        Ok(workshop)
    }

    /// Where things are.
    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }
}

/// The plan of the profile that is compared.
pub(crate) fn plan() -> Result<LaunchPlan> {
    let name = ProfileName::parse(PROFILE)?;
    let catalog = Catalog::built_in()?;
    let profile = catalog
        .get(&name)
        .with_context(|| format!("there is no profile {name}"))?;
    Ok(profile.compile(&CompileOptions::default())?)
}

/// Our launcher and its plan, as the plugin lays them out.
fn install_ours(directory: &Path) -> Result<()> {
    let plan = plan()?.encode()?;
    let file = format!("{PLANS_DIR}/{}.json", plan.digest);
    for below in [PLANS_DIR, PROFILES_DIR] {
        fs::create_dir_all(directory.join(below))?;
    }
    fs::write(directory.join(&file), &plan.bytes)?;
    let link = directory.join(PROFILES_DIR).join(format!("{PROFILE}.json"));
    symlink(Path::new("..").join(file), link)?;
    copy(&repository::launcher_binary()?, &directory.join("nono"))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to)
        .map(drop)
        .with_context(|| format!("cannot copy {}", from.display()))
}

fn compile_probe(target: &Path) -> Result<()> {
    let source = repository::root().join("tests/parity/probe.c");
    ensure!(source.is_file(), "{} is missing", source.display());
    let (source, target) = (source.to_string_lossy(), target.to_string_lossy());
    let flags = ["-O1", "-Wall", "-Werror", "-static", "-s", "-o"];
    let arguments = [&flags[..], &[&*target, &*source]].concat();
    subprocess::text(Path::new("gcc"), &arguments, Duration::from_secs(60))
        .map(drop)
        .context("cannot compile probe.c")
}
