//! Containers whose spec is bare, of handlers that have the guard: its record tells what they are.

use kubefence_node_files::records::Confinement;
use kubefence_profile::ProfileName;
use nri_plugin::api::ContainerState;

use super::present::{Present, found_bare};
use super::{Sandboxer, key, metadata};
use crate::guard::NotGuarded;
use crate::metrics::Decision;
use crate::report::Subject;

impl Sandboxer {
    /// Whether the guard comes after this plugin.
    pub(super) fn has_guard(&self, subject: &Subject<'_>) -> bool {
        self.guard.has(&subject.pod.runtime_handler)
    }

    /// A container whose spec is bare may start if the guard has wrapped it. By now the guard has made its record:
    /// containerd announces the start between `NewTask`, which has `runc create` run, and `Task.Start`
    /// (2.3.7, internal/cri/server/container_start.go:206, 240, 247), and CRI-O runs `create` earlier still, when it
    /// creates the container (server/container_create_linux.go, createContainerPlatform).
    pub(super) fn starting_guarded(
        &self,
        subject: &Subject<'_>,
        wanted: &ProfileName,
    ) -> Result<(), NotGuarded> {
        let Confinement { profile, plan, .. } = self.guard.confinement(&subject.container.id)?;
        if profile != *wanted {
            return Err(NotGuarded::OtherProfile(profile));
        }
        let plan = plan.map(|plan| plan.to_string());
        self.metrics.decided(Decision::Guard);
        subject.guarded(plan.as_deref());
        self.recorder
            .record(key(subject), metadata(subject, &profile, plan));
        Ok(())
    }

    /// Like [`Self::judge`], of a container whose spec is bare although its handler has the guard.
    pub(super) fn judge_guarded(&self, subject: &Subject<'_>, bare: &anyhow::Error) -> Present {
        let state = subject.container.state();
        match self.guard.confinement(&subject.container.id) {
            Ok(Confinement { profile, plan, .. }) => {
                let plan = plan.map(|plan| plan.to_string());
                Present::Sandboxed(key(subject), metadata(subject, &profile, plan))
            }
            // The guard sees it when it is started, and so does this plugin then.
            Err(NotGuarded::NoRecord(_)) if state == ContainerState::Created => {
                subject.left_to_the_guard(bare);
                Present::Irrelevant
            }
            Err(error) => {
                let error = anyhow::Error::new(error).context(format!("{bare:#}"));
                found_bare(subject, &error)
            }
        }
    }
}
