//! What the container runtime says of itself, through the Container Runtime Interface.
//!
//! Only questions, and only the three that setting up a node has: is it there, which handlers does it know, and which pods use
//! them. Not a client for anything else.

mod grpc;
mod messages;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use self::messages::{
    ListContainersRequest, ListContainersResponse, ListPodSandboxRequest, ListPodSandboxResponse,
    PodSandbox, PodSandboxStatusRequest, PodSandboxStatusResponse, StatusRequest, StatusResponse,
    VersionRequest, VersionResponse,
};
use crate::root::Root;

pub use self::grpc::CallError;

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(250);

/// Why nothing is known from the runtime.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CriError {
    /// It cannot be asked.
    #[error("the container runtime does not answer at {socket}")]
    Call {
        /// Its socket on the node.
        socket: PathBuf,
        /// Why.
        #[source]
        source: CallError,
    },
    /// It is not ready.
    #[error("the container runtime at {socket} is not ready: {reason}")]
    NotReady {
        /// Its socket on the node.
        socket: PathBuf,
        /// What it says.
        reason: String,
    },
}

/// Name and version of a runtime.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuntimeVersion {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// A pod that exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its handler.
    pub handler: String,
    /// Whether it runs, or a container of it; otherwise it has ended and was not removed yet.
    pub runs: bool,
}

/// A runtime's CRI socket.
#[derive(Debug)]
pub struct Cri<'a> {
    root: &'a Root,
    socket: &'a Path,
}

impl<'a> Cri<'a> {
    /// The runtime that listens at `socket` on the node.
    pub fn at(root: &'a Root, socket: &'a Path) -> Self {
        Self { root, socket }
    }

    /// Which runtime it is.
    ///
    /// # Errors
    ///
    /// Fails if it does not answer.
    pub fn version(&self) -> Result<RuntimeVersion, CriError> {
        let request = VersionRequest {
            version: "v1".to_owned(),
        };
        let answer: VersionResponse = self.call("Version", &request)?;
        Ok(RuntimeVersion {
            name: answer.runtime_name,
            version: answer.runtime_version,
        })
    }

    /// The handlers that it knows; `None` if it does not tell.
    ///
    /// # Errors
    ///
    /// Fails if it does not answer.
    pub fn handlers(&self) -> Result<Option<BTreeSet<String>>, CriError> {
        let answer: StatusResponse = self.call("Status", &StatusRequest { verbose: true })?;
        Ok(answer.handlers())
    }

    /// The first of some handlers that it does not know, as far as it tells.
    ///
    /// # Errors
    ///
    /// Fails if it does not answer.
    pub fn unknown_of(&self, handlers: &[String]) -> Result<Option<String>, CriError> {
        let Some(known) = self.handlers()? else {
            return Ok(None);
        };
        Ok(handlers
            .iter()
            .find(|handler| !known.contains(*handler))
            .cloned())
    }

    /// The pods of some handlers, and those with a container that has not ended and `is_guarded`, whatever their handler is
    /// said to be.
    ///
    /// # Errors
    ///
    /// Fails if it does not answer.
    pub fn pods_of(
        &self,
        handlers: &[String],
        is_guarded: impl Fn(&str) -> bool,
    ) -> Result<Vec<Pod>, CriError> {
        // Pods first: a container that is made meanwhile belongs to a pod that runs.
        let pods: ListPodSandboxResponse =
            self.call("ListPodSandbox", &ListPodSandboxRequest {})?;
        let containers: ListContainersResponse =
            self.call("ListContainers", &ListContainersRequest {})?;
        let mut found = Vec::new();
        for pod in pods.items {
            let own = containers.containers.iter();
            let own: Vec<_> = own
                .filter(|container| container.pod_sandbox_id == pod.id)
                .collect();
            let guarded = own
                .iter()
                .any(|container| !container.has_ended() && is_guarded(&container.id));
            let Some(handler) = self.handler_of(&pod)? else {
                continue;
            };
            if guarded || handlers.contains(&handler) {
                found.push(pod.into_pod(&own, handler));
            }
        }
        Ok(found)
    }

    /// The handler of a pod; `None` if it is gone meanwhile. CRI-O does not list handlers, so it is asked for each pod.
    fn handler_of(&self, pod: &PodSandbox) -> Result<Option<String>, CriError> {
        if !pod.runtime_handler.is_empty() {
            return Ok(Some(pod.runtime_handler.clone()));
        }
        let request = PodSandboxStatusRequest {
            pod_sandbox_id: pod.id.clone(),
            verbose: true,
        };
        match self.call::<PodSandboxStatusResponse>("PodSandboxStatus", &request) {
            Ok(status) => Ok(Some(status.noted_handler().unwrap_or_default())),
            Err(CriError::Call { source, .. }) if source.is_absence() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Waits until it serves pods; returns what it is.
    ///
    /// # Errors
    ///
    /// Fails with what was wrong last if that takes longer than `limit`.
    pub fn wait(&self, limit: Duration) -> Result<RuntimeVersion, CriError> {
        let deadline = Instant::now() + limit;
        loop {
            match self.check() {
                Ok(version) => return Ok(version),
                Err(error) if Instant::now() >= deadline => return Err(error),
                Err(_) => thread::sleep(PAUSE),
            }
        }
    }

    fn check(&self) -> Result<RuntimeVersion, CriError> {
        let version = self.version()?;
        let answer: StatusResponse = self.call("Status", &StatusRequest { verbose: false })?;
        match answer.flaw() {
            None => Ok(version),
            Some(reason) => Err(CriError::NotReady {
                socket: self.socket.to_owned(),
                reason,
            }),
        }
    }

    fn call<A: prost::Message + Default>(
        &self,
        method: &str,
        request: &impl prost::Message,
    ) -> Result<A, CriError> {
        let fail = |source| CriError::Call {
            socket: self.socket.to_owned(),
            source,
        };
        let place = self.root.locate(self.socket);
        let place = place.map_err(CallError::Connect).and_then(|place| {
            let absent = || CallError::Connect(std::io::ErrorKind::NotFound.into());
            place.ok_or_else(absent)
        });
        let place = self.root.outside(&place.map_err(fail)?);
        grpc::call(&place, method, request, ANSWER).map_err(fail)
    }
}

#[cfg(test)]
pub(crate) mod tests;
