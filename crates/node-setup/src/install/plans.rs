//! The plans of the built-in profiles: published here so that the guard can start containers before the plugin is there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kubefence_node_files::plans;
use kubefence_profile::{Catalog, CompileOptions, EncodedPlan, ProfileName, SeccompProfile};

use super::InstallError;
use crate::root::Root;

/// Plans by profile, and which of them are not published yet.
#[derive(Debug)]
pub(super) struct Plans {
    compiled: BTreeMap<ProfileName, EncodedPlan>,
    missing: Vec<ProfileName>,
}

impl Plans {
    /// Compiles the built-in profiles that can be used, and compares them with what is in `dir`.
    pub(super) fn survey(
        root: &Root,
        dir: &Path,
        seccomp: Option<SeccompProfile>,
    ) -> Result<Self, InstallError> {
        let compiled = compile(seccomp)?;
        let outside = outside(root, dir);
        if let Some(dir) = &outside {
            plans::check_free(compiled.keys(), dir)?;
        }
        let is_missing = |name: &&ProfileName| {
            let published = outside
                .as_ref()
                .and_then(|dir| plans::lookup(dir, name).ok());
            published.is_none_or(|published| published.digest != compiled[*name].digest)
        };
        let missing = compiled.keys().filter(is_missing).cloned().collect();
        Ok(Self { compiled, missing })
    }

    /// The names of those to be published.
    pub(super) fn unpublished(&self) -> Vec<String> {
        self.missing.iter().map(ToString::to_string).collect()
    }

    /// Publishes what is missing. Profiles of others stay as they are.
    pub(super) fn publish(&self, root: &Root, dir: &Path) -> Result<(), InstallError> {
        match outside(root, dir) {
            Some(dir) if !self.missing.is_empty() => Ok(plans::publish(&self.compiled, &dir)?),
            _ => Ok(()),
        }
    }
}

fn outside(root: &Root, dir: &Path) -> Option<PathBuf> {
    let place = root.locate(dir).ok().flatten()?;
    Some(root.outside(&place))
}

fn compile(
    seccomp: Option<SeccompProfile>,
) -> Result<BTreeMap<ProfileName, EncodedPlan>, InstallError> {
    let unusable = |name: &str, error: &dyn std::fmt::Display| InstallError::Profile {
        name: name.to_owned(),
        message: error.to_string(),
    };
    let catalog = Catalog::built_in().map_err(|error| unusable("set", &error))?;
    let options = CompileOptions {
        seccomp,
        ..CompileOptions::default()
    };
    let mut compiled = BTreeMap::new();
    for profile in catalog.iter() {
        // Some need what `wrap` does not have; containers that ask for them are refused.
        let Ok(plan) = profile.compile(&options) else {
            continue;
        };
        let plan = plan
            .encode()
            .map_err(|error| unusable(profile.name.as_str(), &error))?;
        compiled.insert(profile.name.clone(), plan);
    }
    Ok(compiled)
}
