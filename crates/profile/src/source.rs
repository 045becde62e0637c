//! The shape of profile and group files.

use std::collections::BTreeMap;

use kubefence_launch_plan::ProfileName;
use serde::Deserialize;

use crate::Access;

/// A profile as its file states it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileSource {
    /// What the profile is.
    pub meta: Meta,
    /// Shared groups it takes.
    #[serde(default)]
    pub groups: GroupSelection,
    /// The container's working directory.
    #[serde(default)]
    pub workdir: Workdir,
    /// What it asks of Landlock.
    #[serde(default)]
    pub landlock: Landlock,
}

/// What a profile is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Meta {
    /// The name that pods use.
    pub name: ProfileName,
    /// One sentence for people.
    #[serde(default)]
    pub description: String,
}

/// Which shared groups a profile takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupSelection {
    /// Names of groups, in order.
    #[serde(default)]
    pub include: Vec<String>,
}

/// What a profile says of the working directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workdir {
    /// Access below it.
    #[serde(default)]
    pub access: WorkdirAccess,
}

/// Access to the working directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkdirAccess {
    /// None beyond what other grants give.
    #[default]
    None,
    /// Read and execute.
    Read,
    /// Write only.
    Write,
    /// Read, execute and write.
    Readwrite,
}

/// What a profile asks of Landlock.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Landlock {
    /// The oldest Landlock ABI on which the profile may run.
    pub min_abi: u32,
    /// Whether denials are audited (ABI 7).
    pub log_denials: bool,
}

impl Default for Landlock {
    fn default() -> Self {
        Self {
            min_abi: 1,
            log_denials: true,
        }
    }
}

/// A named set of grants or denials that profiles share.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// One sentence for people.
    pub description: String,
    /// Paths by the access they get.
    #[serde(default)]
    pub allow: BTreeMap<Access, Vec<String>>,
    /// Paths that no variable-derived grant may open up.
    #[serde(default)]
    pub deny: Vec<String>,
}
