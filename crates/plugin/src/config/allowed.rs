//! Which profiles pods can choose, by runtime handler.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use kubefence_profile::{Catalog, ProfileName};

use super::{Config, ConfigError, LauncherKind, bad_value};

/// The key of the table.
const KEY: &str = "allowed_profiles";

/// The profiles that pods can choose, by runtime handler.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedProfiles(BTreeMap<String, BTreeSet<ProfileName>>);

impl AllowedProfiles {
    /// The profiles that are listed for `handler`; `None` if there is no list.
    pub fn listed(&self, handler: &str) -> Option<&BTreeSet<ProfileName>> {
        self.0.get(handler)
    }

    /// Whether pods of `handler` can choose `profile`. Without a list they can choose every built-in
    /// one; what an operator adds is for those for whom it is listed.
    pub fn allows(&self, handler: &str, profile: &ProfileName, built_in: bool) -> bool {
        self.listed(handler)
            .map_or(built_in, |names| names.contains(profile))
    }

    /// Reads the table; `path` is for messages.
    pub(super) fn parse(
        path: &Path,
        raw: BTreeMap<String, Vec<String>>,
    ) -> Result<Self, ConfigError> {
        let names = |handler: &str, names: Vec<String>| {
            let name = |name: String| {
                ProfileName::parse(&name).map_err(|error| {
                    let key = format!("{KEY}.{handler}");
                    bad_value(path, &key, format!("{name:?}"), error.to_string())
                })
            };
            names.into_iter().map(name).collect::<Result<_, _>>()
        };
        let entry =
            |(handler, raw): (String, Vec<String>)| Ok((handler.clone(), names(&handler, raw)?));
        raw.into_iter()
            .map(entry)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// Checks that every list is for a configured handler, holds profiles that can exist, and that the default
/// profile is allowed for each handler.
pub(super) fn check(path: &Path, config: &Config) -> Result<(), ConfigError> {
    let AllowedProfiles(lists) = &config.allowed_profiles;
    for (handler, names) in lists {
        if !config.runtime_classes.contains(handler) {
            let allowed = format!("must be one of runtime_classes ({})", config.handlers());
            return Err(bad_value(path, KEY, format!("{handler:?}"), allowed));
        }
        check_names(path, config, handler, names)?;
    }
    let default = &config.default_profile;
    let built_in = match config.launcher {
        LauncherKind::Kubefence => Catalog::built_in()?.get(default).is_some(),
        LauncherKind::Upstream => true,
    };
    let mut handlers = config.runtime_classes.iter();
    match handlers.find(|handler| !config.allowed_profiles.allows(handler, default, built_in)) {
        None => Ok(()),
        Some(handler) => {
            let value = format!("{:?}", default.as_str());
            let allowed = match config.allowed_profiles.listed(handler) {
                Some(_) => format!("must be listed in {KEY}.{handler}, too"),
                None => format!("must be a built-in profile, or be listed in {KEY}.{handler}"),
            };
            Err(bad_value(path, "default_profile", value, allowed))
        }
    }
}

/// Without a directory of their own, only built-in profiles can ever exist.
fn check_names(
    path: &Path,
    config: &Config,
    handler: &str,
    names: &BTreeSet<ProfileName>,
) -> Result<(), ConfigError> {
    if config.launcher == LauncherKind::Upstream || config.profile_dir.is_some() {
        return Ok(());
    }
    let catalog = Catalog::built_in()?;
    match names.iter().find(|name| catalog.get(name).is_none()) {
        None => Ok(()),
        Some(name) => {
            let known: Vec<&str> = catalog.iter().map(|p| p.name.as_str()).collect();
            let allowed = format!(
                "must be a built-in profile ({}) unless profile_dir is set",
                known.join(", ")
            );
            let key = format!("{KEY}.{handler}");
            Err(bad_value(
                path,
                &key,
                format!("{:?}", name.as_str()),
                allowed,
            ))
        }
    }
}
