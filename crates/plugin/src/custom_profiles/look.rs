//! What the files say, and what is to be said of them.

use std::collections::BTreeMap;

use kubefence_profile::{Diagnostic, ProfileName, ProfileSource, Severity, read_profile};

use super::Complaint;
use crate::profile_dir::ProfileFile;

/// One look at all files, while it goes on.
#[derive(Clone, Debug, Default)]
pub(super) struct Look {
    /// Why files cannot be used as they are.
    pub(super) broken: BTreeMap<String, String>,
    warnings: BTreeMap<String, Vec<String>>,
    /// What each file wants to be, by file.
    pub(super) fresh: BTreeMap<String, ProfileSource>,
    /// Which file a profile is from.
    pub(super) owners: BTreeMap<ProfileName, String>,
}

impl Look {
    /// Takes in a file.
    pub(super) fn read(&mut self, file: &ProfileFile) {
        let text = match &file.text {
            Ok(text) => text,
            Err(reason) => {
                let reason = format!("{}: error: {reason}", file.name);
                self.broken.insert(file.name.clone(), reason);
                return;
            }
        };
        let reading = read_profile(&file.name, text);
        let (errors, warnings): (Vec<Diagnostic>, Vec<Diagnostic>) = reading
            .diagnostics
            .into_iter()
            .partition(|diagnostic| diagnostic.severity == Severity::Error);
        let texts = |of: Vec<Diagnostic>| of.iter().map(ToString::to_string).collect::<Vec<_>>();
        self.warnings.insert(file.name.clone(), texts(warnings));
        match reading.profile {
            Some(profile) => drop(self.fresh.insert(file.name.clone(), profile)),
            None => drop(
                self.broken
                    .insert(file.name.clone(), texts(errors).join("; ")),
            ),
        }
    }

    /// The name that each file wants, by file.
    pub(super) fn names(&self) -> BTreeMap<String, ProfileName> {
        let fresh = self.fresh.iter();
        fresh
            .map(|(file, source)| (file.clone(), source.name.clone()))
            .collect()
    }

    /// Everything that is to be said about a file.
    pub(super) fn complaints(&self, file: &str) -> Vec<Complaint> {
        let warnings = self.warnings.get(file).into_iter().flatten();
        let warnings = warnings.map(|reason| Complaint::Ineffective {
            file: file.to_owned(),
            reason: reason.clone(),
        });
        let broken = self.broken.get(file).map(|reason| Complaint::Broken {
            file: file.to_owned(),
            reason: reason.clone(),
            kept: self.owners.values().any(|owner| owner == file),
        });
        warnings.chain(broken).collect()
    }
}
