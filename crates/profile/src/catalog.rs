//! The profiles that exist: the built-in ones, embedded at build time.

use std::collections::BTreeMap;

use kubefence_launch_plan::ProfileName;

use crate::resolve::{ResolveError, ResolvedProfile, resolve};
use crate::source::{Group, ProfileSource};

const GROUPS: (&str, &str) = ("groups.json", include_str!("../../../profiles/groups.json"));
const PROFILES: &[(&str, &str)] = &[(
    "default.json",
    include_str!("../../../profiles/default.json"),
)];

/// Profiles by name, resolved.
#[derive(Clone, Debug)]
pub struct Catalog {
    profiles: BTreeMap<ProfileName, ResolvedProfile>,
}

/// Why a set of profiles could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// A file is not of the right shape; the source says line and column.
    #[error("{file}")]
    Syntax {
        /// Name of the file.
        file: String,
        /// What is wrong, and where.
        #[source]
        source: serde_json::Error,
    },
    /// A profile refers to something that is not there.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// Two files state the same name.
    #[error("profile {name} is defined twice, the second time in {file}")]
    Duplicate {
        /// The name.
        name: ProfileName,
        /// The second file.
        file: String,
    },
}

impl Catalog {
    /// The profiles that come with kubefence.
    pub fn built_in() -> Result<Self, CatalogError> {
        Self::load(GROUPS, PROFILES)
    }

    fn load(groups: (&str, &str), profiles: &[(&str, &str)]) -> Result<Self, CatalogError> {
        let groups: BTreeMap<String, Group> = parse(groups.0, groups.1)?;
        let mut catalog = Self {
            profiles: BTreeMap::new(),
        };
        for (file, text) in profiles {
            let source: ProfileSource = parse(file, text)?;
            let resolved = resolve(&source, &groups)?;
            let name = resolved.name.clone();
            if catalog.profiles.insert(name.clone(), resolved).is_some() {
                return Err(CatalogError::Duplicate {
                    name,
                    file: (*file).to_owned(),
                });
            }
        }
        Ok(catalog)
    }

    /// The profile called `name`.
    pub fn get(&self, name: &ProfileName) -> Option<&ResolvedProfile> {
        self.profiles.get(name)
    }

    /// All profiles, by name.
    pub fn iter(&self) -> impl Iterator<Item = &ResolvedProfile> {
        self.profiles.values()
    }
}

fn parse<T: serde::de::DeserializeOwned>(file: &str, text: &str) -> Result<T, CatalogError> {
    serde_json::from_str(text).map_err(|source| CatalogError::Syntax {
        file: file.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    const GROUP: &str =
        r#"{ "g": { "description": "", "allow": { "read": ["/usr", "~/x", "$TMPDIR"] } } }"#;

    fn load(groups: &str, profile: &str) -> Result<Catalog, CatalogError> {
        Catalog::load(("groups.json", groups), &[("p.json", profile)])
    }

    #[test]
    fn the_built_in_profiles_load() {
        let catalog = Catalog::built_in().unwrap();
        let name = ProfileName::parse("default").unwrap();
        assert!(catalog.get(&name).is_some());
        for profile in catalog.iter() {
            profile.compile().encode().unwrap();
        }
    }

    #[test]
    fn a_tilde_is_the_home() {
        let catalog = load(
            GROUP,
            r#"{ "meta": { "name": "p" }, "groups": { "include": ["g"] } }"#,
        )
        .unwrap();
        let places: Vec<_> = catalog
            .iter()
            .next()
            .unwrap()
            .grants
            .iter()
            .map(|g| g.place.to_string())
            .collect();
        assert_eq!(places, ["/usr", "$HOME/x", "$TMPDIR"]);
    }

    #[test]
    fn a_typo_is_an_error_with_a_position() {
        let error = load(GROUP, "{ \"meta\": { \"name\": \"p\" },\n  \"grups\": {} }").unwrap_err();
        assert_eq!(error.to_string(), "p.json");
        let source = error.source().unwrap().to_string();
        assert!(
            source.contains("unknown field `grups`") && source.contains("line 2"),
            "{source}"
        );
    }

    #[test]
    fn an_unknown_group_is_named() {
        let error = load(
            GROUP,
            r#"{ "meta": { "name": "p" }, "groups": { "include": ["h"] } }"#,
        )
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"profile p includes group "h", which does not exist (groups: g)"#
        );
    }

    #[test]
    fn a_path_that_cannot_be_a_rule_is_an_error() {
        for path in ["usr", "/usr/../etc", "~x", "$NOPE/x", "/"] {
            let groups =
                format!(r#"{{ "g": {{ "description": "", "allow": {{ "read": ["{path}"] }} }} }}"#);
            let error = load(
                &groups,
                r#"{ "meta": { "name": "p" }, "groups": { "include": ["g"] } }"#,
            )
            .unwrap_err();
            assert_eq!(error.to_string(), "profile p, group g", "{path}");
        }
    }

    #[test]
    fn the_same_name_twice_is_an_error() {
        let profile = r#"{ "meta": { "name": "p" } }"#;
        let error = Catalog::load(
            ("groups.json", GROUP),
            &[("a.json", profile), ("b.json", profile)],
        )
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "profile p is defined twice, the second time in b.json"
        );
    }
}
