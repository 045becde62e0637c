//! The containers that are there when the runtime registers the plugin, and those of them that run bare.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kubefence_injection::wrapped_profile;
use nri_plugin::api::{Container, ContainerState, PodSandbox};
use tracing::warn;

use super::{Sandboxer, key, metadata};
use crate::metrics::Metrics;
use crate::report::Subject;
use crate::state::{Key, Metadata};

/// What a container that was there before this plugin turns out to be.
#[derive(Debug)]
pub(super) enum Present {
    /// Sandboxed; this is to be recorded of it.
    Sandboxed(Key, Metadata),
    /// It runs bare. Logged already.
    Bare,
    /// Not ours, or not running.
    Irrelevant,
}

/// The containers that were found running bare and have not ended since.
#[derive(Debug)]
pub(super) struct Unsandboxed {
    ids: Mutex<HashSet<String>>,
    metrics: Arc<Metrics>,
}

impl Unsandboxed {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        let ids = Mutex::default();
        Self { ids, metrics }
    }

    /// All that there are now.
    fn found(&self, ids: HashSet<String>) {
        *self.ids() = ids;
        self.tell();
    }

    /// A container has ended.
    pub(super) fn ended(&self, id: &str) {
        if self.ids().remove(id) {
            self.tell();
        }
    }

    fn tell(&self) {
        let count = self.ids().len();
        self.metrics
            .unsandboxed
            .set(count.try_into().unwrap_or(i64::MAX));
    }

    fn ids(&self) -> MutexGuard<'_, HashSet<String>> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sandboxer {
    /// Judges all containers that are there; what is to be recorded of those that are sandboxed.
    pub(super) fn judge_all<'a>(
        &self,
        pods: impl Fn(&str) -> Option<&'a PodSandbox>,
        containers: &[Container],
    ) -> Vec<(Key, Metadata)> {
        let (mut sandboxed, mut bare) = (Vec::new(), HashSet::new());
        for container in containers {
            let Some(pod) = pods(&container.pod_sandbox_id) else {
                warn!(
                    container_id = container.id,
                    reason = "the runtime does not list its pod",
                    "container not judged"
                );
                continue;
            };
            match self.judge(&self.subject(pod, container)) {
                Present::Sandboxed(key, metadata) => sandboxed.push((key, metadata)),
                Present::Bare => drop(bare.insert(container.id.clone())),
                Present::Irrelevant => {}
            }
        }
        self.unsandboxed.found(bare);
        sandboxed
    }

    fn judge(&self, subject: &Subject<'_>) -> Present {
        let Some(choice) = &subject.choice else {
            return Present::Irrelevant;
        };
        let container = subject.container;
        let profile = wrapped_profile(&container.args);
        let expected = profile.as_ref().unwrap_or(&choice.profile);
        match (self.check_created(container, expected), &profile) {
            (Ok(()), Some(profile)) => {
                Present::Sandboxed(key(subject), metadata(subject, profile, None))
            }
            (Ok(()), None) => Present::Irrelevant,
            (Err(bare), _) if self.has_guard(subject) => self.judge_guarded(subject, &bare),
            (Err(bare), _) => found_bare(subject, &bare),
        }
    }
}

/// Says so of a container that runs bare. One that has ended needs no operator.
pub(super) fn found_bare(subject: &Subject<'_>, error: &anyhow::Error) -> Present {
    if subject.container.state() == ContainerState::Stopped {
        return Present::Irrelevant;
    }
    subject.found_bare(error);
    Present::Bare
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_containers_count_until_they_end_or_are_judged_anew() {
        let metrics = Arc::new(Metrics::default());
        let unsandboxed = Unsandboxed::new(Arc::clone(&metrics));
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
        unsandboxed.found(ids(&["a", "b", "c"]));
        assert_eq!(metrics.unsandboxed.get(), 3);
        unsandboxed.ended("b");
        unsandboxed.ended("b");
        unsandboxed.ended("other");
        assert_eq!(metrics.unsandboxed.get(), 2);
        unsandboxed.found(ids(&["d"]));
        assert_eq!(metrics.unsandboxed.get(), 1);
    }
}
