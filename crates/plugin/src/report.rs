//! What the plugin says of a container: one log line each, with the same fields, and for refusals the
//! message that the runtime hands on.

use kubefence_injection::ProfileChoice;
use nri_plugin::HandlerError;
use nri_plugin::api::{Container, PodSandbox};

use crate::metrics::Decision;

/// The container that a log line is about.
#[derive(Clone, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) pod: &'a PodSandbox,
    pub(crate) container: &'a Container,
    /// The profile it asks for; `None` if its handler is not ours.
    pub(crate) choice: Option<ProfileChoice>,
}

/// Logs `$message` with the fields that tell which container it is about.
macro_rules! say {
    ($level:ident, $subject:ident, $message:literal $(, $field:ident = $value:expr)*) => {
        tracing::$level!(
            $($field = $value,)*
            container_id = $subject.container.id,
            container = $subject.container.name,
            namespace = $subject.pod.namespace,
            pod = $subject.pod.name,
            profile = $subject.profile(),
            runtime_handler = $subject.pod.runtime_handler,
            $message
        )
    };
}

impl Subject<'_> {
    /// The runtime has created it, wrapped.
    pub(crate) fn injected(&self, plan: Option<&str>) {
        say!(
            info,
            self,
            "injected",
            decision = Decision::Inject.as_str(),
            plan = plan
        );
    }

    /// It is not ours.
    pub(crate) fn skipped(&self) {
        let reason = "runtime handler not configured";
        say!(
            info,
            self,
            "skip",
            decision = Decision::Skip.as_str(),
            reason = reason
        );
    }

    /// An annotation of its pod is not a profile name.
    pub(crate) fn annotation_ignored(&self, key: &str, value: &str) {
        let reason = format!("annotation {key} = {value:?} is not a profile name");
        say!(warn, self, "profile annotation ignored", reason = reason);
    }

    /// It must not exist.
    pub(crate) fn refused(&self, error: &anyhow::Error) -> HandlerError {
        let reason = format!("{error:#}");
        say!(
            warn,
            self,
            "refused",
            decision = Decision::Refuse.as_str(),
            reason = reason
        );
        self.message(&reason)
    }

    /// The runtime has created it without its sandbox.
    pub(crate) fn created_bare(&self, error: &anyhow::Error) -> HandlerError {
        let reason = format!("{error:#}");
        say!(
            error,
            self,
            "created without its sandbox",
            decision = Decision::Refuse.as_str(),
            reason = reason
        );
        self.message(&reason)
    }

    /// The runtime has created it without its sandbox, but the guard comes later.
    pub(crate) fn left_to_the_guard(&self, error: &anyhow::Error) {
        let reason = format!("{error:#}");
        say!(
            info,
            self,
            "left to the guard",
            decision = Decision::Guard.as_str(),
            reason = reason
        );
    }

    /// The runtime's spec is bare, and the guard has wrapped it.
    pub(crate) fn guarded(&self, plan: Option<&str>) {
        say!(
            info,
            self,
            "sandboxed by the guard",
            decision = Decision::Guard.as_str(),
            plan = plan
        );
    }

    /// It was there before this plugin, and is not wrapped as it would be now.
    pub(crate) fn found_bare(&self, error: &anyhow::Error) {
        let reason =
            format!("{error:#}; if it was created while the plugin was away, delete the pod");
        say!(error, self, "unsandboxed container", reason = reason);
    }

    /// It is being stopped.
    pub(crate) fn stopping(&self) {
        say!(info, self, "container-stopping");
    }

    /// It is gone.
    pub(crate) fn removed(&self) {
        say!(info, self, "container-removed");
    }

    fn profile(&self) -> Option<&str> {
        self.choice.as_ref().map(|choice| choice.profile.as_str())
    }

    fn message(&self, reason: &str) -> HandlerError {
        let Self { pod, container, .. } = self;
        let profile = self.profile().unwrap_or_default();
        format!(
            "container {:?} of pod {}/{} cannot run under profile {profile:?}: {reason}",
            container.name, pod.namespace, pod.name
        )
        .into()
    }
}
