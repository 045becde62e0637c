//! The decision about one container: leave it alone, sandbox it, or refuse it.

use std::collections::BTreeMap;

use kubefence_injection::{ProfileChoice, choose_profile};
use kubefence_profile::{PlanDigest, ProfileName};
use nri_plugin::api::{Container, PodSandbox};

use crate::config::Config;

/// The sandbox that a container gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sandbox {
    /// The profile.
    pub profile: ProfileName,
    /// The profile's plan; `None` where the launcher resolves names itself.
    pub plan: Option<PlanDigest>,
}

/// Why a container of one of our handlers is not allowed to exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// It asks for a profile that is not there.
    #[error(
        "profile {profile:?} does not exist (profiles: {known}): correct the pod's nono.sh annotation or default_profile"
    )]
    UnknownProfile {
        /// The profile it asks for.
        profile: String,
        /// The profiles there are.
        known: String,
    },
    /// Its processes come from a checkpoint.
    #[error(
        "it is restored from a checkpoint, whose processes would go on without the launcher: create it from an image"
    )]
    Restored,
}

/// The profiles that containers can be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Profiles {
    /// These, with their plans.
    Known(BTreeMap<ProfileName, PlanDigest>),
    /// Whatever the launcher knows.
    LauncherDecides,
}

/// Annotations that containerd gives a container which it restores from a checkpoint. Such a container
/// is created like any other, but then continues processes instead of starting its command.
const RESTORED: [&str; 3] = ["restored", "checkpointedAt", "checkpointImage"];

/// The profile that `container` of `pod` asks for; `None` if its handler is not ours.
pub fn profile_choice(
    config: &Config,
    pod: &PodSandbox,
    container: &Container,
) -> Option<ProfileChoice> {
    config
        .runtime_classes
        .contains(&pod.runtime_handler)
        .then(|| choose_profile(&pod.annotations, &container.name, &config.default_profile))
}

/// Decides about a container that asks for `profile`. Pure: the same input always gives the same answer.
pub fn decide(
    profiles: &Profiles,
    profile: &ProfileName,
    container: &Container,
) -> Result<Sandbox, Refused> {
    if RESTORED
        .iter()
        .any(|key| container.annotations.contains_key(*key))
    {
        return Err(Refused::Restored);
    }
    let plan = match profiles {
        Profiles::LauncherDecides => None,
        Profiles::Known(known) => Some(known.get(profile).cloned().ok_or_else(|| {
            let names: Vec<&str> = known.keys().map(ProfileName::as_str).collect();
            Refused::UnknownProfile {
                profile: profile.to_string(),
                known: names.join(", "),
            }
        })?),
    };
    Ok(Sandbox {
        profile: profile.clone(),
        plan,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use kubefence_profile::CompileOptions;

    use super::*;

    fn choice(handler: &str) -> Option<ProfileChoice> {
        let config = Config::parse(Path::new("c"), "").unwrap();
        let pod = PodSandbox {
            runtime_handler: handler.to_owned(),
            ..Default::default()
        };
        profile_choice(&config, &pod, &Container::default())
    }

    fn decide_for(profiles: &Profiles, profile: &str) -> Result<Sandbox, Refused> {
        decide(
            profiles,
            &ProfileName::parse(profile).unwrap(),
            &Container::default(),
        )
    }

    fn known() -> Profiles {
        let catalog = kubefence_profile::Catalog::built_in().unwrap();
        let plans = catalog.iter().filter_map(|p| {
            Some((
                p.name.clone(),
                p.compile(&CompileOptions::default())
                    .ok()?
                    .encode()
                    .unwrap()
                    .digest,
            ))
        });
        Profiles::Known(plans.collect())
    }

    #[test]
    fn only_configured_handlers_are_touched() {
        for handler in ["", "runc", "nono-runc2", "NONO-RUNC"] {
            assert_eq!(choice(handler), None, "{handler:?}");
        }
        assert_eq!(choice("nono-runc").unwrap().profile.as_str(), "default");
    }

    #[test]
    fn an_unknown_profile_is_refused_by_name() {
        let message = decide_for(&known(), "python-dev").unwrap_err().to_string();
        assert!(
            message.contains("\"python-dev\"") && message.contains("profiles: default"),
            "{message}"
        );
        assert!(decide_for(&known(), "default").unwrap().plan.is_some());
    }

    #[test]
    fn upstream_nono_judges_names_itself() {
        let sandbox = decide_for(&Profiles::LauncherDecides, "claude-code").unwrap();
        assert_eq!(
            (sandbox.profile.as_str(), sandbox.plan),
            ("claude-code", None)
        );
    }

    #[test]
    fn what_is_restored_from_a_checkpoint_is_refused() {
        for key in RESTORED {
            let mut container = Container::default();
            container.annotations.insert(key.to_owned(), "x".to_owned());
            let profile = ProfileName::parse("default").unwrap();
            assert_eq!(
                decide(&known(), &profile, &container),
                Err(Refused::Restored),
                "{key}"
            );
        }
    }
}
