//! What the plugin says of a container: one log line each, with the same fields, and for refusals the
//! message that the runtime hands on.

use kubefence_profile::ProfileName;
use nri_plugin::HandlerError;
use nri_plugin::api::{Container, PodSandbox};

/// The container that a log line is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) pod: &'a PodSandbox,
    pub(crate) container: &'a Container,
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
            runtime_handler = $subject.pod.runtime_handler,
            $message
        )
    };
}

impl Subject<'_> {
    /// The runtime has created it, wrapped.
    pub(crate) fn injected(self, profile: &ProfileName, plan: Option<&str>) {
        let profile = profile.as_str();
        say!(
            info,
            self,
            "injected",
            decision = "inject",
            profile = profile,
            plan = plan
        );
    }

    /// It is not ours.
    pub(crate) fn skipped(self) {
        let reason = "runtime handler not configured";
        say!(info, self, "skip", decision = "skip", reason = reason);
    }

    /// An annotation of its pod is not a profile name.
    pub(crate) fn annotation_ignored(self, key: &str, value: &str, profile: &ProfileName) {
        let reason = format!("annotation {key} = {value:?} is not a profile name");
        say!(
            warn,
            self,
            "profile annotation ignored",
            profile = profile.as_str(),
            reason = reason
        );
    }

    /// It is not created.
    pub(crate) fn refused(self, error: &anyhow::Error) -> HandlerError {
        let reason = format!("{error:#}");
        say!(warn, self, "refused", decision = "refuse", reason = reason);
        self.message(&reason)
    }

    /// The runtime has created it without its sandbox.
    pub(crate) fn created_bare(self, error: &anyhow::Error) -> HandlerError {
        let reason = format!("{error:#}");
        say!(
            error,
            self,
            "created without its sandbox; it will not be started",
            decision = "refuse",
            reason = reason
        );
        self.message(&reason)
    }

    /// It was there before this plugin, without a sandbox.
    pub(crate) fn found_bare(self) {
        let reason = "it was created while this plugin was not in charge: delete the pod";
        say!(error, self, "unsandboxed container", reason = reason);
    }

    /// It is being stopped.
    pub(crate) fn stopping(self) {
        say!(info, self, "container-stopping");
    }

    /// It is gone.
    pub(crate) fn removed(self) {
        say!(info, self, "container-removed");
    }

    /// Its record could not be written or removed.
    pub(crate) fn state_failed(self, error: &std::io::Error) {
        let reason = error.to_string();
        say!(
            warn,
            self,
            "state not up to date; confinement does not depend on it",
            reason = reason
        );
    }

    fn message(self, reason: &str) -> HandlerError {
        let Self { pod, container } = self;
        format!(
            "container {:?} of pod {}/{} refused: {reason}",
            container.name, pod.namespace, pod.name
        )
        .into()
    }
}
