//! Debian packages: installs what `dpkg` does not know yet.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Installs the packages that are missing; needs root only if there are any.
pub(crate) fn install_missing(packages: &[String]) -> Result<()> {
    let missing: Vec<&String> = packages
        .iter()
        .filter(|package| !is_installed(package))
        .collect();
    if missing.is_empty() {
        println!("apt: all {} packages are installed", packages.len());
        return Ok(());
    }
    let names = missing
        .iter()
        .map(|name| name.as_str())
        .collect::<Vec<_>>()
        .join(" ");
    if !rustix::process::geteuid().is_root() {
        bail!(
            "Debian packages are missing and this is not root: run `sudo apt-get install {names}`, then try again"
        );
    }
    println!("apt: installing {names}");
    let install = ["install", "--yes", "--no-install-recommends"];
    let arguments: Vec<&str> = install.into_iter().chain(names.split(' ')).collect();
    // The package lists may be absent or old: refresh them only when the first attempt says so.
    if apt_get(&arguments)? {
        return Ok(());
    }
    println!("apt: refreshing the package lists");
    if apt_get(&["update"])? && apt_get(&arguments)? {
        return Ok(());
    }
    bail!(
        "apt-get cannot install {names}: its messages are above; check the sources in /etc/apt and the network"
    )
}

fn is_installed(package: &str) -> bool {
    Command::new("dpkg-query")
        .args(["--show", "--showformat=${db:Status-Status}", package])
        .stderr(Stdio::null())
        .output()
        .is_ok_and(|output| output.stdout == b"installed")
}

fn apt_get(arguments: &[&str]) -> Result<bool> {
    let status = Command::new("apt-get")
        .arg("--quiet=2")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .status()
        .context("cannot run apt-get: setup knows only Debian and its derivatives, install the packages by hand")?;
    Ok(status.success())
}
