//! The image of the attack suite: busybox, the attack program, and everything hostile that an image can bring.
//!
//! The attack program has a loader of its own, so that the usual loader's path is free for a hostile one: whatever
//! else is linked dynamically, a launcher for instance, would run that before anything.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use super::{ImageConfig, Recipe, probe, small};
use crate::subprocess;

const SOURCES: [&str; 6] = [
    "attack.c",
    "attack_files.c",
    "attack_mounts.c",
    "attack_processes.c",
    "attack_programs.c",
    "attack_privileged.c",
];
const HEADER: &str = "attack.h";
const LIBRARY: &str = "attack_hostile.c";
const LOADER: &str = "attack_loader.c";

const PROGRAM: &str = "bin/attack";
const HONEST_LOADER: &str = "/lib/honest-loader.so";
const ALONE: [&str; 5] = [
    "-ffreestanding",
    "-fno-stack-protector",
    "-fPIE",
    "-nostdlib",
    "-static-pie",
];
const FIXED: [&str; 6] = ["-O1", "-Wall", "-Wextra", "-Werror", "-s", "-o"];

/// The copies of the hostile library, each named after the road by which it gets into a process.
const LIBRARIES: [&str; 4] = [
    "usr/lib/preload.so",
    "usr/lib/audit.so",
    "usr/lib/etc-preload.so",
    "usr/lib/gconv/gconv.so",
];
const MODULES: &str = "\
module INTERNAL HOSTILE// gconv 1\nmodule HOSTILE// INTERNAL gconv 1\n\
module UTF-8// INTERNAL gconv 1\nmodule INTERNAL UTF-8// gconv 1\n";
const NSSWITCH: &str = "passwd: hostile\ngroup: hostile\nshadow: hostile\nhosts: hostile\n";

pub(super) fn recipe() -> Result<Recipe> {
    let applets = subprocess::text(
        Path::new("/bin/busybox"),
        &["--list"],
        Duration::from_secs(5),
    )
    .context("busybox-static is not installed: run `cargo xtask setup`")?;
    let mut key = format!("attack 1 {applets}");
    for name in SOURCES.iter().chain([&HEADER, &LIBRARY, &LOADER]) {
        key += &probe::source(name)?;
    }
    let config = ImageConfig {
        env: vec![
            ("LD_PRELOAD", "/usr/lib/preload.so"),
            ("LD_AUDIT", "/usr/lib/audit.so"),
            ("GCONV_PATH", "/usr/lib/gconv"),
        ],
        ..ImageConfig::default()
    };
    Ok(Recipe {
        key,
        config,
        fill: Box::new(move |root| fill(root, &applets)),
    })
}

fn fill(root: &Path, applets: &str) -> Result<()> {
    small::fill_busybox(root, applets)?;
    fill_secret(root)?;
    fill_program(root)?;
    fill_hostile(root)
}

fn fill_secret(root: &Path) -> Result<()> {
    fs::create_dir(root.join("secret"))?;
    fs::write(root.join("secret/flag"), "flag:file\n")?;
    fs::write(root.join("secret/spare"), "")?;
    fs::write(root.join("secret/long"), [b'x'; 64])?;
    Ok(())
}

fn fill_program(root: &Path) -> Result<()> {
    // Linked as usual: what a hostile loader is waiting for.
    let usual = root.join("bin/dynamic");
    compile(&SOURCES, &[], &usual)?;
    let needed = Needed::by(&usual)?;
    for library in &needed.libraries {
        place(library, root, library)?;
        // The C library asks for the loader by name, and is to get the one that runs already.
        let beside = library.with_file_name(needed.loader.file_name().unwrap_or_default());
        symlink(HONEST_LOADER, root.join(beside.strip_prefix("/")?))?;
    }
    place(&needed.loader, root, Path::new(HONEST_LOADER))?;
    let interpreter = format!("-Wl,--dynamic-linker={HONEST_LOADER}");
    let program = root.join(PROGRAM);
    // At fixed addresses, so that attacker and victim agree on where the secret is.
    compile(&SOURCES, &["-no-pie", &interpreter], &program)?;
    for (copy, mode) in [("bin/attack-setuid", 0o4755), ("secret/tool", 0o755)] {
        fs::copy(&program, root.join(copy))?;
        fs::set_permissions(root.join(copy), Permissions::from_mode(mode))?;
    }
    let hostile = root.join("hostile-loader");
    compile(&[LOADER], &ALONE, &hostile)?;
    place(&hostile, root, &needed.loader)?;
    fs::remove_file(hostile).context("cannot remove the second hostile loader")
}

fn fill_hostile(root: &Path) -> Result<()> {
    let library = root.join(LIBRARIES[0]);
    fs::create_dir_all(root.join("usr/lib/gconv"))?;
    compile(&[LIBRARY], &["-shared", "-fPIC"], &library)?;
    for copy in &LIBRARIES[1..] {
        fs::copy(&library, root.join(copy))?;
    }
    fs::copy(&library, root.join("usr/lib/libnss_hostile.so.2"))?;
    fs::write(root.join("usr/lib/gconv/gconv-modules"), MODULES)?;
    fs::write(root.join("etc/nsswitch.conf"), NSSWITCH)?;
    fs::write(root.join("etc/ld.so.preload"), "/usr/lib/etc-preload.so\n")?;
    Ok(())
}

fn compile(sources: &[&str], flags: &[&str], target: &Path) -> Result<()> {
    let target = target.to_string_lossy();
    let paths = sources.iter().map(|name| probe::path(name));
    let sources: Vec<String> = paths
        .map(|path| path.to_string_lossy().into_owned())
        .collect();
    let arguments: Vec<&str> = FIXED
        .into_iter()
        .chain([&*target])
        .chain(flags.iter().copied())
        .chain(sources.iter().map(String::as_str))
        .collect();
    subprocess::text(Path::new("gcc"), &arguments, Duration::from_secs(60))
        .map(drop)
        .with_context(|| format!("cannot compile {target}"))
}

/// What a dynamic program loads, as paths on this machine.
struct Needed {
    loader: PathBuf,
    libraries: Vec<PathBuf>,
}

impl Needed {
    fn by(program: &Path) -> Result<Self> {
        let program = program.to_string_lossy();
        let listing = subprocess::text(Path::new("ldd"), &[&program], Duration::from_secs(5))?;
        // `NAME => PATH (ADDRESS)`; the loader has no arrow.
        let paths = |arrow: bool| {
            let lines = listing
                .lines()
                .filter(move |line| line.contains("=>") == arrow);
            let words = lines.flat_map(str::split_whitespace);
            words
                .filter(|word| word.starts_with('/'))
                .map(PathBuf::from)
        };
        let loader = paths(false).next();
        Ok(Self {
            loader: loader.with_context(|| format!("ldd names no loader of {program}"))?,
            libraries: paths(true).collect(),
        })
    }
}

fn place(file: &Path, root: &Path, path: &Path) -> Result<()> {
    let target = root.join(path.strip_prefix("/")?);
    let directory = target.parent().context("a library lies in a directory")?;
    fs::create_dir_all(directory)?;
    fs::copy(file, &target).with_context(|| format!("cannot copy {}", file.display()))?;
    Ok(())
}
