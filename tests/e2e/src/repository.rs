//! Where things are in the repository: built binaries, pinned tools, caches.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// The root of the repository that this program was built from.
pub fn root() -> PathBuf {
    let mut path = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    path.pop();
    path.pop();
    path
}

/// Git-ignored state that outlives a run: tools, images, logs of failures.
pub fn cache() -> PathBuf {
    root().join(".cache")
}

/// The plugin binary: `$KUBEFENCE_PLUGIN`, else `./10-nono-nri`.
pub fn plugin_binary() -> Result<PathBuf> {
    built_binary("KUBEFENCE_PLUGIN", "10-nono-nri")
}

/// The sandbox binary: `$KUBEFENCE_NONO`, else `./nono`.
pub fn launcher_binary() -> Result<PathBuf> {
    built_binary("KUBEFENCE_NONO", "nono")
}

/// The guard binary: `$KUBEFENCE_GUARD`, else `./nono-runc`.
pub fn guard_binary() -> Result<PathBuf> {
    built_binary("KUBEFENCE_GUARD", "nono-runc")
}

/// The operator's command: `$KUBEFENCE_COMMAND`, else `./kubefence`.
pub fn command_binary() -> Result<PathBuf> {
    built_binary("KUBEFENCE_COMMAND", "kubefence")
}

/// The container image: `$KUBEFENCE_IMAGE`, else the archive in target/image.
pub fn image_archive() -> Result<PathBuf> {
    let path = std::env::var_os("KUBEFENCE_IMAGE").map_or_else(
        || root().join("target/image/kubefence-image.tar"),
        PathBuf::from,
    );
    if !path.is_file() {
        bail!(
            "{} is missing: run `make image`, or point KUBEFENCE_IMAGE at it",
            path.display()
        );
    }
    Ok(path)
}

fn built_binary(variable: &str, name: &str) -> Result<PathBuf> {
    let path = std::env::var_os(variable).map_or_else(|| root().join(name), PathBuf::from);
    if !path.is_file() {
        bail!(
            "{} is missing: run `make build`, or point {variable} at it",
            path.display()
        );
    }
    Ok(path)
}

/// The pinned versions of tools/versions.toml.
#[derive(Debug, Deserialize)]
pub struct Versions {
    go: Vec<GoTool>,
    /// What the Debian image is made from.
    pub debian: Debian,
    /// What the image of coding agents is made from.
    pub agents: Agents,
}

#[derive(Debug, Deserialize)]
struct GoTool {
    name: String,
    versions: Vec<String>,
}

/// Suite and packages of the Debian image, which comes from debootstrap's usual mirror.
#[derive(Debug, Deserialize)]
pub struct Debian {
    /// Debian release name.
    pub suite: String,
    /// Packages beyond the minimal base.
    pub packages: Vec<String>,
}

/// Suite, Debian packages and pinned registry packages of the image of coding agents.
#[derive(Debug, Deserialize)]
pub struct Agents {
    /// Debian release name.
    pub suite: String,
    /// Packages beyond the minimal base.
    pub packages: Vec<String>,
    /// Requirements for pip, `NAME==VERSION`.
    pub pypi: Vec<String>,
    /// Packages for npm, `NAME@VERSION`.
    pub npm: Vec<String>,
}

impl Agents {
    /// The pinned version of a package of either registry.
    pub fn version_of(&self, package: &str) -> Result<&str> {
        let pinned = self.pypi.iter().chain(&self.npm);
        let mut split = pinned.filter_map(|pin| pin.split_once("==").or(pin.rsplit_once('@')));
        split
            .find_map(|(name, version)| (name == package).then_some(version))
            .with_context(|| format!("tools/versions.toml pins no version of {package}"))
    }
}

impl Versions {
    /// Reads tools/versions.toml.
    pub fn read() -> Result<Self> {
        let path = root().join("tools/versions.toml");
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("cannot parse {}", path.display()))
    }

    /// All pinned versions of a tool, the preferred one first.
    pub fn of(&self, tool: &str) -> Result<&[String]> {
        match self.go.iter().find(|candidate| candidate.name == tool) {
            Some(found) if !found.versions.is_empty() => Ok(&found.versions),
            _ => bail!("tools/versions.toml pins no version of {tool}"),
        }
    }

    /// The directory that holds the preferred version of a tool.
    pub fn home(&self, tool: &str) -> Result<PathBuf> {
        tool_home(tool, &self.of(tool)?[0])
    }
}

/// The directory that holds one installed version of a tool.
pub fn tool_home(tool: &str, version: &str) -> Result<PathBuf> {
    let home = cache().join("tools").join(format!("{tool}-{version}"));
    if !home.is_dir() {
        bail!("{tool} {version} is not installed: run `cargo xtask setup`");
    }
    Ok(home)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_of_both_registries_are_understood() {
        let agents = Agents {
            suite: "suite".to_owned(),
            packages: Vec::new(),
            pypi: vec!["a-b==1.2".to_owned()],
            npm: vec!["@scope/c@3.4".to_owned(), "d@5.6".to_owned()],
        };
        for (name, version) in [("a-b", "1.2"), ("@scope/c", "3.4"), ("d", "5.6")] {
            assert_eq!(agents.version_of(name).unwrap(), version);
        }
        assert!(agents.version_of("c").is_err());
    }

    #[test]
    fn the_committed_file_can_be_read() {
        Versions::read().unwrap();
    }
}
