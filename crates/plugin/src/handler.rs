//! The NRI events of one container, in the order in which the runtime sends them: create, validate,
//! post-create, start, stop, remove; and the state of the world after each (re)connection.

use std::collections::{HashMap, HashSet};

use anyhow::Context as _;
use kubefence_injection::{Container as View, Injection, LauncherDir, verify, wrapped_profile};
use nri_plugin::api::{
    Container, ContainerState, ContainerUpdate, Event, PodSandbox,
    ValidateContainerAdjustmentRequest,
};
use nri_plugin::{Adjustment, CallContext, EventSet, Handler, HandlerError, RuntimeInfo, Verdict};
use tracing::{debug, error, info, warn};

use crate::config::Config;
use crate::decision::{Decision, Sandbox, decide, is_ours};
use crate::readiness::Readiness;
use crate::state::{Key, Metadata, StateDir};
use crate::view;

/// Handles the events of all containers of a node.
#[derive(Debug)]
pub struct Sandboxer {
    config: Config,
    readiness: Readiness,
    state: StateDir,
}

impl Sandboxer {
    /// A handler for `config` on a node of which `readiness` tells.
    pub fn new(config: Config, readiness: Readiness) -> Self {
        let state = StateDir::new(config.state_dir.clone());
        Self {
            config,
            readiness,
            state,
        }
    }

    fn dir(&self) -> &LauncherDir {
        &self.config.launcher_dir
    }

    /// The decision about a container; an error means that it must not exist.
    fn decide(&self, pod: &PodSandbox, container: &Container) -> anyhow::Result<Decision> {
        if !is_ours(&self.config, pod) {
            return Ok(Decision::Skip);
        }
        let profiles = self
            .readiness
            .profiles()
            .context("this node is not ready to sandbox")?;
        Ok(decide(&self.config, &profiles, pod, container)?)
    }

    /// As [`Self::decide`], with an error that tells which container was refused, logged once.
    fn decide_or_refuse(
        &self,
        pod: &PodSandbox,
        container: &Container,
    ) -> Result<Decision, HandlerError> {
        self.decide(pod, container)
            .map_err(|error| refuse(pod, container, &error))
    }

    fn adjust(
        &self,
        pod: &PodSandbox,
        container: &Container,
        sandbox: &Sandbox,
    ) -> anyhow::Result<Adjustment> {
        let mounts = view::mounts(&container.mounts);
        let view = View {
            args: &container.args,
            env: &container.env,
            mounts: &mounts,
        };
        let injection = Injection::plan(view, &sandbox.profile, self.dir())?;
        if let Some((key, value)) = &sandbox.ignored {
            warn!(
                container_id = container.id, namespace = pod.namespace, pod = pod.name,
                profile = %sandbox.profile, reason = format!("annotation {key} = {value:?} is not a profile name"),
                "profile annotation ignored"
            );
        }
        let mount = injection.mount;
        let mut adjustment = Adjustment::new()
            .args(injection.args)
            .mount(nri_plugin::api::Mount {
                destination: mount.destination,
                source: mount.source,
                r#type: "bind".to_owned(),
                options: mount.options,
            });
        for (key, value) in injection.env {
            adjustment = adjustment.env(key, value);
        }
        Ok(adjustment)
    }

    /// Checks a container as the runtime is about to start it, or has.
    fn check_created(&self, container: &Container, sandbox: &Sandbox) -> anyhow::Result<()> {
        let mounts = view::mounts(&container.mounts);
        let view = View {
            args: &container.args,
            env: &container.env,
            mounts: &mounts,
        };
        Ok(verify(view, &sandbox.profile, self.dir())?)
    }

    /// The runtime has created a container: say so, and record it. No error is returned, because the
    /// container exists already and the runtime would only keep the event from other plugins; a
    /// container that must not run is stopped by [`Self::starting`].
    fn created(&self, pod: &PodSandbox, container: &Container) {
        let Ok(Decision::Inject(sandbox)) = self.decide_or_refuse(pod, container) else {
            return;
        };
        if let Err(error) = self.check_created(container, &sandbox) {
            unsandboxed(pod, container, &error);
            return;
        }
        let plan = sandbox.plan.as_ref().map(ToString::to_string);
        info!(
            decision = "inject", container_id = container.id, container = container.name,
            namespace = pod.namespace, pod = pod.name, profile = %sandbox.profile,
            plan = plan, runtime_handler = pod.runtime_handler, "injected"
        );
        self.record(pod, container, sandbox.profile.to_string(), plan);
    }

    /// The runtime is about to start a container: the last chance to stop a bare one.
    fn starting(&self, pod: &PodSandbox, container: &Container) -> Result<(), HandlerError> {
        match self.decide_or_refuse(pod, container)? {
            Decision::Skip => Ok(()),
            Decision::Inject(sandbox) => self
                .check_created(container, &sandbox)
                .map_err(|error| unsandboxed(pod, container, &error)),
        }
    }

    fn removed(&self, pod: &PodSandbox, container: &Container) {
        let key = key(pod, container);
        if !is_ours(&self.config, pod) && !self.state.has(&key) {
            return;
        }
        info!(
            container_id = container.id,
            namespace = pod.namespace,
            pod = pod.name,
            "container-removed"
        );
        if let Err(error) = self.state.remove(&key) {
            warn!(
                container_id = container.id,
                reason = error.to_string(),
                "state not removed"
            );
        }
    }

    fn record(
        &self,
        pod: &PodSandbox,
        container: &Container,
        profile: String,
        plan: Option<String>,
    ) {
        let metadata = Metadata {
            container_id: container.id.clone(),
            pod: pod.name.clone(),
            namespace: pod.namespace.clone(),
            profile,
            timestamp: jiff::Timestamp::now().to_string(),
            plan,
        };
        if let Err(error) = self.state.record(&key(pod, container), &metadata) {
            warn!(
                container_id = container.id,
                reason = error.to_string(),
                "state not written; the container is sandboxed all the same"
            );
        }
    }

    /// A container that was there before this plugin: record it, or report that it is bare.
    fn adopt(&self, pod: &PodSandbox, container: &Container) {
        let sandboxed = wrapped_profile(&container.args).filter(|profile| {
            let sandbox = Sandbox {
                profile: profile.clone(),
                plan: None,
                ignored: None,
            };
            self.check_created(container, &sandbox).is_ok()
        });
        match sandboxed {
            Some(profile) if !self.state.has(&key(pod, container)) => {
                self.record(pod, container, profile.to_string(), None);
            }
            Some(_) => {}
            None if container.state() == ContainerState::Stopped => {}
            None => error!(
                container_id = container.id,
                container = container.name,
                namespace = pod.namespace,
                pod = pod.name,
                runtime_handler = pod.runtime_handler,
                reason = "it was created while this plugin was not in charge: delete the pod",
                "unsandboxed container"
            ),
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

    fn synchronize(
        &self,
        _: &CallContext,
        pods: Vec<PodSandbox>,
        containers: Vec<Container>,
    ) -> Result<Vec<ContainerUpdate>, HandlerError> {
        let pods: HashMap<&str, &PodSandbox> =
            pods.iter().map(|pod| (pod.id.as_str(), pod)).collect();
        let mut live = HashSet::new();
        for container in &containers {
            let Some(pod) = pods.get(container.pod_sandbox_id.as_str()) else {
                continue;
            };
            if is_ours(&self.config, pod) {
                live.insert(key(pod, container));
                self.adopt(pod, container);
            }
        }
        match self.state.retain(&live) {
            Ok(0) => {}
            Ok(removed) => info!(removed, "state of containers that are gone removed"),
            Err(error) => warn!(reason = error.to_string(), "state not reconciled"),
        }
        info!(
            pods = pods.len(),
            containers = containers.len(),
            sandboxed = live.len(),
            "synchronized"
        );
        Ok(Vec::new())
    }

    fn create_container(
        &self,
        _: &CallContext,
        pod: &PodSandbox,
        container: &Container,
    ) -> Result<Adjustment, HandlerError> {
        match self.decide_or_refuse(pod, container)? {
            Decision::Skip => {
                info!(
                    decision = "skip",
                    container_id = container.id,
                    container = container.name,
                    namespace = pod.namespace,
                    pod = pod.name,
                    runtime_handler = pod.runtime_handler,
                    reason = "runtime handler not configured",
                    "skip"
                );
                Ok(Adjustment::new())
            }
            Decision::Inject(sandbox) => {
                debug!(container_id = container.id, profile = %sandbox.profile, "adjusting");
                self.adjust(pod, container, &sandbox)
                    .map_err(|error| refuse(pod, container, &error))
            }
        }
    }

    fn validate_container_adjustment(
        &self,
        _: &CallContext,
        request: &ValidateContainerAdjustmentRequest,
    ) -> Result<Verdict, HandlerError> {
        let (Some(pod), Some(container)) = (&request.pod, &request.container) else {
            return Err("the runtime asked to validate a container without saying which".into());
        };
        let Decision::Inject(sandbox) = self.decide_or_refuse(pod, container)? else {
            return Ok(Verdict::Accept);
        };
        let adjust = request.adjust.clone().unwrap_or_default();
        let mounts = view::adjusted_mounts(&container.mounts, &adjust);
        let args = view::adjusted_args(&container.args, &adjust);
        let view = View {
            args,
            env: &[],
            mounts: &mounts,
        };
        Ok(match verify(view, &sandbox.profile, self.dir()) {
            Ok(()) => Verdict::Accept,
            Err(error) => Verdict::Reject(refuse(pod, container, &error.into()).to_string()),
        })
    }

    fn stop_container(
        &self,
        _: &CallContext,
        pod: &PodSandbox,
        container: &Container,
    ) -> Result<(), HandlerError> {
        if is_ours(&self.config, pod) {
            info!(
                container_id = container.id,
                namespace = pod.namespace,
                pod = pod.name,
                "container-stopping"
            );
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
        match (event, container) {
            (Event::PostCreateContainer, Some(container)) => self.created(pod, container),
            (Event::StartContainer, Some(container)) => return self.starting(pod, container),
            (Event::RemoveContainer, Some(container)) => self.removed(pod, container),
            _ => {}
        }
        Ok(())
    }

    fn connected(&self, runtime: &RuntimeInfo) {
        info!(runtime = %runtime, "registered");
        if !runtime.adjusts_args() {
            error!(
                runtime = %runtime, handlers = self.config.handlers(),
                reason = "this runtime drops changes of args: containers of these handlers are refused; upgrade to containerd 2.2 or CRI-O 1.34",
                "runtime too old"
            );
        }
    }

    fn disconnected(&self, reason: &str) {
        warn!(reason, "disconnected from the runtime; reconnecting");
    }
}

fn key(pod: &PodSandbox, container: &Container) -> Key {
    (pod.uid.clone(), container.id.clone())
}

fn refuse(pod: &PodSandbox, container: &Container, error: &anyhow::Error) -> HandlerError {
    let reason = format!("{error:#}");
    warn!(
        decision = "refuse",
        container_id = container.id,
        container = container.name,
        namespace = pod.namespace,
        pod = pod.name,
        runtime_handler = pod.runtime_handler,
        reason,
        "refused"
    );
    message(pod, container, &reason)
}

fn unsandboxed(pod: &PodSandbox, container: &Container, error: &anyhow::Error) -> HandlerError {
    let reason = format!("{error:#}");
    error!(
        decision = "refuse",
        container_id = container.id,
        container = container.name,
        namespace = pod.namespace,
        pod = pod.name,
        runtime_handler = pod.runtime_handler,
        reason,
        "created without its sandbox; it will not be started"
    );
    message(pod, container, &reason)
}

fn message(pod: &PodSandbox, container: &Container, reason: &str) -> HandlerError {
    format!(
        "container {:?} of pod {}/{} refused: {reason}",
        container.name, pod.namespace, pod.name
    )
    .into()
}
