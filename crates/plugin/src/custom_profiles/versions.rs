//! Which version of each file counts: what it says now, or what was good last.
//!
//! Everything new is tried first. A file that is to blame for what cannot be resolved then gives way to its last good
//! version, until no such version mends anything more. Since several files can have a part in one error
//! (in a circle, say), each is tried once more at the end: only what does harm is left out.

use std::collections::{BTreeMap, BTreeSet};

use kubefence_profile::{Catalog, ProfileName, ProfileSource, Rejected};

use super::Good;
use super::look::Look;

/// The versions that there are besides what the files say now.
#[derive(Debug)]
pub(super) struct Versions<'a> {
    /// The profiles that come with kubefence.
    pub(super) built_in: &'a Catalog,
    /// The last good versions, by file.
    pub(super) good: &'a BTreeMap<String, Good>,
}

/// One choice of versions, and what it comes to.
#[derive(Debug)]
pub(super) struct Attempt {
    /// What is known of the files; its owners are those of `sources`.
    pub(super) look: Look,
    /// The chosen versions.
    pub(super) sources: Vec<ProfileSource>,
    /// The built-in profiles and those of `sources` that could be resolved.
    pub(super) catalog: Catalog,
    /// The others.
    pub(super) rejected: Vec<Rejected>,
}

impl Versions<'_> {
    /// The choice with which most of what is new can be used, and everything else stays usable.
    pub(super) fn settle(&self, mut look: Look) -> Attempt {
        let mut given_up = Vec::new();
        let mut best = self.attempt(&look);
        loop {
            let blamed = self.blamed(&look, &best);
            if blamed.is_empty() {
                break;
            }
            for (file, reason) in blamed {
                given_up.extend(look.fresh.remove_entry(&file));
                look.broken.insert(file, reason);
            }
            best = self.attempt(&look);
        }
        for (file, source) in given_up {
            let mut more = look.clone();
            more.broken.remove(&file);
            more.fresh.insert(file.clone(), source);
            let attempt = self.attempt(&more);
            if attempt.mends(&file, &best) {
                (look, best) = (more, attempt);
            }
        }
        best
    }

    fn attempt(&self, look: &Look) -> Attempt {
        let mut look = look.clone();
        let sources = self.choose(&mut look);
        let (catalog, rejected) = self.built_in.with_custom(sources.clone());
        for rejected in &rejected {
            if let Some(file) = look.owners.get(&rejected.name) {
                let reason = look.broken.entry(file.clone());
                reason.or_insert_with(|| rejected.to_string());
            }
        }
        Attempt {
            look,
            sources,
            catalog,
            rejected,
        }
    }

    /// The files whose last good version may mend `attempt`, and what is wrong with them: those in which the errors
    /// are, or else those that the errors befall.
    fn blamed(&self, look: &Look, attempt: &Attempt) -> BTreeMap<String, String> {
        let befallen = attempt.look.broken.clone();
        let mut choices = [attempt.places(), befallen].into_iter().map(|mut files| {
            files.retain(|file, _| self.has_other(look, file));
            files
        });
        choices.find(|files| !files.is_empty()).unwrap_or_default()
    }

    /// Whether there is a last good version of `file` that is not what it says now.
    fn has_other(&self, look: &Look, file: &str) -> bool {
        match (self.good.get(file), look.fresh.get(file)) {
            (Some(good), Some(fresh)) => good.source != *fresh,
            _ => false,
        }
    }

    /// The version of each file that counts. A name stays with the file that has it.
    fn choose(&self, look: &mut Look) -> Vec<ProfileSource> {
        let mut files: BTreeSet<String> = look.fresh.keys().cloned().collect();
        files.extend(self.good.keys().cloned());
        let (first, second): (Vec<_>, Vec<_>) = files
            .into_iter()
            .partition(|file| self.keeps_name(file, look));
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

    fn keeps_name(&self, file: &str, look: &Look) -> bool {
        match (self.good.get(file), look.fresh.get(file)) {
            (Some(good), Some(fresh)) => good.source.name == fresh.name,
            (good, _) => good.is_some(),
        }
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
}

impl Attempt {
    /// The files in which the errors are, each with its own.
    fn places(&self) -> BTreeMap<String, String> {
        let mut places: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let errors = self.rejected.iter().flat_map(|one| &one.diagnostics);
        for error in errors {
            let place = places.entry(error.at.file.to_string()).or_default();
            place.insert(error.to_string());
        }
        let joined = |errors: BTreeSet<String>| Vec::from_iter(errors).join("; ");
        let places = places.into_iter();
        places
            .map(|(file, errors)| (file, joined(errors)))
            .collect()
    }

    /// Whether `file` can be used here, other than in `before`, and nothing is worse for it.
    fn mends(&self, file: &str, before: &Self) -> bool {
        let names = |attempt: &Self| -> BTreeSet<ProfileName> {
            let rejected = attempt.rejected.iter();
            rejected.map(|rejected| rejected.name.clone()).collect()
        };
        let mut broken = self.look.broken.keys();
        !self.look.broken.contains_key(file)
            && broken.all(|other| before.look.broken.contains_key(other))
            && names(self).is_subset(&names(before))
    }
}
