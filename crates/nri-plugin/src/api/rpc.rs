//! Requests and responses of the Plugin and Runtime services.
//!
//! Events that carry nothing but a pod, or a pod and a container, share one shape but are separate messages
//! upstream; they are separate types here too.

use super::{
    Container, ContainerAdjustment, ContainerEviction, ContainerUpdate, LinuxResources, PodSandbox,
};

/// Full name of the service a plugin offers to the runtime.
pub const PLUGIN_SERVICE: &str = "nri.pkg.api.v1alpha1.Plugin";
/// Full name of the service the runtime offers to plugins.
pub const RUNTIME_SERVICE: &str = "nri.pkg.api.v1alpha1.Runtime";

/// A message without content.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct Empty {}

/// Announces a plugin to the runtime.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct RegisterPluginRequest {
    /// Name of the plugin.
    #[prost(string, tag = "1")]
    pub plugin_name: String,
    /// Two digits; plugins are called in ascending order.
    #[prost(string, tag = "2")]
    pub plugin_idx: String,
    /// NRI version the plugin was written for.
    #[prost(string, tag = "3")]
    pub nri_version: String,
}

/// Asks the runtime for updates outside of any event.
#[derive(Clone, PartialEq, prost::Message)]
pub struct UpdateContainersRequest {
    /// Containers to update.
    #[prost(message, repeated, tag = "1")]
    pub update: Vec<ContainerUpdate>,
    /// Containers to evict.
    #[prost(message, repeated, tag = "2")]
    pub evict: Vec<ContainerEviction>,
}

/// Answer to [`UpdateContainersRequest`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct UpdateContainersResponse {
    /// Updates that failed.
    #[prost(message, repeated, tag = "1")]
    pub failed: Vec<ContainerUpdate>,
}

/// Configures a plugin.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct ConfigureRequest {
    /// The plugin's configuration, if the runtime's NRI directory holds one.
    #[prost(string, tag = "1")]
    pub config: String,
    /// Name of the runtime.
    #[prost(string, tag = "2")]
    pub runtime_name: String,
    /// Version of the runtime.
    #[prost(string, tag = "3")]
    pub runtime_version: String,
    /// Time limit of registration in milliseconds.
    #[prost(int64, tag = "4")]
    pub registration_timeout: i64,
    /// Time limit of each request in milliseconds.
    #[prost(int64, tag = "5")]
    pub request_timeout: i64,
    /// NRI version of the runtime; sent from 0.12 on.
    #[prost(string, tag = "6")]
    pub nri_version: String,
}

/// Answer to [`ConfigureRequest`].
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct ConfigureResponse {
    /// Events subscribed to, bit = event number − 1; 0 means all.
    #[prost(int32, tag = "2")]
    pub events: i32,
}

/// Tells a plugin which pods and containers exist, possibly in chunks.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SynchronizeRequest {
    /// Pods of this chunk.
    #[prost(message, repeated, tag = "1")]
    pub pods: Vec<PodSandbox>,
    /// Containers of this chunk.
    #[prost(message, repeated, tag = "2")]
    pub containers: Vec<Container>,
    /// Whether more chunks follow.
    #[prost(bool, tag = "3")]
    pub more: bool,
}

/// Answer to [`SynchronizeRequest`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct SynchronizeResponse {
    /// Updates; only in the answer to the last chunk.
    #[prost(message, repeated, tag = "1")]
    pub update: Vec<ContainerUpdate>,
    /// Echo of the request's `more`.
    #[prost(bool, tag = "2")]
    pub more: bool,
}

/// Announces that the resources of a pod are about to change.
#[derive(Clone, PartialEq, prost::Message)]
pub struct UpdatePodSandboxRequest {
    /// The pod.
    #[prost(message, optional, tag = "1")]
    pub pod: Option<PodSandbox>,
    /// New overhead of the pod.
    #[prost(message, optional, tag = "2")]
    pub overhead_linux_resources: Option<LinuxResources>,
    /// New sum of the resources of the pod's containers.
    #[prost(message, optional, tag = "3")]
    pub linux_resources: Option<LinuxResources>,
}

/// Answer to [`CreateContainerRequest`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct CreateContainerResponse {
    /// Adjustment of the container.
    #[prost(message, optional, tag = "1")]
    pub adjust: Option<ContainerAdjustment>,
    /// Updates of other containers.
    #[prost(message, repeated, tag = "2")]
    pub update: Vec<ContainerUpdate>,
    /// Evictions of other containers.
    #[prost(message, repeated, tag = "3")]
    pub evict: Vec<ContainerEviction>,
}

/// Announces that the resources of a container are about to change.
#[derive(Clone, PartialEq, prost::Message)]
pub struct UpdateContainerRequest {
    /// The pod of the container.
    #[prost(message, optional, tag = "1")]
    pub pod: Option<PodSandbox>,
    /// The container.
    #[prost(message, optional, tag = "2")]
    pub container: Option<Container>,
    /// The new resources.
    #[prost(message, optional, tag = "3")]
    pub linux_resources: Option<LinuxResources>,
}

/// Answer to [`UpdateContainerRequest`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct UpdateContainerResponse {
    /// Updates of this container and others.
    #[prost(message, repeated, tag = "1")]
    pub update: Vec<ContainerUpdate>,
    /// Evictions.
    #[prost(message, repeated, tag = "2")]
    pub evict: Vec<ContainerEviction>,
}

/// Answer to [`StopContainerRequest`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct StopContainerResponse {
    /// Updates of the remaining containers.
    #[prost(message, repeated, tag = "1")]
    pub update: Vec<ContainerUpdate>,
}

/// A log line from a plugin to its host (WebAssembly plugins only).
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct LogRequest {
    /// The line.
    #[prost(string, tag = "1")]
    pub msg: String,
    /// Its level.
    #[prost(enumeration = "LogLevel", tag = "2")]
    pub level: i32,
}

/// Level of a [`LogRequest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
#[allow(missing_docs)] // the usual levels
pub enum LogLevel {
    Unspecified = 0,
    Debug = 1,
    Info = 2,
    Warn = 3,
    Error = 4,
}

macro_rules! pod_request {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, prost::Message)]
        pub struct $name {
            /// The pod.
            #[prost(message, optional, tag = "1")]
            pub pod: Option<PodSandbox>,
        }
    };
}

macro_rules! container_request {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, prost::Message)]
        pub struct $name {
            /// The pod of the container.
            #[prost(message, optional, tag = "1")]
            pub pod: Option<PodSandbox>,
            /// The container.
            #[prost(message, optional, tag = "2")]
            pub container: Option<Container>,
        }
    };
}

macro_rules! empty_response {
    ($($name:ident answers $request:ident;)*) => {
        $(
            #[doc = concat!("Answer to [`", stringify!($request), "`].")]
            #[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
            pub struct $name {}
        )*
    };
}

pod_request!(
    /// A pod sandbox is about to run.
    RunPodSandboxRequest
);
pod_request!(
    /// A pod sandbox is about to stop.
    StopPodSandboxRequest
);
pod_request!(
    /// A pod sandbox is removed.
    RemovePodSandboxRequest
);
pod_request!(
    /// The resources of a pod changed.
    PostUpdatePodSandboxRequest
);
container_request!(
    /// A container is being created and can be adjusted.
    CreateContainerRequest
);
container_request!(
    /// A container was created.
    PostCreateContainerRequest
);
container_request!(
    /// A container is about to start.
    StartContainerRequest
);
container_request!(
    /// A container was started.
    PostStartContainerRequest
);
container_request!(
    /// The resources of a container changed.
    PostUpdateContainerRequest
);
container_request!(
    /// A container stopped.
    StopContainerRequest
);
container_request!(
    /// A container is removed.
    RemoveContainerRequest
);

empty_response! {
    RunPodSandboxResponse answers RunPodSandboxRequest;
    UpdatePodSandboxResponse answers UpdatePodSandboxRequest;
    PostUpdatePodSandboxResponse answers PostUpdatePodSandboxRequest;
    StopPodSandboxResponse answers StopPodSandboxRequest;
    RemovePodSandboxResponse answers RemovePodSandboxRequest;
    PostCreateContainerResponse answers PostCreateContainerRequest;
    StartContainerResponse answers StartContainerRequest;
    PostStartContainerResponse answers PostStartContainerRequest;
    PostUpdateContainerResponse answers PostUpdateContainerRequest;
    RemoveContainerResponse answers RemoveContainerRequest;
}
