//! The operator's own profiles over time. Pure.
//!
//! Invariants:
//! - A file that becomes unusable keeps the version of it that was good last, and changes nothing about
//!   other files. Only a file that is removed takes its profile away.
//! - Everything is resolved anew each time, so a profile follows those that it extends.
//! - Each complaint is made once for each change of what it is about.

use std::collections::{BTreeMap, BTreeSet};

use kubefence_profile::{
    Catalog, Diagnostic, ProfileName, ProfileSource, Provenance, ResolvedProfile, Severity,
    read_profile,
};

use crate::profile_dir::{ProfileFile, Stamp};
use crate::profile_set::ProfileSet;

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

/// One look at all files, while it goes on.
#[derive(Debug, Default)]
struct Look {
    /// Why files cannot be used as they are.
    broken: BTreeMap<String, String>,
    warnings: BTreeMap<String, Vec<String>>,
    /// What each file wants to be, by file.
    fresh: BTreeMap<String, ProfileSource>,
    /// Which file a profile is from.
    owners: BTreeMap<ProfileName, String>,
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
        let sources = self.choose(&mut look);
        let mut profiles = self.resolve(sources, &mut look);
        let custom = look.owners.len();
        let complaints = self.complaints(files, &look);
        for (file, reason) in &look.broken {
            let name = file.rsplit_once('.').map_or("", |(stem, _)| stem);
            if let Ok(name) = ProfileName::parse(name) {
                profiles.add_broken(name, reason.clone());
            }
        }
        Update {
            profiles,
            custom,
            broken: look.broken.len(),
            complaints,
        }
    }

    /// The version of each file that counts. A name stays with the file that has it.
    fn choose(&self, look: &mut Look) -> Vec<ProfileSource> {
        let mut files: BTreeSet<String> = look.fresh.keys().cloned().collect();
        files.extend(self.good.keys().cloned());
        let keeps_name =
            |file: &String, look: &Look| match (self.good.get(file), look.fresh.get(file)) {
                (Some(good), Some(fresh)) => good.source.name == fresh.name,
                (good, _) => good.is_some(),
            };
        let (first, second): (Vec<_>, Vec<_>) =
            files.into_iter().partition(|file| keeps_name(file, look));
        let mut chosen = Vec::new();
        for file in first.into_iter().chain(second) {
            let fresh = look.fresh.remove(&file);
            let good = self.good.get(&file).map(|good| good.source.clone());
            let taken = fresh.and_then(|fresh| self.claim(fresh, &file, look));
            let taken = taken.or_else(|| good.and_then(|good| self.claim(good, &file, look)));
            chosen.extend(taken);
        }
        chosen
    }

    /// Returns `source` if its name is free, and says so of the file otherwise.
    fn claim(&self, source: ProfileSource, file: &str, look: &mut Look) -> Option<ProfileSource> {
        let name = source.name.as_str();
        let owner = match look.owners.get(&source.name) {
            Some(other) => format!("file {other}"),
            None if self.built_in.get(&source.name).is_some() => "kubefence".to_owned(),
            None => {
                look.owners.insert(source.name.clone(), file.to_owned());
                return Some(source);
            }
        };
        let reason =
            format!("{file}: error: profile {name:?} comes from {owner}: choose another name");
        look.broken.entry(file.to_owned()).or_insert(reason);
        None
    }

    /// Resolves the chosen versions; what cannot be resolved stays as it was last.
    fn resolve(&mut self, sources: Vec<ProfileSource>, look: &mut Look) -> ProfileSet {
        let (catalog, rejected) = self.built_in.with_custom(sources.clone());
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
            let reason = rejected.to_string();
            look.broken.entry(file.clone()).or_insert(reason.clone());
            match self.good.get(&file).map(|good| good.resolved.clone()) {
                Some(last) if !look.owners.contains_key(&last.name) => {
                    look.owners.insert(last.name.clone(), file);
                    set.add(Provenance::Custom, last);
                }
                _ => set.add_broken(rejected.name, reason),
            }
        }
        set
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

impl Look {
    /// Everything that is to be said about a file.
    fn complaints(&self, file: &str) -> Vec<Complaint> {
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

    fn read(&mut self, file: &ProfileFile) {
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
}

#[cfg(test)]
mod tests;
