//! Whether a runtime has the plugin in service, and what that runtime can do.
//!
//! The runner tells of connections that come and go on threads of their own, so a notice of the beginning may overtake
//! the one of the end. A connection counts as begun only if it was configured since the last one ended: a doubt makes the
//! plugin look disconnected, never connected.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nri_plugin::RuntimeInfo;

use crate::metrics::Metrics;

/// The connection to the runtime.
#[derive(Debug)]
pub struct Connection {
    state: Mutex<State>,
    metrics: Arc<Metrics>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// The runtime that was connected last.
    runtime: Option<RuntimeInfo>,
    /// Why there is no connection.
    reason: Option<String>,
    /// Whether there was one before.
    has_served: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Away,
    Configured,
    InService,
}

/// The runtime would drop the change of a container's command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} drops changes of args, so its command would stay bare: upgrade to containerd 2.2 or CRI-O 1.34, or give the \
     handler the guard (guarded_classes)"
)]
pub(crate) struct RuntimeTooOld(String);

impl Connection {
    /// There is none yet. `metrics` count those that come again.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        let state = State {
            phase: Phase::Away,
            runtime: None,
            reason: None,
            has_served: false,
        };
        Self {
            state: Mutex::new(state),
            metrics,
        }
    }

    /// A runtime has said who it is.
    pub(crate) fn configured(&self, runtime: &RuntimeInfo) {
        let mut state = self.state();
        state.phase = Phase::Configured;
        state.runtime = Some(runtime.clone());
    }

    /// The plugin is registered and synchronized.
    pub(crate) fn begun(&self) {
        let mut state = self.state();
        if state.phase != Phase::Configured {
            return;
        }
        state.phase = Phase::InService;
        if state.has_served {
            self.metrics.reconnects.inc();
        }
        state.has_served = true;
    }

    /// The connection has ended, or could not be made.
    pub(crate) fn ended(&self, reason: &str) {
        let mut state = self.state();
        state.phase = Phase::Away;
        state.reason = Some(reason.to_owned());
    }

    /// Whether a runtime has the plugin in service.
    pub fn is_in_service(&self) -> bool {
        self.state().phase == Phase::InService
    }

    /// Why no runtime has the plugin in service.
    pub fn obstacle(&self) -> Option<String> {
        let state = self.state();
        if state.phase == Phase::InService {
            return None;
        }
        let reason = match (&state.reason, state.phase) {
            (_, Phase::Configured) => "it is being registered",
            (Some(reason), _) => reason,
            (None, _) => "it has not answered yet",
        };
        Some(format!(
            "not registered with the runtime: {reason}; look whether the runtime runs with NRI enabled, and whether \
             socket_path is its NRI socket"
        ))
    }

    /// An error if the runtime is known to drop changes of a container's command.
    pub(crate) fn check_runtime(&self) -> Result<(), RuntimeTooOld> {
        match &self.state().runtime {
            Some(runtime) if !runtime.adjusts_args() => Err(RuntimeTooOld(runtime.to_string())),
            _ => Ok(()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nri_plugin::NriVersion;

    use super::*;

    fn runtime(nri: NriVersion) -> RuntimeInfo {
        RuntimeInfo::new("containerd", "v2", nri, Duration::from_secs(2))
    }

    fn connection() -> Connection {
        Connection::new(Arc::default())
    }

    #[test]
    fn it_is_in_service_from_registration_to_the_end() {
        let connection = connection();
        assert!(connection.obstacle().unwrap().contains("has not answered"));
        connection.configured(&runtime(NriVersion::V0_12));
        assert!(connection.obstacle().unwrap().contains("being registered"));
        connection.begun();
        assert_eq!(
            (connection.is_in_service(), connection.obstacle()),
            (true, None)
        );
        connection.ended("it hung up");
        let obstacle = connection.obstacle().unwrap();
        for part in ["it hung up", "socket_path"] {
            assert!(obstacle.contains(part), "{obstacle:?} lacks {part:?}");
        }
    }

    #[test]
    fn a_beginning_that_is_told_after_the_end_does_not_count() {
        let connection = connection();
        connection.configured(&runtime(NriVersion::V0_12));
        connection.ended("it hung up");
        connection.begun();
        assert!(!connection.is_in_service());
        assert_eq!(connection.metrics.reconnects.get(), 0);
    }

    #[test]
    fn only_later_connections_are_reconnections() {
        let connection = connection();
        for reconnects in 0..3 {
            connection.configured(&runtime(NriVersion::V0_12));
            connection.begun();
            assert_eq!(connection.metrics.reconnects.get(), reconnects);
            connection.ended("it hung up");
        }
    }

    #[test]
    fn a_runtime_that_drops_args_is_told_by_name() {
        let connection = connection();
        assert_eq!(connection.check_runtime(), Ok(()), "nothing is known yet");
        connection.configured(&runtime(NriVersion::V0_9));
        let error = connection.check_runtime().unwrap_err().to_string();
        for part in [
            "containerd v2 (NRI 0.9)",
            "upgrade to containerd 2.2",
            "guarded_classes",
        ] {
            assert!(error.contains(part), "{error:?} lacks {part:?}");
        }
        connection.configured(&runtime(NriVersion::V0_10));
        assert_eq!(connection.check_runtime(), Ok(()));
    }
}
