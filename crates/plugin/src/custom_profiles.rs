//! The operator's own profiles over time. Pure.
//!
//! Invariants:
//! - A file that becomes unusable keeps the version of it that was good last, and changes nothing about
//!   other files. Only a file that is removed takes its profile away.
//! - Everything is resolved anew each time, last good versions too, so a profile follows those that it extends.
//!   Only where no version can be resolved any more, because what it extends is gone, does a profile stay
//!   as it was resolved last.
//! - Each complaint is made once for each change of what it is about.

use std::collections::{BTreeMap, BTreeSet};

use kubefence_profile::{Catalog, ProfileName, ProfileSource, Provenance, ResolvedProfile};

use self::look::Look;
use self::versions::{Attempt, Versions};
use crate::profile_dir::{ProfileFile, Stamp};
use crate::profile_set::ProfileSet;

mod look;
mod versions;

/// The operator's own profiles, as they were last.
#[derive(Debug)]
pub struct CustomProfiles {
    built_in: Catalog,
    good: BTreeMap<String, Good>,
    told: BTreeMap<String, (Stamp, Vec<Complaint>)>,
}

/// The last version of a file that could be used.
#[derive(Clone, Debug)]
struct Good {
    source: ProfileSource,
    resolved: ResolvedProfile,
}

/// What a look at the files gave.
#[derive(Debug)]
pub struct Update {
    /// The profiles that there are now, the built-in ones among them.
    pub profiles: ProfileSet,
    /// How many profiles the files give.
    pub custom: usize,
    /// How many files cannot be used as they are.
    pub broken: usize,
    /// What is new to be said.
    pub complaints: Vec<Complaint>,
}

/// Something to be said about a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Complaint {
    /// It cannot be used as it is.
    Broken {
        /// The file.
        file: String,
        /// Why.
        reason: String,
        /// Whether an earlier version of it still counts.
        kept: bool,
    },
    /// Something in it has no effect.
    Ineffective {
        /// The file.
        file: String,
        /// What, and where.
        reason: String,
    },
}

impl CustomProfiles {
    /// None yet.
    pub fn new(built_in: Catalog) -> Self {
        Self {
            built_in,
            good: BTreeMap::new(),
            told: BTreeMap::new(),
        }
    }

    /// Takes in what the directory holds now.
    pub fn update(&mut self, files: &[ProfileFile]) -> Update {
        let names: BTreeSet<&str> = files.iter().map(|file| file.name.as_str()).collect();
        self.good.retain(|file, _| names.contains(file.as_str()));
        let mut look = Look::default();
        files.iter().for_each(|file| look.read(file));
        let named = look.names();
        let versions = Versions {
            built_in: &self.built_in,
            good: &self.good,
        };
        let attempt = versions.settle(look);
        let (mut profiles, look) = self.take(attempt);
        for (file, reason) in &look.broken {
            let stem = file.rsplit_once('.').map_or("", |(stem, _)| stem);
            let names = ProfileName::parse(stem).into_iter();
            for name in names.chain(named.get(file).cloned()) {
                profiles.add_broken(name, reason.clone());
            }
        }
        Update {
            profiles,
            custom: look.owners.len(),
            broken: look.broken.len(),
            complaints: self.complaints(files, &look),
        }
    }

    /// Makes what was resolved the last good versions. What could not be resolved stays as it was last.
    fn take(&mut self, attempt: Attempt) -> (ProfileSet, Look) {
        let Attempt {
            mut look,
            sources,
            catalog,
            rejected,
        } = attempt;
        let mut set = ProfileSet::from(&catalog);
        for source in sources {
            let (Some(resolved), Some(file)) =
                (catalog.get(&source.name), look.owners.get(&source.name))
            else {
                continue;
            };
            let resolved = resolved.clone();
            self.good.insert(file.clone(), Good { source, resolved });
        }
        for rejected in rejected {
            let Some(file) = look.owners.remove(&rejected.name) else {
                continue;
            };
            let last = self.good.get(&file).map(|good| &good.resolved);
            if let Some(last) = last.filter(|last| !look.owners.contains_key(&last.name)) {
                look.owners.insert(last.name.clone(), file);
                set.add(Provenance::Custom, last.clone());
            }
        }
        (set, look)
    }

    /// What is new: of files that changed, or of which something else is to be said than last time.
    fn complaints(&mut self, files: &[ProfileFile], look: &Look) -> Vec<Complaint> {
        let mut complaints = Vec::new();
        let mut told = BTreeMap::new();
        for ProfileFile { name, stamp, .. } in files {
            let about = look.complaints(name);
            let said = (*stamp, about.clone());
            if self.told.get(name) != Some(&said) {
                complaints.extend(about);
            }
            told.insert(name.clone(), said);
        }
        self.told = told;
        complaints
    }
}

#[cfg(test)]
mod tests;
