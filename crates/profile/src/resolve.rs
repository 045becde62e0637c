//! Resolution: a profile and the groups it names become one flat list of grants and denials.

use std::collections::BTreeMap;

use kubefence_launch_plan::{InvalidPlace, Place, ProfileName};

use crate::Access;
use crate::source::{Group, Landlock, ProfileSource, WorkdirAccess};

/// A profile with nothing left to look up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedProfile {
    /// The profile's name.
    pub name: ProfileName,
    /// What it allows, in the order in which it was said.
    pub grants: Vec<Grant>,
    /// What no variable-derived grant may open up.
    pub denials: Vec<Place>,
    /// What it asks of Landlock.
    pub landlock: Landlock,
}

/// One thing that a profile allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Where.
    pub place: Place,
    /// What.
    pub access: Access,
    /// Who asked for it: `group NAME` or a section of the profile.
    pub origin: String,
}

/// Why a profile could not be resolved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// It names a group that is not there.
    #[error("profile {profile} includes group {group:?}, which does not exist (groups: {known})")]
    UnknownGroup {
        /// The profile.
        profile: ProfileName,
        /// The group it names.
        group: String,
        /// The groups there are.
        known: String,
    },
    /// A path cannot be a rule.
    #[error("profile {profile}, {origin}")]
    Place {
        /// The profile.
        profile: ProfileName,
        /// Where the path stands.
        origin: String,
        /// What is wrong with it.
        #[source]
        source: InvalidPlace,
    },
}

/// Resolves `source` against `groups`.
pub(crate) fn resolve(
    source: &ProfileSource,
    groups: &BTreeMap<String, Group>,
) -> Result<ResolvedProfile, ResolveError> {
    let name = &source.meta.name;
    let mut resolved = ResolvedProfile {
        name: name.clone(),
        grants: Vec::new(),
        denials: Vec::new(),
        landlock: source.landlock.clone(),
    };
    for included in &source.groups.include {
        let group = groups
            .get(included)
            .ok_or_else(|| ResolveError::UnknownGroup {
                profile: name.clone(),
                group: included.clone(),
                known: groups
                    .keys()
                    .map(String::as_str)
                    .collect::<Vec<_>>()
                    .join(", "),
            })?;
        resolved.add_group(included, group)?;
    }
    resolved.add_workdir(source.workdir.access);
    Ok(resolved)
}

impl ResolvedProfile {
    fn add_group(&mut self, name: &str, group: &Group) -> Result<(), ResolveError> {
        let origin = format!("group {name}");
        for (access, paths) in &group.allow {
            for path in paths {
                let place = self.place(path, &origin)?;
                self.grants.push(Grant {
                    place,
                    access: *access,
                    origin: origin.clone(),
                });
            }
        }
        for path in &group.deny {
            let place = self.place(path, &origin)?;
            if !self.denials.contains(&place) {
                self.denials.push(place);
            }
        }
        Ok(())
    }

    fn add_workdir(&mut self, access: WorkdirAccess) {
        let access = match access {
            WorkdirAccess::None => return,
            WorkdirAccess::Read => Access::Read,
            WorkdirAccess::Write => Access::Write,
            WorkdirAccess::Readwrite => Access::Readwrite,
        };
        let place = Place::parse("$WORKDIR").expect("a variable alone is a place");
        self.grants.push(Grant {
            place,
            access,
            origin: "workdir".to_owned(),
        });
    }

    fn place(&self, path: &str, origin: &str) -> Result<Place, ResolveError> {
        let expanded = match path.strip_prefix('~') {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("$HOME{rest}"),
            _ => path.to_owned(),
        };
        Place::parse(&expanded).map_err(|source| ResolveError::Place {
            profile: self.name.clone(),
            origin: origin.to_owned(),
            source,
        })
    }
}
