//! `cargo xtask build`: the release binaries, checked, at the root of the workspace.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

use crate::cargo::{artifacts, cargo, root, run};

/// A binary that is shipped.
struct Binary {
    package: &'static str,
    name: &'static str,
    profile: &'static str,
    /// Whether it runs beside image-supplied files, so that it must not look for glibc's plug-ins.
    inside_container: bool,
}

const BINARIES: [Binary; 4] = [
    Binary {
        package: "kubefence-launcher",
        name: "nono",
        profile: "launcher",
        inside_container: true,
    },
    Binary {
        package: "kubefence-plugin",
        name: "10-nono-nri",
        profile: "plugin",
        inside_container: false,
    },
    // It opens /etc/passwd of the image by itself; nothing may look for modules there.
    Binary {
        package: "kubefence-guard",
        name: "nono-runc",
        profile: "guard",
        inside_container: true,
    },
    Binary {
        package: "kubefence",
        name: "kubefence",
        profile: "release",
        inside_container: false,
    },
];

/// Functions with which even a static glibc loads NSS and character-set modules: from the image, and
/// before the sandbox is in force.
const LOADS_PLUGINS: [&str; 10] = [
    "getpw",
    "getgrent",
    "getgrgid",
    "getgrnam",
    "getgrouplist",
    "getaddrinfo",
    "gethostby",
    "getservby",
    "iconv_open",
    "setlocale",
];

/// Builds, checks and installs all binaries into the root of the workspace.
pub(crate) fn build() -> anyhow::Result<()> {
    for binary in &BINARIES {
        run(cargo("build")?.args(["--profile", binary.profile, "-p", binary.package]))?;
        let built = artifacts(binary.profile)?.join(binary.name);
        check_static(&built)?;
        if binary.inside_container {
            check_symbols(&built)?;
        }
        let installed = root().join(binary.name);
        run(Command::new("strip").arg("-o").arg(&installed).arg(&built))?;
        let size = installed.metadata()?.len();
        println!("{:>12} {:>8} KiB", binary.name, size.div_ceil(1024));
    }
    Ok(())
}

fn check_static(binary: &Path) -> anyhow::Result<()> {
    let headers = output(Command::new("readelf").args(["-lW"]).arg(binary))?;
    ensure!(
        !headers.contains("INTERP"),
        "{} needs a dynamic loader",
        binary.display()
    );
    Ok(())
}

fn check_symbols(binary: &Path) -> anyhow::Result<()> {
    let symbols = output(
        Command::new("nm")
            .args(["--defined-only", "--format=posix"])
            .arg(binary),
    )?;
    let names: BTreeSet<&str> = symbols
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    ensure!(
        names.contains("main"),
        "{} has no symbols to check",
        binary.display()
    );
    let found: Vec<&str> = names
        .into_iter()
        .filter(|name| loads_plugins(name))
        .collect();
    if !found.is_empty() {
        bail!(
            "{} links {}: a hostile image could supply the code behind them",
            binary.display(),
            found.join(", ")
        );
    }
    Ok(())
}

fn loads_plugins(symbol: &str) -> bool {
    let name = symbol.trim_start_matches('_');
    LOADS_PLUGINS.iter().any(|prefix| name.starts_with(prefix))
}

fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot run {:?}", command.get_program()))?;
    ensure!(
        output.status.success(),
        "{command:?} failed: {}",
        output.status
    );
    Ok(String::from_utf8(output.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::loads_plugins;

    #[test]
    fn plugin_loading_functions_are_recognised_under_any_alias() {
        for symbol in [
            "getpwuid_r",
            "__getpwnam_r",
            "getgrgid",
            "getaddrinfo",
            "iconv_open",
            "setlocale",
        ] {
            assert!(loads_plugins(symbol), "{symbol}");
        }
        for symbol in ["main", "getpid", "getgroups", "getenv", "open", "getrandom"] {
            assert!(!loads_plugins(symbol), "{symbol}");
        }
    }
}
