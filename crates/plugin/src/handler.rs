//! The NRI events of one container, in the order in which the runtime sends them: create, validate,
//! post-create, start, stop, remove; and the state of the world after each (re)connection.

mod guarded;
mod present;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use kubefence_injection::{Container as View, Injection, LauncherDir, verify};
use kubefence_profile::ProfileName;
use nri_plugin::api::{
    Container, ContainerAdjustment, ContainerUpdate, Event, Mount, PodSandbox,
    ValidateContainerAdjustmentRequest,
};
use nri_plugin::{
    Adjustment, CallContext, EventSet, Handler, HandlerError, Requires, RuntimeInfo, Verdict,
};
use tracing::{error, info, warn};

use self::present::Unsandboxed;
use crate::config::Config;
use crate::connection::Connection;
use crate::decision::{Request, Sandbox, decide, profile_choice};
use crate::foreign::{check_adjustment, check_container};
use crate::guard::Guard;
use crate::metrics::{Decision, Metrics, Reason};
use crate::readiness::{NodeNotReady, Readiness};
use crate::recorder::Recorder;
use crate::report::Subject;
use crate::state::{Key, Metadata};
use crate::view;

/// Handles the events of all containers of a node.
#[derive(Debug)]
pub struct Sandboxer {
    config: Config,
    guard: Guard,
    readiness: Arc<Readiness>,
    recorder: Recorder,
    metrics: Arc<Metrics>,
    connection: Arc<Connection>,
    unsandboxed: Unsandboxed,
}

impl Sandboxer {
    /// A handler for `config` on a node of which `readiness` tells. It counts for itself, unless told
    /// [otherwise](Self::observed_by).
    pub fn new(config: Config, readiness: Arc<Readiness>, recorder: Recorder) -> Self {
        let metrics = Arc::<Metrics>::default();
        Self {
            guard: Guard::of(&config),
            config,
            readiness,
            recorder,
            connection: Arc::new(Connection::new(Arc::clone(&metrics))),
            unsandboxed: Unsandboxed::new(Arc::clone(&metrics)),
            metrics,
        }
    }

    /// Counts by `metrics`, and tells `connection` how the runtime is.
    #[must_use]
    pub fn observed_by(mut self, metrics: Arc<Metrics>, connection: Arc<Connection>) -> Self {
        self.unsandboxed = Unsandboxed::new(Arc::clone(&metrics));
        self.metrics = metrics;
        self.connection = connection;
        self
    }

    fn dir(&self) -> &LauncherDir {
        &self.config.launcher_dir
    }

    fn subject<'a>(&self, pod: &'a PodSandbox, container: &'a Container) -> Subject<'a> {
        let choice = profile_choice(&self.config, pod, container);
        Subject {
            pod,
            container,
            choice,
        }
    }

    /// The answer to the runtime that a container must not exist, or not start.
    fn refuse(&self, subject: &Subject<'_>, error: &anyhow::Error) -> HandlerError {
        self.metrics.refused(Reason::of(error));
        subject.refused(error)
    }

    /// The sandbox of a container, `None` if it is not ours; an error means that it must not exist.
    fn decide(&self, subject: &Subject<'_>) -> anyhow::Result<Option<Sandbox>> {
        let Some(choice) = &subject.choice else {
            return Ok(None);
        };
        let request = Request {
            handler: &subject.pod.runtime_handler,
            profile: &choice.profile,
            container: subject.container,
        };
        self.readiness
            .profiles()
            .context(NodeNotReady)
            .and_then(|profiles| Ok(decide(&profiles, &self.config.allowed_profiles, &request)?))
            .map(Some)
    }

    fn adjust(&self, subject: &Subject<'_>, sandbox: &Sandbox) -> anyhow::Result<Adjustment> {
        if !self.has_guard(subject) {
            self.connection.check_runtime()?;
        }
        check_container(subject.container)?;
        let mounts = view::mounts(&subject.container.mounts);
        let view = View {
            args: &subject.container.args,
            env: &subject.container.env,
            mounts: &mounts,
        };
        let injection = Injection::plan(view, &sandbox.profile, self.dir())?;
        if let Some((key, value)) = subject.choice.as_ref().and_then(|c| c.ignored.as_ref()) {
            self.metrics.invalid_annotations.inc();
            subject.annotation_ignored(key, value);
        }
        let mount = Mount {
            destination: injection.mount.destination,
            source: injection.mount.source,
            r#type: injection.mount.kind.to_owned(),
            options: injection.mount.options,
        };
        let mut adjustment = Adjustment::new().args(injection.args).mount(mount);
        if self.has_guard(subject) {
            // A runtime that drops them leaves a half-wrapped container, which the guard completes.
            adjustment = adjustment.may_lose(Requires::ARGS);
        }
        Ok(injection
            .env
            .into_iter()
            .fold(adjustment, |a, (key, value)| a.env(key, value)))
    }

    /// Checks a container as it will be once the runtime has applied what all plugins asked for.
    fn check_adjusted(
        &self,
        container: &Container,
        adjust: &ContainerAdjustment,
        profile: &ProfileName,
    ) -> anyhow::Result<()> {
        check_container(container)?;
        check_adjustment(adjust)?;
        let view = View {
            args: view::adjusted_args(&container.args, adjust),
            env: &[],
            mounts: &view::adjusted_mounts(&container.mounts, adjust),
        };
        Ok(verify(view, profile, self.dir())?)
    }

    /// Checks a container as the runtime is about to start it, or has.
    fn check_created(&self, container: &Container, profile: &ProfileName) -> anyhow::Result<()> {
        check_container(container)?;
        let mounts = view::mounts(&container.mounts);
        let view = View {
            args: &container.args,
            env: &container.env,
            mounts: &mounts,
        };
        Ok(verify(view, profile, self.dir())?)
    }

    /// The runtime has created a container: say so, and record it. No error is returned, because the
    /// container exists already and the runtime would only keep the event from other plugins; a
    /// container that must not run is stopped by [`Self::starting`].
    fn created(&self, subject: &Subject<'_>) {
        let sandbox = match self.decide(subject) {
            Ok(Some(sandbox)) => sandbox,
            Ok(None) => return,
            Err(error) => return drop(subject.refused(&error)),
        };
        if let Err(error) = self.check_created(subject.container, &sandbox.profile) {
            // The guard wraps it, or refuses it, when its process is made.
            if self.has_guard(subject) {
                subject.left_to_the_guard(&error);
            } else {
                subject.created_bare(&error);
            }
            return;
        }
        let plan = sandbox.plan.as_ref().map(ToString::to_string);
        self.metrics.decided(Decision::Inject);
        subject.injected(plan.as_deref());
        self.recorder
            .record(key(subject), metadata(subject, &sandbox.profile, plan));
    }

    /// The runtime is about to start a container: the last chance to stop a bare one.
    fn starting(&self, subject: &Subject<'_>) -> Result<(), HandlerError> {
        let sandbox = match self.decide(subject) {
            Ok(Some(sandbox)) => sandbox,
            Ok(None) => return Ok(()),
            Err(error) => return Err(self.refuse(subject, &error)),
        };
        let Err(mut bare) = self.check_created(subject.container, &sandbox.profile) else {
            return Ok(());
        };
        if self.has_guard(subject) {
            match self.starting_guarded(subject, &sandbox.profile) {
                Ok(()) => return Ok(()),
                Err(error) => bare = anyhow::Error::new(error).context(format!("{bare:#}")),
            }
        }
        self.metrics.refused(Reason::of(&bare));
        Err(subject.created_bare(&bare))
    }

    /// A container that is not ours stays as it is.
    fn skip(&self, subject: &Subject<'_>) -> Adjustment {
        self.metrics.decided(Decision::Skip);
        subject.skipped();
        Adjustment::new()
    }

    /// The runtime drops the args of all adjustments.
    fn too_old(&self, runtime: &RuntimeInfo) {
        let handlers = self.config.unguarded_handlers();
        if handlers.is_empty() {
            let reason = "this runtime drops changes of args: the guard wraps all containers";
            warn!(%runtime, reason, "runtime too old");
            return;
        }
        error!(
            %runtime, handlers,
            reason = "this runtime drops changes of args: containers of these handlers are refused; upgrade to \
                      containerd 2.2 or CRI-O 1.34, or give the handlers the guard (guarded_classes)",
            "runtime too old"
        );
    }

    fn removed(&self, subject: &Subject<'_>) {
        self.unsandboxed.ended(&subject.container.id);
        if subject.choice.is_some() {
            subject.removed();
            self.recorder.remove(key(subject));
        } else if subject.pod.id.is_empty() {
            self.recorder.remove_orphan(&subject.container.id);
        }
    }
}

impl Handler for Sandboxer {
    fn events(&self) -> EventSet {
        EventSet::of(&[
            Event::CreateContainer,
            Event::ValidateContainerAdjustment,
            Event::PostCreateContainer,
            Event::StartContainer,
            Event::StopContainer,
            Event::RemoveContainer,
        ])
    }

    fn configure(
        &self,
        _: &CallContext,
        runtime: &RuntimeInfo,
        _: &str,
    ) -> Result<(), HandlerError> {
        self.connection.configured(runtime);
        Ok(())
    }

    fn synchronize(
        &self,
        _: &CallContext,
        pods: Vec<PodSandbox>,
        containers: Vec<Container>,
    ) -> Result<Vec<ContainerUpdate>, HandlerError> {
        let pods: HashMap<&str, &PodSandbox> =
            pods.iter().map(|pod| (pod.id.as_str(), pod)).collect();
        let sandboxed = self.judge_all(|id| pods.get(id).copied(), &containers);
        let (pods, containers, count) = (pods.len(), containers.len(), sandboxed.len());
        self.recorder.reconcile(sandboxed);
        info!(pods, containers, sandboxed = count, "synchronized");
        Ok(Vec::new())
    }

    fn create_container(
        &self,
        _: &CallContext,
        pod: &PodSandbox,
        container: &Container,
    ) -> Result<Adjustment, HandlerError> {
        let start = Instant::now();
        let subject = self.subject(pod, container);
        let adjustment = match self.decide(&subject) {
            Ok(None) => Ok(self.skip(&subject)),
            Ok(Some(sandbox)) => self.adjust(&subject, &sandbox),
            Err(error) => Err(error),
        };
        let answer = adjustment.map_err(|error| self.refuse(&subject, &error));
        self.metrics.answered_create_container(start.elapsed());
        answer
    }

    fn validate_container_adjustment(
        &self,
        _: &CallContext,
        request: &ValidateContainerAdjustmentRequest,
    ) -> Result<Verdict, HandlerError> {
        let (Some(pod), Some(container)) = (&request.pod, &request.container) else {
            return Err("the runtime asked to validate a container without saying which".into());
        };
        let subject = self.subject(pod, container);
        let sandbox = match self.decide(&subject) {
            Ok(Some(sandbox)) => sandbox,
            Ok(None) => return Ok(Verdict::Accept),
            Err(error) => return Err(self.refuse(&subject, &error)),
        };
        let adjust = request.adjust.clone().unwrap_or_default();
        Ok(
            match self.check_adjusted(container, &adjust, &sandbox.profile) {
                Ok(()) => Verdict::Accept,
                Err(error) => Verdict::Reject(self.refuse(&subject, &error).to_string()),
            },
        )
    }

    fn stop_container(
        &self,
        _: &CallContext,
        pod: &PodSandbox,
        container: &Container,
    ) -> Result<(), HandlerError> {
        let subject = self.subject(pod, container);
        self.unsandboxed.ended(&container.id);
        if subject.choice.is_some() {
            subject.stopping();
        }
        Ok(())
    }

    fn event(
        &self,
        _: &CallContext,
        event: Event,
        pod: &PodSandbox,
        container: Option<&Container>,
    ) -> Result<(), HandlerError> {
        let Some(container) = container else {
            return Ok(());
        };
        let subject = self.subject(pod, container);
        match event {
            Event::PostCreateContainer => self.created(&subject),
            Event::StartContainer => return self.starting(&subject),
            Event::RemoveContainer => self.removed(&subject),
            _ => {}
        }
        Ok(())
    }

    fn synchronize_failed(&self, reason: &str) {
        self.metrics.synchronize_failures.inc();
        error!(reason, "containers that were there before were not judged");
    }

    fn connected(&self, runtime: &RuntimeInfo) {
        self.connection.begun();
        info!(runtime = %runtime, "registered");
        if !runtime.adjusts_args() {
            self.too_old(runtime);
        }
    }

    fn disconnected(&self, reason: &str) {
        self.connection.ended(reason);
        warn!(reason, "disconnected from the runtime; reconnecting");
    }
}

fn key(subject: &Subject<'_>) -> Key {
    (subject.pod.uid.clone(), subject.container.id.clone())
}

fn metadata(subject: &Subject<'_>, profile: &ProfileName, plan: Option<String>) -> Metadata {
    Metadata {
        container_id: subject.container.id.clone(),
        pod: subject.pod.name.clone(),
        namespace: subject.pod.namespace.clone(),
        profile: profile.to_string(),
        timestamp: jiff::Timestamp::now().to_string(),
        plan,
    }
}
