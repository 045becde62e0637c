//! Why containers are refused, as a label: a few words that no pod can choose.

use kubefence_injection::{NotWrapped, Refusal};

use super::Label;
use crate::connection::RuntimeTooOld;
use crate::decision::Refused;
use crate::foreign::Undermined;
use crate::guard::NotGuarded;
use crate::readiness::NodeNotReady;

/// Why a container is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The node cannot sandbox.
    NodeNotReady,
    /// The runtime drops changes of args, and the handler has no guard.
    RuntimeTooOld,
    /// There is no such profile.
    UnknownProfile,
    /// The profile is not for pods of the handler.
    ProfileNotAllowed,
    /// The profile cannot be enforced on this node.
    ProfileUnusable,
    /// Its processes come from a checkpoint.
    Restored,
    /// It has no command.
    NoCommand,
    /// One of its mounts could cover the launcher.
    MountOverLauncher,
    /// A hook, a device node or an annotation could undo the sandbox.
    Undermined,
    /// It would start without the launcher, or with another one.
    NotWrapped,
    /// The guard has not wrapped it as it should.
    NotGuarded,
    /// Anything else.
    Other,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::NodeNotReady,
        Self::RuntimeTooOld,
        Self::UnknownProfile,
        Self::ProfileNotAllowed,
        Self::ProfileUnusable,
        Self::Restored,
        Self::NoCommand,
        Self::MountOverLauncher,
        Self::Undermined,
        Self::NotWrapped,
        Self::NotGuarded,
        Self::Other,
    ];

    /// Its label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NodeNotReady => "node_not_ready",
            Self::RuntimeTooOld => "runtime_too_old",
            Self::UnknownProfile => "unknown_profile",
            Self::ProfileNotAllowed => "profile_not_allowed",
            Self::ProfileUnusable => "profile_unusable",
            Self::Restored => "restored",
            Self::NoCommand => "no_command",
            Self::MountOverLauncher => "mount_over_launcher",
            Self::Undermined => "undermined",
            Self::NotWrapped => "not_wrapped",
            Self::NotGuarded => "not_guarded",
            Self::Other => "other",
        }
    }

    /// Why a container is refused with `error`.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        if error.is::<NodeNotReady>() {
            return Self::NodeNotReady;
        }
        if error.is::<RuntimeTooOld>() {
            return Self::RuntimeTooOld;
        }
        if error.is::<NotGuarded>() {
            return Self::NotGuarded;
        }
        if error.is::<NotWrapped>() {
            return Self::NotWrapped;
        }
        if error.is::<Undermined>() {
            return Self::Undermined;
        }
        let decided = error.downcast_ref::<Refused>().map(Self::from);
        let unwrappable = || error.downcast_ref::<Refusal>().map(Self::from);
        decided.or_else(unwrappable).unwrap_or(Self::Other)
    }

    pub(super) fn label(self) -> Label {
        [("reason", self.as_str())]
    }
}

impl From<&Refused> for Reason {
    fn from(refused: &Refused) -> Self {
        match refused {
            Refused::UnknownProfile { .. } => Self::UnknownProfile,
            Refused::NotAllowed { .. } => Self::ProfileNotAllowed,
            Refused::Unusable { .. } => Self::ProfileUnusable,
            Refused::Restored => Self::Restored,
        }
    }
}

impl From<&Refusal> for Reason {
    fn from(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::MountCoversLauncher { .. } => Self::MountOverLauncher,
            Refusal::NoCommand => Self::NoCommand,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use kubefence_profile::ProfileName;

    use super::*;

    #[test]
    fn labels_are_words_and_tell_reasons_apart() {
        let labels: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(labels.len(), Reason::ALL.len());
        let is_word = |label: &&str| label.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        assert!(labels.iter().all(is_word), "{labels:?}");
    }

    #[test]
    fn errors_keep_their_reason_whatever_is_said_around_them() {
        let name = || ProfileName::parse("team").unwrap();
        let args = || NotWrapped::Args { profile: name() };
        let mount = || Refusal::MountCoversLauncher {
            destination: "/nono".to_owned(),
        };
        let errors: [(anyhow::Error, Reason); 8] = [
            (Refused::Restored.into(), Reason::Restored),
            (mount().into(), Reason::MountOverLauncher),
            (Refusal::NoCommand.into(), Reason::NoCommand),
            (Undermined::Hook("x".to_owned()).into(), Reason::Undermined),
            (args().into(), Reason::NotWrapped),
            (NotGuarded::Sandbox.into(), Reason::NotGuarded),
            (
                anyhow::anyhow!("no Landlock").context(NodeNotReady),
                Reason::NodeNotReady,
            ),
            (anyhow::anyhow!("anything"), Reason::Other),
        ];
        for (error, reason) in errors {
            assert_eq!(Reason::of(&error), reason, "{error:#}");
            assert_eq!(Reason::of(&error.context("and more")), reason);
        }
    }
}
