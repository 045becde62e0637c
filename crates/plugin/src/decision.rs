//! The decision about one container: leave it alone, sandbox it, or refuse it.

use std::collections::BTreeMap;
use std::sync::Arc;

use kubefence_injection::{ProfileChoice, choose_profile};
use kubefence_profile::{PlanDigest, ProfileName, Provenance};
use nri_plugin::api::{Container, PodSandbox};

use crate::config::{AllowedProfiles, Config};

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
        "profile {profile:?} does not exist ({choice}): correct the pod's nono.sh annotation or default_profile",
        profile = .profile.as_str()
    )]
    UnknownProfile {
        /// The profile it asks for.
        profile: ProfileName,
        /// What it could ask for.
        choice: Choice,
    },
    /// It asks for a profile that is not for pods of its handler.
    #[error(
        "profile {profile:?} is not allowed ({choice}): correct the pod's nono.sh annotation, or have the node's \
         operator add the profile to allowed_profiles",
        profile = .profile.as_str()
    )]
    NotAllowed {
        /// The profile it asks for.
        profile: ProfileName,
        /// What it could ask for.
        choice: Choice,
    },
    /// It asks for a profile that cannot be enforced here.
    #[error("{reason} ({choice})")]
    Unusable {
        /// Why, and what to do; names the profile.
        reason: String,
        /// What it could ask for.
        choice: Choice,
    },
    /// Its processes come from a checkpoint.
    #[error(
        "it is restored from a checkpoint, whose processes would go on without the launcher: create it from an image"
    )]
    Restored,
}

/// The profiles that pods of a handler can choose. Printed as `profiles for handler "nono-runc": default, strict`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("profiles for handler {handler:?}: {}", list(.profiles))]
pub struct Choice {
    /// The handler.
    pub handler: String,
    /// The profiles.
    pub profiles: Vec<ProfileName>,
}

fn list(profiles: &[ProfileName]) -> String {
    let names: Vec<&str> = profiles.iter().map(ProfileName::as_str).collect();
    match names[..] {
        [] => "none".to_owned(),
        _ => names.join(", "),
    }
}

/// The profiles that containers can be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Profiles {
    /// These. Shared, because every event takes a copy.
    Known(Arc<BTreeMap<ProfileName, Offer>>),
    /// Whatever the launcher knows.
    LauncherDecides,
}

/// A profile that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Where it comes from.
    pub provenance: Provenance,
    /// Its plan, or why it cannot be used here.
    pub plan: Result<PlanDigest, String>,
}

/// What decides about a container.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Its pod's runtime handler.
    pub handler: &'a str,
    /// The profile it asks for.
    pub profile: &'a ProfileName,
    /// The container.
    pub container: &'a Container,
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

/// Decides about a container. Pure: the same input always gives the same answer.
///
/// All of its events are judged alike. So a container that was created under a profile which is gone, or cannot
/// be used any more, when it is to be started is refused then: its launcher would find no plan.
pub fn decide(
    profiles: &Profiles,
    allowed: &AllowedProfiles,
    request: &Request<'_>,
) -> Result<Sandbox, Refused> {
    let annotations = &request.container.annotations;
    if RESTORED.iter().any(|key| annotations.contains_key(*key)) {
        return Err(Refused::Restored);
    }
    let plan = match profiles {
        Profiles::LauncherDecides => passed_on(allowed, request)?,
        Profiles::Known(known) => Some(known_plan(known, allowed, request)?),
    };
    Ok(Sandbox {
        profile: request.profile.clone(),
        plan,
    })
}

/// For a launcher that finds profiles by itself: only what the operator lists can be judged.
fn passed_on(
    allowed: &AllowedProfiles,
    request: &Request<'_>,
) -> Result<Option<PlanDigest>, Refused> {
    match allowed.listed(request.handler) {
        Some(listed) if !listed.contains(request.profile) => Err(Refused::NotAllowed {
            profile: request.profile.clone(),
            choice: Choice {
                handler: request.handler.to_owned(),
                profiles: listed.iter().cloned().collect(),
            },
        }),
        _ => Ok(None),
    }
}

fn known_plan(
    known: &BTreeMap<ProfileName, Offer>,
    allowed: &AllowedProfiles,
    request: &Request<'_>,
) -> Result<PlanDigest, Refused> {
    let Request {
        handler, profile, ..
    } = *request;
    let allows = |name: &ProfileName, offer: &Offer| {
        allowed.allows(handler, name, offer.provenance == Provenance::BuiltIn)
    };
    let choice = || {
        let usable = known
            .iter()
            .filter(|(name, offer)| allows(name, offer) && offer.plan.is_ok());
        Choice {
            handler: handler.to_owned(),
            profiles: usable.map(|(name, _)| name.clone()).collect(),
        }
    };
    match known.get(profile) {
        None => Err(Refused::UnknownProfile {
            profile: profile.clone(),
            choice: choice(),
        }),
        Some(offer) if !allows(profile, offer) => Err(Refused::NotAllowed {
            profile: profile.clone(),
            choice: choice(),
        }),
        Some(offer) => offer.plan.clone().map_err(|reason| Refused::Unusable {
            reason,
            choice: choice(),
        }),
    }
}

#[cfg(test)]
mod tests;
