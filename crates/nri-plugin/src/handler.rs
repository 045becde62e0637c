//! What the author of a plugin implements.

use std::ops::BitOr;

use crate::api::{
    Container, ContainerUpdate, Event, LinuxResources, PodSandbox,
    ValidateContainerAdjustmentRequest,
};
use crate::{Adjustment, CallContext, EventSet, RuntimeInfo};

/// Why a handler method failed. Its message and those of its sources reach the runtime's log and, for
/// CreateContainer, the pod's events.
pub type HandlerError = Box<dyn std::error::Error + Send + Sync>;

/// The plugin proper.
///
/// Methods are synchronous and run on blocking threads, at most one per NRI call and a bounded number overall.
/// Each has until [`CallContext::deadline`]; what it returns later is discarded and the runtime gets an error
/// instead. What an error does depends on the call:
///
/// - CreateContainer and ValidateContainerAdjustment: the container is refused.
/// - RunPodSandbox and StartContainer: containerd refuses the request; CRI-O logs the error and goes on.
/// - Configure: the runtime drops the plugin, and starts containers without it until it is back.
/// - Synchronize: nothing, see [`synchronize_failed`](Self::synchronize_failed).
/// - Others: the runtime logs the error, and skips the plugins after this one.
pub trait Handler: Send + Sync + 'static {
    /// The events to subscribe to. Those that the runtime does not know are left out; if none remains,
    /// registration fails, because an empty subscription means all events to a runtime.
    fn events(&self) -> EventSet;

    /// Called first on each connection; `config` comes from the runtime's NRI configuration directory.
    fn configure(
        &self,
        ctx: &CallContext,
        runtime: &RuntimeInfo,
        config: &str,
    ) -> Result<(), HandlerError> {
        let _ = (ctx, runtime, config);
        Ok(())
    }

    /// Called once per connection with every pod and container that exists. Events that happened while the
    /// plugin was not connected are not repeated: reconcile against these lists.
    fn synchronize(
        &self,
        ctx: &CallContext,
        pods: Vec<PodSandbox>,
        containers: Vec<Container>,
    ) -> Result<Vec<ContainerUpdate>, HandlerError>;

    /// Decides how a container that is being created is adjusted.
    fn create_container(
        &self,
        ctx: &CallContext,
        pod: &PodSandbox,
        container: &Container,
    ) -> Result<Adjustment, HandlerError>;

    /// Decides whether a container may be created as all plugins together adjusted it.
    fn validate_container_adjustment(
        &self,
        ctx: &CallContext,
        request: &ValidateContainerAdjustmentRequest,
    ) -> Result<Verdict, HandlerError> {
        let _ = (ctx, request);
        Ok(Verdict::Accept)
    }

    /// A container's resources are about to change to `resources`; the updates returned are applied along.
    fn update_container(
        &self,
        ctx: &CallContext,
        pod: &PodSandbox,
        container: &Container,
        resources: Option<&LinuxResources>,
    ) -> Result<Vec<ContainerUpdate>, HandlerError> {
        let _ = (ctx, pod, container, resources);
        Ok(Vec::new())
    }

    /// A pod's resources are about to change; by default this is an [`event`](Self::event) like others.
    fn update_pod_sandbox(
        &self,
        ctx: &CallContext,
        pod: &PodSandbox,
        overhead: Option<&LinuxResources>,
        resources: Option<&LinuxResources>,
    ) -> Result<(), HandlerError> {
        let _ = (overhead, resources);
        self.event(ctx, Event::UpdatePodSandbox, pod, None)
    }

    /// A container stopped.
    fn stop_container(
        &self,
        ctx: &CallContext,
        pod: &PodSandbox,
        container: &Container,
    ) -> Result<(), HandlerError> {
        let _ = (ctx, pod, container);
        Ok(())
    }

    /// Any other event, whichever RPC it came by. `container` is absent for events of pods.
    fn event(
        &self,
        ctx: &CallContext,
        event: Event,
        pod: &PodSandbox,
        container: Option<&Container>,
    ) -> Result<(), HandlerError> {
        let _ = (ctx, event, pod, container);
        Ok(())
    }

    /// [`synchronize`](Self::synchronize) failed, panicked or took too long. The runtime is not told, because it
    /// would drop the plugin and start containers without it; the plugin stays in service.
    fn synchronize_failed(&self, reason: &str) {
        let _ = reason;
    }

    /// The plugin is registered and synchronized.
    fn connected(&self, runtime: &RuntimeInfo) {
        let _ = runtime;
    }

    /// The connection ended or could not be made. Successive failures to dial are reported once.
    fn disconnected(&self, reason: &str) {
        let _ = reason;
    }
}

/// Outcome of a validation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The container may be created.
    Accept,
    /// The container is refused, for this reason.
    Reject(String),
}

/// Capabilities of the runtime without which a plugin's adjustments would be unsafe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Requires(u8);

impl Requires {
    /// Nothing in particular.
    pub const NONE: Self = Self(0);
    /// Adjusted `args` must take effect. On a runtime that would drop them silently, CreateContainer is
    /// answered with an error whenever the adjustment has any, unless it [may lose](Adjustment::may_lose) them.
    pub const ARGS: Self = Self(1);
    /// Adjusted seccomp filters must take effect, in the same way.
    pub const SECCOMP: Self = Self(2);

    /// Whether all of `other` is required.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// What is left of it without `other`.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl BitOr for Requires {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
