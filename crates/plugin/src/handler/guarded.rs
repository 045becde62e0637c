//! Containers whose spec is bare, of handlers that have the guard: its record tells what they are.

use kubefence_node_files::records::Confinement;
use kubefence_profile::ProfileName;
use nri_plugin::api::ContainerState;

use super::{Sandboxer, found_bare, key, metadata};
use crate::guard::NotGuarded;
use crate::report::Subject;
use crate::state::{Key, Metadata};

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
    ) -> anyhow::Result<()> {
        let Confinement { profile, plan, .. } = self.guard.confinement(&subject.container.id)?;
        anyhow::ensure!(
            profile == *wanted,
            "the guard has put it under profile \"{profile}\": give nono-runc.toml the plugin's default_profile, and \
             have the handler's pod_annotations list \"nono.sh/*\" and \"container.nono.sh/*\""
        );
        let plan = plan.map(|plan| plan.to_string());
        subject.guarded(plan.as_deref());
        self.recorder
            .record(key(subject), metadata(subject, &profile, plan));
        Ok(())
    }

    /// Like [`Self::adopt`], of a container whose spec is bare although its handler has the guard.
    pub(super) fn adopt_guarded(
        &self,
        subject: &Subject<'_>,
        bare: &anyhow::Error,
    ) -> Option<(Key, Metadata)> {
        let state = subject.container.state();
        match self.guard.confinement(&subject.container.id) {
            Ok(Confinement { profile, plan, .. }) => {
                let plan = plan.map(|plan| plan.to_string());
                return Some((key(subject), metadata(subject, &profile, plan)));
            }
            // The guard sees it when it is started, and so does this plugin then.
            Err(NotGuarded::NoRecord(_)) if state == ContainerState::Created => {
                subject.left_to_the_guard(bare);
            }
            Err(error) => {
                let error = anyhow::Error::new(error).context(format!("{bare:#}"));
                found_bare(subject, &error);
            }
        }
        None
    }
}
