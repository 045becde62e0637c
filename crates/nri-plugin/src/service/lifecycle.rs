//! The events of pods and containers.

use prost::Message;

use super::{Call, PluginService, Reply};
use crate::adjustment::Adjustment;
use crate::api::{
    Container, ContainerAdjustment, CreateContainerRequest, CreateContainerResponse, Event,
    PodSandbox, StateChangeEvent, StopContainerRequest, StopContainerResponse,
    UpdateContainerRequest, UpdateContainerResponse, UpdatePodSandboxRequest,
    ValidateContainerAdjustmentRequest, ValidateContainerAdjustmentResponse,
};
use crate::handler::{Requires, Verdict};
use crate::status::Failure;
use crate::versions::RuntimeInfo;

impl PluginService {
    /// Serves the RPC that is dedicated to `event`.
    pub(super) async fn event(&self, event: Event, call: &mut Call<'_>) -> Reply {
        match event {
            Event::CreateContainer => self.create_container(call).await,
            Event::ValidateContainerAdjustment => self.validate(call).await,
            Event::UpdateContainer => self.update_container(call).await,
            Event::UpdatePodSandbox => self.update_pod_sandbox(call).await,
            _ => {
                // All the others have the pod in field 1 and, if they are about one, the container in field 2.
                let StopContainerRequest { pod, container } = call.decode()?;
                self.notify(event, pod, container, call).await?;
                Ok(match event {
                    Event::StopContainer => StopContainerResponse::default().encode_to_vec(),
                    _ => Vec::new(),
                })
            }
        }
    }

    /// Serves the RPC that carries events without one of their own.
    pub(super) async fn state_change(&self, call: &mut Call<'_>) -> Reply {
        let StateChangeEvent {
            event,
            pod,
            container,
        } = call.decode()?;
        match Event::try_from(event) {
            Ok(Event::CreateContainer | Event::ValidateContainerAdjustment | Event::Unknown)
            | Err(_) => Err(Failure::malformed(format!(
                "event number {event} cannot come as a state change"
            ))),
            Ok(event) => {
                self.notify(event, pod, container, call).await?;
                Ok(Vec::new())
            }
        }
    }

    async fn create_container(&self, call: &mut Call<'_>) -> Reply {
        let CreateContainerRequest { pod, container } = call.decode()?;
        let (pod, container) = both(pod, container)?;
        call.about(&pod, Some(&container));
        let adjustment = self.run(call.budget, move |handler, ctx| {
            handler.create_container(ctx, &pod, &container)
        });
        let adjustment = adjustment.await?;
        let runtime = self.registration.runtime();
        let requires = self.plugin.requires.without(adjustment.dispensable());
        check_capabilities(requires, &runtime, adjustment.message())?;
        let response = CreateContainerResponse {
            adjust: (!adjustment.is_empty()).then(|| Adjustment::into_message(adjustment)),
            ..CreateContainerResponse::default()
        };
        Ok(response.encode_to_vec())
    }

    async fn validate(&self, call: &mut Call<'_>) -> Reply {
        let request: ValidateContainerAdjustmentRequest = call.decode()?;
        let (Some(pod), Some(container)) = (&request.pod, &request.container) else {
            return Err(Failure::malformed("the request has no pod or no container"));
        };
        call.about(pod, Some(container));
        let verdict = self.run(call.budget, move |handler, ctx| {
            handler.validate_container_adjustment(ctx, &request)
        });
        let response = match verdict.await? {
            Verdict::Accept => ValidateContainerAdjustmentResponse::default(),
            Verdict::Reject(reason) => ValidateContainerAdjustmentResponse {
                reject: true,
                reason,
            },
        };
        Ok(response.encode_to_vec())
    }

    async fn update_container(&self, call: &mut Call<'_>) -> Reply {
        let UpdateContainerRequest {
            pod,
            container,
            linux_resources,
        } = call.decode()?;
        let (pod, container) = both(pod, container)?;
        call.about(&pod, Some(&container));
        let update = self.run(call.budget, move |handler, ctx| {
            handler.update_container(ctx, &pod, &container, linux_resources.as_ref())
        });
        let response = UpdateContainerResponse {
            update: update.await?,
            evict: Vec::new(),
        };
        Ok(response.encode_to_vec())
    }

    async fn update_pod_sandbox(&self, call: &mut Call<'_>) -> Reply {
        let request: UpdatePodSandboxRequest = call.decode()?;
        let pod = request.pod.unwrap_or_default();
        call.about(&pod, None);
        let (overhead, resources) = (request.overhead_linux_resources, request.linux_resources);
        let done = self.run(call.budget, move |handler, ctx| {
            handler.update_pod_sandbox(ctx, &pod, overhead.as_ref(), resources.as_ref())
        });
        done.await?;
        Ok(Vec::new())
    }

    /// Hands a notification to the handler method that is in charge of it.
    async fn notify(
        &self,
        event: Event,
        pod: Option<PodSandbox>,
        container: Option<Container>,
        call: &mut Call<'_>,
    ) -> Result<(), Failure> {
        // Without its pod nobody can tell whether a container may start.
        if event == Event::StartContainer && pod.is_none() {
            return Err(Failure::malformed("the request has no pod"));
        }
        let pod = pod.unwrap_or_default();
        call.about(&pod, container.as_ref());
        if is_about_container(event) && container.is_none() {
            return Err(Failure::malformed("the request has no container"));
        }
        let done = self.run(call.budget, move |handler, ctx| match (event, &container) {
            (Event::StopContainer, Some(container)) => handler.stop_container(ctx, &pod, container),
            (Event::UpdateContainer, Some(container)) => handler
                .update_container(ctx, &pod, container, None)
                .map(drop),
            (Event::UpdatePodSandbox, _) => handler.update_pod_sandbox(ctx, &pod, None, None),
            _ => handler.event(ctx, event, &pod, container.as_ref()),
        });
        done.await
    }
}

fn both(
    pod: Option<PodSandbox>,
    container: Option<Container>,
) -> Result<(PodSandbox, Container), Failure> {
    pod.zip(container)
        .ok_or_else(|| Failure::malformed("the request has no pod or no container"))
}

fn is_about_container(event: Event) -> bool {
    !matches!(
        event,
        Event::RunPodSandbox
            | Event::StopPodSandbox
            | Event::RemovePodSandbox
            | Event::UpdatePodSandbox
            | Event::PostUpdatePodSandbox
    )
}

/// Refuses an adjustment of which the runtime would silently drop a required part.
fn check_capabilities(
    requires: Requires,
    runtime: &RuntimeInfo,
    adjustment: &ContainerAdjustment,
) -> Result<(), Failure> {
    let has_seccomp = || matches!(&adjustment.linux, Some(l) if l.seccomp_policy.is_some());
    let dropped = if requires.contains(Requires::ARGS)
        && !runtime.adjusts_args()
        && !adjustment.args.is_empty()
    {
        "args"
    } else if requires.contains(Requires::SECCOMP) && !runtime.adjusts_seccomp() && has_seccomp() {
        "seccomp filter"
    } else {
        return Ok(());
    };
    Err(Failure::unsupported(format!(
        "{runtime} would silently drop the adjusted {dropped}, so the container is refused: \
         upgrade to containerd 2.2 or CRI-O 1.34 or later"
    )))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::versions::NriVersion;

    #[test]
    fn required_capabilities_refuse_only_what_would_be_dropped() {
        let old = RuntimeInfo::new("containerd", "v2.1.0", NriVersion::V0_8, Duration::ZERO);
        let new = RuntimeInfo::new("containerd", "v2.2.0", NriVersion::V0_10, Duration::ZERO);
        let args = Adjustment::new().args(["x"]).into_message();
        let env = Adjustment::new().env("K", "V").into_message();
        let seccomp = Adjustment::new()
            .linux(|linux| linux.seccomp_policy = Some(Default::default()))
            .into_message();
        assert!(check_capabilities(Requires::ARGS, &old, &args).is_err());
        assert!(check_capabilities(Requires::SECCOMP, &old, &seccomp).is_err());
        assert!(check_capabilities(Requires::ARGS, &old, &env).is_ok());
        assert!(check_capabilities(Requires::ARGS, &old, &seccomp).is_ok());
        assert!(check_capabilities(Requires::NONE, &old, &args).is_ok());
        let both = Requires::ARGS | Requires::SECCOMP;
        assert!(check_capabilities(both.without(Requires::ARGS), &old, &args).is_ok());
        assert!(check_capabilities(both.without(Requires::ARGS), &old, &seccomp).is_err());
        assert!(check_capabilities(Requires::ARGS | Requires::SECCOMP, &new, &args).is_ok());
    }
}
