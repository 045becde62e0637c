//! The decision about one container: leave it alone, sandbox it, or refuse it.

use std::collections::BTreeMap;

use kubefence_injection::choose_profile;
use kubefence_profile::{PlanDigest, ProfileName};
use nri_plugin::api::{Container, PodSandbox};

use crate::config::Config;

/// What happens to a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Its handler is not ours.
    Skip,
    /// It runs under a profile.
    Inject(Sandbox),
}

/// The sandbox that a container gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sandbox {
    /// The profile.
    pub profile: ProfileName,
    /// The profile's plan; `None` where the launcher resolves names itself.
    pub plan: Option<PlanDigest>,
    /// An annotation that was passed over because its value is no profile name: its key and value.
    pub ignored: Option<(String, String)>,
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
}

/// The profiles that containers can be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Profiles {
    /// These, with their plans.
    Known(BTreeMap<ProfileName, PlanDigest>),
    /// Whatever the launcher knows.
    LauncherDecides,
}

/// Decides about `container` of `pod`. Pure: the same input always gives the same answer.
pub fn decide(
    config: &Config,
    profiles: &Profiles,
    pod: &PodSandbox,
    container: &Container,
) -> Result<Decision, Refused> {
    if !is_ours(config, pod) {
        return Ok(Decision::Skip);
    }
    let choice = choose_profile(&pod.annotations, &container.name, &config.default_profile);
    let plan = match profiles {
        Profiles::LauncherDecides => None,
        Profiles::Known(known) => Some(known.get(&choice.profile).cloned().ok_or_else(|| {
            let names: Vec<&str> = known.keys().map(ProfileName::as_str).collect();
            Refused::UnknownProfile {
                profile: choice.profile.to_string(),
                known: names.join(", "),
            }
        })?),
    };
    Ok(Decision::Inject(Sandbox {
        profile: choice.profile,
        plan,
        ignored: choice.ignored,
    }))
}

/// Whether the containers of `pod` are this plugin's to sandbox.
pub fn is_ours(config: &Config, pod: &PodSandbox) -> bool {
    config.runtime_classes.contains(&pod.runtime_handler)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn pod(handler: &str, profile: Option<&str>) -> PodSandbox {
        let mut pod = PodSandbox {
            runtime_handler: handler.to_owned(),
            ..Default::default()
        };
        if let Some(profile) = profile {
            pod.annotations
                .insert("nono.sh/profile".to_owned(), profile.to_owned());
        }
        pod
    }

    fn decide_for(profiles: &Profiles, pod: &PodSandbox) -> Result<Decision, Refused> {
        let config = Config::parse(Path::new("c"), "").unwrap();
        decide(
            &config,
            profiles,
            pod,
            &Container {
                name: "app".to_owned(),
                ..Default::default()
            },
        )
    }

    fn known() -> Profiles {
        let catalog = kubefence_profile::Catalog::built_in().unwrap();
        let plans = catalog
            .iter()
            .map(|p| (p.name.clone(), p.compile().encode().unwrap().digest));
        Profiles::Known(plans.collect())
    }

    #[test]
    fn only_configured_handlers_are_touched() {
        for handler in ["", "runc", "nono-runc2", "NONO-RUNC"] {
            assert_eq!(
                decide_for(&known(), &pod(handler, None)),
                Ok(Decision::Skip),
                "{handler:?}"
            );
        }
        assert!(matches!(
            decide_for(&known(), &pod("nono-runc", None)),
            Ok(Decision::Inject(_))
        ));
    }

    #[test]
    fn an_unknown_profile_is_refused_by_name() {
        let refused = decide_for(&known(), &pod("nono-runc", Some("python-dev"))).unwrap_err();
        let message = refused.to_string();
        assert!(
            message.contains("\"python-dev\"") && message.contains("profiles: default"),
            "{message}"
        );
    }

    #[test]
    fn an_invalid_annotation_falls_back_to_the_default() {
        let decision = decide_for(&known(), &pod("nono-runc", Some("../x"))).unwrap();
        let Decision::Inject(sandbox) = decision else {
            panic!("{decision:?}")
        };
        assert_eq!(sandbox.profile.as_str(), "default");
        assert_eq!(sandbox.ignored.unwrap().1, "../x");
    }

    #[test]
    fn upstream_nono_judges_names_itself() {
        let decision = decide_for(
            &Profiles::LauncherDecides,
            &pod("nono-runc", Some("claude-code")),
        )
        .unwrap();
        let Decision::Inject(sandbox) = decision else {
            panic!("{decision:?}")
        };
        assert_eq!(
            (sandbox.profile.as_str(), sandbox.plan),
            ("claude-code", None)
        );
    }
}
