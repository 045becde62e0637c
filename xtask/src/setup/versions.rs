//! The contents of tools/versions.toml, as far as setup needs them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

/// Everything that setup can install.
#[derive(Debug, Deserialize)]
pub(crate) struct Versions {
    pub(crate) apt: Apt,
    pub(crate) go: Vec<GoTool>,
    /// Cargo programs by the names of their crates.
    pub(crate) cargo: BTreeMap<String, CargoTool>,
}

/// Packages of the Debian archive.
#[derive(Debug, Deserialize)]
pub(crate) struct Apt {
    pub(crate) packages: Vec<String>,
    /// Packages of single groups, by name.
    #[serde(default)]
    pub(crate) groups: BTreeMap<String, Vec<String>>,
}

/// One Go module, in one or more versions.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GoTool {
    pub(crate) name: String,
    pub(crate) module: String,
    /// Package paths within the module; `.` is the module itself.
    pub(crate) commands: Vec<String>,
    pub(crate) versions: Vec<String>,
    #[serde(default)]
    pub(crate) tags: Vec<String>,
    pub(crate) cgo: bool,
    /// Tools of a group are installed only when the group is asked for.
    pub(crate) group: Option<String>,
    /// Leaves out what only debuggers read.
    #[serde(default)]
    pub(crate) strip: bool,
    /// Further names of the first command, for programs that look at what they are called.
    #[serde(default)]
    pub(crate) links: Vec<String>,
    /// C programs of the module by name, each with the directory of its sources.
    #[serde(default, rename = "c-programs")]
    pub(crate) c_programs: BTreeMap<String, String>,
    /// A directory of the repository whose go.mod and go.sum pin the tool.
    pub(crate) pinned_in: Option<String>,
}

/// One crate that installs a program.
#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(from = "CargoEntry")]
pub(crate) struct CargoTool {
    pub(crate) version: String,
    /// Whether the crate's default features are wanted.
    pub(crate) default_features: bool,
    /// Whether the crate's own lock file counts.
    pub(crate) locked: bool,
    /// The program's name, if it is not the crate's.
    pub(crate) program: Option<String>,
}

/// What stands in the file: a version, or a table.
#[derive(Deserialize)]
#[serde(untagged)]
enum CargoEntry {
    Version(String),
    Table(CargoTable),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct CargoTable {
    version: String,
    #[serde(default = "yes")]
    default_features: bool,
    #[serde(default = "yes")]
    locked: bool,
    program: Option<String>,
}

fn yes() -> bool {
    true
}

impl From<CargoEntry> for CargoTool {
    fn from(entry: CargoEntry) -> Self {
        let table = match entry {
            CargoEntry::Table(table) => table,
            CargoEntry::Version(version) => CargoTable {
                version,
                default_features: true,
                locked: true,
                program: None,
            },
        };
        Self {
            version: table.version,
            default_features: table.default_features,
            locked: table.locked,
            program: table.program,
        }
    }
}

impl Versions {
    /// Reads the file, naming it in every error.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        toml::from_str(&text)
            .with_context(|| format!("{} is not what setup expects", path.display()))
    }
}

impl GoTool {
    /// Whether it is installed: by its name, with its group, or, without a group, unless something else is asked for.
    pub(crate) fn is_selected(&self, names: &[String], group: Option<&str>) -> bool {
        match group {
            Some(_) => self.group.as_deref() == group,
            None if names.is_empty() => self.group.is_none(),
            None => names.contains(&self.name),
        }
    }

    /// Import paths of the commands.
    pub(crate) fn packages(&self) -> impl Iterator<Item = String> {
        self.commands.iter().map(|command| match command.as_str() {
            "." => self.module.clone(),
            command => format!("{}/{command}", self.module),
        })
    }

    /// File names of the built commands.
    pub(crate) fn binaries(&self) -> impl Iterator<Item = String> {
        let commands = self
            .packages()
            .map(|package| package.rsplit('/').next().unwrap_or_default().to_owned());
        commands.chain(self.c_programs.keys().cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cargo_tool_is_a_version_or_a_table() {
        let text = r#"
            short = "1.2.3"
            long = { version = "4.5.6", default-features = false, locked = false, program = "other" }
        "#;
        let tools: BTreeMap<String, CargoTool> = toml::from_str(text).unwrap();
        let tool = |version: &str, plain: bool, program: Option<&str>| CargoTool {
            version: version.to_owned(),
            default_features: plain,
            locked: plain,
            program: program.map(str::to_owned),
        };
        assert_eq!(tools["short"], tool("1.2.3", true, None));
        assert_eq!(tools["long"], tool("4.5.6", false, Some("other")));
    }

    #[test]
    fn a_misspelt_key_of_a_cargo_tool_is_an_error() {
        let text = r#"tool = { version = "1.0.0", lock = false }"#;
        assert!(toml::from_str::<BTreeMap<String, CargoTool>>(text).is_err());
    }

    #[test]
    fn a_group_is_installed_only_when_it_is_asked_for() {
        let tool = |group: &str| -> GoTool {
            let text = format!(
                "name = \"tool\"\nmodule = \"m\"\ncommands = []\nversions = []\ncgo = false\n{group}"
            );
            toml::from_str(&text).unwrap()
        };
        let (usual, grouped) = (tool(""), tool("group = \"cluster\""));
        let named = ["tool".to_owned()];
        assert!(usual.is_selected(&[], None) && !grouped.is_selected(&[], None));
        assert!(usual.is_selected(&named, None) && grouped.is_selected(&named, None));
        assert!(!usual.is_selected(&[], Some("cluster")));
        assert!(grouped.is_selected(&[], Some("cluster")));
    }

    #[test]
    fn c_programs_are_among_the_binaries_of_a_tool() {
        let text = r#"
            name = "tool"
            module = "example.com/tool"
            commands = [".", "cmd/server"]
            versions = ["1.0.0"]
            cgo = false
            c-programs = { pins = "pins/src" }
        "#;
        let tool: GoTool = toml::from_str(text).unwrap();
        let binaries: Vec<String> = tool.binaries().collect();
        assert_eq!(binaries, ["tool", "server", "pins"]);
    }
}
