//! What the node is like, and what each of its files is to become. Nothing is changed here.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::plans::Plans;
use super::{InstallError, InstallOptions, Source, standing};
use crate::change::{Change, Wanted};
use crate::cri::Cri;
use crate::files::{self, Attributes, FileError, digest};
use crate::guard_config;
use crate::manifest::{Fate, FileRecord, Manifest, Phase, Purpose, Store};
use crate::root::Root;
use crate::runtime::{self, ConfigPlan, Detected, EditKind, FileEdit, OwnedKey};

/// Everything that installing needs to know.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) manifest: Option<Manifest>,
    pub(super) wanted: runtime::Wanted,
    pub(super) detected: Detected,
    pub(super) config: ConfigPlan,
    pub(super) handlers: Vec<String>,
    /// In the order in which they are made.
    pub(super) changes: Vec<Change>,
    pub(super) plans: Plans,
    pub(super) notes: Vec<String>,
    /// Whether the restart that was pending has been made by somebody.
    pub(super) restarted_since: bool,
    /// What identifies this attempt to have the runtime take a configuration.
    pub(super) attempt: String,
}

impl Survey {
    /// Looks at the node.
    pub(super) fn take(root: &Root, options: &InstallOptions) -> Result<Self, InstallError> {
        check_profiles(options)?;
        let manifest = Store::new(root, &options.state_dir).load()?;
        let owned = manifest.iter().flat_map(|m| &m.files);
        let owned = owned
            .filter(|(_, record)| record.purpose.is_runtime_config())
            .map(|(path, record)| (path.clone(), record.keys.clone()));
        let wanted = runtime::Wanted {
            handlers: options.handlers.clone(),
            guard: options.bin_dir.join("nono-runc"),
            runtime: options.runtime,
            config: options.runtime_config.clone(),
            socket: options.runtime_socket.clone(),
            owned: owned.collect(),
        };
        let detected = runtime::detect(root, &wanted)?;
        if let Some(manifest) = &manifest {
            check_same(manifest, options, &detected)?;
        }
        let config = runtime::plan(root, &detected, &wanted)?;
        let mut survey = Self {
            handlers: options.handlers.clone(),
            plans: Plans::survey(root, &options.nono_dir, options.seccomp)?,
            notes: config.notes.clone(),
            changes: programs(root, options, manifest.as_ref())?,
            manifest,
            wanted,
            detected,
            config,
            restarted_since: false,
            attempt: String::new(),
        };
        survey.add_guard_config(root, options)?;
        survey.add_runtime_config(root)?;
        check_open(root, &options.nono_dir)?;
        standing::check_guard(root, &survey)?;
        survey.restarted_since = survey.was_restarted(root);
        survey.attempt = standing::attempt(&survey, options);
        standing::check_not_rejected(&survey, options)?;
        Ok(survey)
    }

    /// Whether a file or a plan is not as it should be.
    pub(super) fn needs_work(&self) -> bool {
        self.changes.iter().any(Change::is_needed) || !self.plans.unpublished().is_empty()
    }

    /// Whether the runtime runs, or will run, with another configuration than the one in its files.
    pub(super) fn needs_restart(&self) -> bool {
        let pending = self.manifest.as_ref().is_some_and(|m| m.restart_pending);
        (pending && !self.restarted_since) || self.runtime_config().any(Change::is_needed)
    }

    /// Whether the runtime shows that it was restarted since that was left to somebody else.
    fn was_restarted(&self, root: &Root) -> bool {
        let Some(manifest) = &self.manifest else {
            return false;
        };
        let cri = Cri::at(root, &self.detected.socket);
        manifest.restart_shows(cri.handlers().ok().flatten().as_ref())
    }

    /// The runtime's own files.
    pub(super) fn runtime_config(&self) -> impl Iterator<Item = &Change> {
        let mut changes = self.changes.iter();
        std::iter::from_fn(move || changes.find(|change| change.purpose.is_runtime_config()))
    }

    pub(super) fn units(&self) -> Vec<String> {
        self.detected
            .units
            .iter()
            .map(|unit| (*unit).to_owned())
            .collect()
    }

    /// What was recorded of a file.
    pub(super) fn record(&self, path: &Path) -> Option<&FileRecord> {
        self.manifest.as_ref()?.files.get(path)
    }

    /// What is kubefence's in a file of the runtime.
    pub(super) fn keys(&self, path: &Path) -> Vec<OwnedKey> {
        let edit = self.config.edits.iter().find(|edit| edit.path == path);
        edit.map(|edit| edit.keys.clone()).unwrap_or_default()
    }

    fn add_guard_config(
        &mut self,
        root: &Root,
        options: &InstallOptions,
    ) -> Result<(), InstallError> {
        let launcher = options.nono_dir.join("nono");
        let text = guard_config::render(&self.config, &launcher, &options.profiles);
        let path = options.bin_dir.join("nono-runc.toml");
        self.changes.push(own(
            root,
            &path,
            Purpose::GuardConfig,
            text.into_bytes(),
            0o644,
        )?);
        Ok(())
    }

    fn add_runtime_config(&mut self, root: &Root) -> Result<(), InstallError> {
        for edit in &self.config.edits {
            self.changes.push(edited(root, edit)?);
        }
        let listed = |path: &Path| self.config.edits.iter().any(|edit| edit.path == path);
        let records = self.manifest.iter().flat_map(|manifest| &manifest.files);
        let stale =
            records.filter(|(path, record)| record.purpose.is_runtime_config() && !listed(path));
        let mut removals = Vec::new();
        for (path, record) in stale {
            removals.push(withdrawn(root, path, record, &mut self.notes)?);
        }
        self.changes.extend(removals);
        Ok(())
    }
}

fn check_profiles(options: &InstallOptions) -> Result<(), InstallError> {
    let profiles = &options.profiles;
    match profiles.allowed.is_empty() || profiles.allowed.contains(&profiles.default) {
        true => Ok(()),
        false => Err(InstallError::DefaultNotAllowed(
            profiles.default.to_string(),
        )),
    }
}

/// What cannot change while containers may still rely on it.
fn check_same(
    manifest: &Manifest,
    options: &InstallOptions,
    detected: &Detected,
) -> Result<(), InstallError> {
    if manifest.phase == Phase::Uninstalling {
        return Err(InstallError::Uninstalling);
    }
    let path = |path: &Path| path.display().to_string();
    let kind = |kind: runtime::Kind| format!("{kind:?}").to_lowercase();
    for (what, installed, wanted) in [
        (
            "--nono-dir",
            path(&manifest.nono_dir),
            path(&options.nono_dir),
        ),
        ("--bin-dir", path(&manifest.bin_dir), path(&options.bin_dir)),
        (
            "the runtime",
            kind(manifest.runtime.kind),
            kind(detected.kind),
        ),
    ] {
        if installed != wanted {
            return Err(InstallError::Elsewhere {
                what,
                installed,
                wanted,
            });
        }
    }
    Ok(())
}

/// Containers of every user pass through the launcher's directory.
fn check_open(root: &Root, dir: &Path) -> Result<(), InstallError> {
    let Some(place) = root.locate(dir).map_err(read(dir))? else {
        return Ok(());
    };
    let mode = Attributes::of(&root.outside(&place))
        .map_err(read(dir))?
        .mode();
    match mode & 0o555 == 0o555 {
        true => Ok(()),
        false => Err(InstallError::Closed {
            path: dir.to_owned(),
            mode,
        }),
    }
}

/// The programs, the launcher first: the guard is of no use without it.
fn programs(
    root: &Root,
    options: &InstallOptions,
    manifest: Option<&Manifest>,
) -> Result<Vec<Change>, InstallError> {
    let places: [(&str, &PathBuf); 3] = [
        ("nono", &options.nono_dir),
        ("kubefence", &options.bin_dir),
        ("nono-runc", &options.bin_dir),
    ];
    let (source, installed) = match &options.source {
        Source::Given(dir) => (dir, false),
        Source::Usual(dir) => {
            let there = places.iter().all(|(name, _)| dir.join(name).exists());
            (dir, !there && manifest.is_some())
        }
    };
    let mut changes = Vec::new();
    for (name, dir) in places {
        let path = if installed {
            root.outside(&root.place(&dir.join(name)).map_err(read(dir))?)
        } else {
            source.join(name)
        };
        let bytes = fs::read(&path).map_err(|source| InstallError::Source { path, source })?;
        changes.push(own(root, &dir.join(name), Purpose::Program, bytes, 0o755)?);
    }
    Ok(changes)
}

/// A file that is wholly kubefence's.
fn own(
    root: &Root,
    path: &Path,
    purpose: Purpose,
    bytes: Vec<u8>,
    mode: u32,
) -> Result<Change, FileError> {
    let place = root.place(path).map_err(read(path))?;
    Ok(Change {
        found: files::find(root, &place)?,
        path: place,
        purpose,
        wanted: Some(Wanted {
            bytes,
            attributes: Attributes::new(mode),
            exact: true,
        }),
    })
}

/// A file of the runtime, as planned.
fn edited(root: &Root, edit: &FileEdit) -> Result<Change, FileError> {
    let found = files::find(root, &edit.path)?;
    let attributes = match &found {
        Some(found) => found.attributes.changed_now(),
        None => Attributes::new(0o644),
    };
    Ok(Change {
        path: edit.path.clone(),
        purpose: match edit.kind {
            EditKind::Own => Purpose::OwnConfig,
            EditKind::Edited => Purpose::EditedConfig,
        },
        found,
        wanted: Some(Wanted {
            bytes: edit.after.clone().into_bytes(),
            attributes,
            exact: false,
        }),
    })
}

/// A file of the runtime in which kubefence has nothing to say any more.
fn withdrawn(
    root: &Root,
    path: &Path,
    record: &FileRecord,
    notes: &mut Vec<String>,
) -> Result<Change, InstallError> {
    let found = files::find(root, path)?;
    let wanted = match (&found, record.fate(found.as_ref())) {
        (Some(found), Fate::Changed) => {
            let text = String::from_utf8_lossy(&found.bytes);
            let without = runtime::withdraw(&text, &record.keys)?;
            let said = without.left.iter().chain(&without.lost);
            notes.extend(said.map(|what| format!("{}: {what}", path.display())));
            let is_ours = record.before.is_none() && without.text.trim().is_empty();
            (!is_ours).then(|| without.text.into_bytes())
        }
        (Some(found), Fate::Restored) => Some(found.bytes.clone()),
        _ => None,
    };
    Ok(Change {
        path: path.to_owned(),
        purpose: record.purpose,
        wanted: wanted.map(|bytes| Wanted {
            bytes,
            attributes: found.as_ref().map_or(Attributes::new(0o644), |found| {
                found.attributes.changed_now()
            }),
            exact: false,
        }),
        found,
    })
}

fn read(path: &Path) -> impl Fn(io::Error) -> FileError {
    let path = path.to_owned();
    move |source| FileError::Read {
        path: path.clone(),
        source,
    }
}

/// Whether a digest is that of a file as it is.
pub(super) fn is_of(digest_of: &str, change: &Change) -> bool {
    change
        .found
        .as_ref()
        .is_some_and(|found| digest(&found.bytes) == digest_of)
}
