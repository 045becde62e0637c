//! The profiles that exist: the built-in ones, embedded at build time, and those of a node.

use std::collections::BTreeMap;
use std::sync::Arc;

use kubefence_launch_plan::ProfileName;

use crate::diagnostic::Diagnostic;
use crate::groups::{Groups, read_groups};
use crate::inherit::Sources;
use crate::reader::read_profile;
use crate::resolve::{ResolvedProfile, resolve};
use crate::source::ProfileSource;

macro_rules! embedded {
    ($($file:literal),+ $(,)?) => {
        &[$(($file, include_str!(concat!("../../../profiles/", $file)))),+]
    };
}

const GROUPS: (&str, &str) = ("groups.json", include_str!("../../../profiles/groups.json"));
const PROFILES: &[(&str, &str)] = embedded![
    "claude-code.json",
    "codex.json",
    "default.json",
    "go-dev.json",
    "node-dev.json",
    "openclaw.json",
    "opencode.json",
    "python-dev.json",
    "rust-dev.json",
    "strict.json",
    "swival.json",
];

/// Where a profile comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provenance {
    /// It comes with kubefence.
    BuiltIn,
    /// The node's operator wrote it.
    Custom,
}

/// Profiles by name, resolved.
#[derive(Clone, Debug)]
pub struct Catalog {
    groups: Arc<Groups>,
    entries: BTreeMap<ProfileName, Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    source: Arc<ProfileSource>,
    resolved: Arc<ResolvedProfile>,
    provenance: Provenance,
}

/// A profile that cannot be used, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", list(.diagnostics))]
pub struct Rejected {
    /// Its name.
    pub name: ProfileName,
    /// What is wrong.
    pub diagnostics: Vec<Diagnostic>,
}

/// Built-in files that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", list(.0))]
pub struct CatalogError(pub Vec<Diagnostic>);

fn list(diagnostics: &[Diagnostic]) -> String {
    let lines: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
    lines.join("; ")
}

impl Catalog {
    /// The profiles that come with kubefence.
    pub fn built_in() -> Result<Self, CatalogError> {
        Self::load(GROUPS, PROFILES)
    }

    /// Whether a profile of that name comes with kubefence. Reads nothing.
    pub fn is_built_in(name: &ProfileName) -> bool {
        let mut files = PROFILES.iter().map(|(file, _)| file);
        files.any(|file| file.strip_suffix(".json") == Some(name.as_str()))
    }

    fn load(groups: (&str, &str), profiles: &[(&str, &str)]) -> Result<Self, CatalogError> {
        let groups = read_groups(groups.0, groups.1).map_err(CatalogError)?;
        let empty = Self {
            groups: Arc::new(groups),
            entries: BTreeMap::new(),
        };
        let mut sources = Vec::new();
        for (file, text) in profiles {
            let reading = read_profile(file, text);
            let (source, complaints) = (reading.profile, reading.diagnostics);
            sources.push(source.ok_or(CatalogError(complaints))?);
        }
        let (catalog, rejected) = empty.with(sources, Provenance::BuiltIn);
        match rejected.into_iter().next() {
            Some(rejected) => Err(CatalogError(rejected.diagnostics)),
            None => Ok(catalog),
        }
    }

    /// This catalog with the profiles of a node's operator beside the built-in ones. Those that cannot be used
    /// are left out, and returned.
    pub fn with_custom(&self, sources: Vec<ProfileSource>) -> (Self, Vec<Rejected>) {
        self.with(sources, Provenance::Custom)
    }

    fn with(&self, sources: Vec<ProfileSource>, provenance: Provenance) -> (Self, Vec<Rejected>) {
        let mut rejected = Vec::new();
        let mut added: BTreeMap<ProfileName, Arc<ProfileSource>> = BTreeMap::new();
        for source in sources {
            let name = source.name.clone();
            let taken = self.entries.contains_key(&name) || added.contains_key(&name);
            match taken {
                true => rejected.push(duplicate(&source)),
                false => drop(added.insert(name, Arc::new(source))),
            }
        }
        let known = Known {
            catalog: self,
            added: &added,
        };
        let mut entries = self.entries.clone();
        for (name, source) in &added {
            match resolve(source, &known, &self.groups) {
                Ok(resolved) => {
                    let entry = Entry {
                        source: Arc::clone(source),
                        resolved: Arc::new(resolved),
                        provenance,
                    };
                    entries.insert(name.clone(), entry);
                }
                Err(diagnostics) => rejected.push(Rejected {
                    name: name.clone(),
                    diagnostics,
                }),
            }
        }
        let groups = Arc::clone(&self.groups);
        (Self { groups, entries }, rejected)
    }

    /// The profile called `name`.
    pub fn get(&self, name: &ProfileName) -> Option<&ResolvedProfile> {
        self.entries.get(name).map(|entry| &*entry.resolved)
    }

    /// Where the profile called `name` comes from.
    pub fn provenance(&self, name: &ProfileName) -> Option<Provenance> {
        self.entries.get(name).map(|entry| entry.provenance)
    }

    /// All profiles, by name.
    pub fn iter(&self) -> impl Iterator<Item = &ResolvedProfile> {
        self.entries.values().map(|entry| &*entry.resolved)
    }

    /// The shared groups.
    pub fn groups(&self) -> &Groups {
        &self.groups
    }
}

fn duplicate(source: &ProfileSource) -> Rejected {
    let name = source.name.clone();
    let message = format!(
        "a profile called {:?} exists already: choose another name",
        name.as_str()
    );
    Rejected {
        name,
        diagnostics: vec![Diagnostic::error(source.at.clone(), message)],
    }
}

/// A catalog with the sources that are being added to it.
struct Known<'a> {
    catalog: &'a Catalog,
    added: &'a BTreeMap<ProfileName, Arc<ProfileSource>>,
}

impl Sources for Known<'_> {
    fn source(&self, name: &str) -> Option<&ProfileSource> {
        let name = ProfileName::parse(name).ok()?;
        let known = self.catalog.entries.get(&name).map(|entry| &entry.source);
        known
            .or_else(|| self.added.get(&name))
            .map(|source| &**source)
    }

    fn names(&self) -> Vec<&str> {
        let known = self.catalog.entries.keys().chain(self.added.keys());
        known.map(ProfileName::as_str).collect()
    }
}

#[cfg(test)]
mod tests;
