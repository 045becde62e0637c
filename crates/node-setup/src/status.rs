//! How an installation is by now.

use std::path::{Path, PathBuf};

use kubefence_node_files::plans;
use kubefence_profile::Catalog;
use serde::Serialize;

use crate::cri::{Cri, RuntimeVersion};
use crate::files::{self, FileError};
use crate::manifest::{Fate, Manifest, ManifestError, Phase, Store};
use crate::root::Root;

/// Why nothing can be said.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatusError {
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The manifest cannot be used.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

/// What an installation is like.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// The version of kubefence that installed the node.
    pub version: String,
    /// How far the installation is.
    pub phase: Phase,
    /// Whether the runtime has yet to be restarted.
    pub restart_pending: bool,
    /// Files.
    pub files: Vec<FileStatus>,
    /// How many profiles have a plan.
    pub plans: usize,
    /// Handlers.
    pub handlers: Vec<HandlerStatus>,
    /// The runtime, if it answers.
    pub runtime: Option<RuntimeVersion>,
    /// Why it does not.
    pub runtime_error: Option<String>,
}

/// How a file is.
#[derive(Clone, Debug, Serialize)]
pub struct FileStatus {
    /// Where it is on the node.
    pub path: PathBuf,
    /// What became of it.
    pub state: FileState,
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FileState {
    /// As it was installed.
    Intact,
    /// Somebody has changed it.
    Changed,
    /// It is gone.
    Missing,
}

/// How a handler is.
#[derive(Clone, Debug, Serialize)]
pub struct HandlerStatus {
    /// Its name.
    pub name: String,
    /// Whether the runtime knows it; `None`: it does not tell.
    pub effective: Option<bool>,
}

impl Status {
    /// Looks at the node; `None` if nothing is installed.
    ///
    /// # Errors
    ///
    /// Fails if something cannot be read.
    pub fn of(root: &Root, state_dir: &Path) -> Result<Option<Self>, StatusError> {
        let Some(manifest) = Store::new(root, state_dir).load()? else {
            return Ok(None);
        };
        let cri = Cri::at(root, &manifest.runtime.socket);
        let answer = cri.version();
        let known = cri.handlers().ok().flatten();
        let handlers = manifest.handlers.iter().map(|name| HandlerStatus {
            name: name.clone(),
            effective: known.as_ref().map(|known| known.contains(name)),
        });
        Ok(Some(Self {
            files: files_of(root, &manifest)?,
            plans: published(root, &manifest),
            handlers: handlers.collect(),
            runtime_error: answer.as_ref().err().map(with_causes),
            runtime: answer.ok(),
            phase: manifest.phase,
            restart_pending: manifest.restart_pending && !manifest.restart_shows(known.as_ref()),
            version: manifest.version,
        }))
    }

    /// What is not as it should be, one sentence each.
    pub fn flaws(&self) -> Vec<String> {
        let mut flaws = Vec::new();
        match self.phase {
            Phase::Installed => {}
            Phase::Installing => {
                flaws.push("the installation was interrupted: run it again".to_owned())
            }
            Phase::Uninstalling => {
                flaws.push("an uninstallation was interrupted: run it again".to_owned())
            }
        }
        if self.restart_pending {
            flaws.push(
                "the container runtime has not been restarted since its configuration changed"
                    .to_owned(),
            );
        }
        for file in &self.files {
            match file.state {
                FileState::Intact => {}
                FileState::Changed => flaws.push(format!("{} was changed", file.path.display())),
                FileState::Missing => flaws.push(format!("{} is missing", file.path.display())),
            }
        }
        if self.plans == 0 {
            flaws.push("no profile has a plan".to_owned());
        }
        let lost = self
            .handlers
            .iter()
            .filter(|handler| handler.effective == Some(false));
        flaws.extend(
            lost.map(|handler| format!("the runtime does not know handler {}", handler.name)),
        );
        flaws.extend(self.runtime_error.clone());
        flaws
    }
}

fn files_of(root: &Root, manifest: &Manifest) -> Result<Vec<FileStatus>, FileError> {
    let mut states = Vec::new();
    for (path, record) in &manifest.files {
        let found = files::find(root, path)?;
        let state = match (record.fate(found.as_ref()), &found) {
            (_, None) => FileState::Missing,
            (Fate::Intact, _) => FileState::Intact,
            _ => FileState::Changed,
        };
        states.push(FileStatus {
            path: path.clone(),
            state,
        });
    }
    Ok(states)
}

/// How many of the built-in profiles have a plan that launchers would apply.
fn published(root: &Root, manifest: &Manifest) -> usize {
    let Ok(Some(place)) = root.locate(&manifest.nono_dir) else {
        return 0;
    };
    let Ok(catalog) = Catalog::built_in() else {
        return 0;
    };
    let dir = root.outside(&place);
    let usable = |name| plans::lookup(&dir, name).is_ok();
    catalog
        .iter()
        .filter(|profile| usable(&profile.name))
        .count()
}

fn with_causes(error: &crate::cri::CriError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
