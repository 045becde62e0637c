//! One run: all probes, by one user, under one launcher, in a fresh copy of the root filesystem.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum;
use e2e::subprocess;
use serde::{Deserialize, Serialize};

use crate::outcome::Outcome;
use crate::workshop::Layout;

/// The slowest run takes about a second.
const LIMIT: Duration = Duration::from_secs(120);

/// What the probe is started with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Launcher {
    /// Nothing: the control.
    Bare,
    /// Upstream nono.
    Nono,
    /// kubefence's launcher.
    Ours,
}

/// Who runs the probe.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum User {
    /// UID 0, with all capabilities.
    Root,
    /// UID 1000, with none.
    User,
}

impl User {
    /// UID and GID.
    pub(crate) fn id(self) -> u32 {
        match self {
            Self::Root => 0,
            Self::User => 1000,
        }
    }

    /// Where they are at home.
    pub(crate) fn home(self) -> &'static Path {
        Path::new(match self {
            Self::Root => "/root",
            Self::User => "/home/user",
        })
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&argument(*self))
    }
}

/// Runs all probes in namespaces of their own; outcomes come in the order of the table.
pub(crate) fn run(layout: &Layout, launcher: Launcher, user: User) -> Result<Vec<Outcome>> {
    let program = std::env::current_exe().context("cannot find this program")?;
    let (program, scratch) = (
        program.to_string_lossy(),
        layout.scratch().to_string_lossy(),
    );
    let (launcher_name, user_name) = (argument(launcher), argument(user));
    let arguments = [
        // Everything ends with the first process of the PID namespace, and that with unshare itself.
        "--mount",
        "--pid",
        "--net",
        "--fork",
        "--kill-child",
        "--propagation=private",
        &program,
        "stage",
        "--scratch",
        &scratch,
        "--launcher",
        &launcher_name,
        "--user",
        &user_name,
    ];
    let text = subprocess::text(Path::new("unshare"), &arguments, LIMIT)
        .with_context(|| format!("launcher {launcher_name}, user {user_name}"))?;
    serde_json::from_str(&text).context("the stage did not print outcomes")
}

fn argument(value: impl ValueEnum) -> String {
    let value = value.to_possible_value().expect("no variant is skipped");
    value.get_name().to_owned()
}
