//! The node's container runtime: which it is, and what its configuration becomes.
//!
//! [`detect()`] looks, [`plan()`] says what each file becomes, [`confirm()`] whether it is in force, and [`withdraw()`] takes
//! out of a file what was put in. None of them changes anything: who calls them compares, writes, validates and restarts.
//!
//! Planning is repeatable: on a node where everything is installed, every [`FileEdit`] has `after` equal to `before`.

mod confirm;
mod containerd;
mod crio;
mod detect;
mod edit;
mod handler;
mod lines;
mod plan;
mod rancher;
mod template;
mod value;
mod version;
mod withdraw;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use confirm::{ConfirmError, confirm};
pub use detect::{DetectError, detect};
pub use edit::{EditError, FileError};
pub use plan::{PlanError, plan};
pub use withdraw::withdraw;

/// What is to be set up.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The handlers to register.
    pub handlers: Vec<String>,
    /// The guard on the node: the handlers' OCI runtime.
    pub guard: PathBuf,
    /// Which runtime to configure.
    pub runtime: Choice,
    /// The runtime's main configuration file, if it is not the usual one.
    pub config: Option<PathBuf>,
    /// The runtime's CRI socket, if it is not the one that its configuration names.
    pub socket: Option<PathBuf>,
    /// What earlier installations own, by file: from the manifest, empty on a new node. The paths are those of
    /// [`FileEdit::path`].
    pub owned: BTreeMap<PathBuf, Vec<OwnedKey>>,
}

/// Which container runtime.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Choice {
    /// The one that the node has.
    #[default]
    Auto,
    /// containerd, also that of k3s and RKE2.
    Containerd,
    /// CRI-O.
    Crio,
}

/// A kind of node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Kind {
    /// containerd as a service of its own.
    Containerd,
    /// containerd as k3s runs it.
    K3s,
    /// containerd as RKE2 runs it.
    Rke2,
    /// CRI-O.
    Crio,
}

/// Who calls the guard: `called_by` of its configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Caller {
    /// containerd.
    Containerd,
    /// CRI-O.
    CriO,
}

/// A version, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// The second.
    pub minor: u32,
    /// The third.
    pub patch: u32,
}

/// The runtime that a node has.
#[derive(Clone, Debug)]
pub struct Detected {
    /// What kind of node it is.
    pub kind: Kind,
    /// The runtime's program, which answers questions about its configuration.
    pub program: PathBuf,
    /// The runtime's version.
    pub version: Version,
    /// The version of the configuration's schema: 2, 3 or 4 for containerd, 0 for CRI-O.
    pub schema: u32,
    /// The main configuration file, as it is named; it may not exist.
    pub config: PathBuf,
    /// The directory of additional files that the runtime reads, if it reads one.
    pub drop_ins: Option<PathBuf>,
    /// The CRI socket.
    pub socket: PathBuf,
    /// The systemd units that the runtime may be run by, in the order in which to look.
    pub units: Vec<&'static str>,
    /// The command that prints the configuration in force, or fails if there is none.
    pub dump: Vec<String>,
    /// The configuration in force, as TOML.
    pub effective: String,
}

/// What is to become of the configuration.
#[derive(Clone, Debug)]
pub struct ConfigPlan {
    /// The files; also those that are as they should be already. What the manifest lists and this does not is no
    /// longer needed.
    pub edits: Vec<FileEdit>,
    /// The OCI runtime behind the guard: `runtime` of its configuration.
    pub real_runtime: PathBuf,
    /// Where that runtime keeps containers, if it is not where it does by itself: `runtime_root` of the guard's configuration.
    pub runtime_root: Option<PathBuf>,
    /// `called_by` of the guard's configuration.
    pub caller: Caller,
    /// A command that fails if the configuration, once it is written, cannot be used, and prints it otherwise. Empty if
    /// there is none.
    pub validate: Vec<String>,
    /// What an operator should know.
    pub notes: Vec<String>,
}

/// What a file is to become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEdit {
    /// The file itself, never a link to it.
    pub path: PathBuf,
    /// Whose file it is.
    pub kind: EditKind,
    /// What is kubefence's in it.
    pub keys: Vec<OwnedKey>,
    /// What it holds; `None` if there is none.
    pub before: Option<String>,
    /// What it is to hold.
    pub after: String,
}

/// Whose file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EditKind {
    /// kubefence's own: its first line says so. Removed with kubefence.
    Own,
    /// The operator's, with keys of kubefence.
    Edited,
}

/// A place in a TOML file that is kubefence's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnedKey {
    /// The keys that lead there.
    pub path: Vec<String>,
    /// What kubefence has put there.
    #[serde(flatten)]
    pub owned: Owned,
}

/// What kubefence has put into a TOML file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Owned {
    /// A value.
    Value {
        /// What it was before, as TOML; `None` if it was not there.
        previous: Option<String>,
        /// What it is now, as TOML.
        written: String,
    },
    /// The header of a table that had none.
    Table,
    /// A table with all that is in it.
    Subtree {
        /// What is in it, one `key = value` each.
        written: Vec<String>,
    },
    /// A table that says what is so without it. Before containerd 2.0 a file that has one handler has to have all, or the
    /// default ones are gone. It is the operator's as soon as it is changed.
    Default {
        /// What is in it, one `key = value` each.
        written: Vec<String>,
    },
    /// A block of text in a file that is no TOML (a template), between a first and a last line that mark it.
    Block {
        /// The text.
        written: String,
    },
}

/// A text without what was kubefence's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawn {
    /// The text.
    pub text: String,
    /// What was left, because somebody has changed it since: one sentence each.
    pub left: Vec<String>,
    /// What somebody had put into kubefence's own tables, and went with them: one sentence each.
    pub lost: Vec<String>,
}
