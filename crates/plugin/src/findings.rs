//! What a profile says and a node does not do: worth a warning, once.

use std::collections::BTreeSet;

use kubefence_profile::{Abi, Dropped, LaunchPlan, ProfileName, ResolvedProfile};
use tracing::warn;

/// Something about a profile that its users may not expect.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// Containers that ask for the profile are refused.
    Unusable {
        /// The profile.
        profile: ProfileName,
        /// Why.
        reason: String,
    },
    /// A denial forbids what the profile grants.
    GrantDropped {
        /// The profile.
        profile: ProfileName,
        /// What is granted.
        place: String,
        /// Who grants it.
        origin: String,
        /// What is denied.
        denial: String,
        /// Who denies it.
        denial_origin: String,
        /// Where the grant stands.
        at: String,
    },
    /// The kernel is too old for a part of the profile, which does not insist on it.
    NotEnforced {
        /// The profile.
        profile: ProfileName,
        /// The kernel's Landlock ABI.
        landlock_abi: Abi,
        /// Names of the rights and scopes that it lacks.
        rights: String,
    },
}

impl Finding {
    /// All findings about `profile` and its plan on a kernel of `abi`.
    pub fn all(profile: &ResolvedProfile, plan: &LaunchPlan, abi: Abi) -> Vec<Self> {
        let dropped = profile.dropped.iter();
        let dropped = dropped.map(|dropped| Self::dropped(&profile.name, dropped));
        dropped.chain(Self::not_enforced(plan, abi)).collect()
    }

    fn dropped(profile: &ProfileName, Dropped { grant, denial }: &Dropped) -> Self {
        Self::GrantDropped {
            profile: profile.clone(),
            place: grant.place.to_string(),
            origin: grant.origin.clone(),
            denial: denial.place.to_string(),
            denial_origin: denial.origin.clone(),
            at: grant.at.to_string(),
        }
    }

    fn not_enforced(plan: &LaunchPlan, abi: Abi) -> Option<Self> {
        let mut rights: Vec<&str> = Vec::new();
        for handled in plan.handled.iter().filter(|handled| handled.abi > abi) {
            rights.extend(handled.fs.iter().map(|right| right.name()));
            rights.extend(handled.net.iter().map(|right| right.name()));
            rights.extend(handled.scopes.iter().map(|scope| scope.name()));
        }
        (!rights.is_empty()).then(|| Self::NotEnforced {
            profile: plan.profile.clone(),
            landlock_abi: abi,
            rights: rights.join(", "),
        })
    }

    fn log(&self) {
        match self {
            Self::Unusable { profile, reason } => {
                warn!(%profile, reason, "profile cannot be used");
            }
            Self::GrantDropped {
                profile,
                place,
                origin,
                denial,
                denial_origin,
                at,
            } => {
                warn!(%profile, place, origin, denial, denial_origin, at, "grant dropped");
            }
            Self::NotEnforced {
                profile,
                landlock_abi,
                rights,
            } => {
                warn!(%profile, landlock_abi, rights, "not enforced by this kernel");
            }
        }
    }
}

/// The findings that were logged already.
#[derive(Debug, Default)]
pub(crate) struct Reported(BTreeSet<Finding>);

impl Reported {
    /// Logs those of `findings` that are new. One that goes and comes again is new again.
    pub(crate) fn update(&mut self, findings: impl Iterator<Item = Finding>) {
        let findings: BTreeSet<Finding> = findings.collect();
        findings.difference(&self.0).for_each(Finding::log);
        self.0 = findings;
    }
}
