//! Events that plugins subscribe to.

use super::{Container, PodSandbox};

/// An event in the life of a pod or container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Event {
    /// Not known; never sent.
    Unknown = 0,
    /// A pod sandbox is about to run.
    RunPodSandbox = 1,
    /// A pod sandbox is about to stop.
    StopPodSandbox = 2,
    /// A pod sandbox is removed.
    RemovePodSandbox = 3,
    /// A container is being created and can be adjusted.
    CreateContainer = 4,
    /// A container was created.
    PostCreateContainer = 5,
    /// A container is about to start.
    StartContainer = 6,
    /// A container was started.
    PostStartContainer = 7,
    /// The resources of a container are about to change.
    UpdateContainer = 8,
    /// The resources of a container changed.
    PostUpdateContainer = 9,
    /// A container stopped.
    StopContainer = 10,
    /// A container is removed.
    RemoveContainer = 11,
    /// The resources of a pod are about to change (CRI-O 1.33, NRI 0.10).
    UpdatePodSandbox = 12,
    /// The resources of a pod changed (CRI-O 1.33, NRI 0.10).
    PostUpdatePodSandbox = 13,
    /// The collected adjustments of a container are up for validation (NRI 0.10).
    ValidateContainerAdjustment = 14,
}

impl Event {
    /// Every event, in the order of its number.
    pub const ALL: [Self; 14] = [
        Self::RunPodSandbox,
        Self::StopPodSandbox,
        Self::RemovePodSandbox,
        Self::CreateContainer,
        Self::PostCreateContainer,
        Self::StartContainer,
        Self::PostStartContainer,
        Self::UpdateContainer,
        Self::PostUpdateContainer,
        Self::StopContainer,
        Self::RemoveContainer,
        Self::UpdatePodSandbox,
        Self::PostUpdatePodSandbox,
        Self::ValidateContainerAdjustment,
    ];

    /// Name of the event, which is also that of its dedicated RPC.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "Unknown",
            Self::RunPodSandbox => "RunPodSandbox",
            Self::StopPodSandbox => "StopPodSandbox",
            Self::RemovePodSandbox => "RemovePodSandbox",
            Self::CreateContainer => "CreateContainer",
            Self::PostCreateContainer => "PostCreateContainer",
            Self::StartContainer => "StartContainer",
            Self::PostStartContainer => "PostStartContainer",
            Self::UpdateContainer => "UpdateContainer",
            Self::PostUpdateContainer => "PostUpdateContainer",
            Self::StopContainer => "StopContainer",
            Self::RemoveContainer => "RemoveContainer",
            Self::UpdatePodSandbox => "UpdatePodSandbox",
            Self::PostUpdatePodSandbox => "PostUpdatePodSandbox",
            Self::ValidateContainerAdjustment => "ValidateContainerAdjustment",
        }
    }
}

impl std::fmt::Display for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Notification of an event that has no RPC of its own in the peer's NRI version.
#[derive(Clone, PartialEq, prost::Message)]
pub struct StateChangeEvent {
    /// The event.
    #[prost(enumeration = "Event", tag = "1")]
    pub event: i32,
    /// The pod, or the pod of the container.
    #[prost(message, optional, tag = "2")]
    pub pod: Option<PodSandbox>,
    /// The container; absent for pod events.
    #[prost(message, optional, tag = "3")]
    pub container: Option<Container>,
}
