//! What a runtime asks of its plugins, by NRI version.

use std::time::Duration;

use nri_plugin::api::{
    ConfigureRequest, ConfigureResponse, Container, CreateContainerRequest,
    CreateContainerResponse, Empty, Event, LinuxResources, PLUGIN_SERVICE, PodSandbox,
    StateChangeEvent, StopContainerRequest, SynchronizeRequest, SynchronizeResponse,
    UpdateContainerRequest, UpdateContainerResponse, UpdatePodSandboxRequest,
    ValidateContainerAdjustmentRequest, ValidateContainerAdjustmentResponse,
};
use nri_plugin::{EventSet, NriVersion};
use prost::Message;

use super::{FakeError, Session, known_events, runtime_of};

const UNIMPLEMENTED: i32 = 12;

impl Session {
    /// Registers, configures and synchronizes the plugin; returns the events it subscribed to.
    ///
    /// # Errors
    ///
    /// Fails if any step does.
    pub async fn handshake(
        &mut self,
        pods: Vec<PodSandbox>,
        containers: Vec<Container>,
    ) -> Result<EventSet, FakeError> {
        let plugin = self.expect_register().await?;
        self.accept_registration(plugin).await?;
        let events = self.configure("").await?;
        self.synchronize(pods, containers).await?;
        Ok(events)
    }

    /// Configures the plugin; returns the events it subscribed to.
    ///
    /// # Errors
    ///
    /// Fails if the call does, or if this version does not know one of the events.
    pub async fn configure(&self, config: &str) -> Result<EventSet, FakeError> {
        let (name, version) = runtime_of(self.version);
        let request = ConfigureRequest {
            config: config.to_owned(),
            runtime_name: name.to_owned(),
            runtime_version: version.to_owned(),
            registration_timeout: 5000,
            request_timeout: i64::try_from(self.request_timeout.as_millis()).unwrap_or(i64::MAX),
            nri_version: match self.version {
                NriVersion::V0_12 => "v0.12.0".to_owned(),
                _ => String::new(),
            },
        };
        let response: ConfigureResponse = self.send("Configure", &request).await?;
        let (mask, known) = (response.events as u32, known_events(self.version));
        match mask & !known {
            0 if mask == 0 => Ok(EventSet::from_mask(known)),
            0 => Ok(EventSet::from_mask(mask)),
            extra => Err(FakeError::UnknownEvents { extra }),
        }
    }

    /// Tells the plugin what exists, in one message.
    ///
    /// # Errors
    ///
    /// Fails if the call does.
    pub async fn synchronize(
        &self,
        pods: Vec<PodSandbox>,
        containers: Vec<Container>,
    ) -> Result<SynchronizeResponse, FakeError> {
        self.synchronize_in_chunks(vec![(pods, containers)]).await
    }

    /// Tells the plugin what exists, in several messages; returns the answer to the last.
    ///
    /// # Errors
    ///
    /// Fails if a call does, or if an answer does not echo `more` or has updates before the last chunk.
    pub async fn synchronize_in_chunks(
        &self,
        chunks: Vec<(Vec<PodSandbox>, Vec<Container>)>,
    ) -> Result<SynchronizeResponse, FakeError> {
        let last = chunks.len().saturating_sub(1);
        let mut response = SynchronizeResponse::default();
        for (index, (pods, containers)) in chunks.into_iter().enumerate() {
            let request = SynchronizeRequest {
                pods,
                containers,
                more: index < last,
            };
            response = self.send("Synchronize", &request).await?;
            if response.more != request.more || (request.more && !response.update.is_empty()) {
                return Err(FakeError::Chunks);
            }
        }
        Ok(response)
    }

    /// Asks the plugin to adjust a container.
    ///
    /// # Errors
    ///
    /// Fails if the call does.
    pub async fn create_container(
        &self,
        pod: &PodSandbox,
        container: &Container,
    ) -> Result<CreateContainerResponse, FakeError> {
        self.create_container_within(pod, container, self.request_timeout)
            .await
    }

    /// Asks the plugin to adjust a container within `limit`.
    ///
    /// # Errors
    ///
    /// Fails if the call does.
    pub async fn create_container_within(
        &self,
        pod: &PodSandbox,
        container: &Container,
        limit: Duration,
    ) -> Result<CreateContainerResponse, FakeError> {
        let request = CreateContainerRequest {
            pod: Some(pod.clone()),
            container: Some(container.clone()),
        };
        let payload = request.encode_to_vec();
        let reply = self.call_within(PLUGIN_SERVICE, "CreateContainer", payload, limit);
        Ok(CreateContainerResponse::decode(&*reply.await?)?)
    }

    /// Asks the plugin to validate an adjustment.
    ///
    /// # Errors
    ///
    /// Fails if the call does.
    pub async fn validate(
        &self,
        request: &ValidateContainerAdjustmentRequest,
    ) -> Result<ValidateContainerAdjustmentResponse, FakeError> {
        self.send("ValidateContainerAdjustment", request).await
    }

    /// Announces new resources of a container.
    ///
    /// # Errors
    ///
    /// Fails if the call does.
    pub async fn update_container(
        &self,
        pod: &PodSandbox,
        container: &Container,
        resources: LinuxResources,
    ) -> Result<UpdateContainerResponse, FakeError> {
        let request = UpdateContainerRequest {
            pod: Some(pod.clone()),
            container: Some(container.clone()),
            linux_resources: Some(resources),
        };
        self.send("UpdateContainer", &request).await
    }

    /// Notifies the plugin of an event, by the RPC that this version of NRI uses for it.
    ///
    /// # Errors
    ///
    /// Fails if the call does.
    pub async fn event(
        &self,
        event: Event,
        pod: &PodSandbox,
        container: Option<&Container>,
    ) -> Result<(), FakeError> {
        if !self.has_dedicated_rpc(event) {
            return self.state_change(event, pod, container).await;
        }
        let pod_only = UpdatePodSandboxRequest {
            pod: Some(pod.clone()),
            ..UpdatePodSandboxRequest::default()
        };
        let payload = match container {
            None => pod_only.encode_to_vec(),
            // Every message about a container starts like this one.
            Some(container) => StopContainerRequest {
                pod: Some(pod.clone()),
                container: Some(container.clone()),
            }
            .encode_to_vec(),
        };
        match self.call(PLUGIN_SERVICE, event.name(), payload).await {
            Err(FakeError::Rpc { code, .. }) if code == UNIMPLEMENTED => {
                self.state_change(event, pod, container).await
            }
            reply => reply.map(drop),
        }
    }

    /// Notifies the plugin of an event by StateChange, whatever the version.
    ///
    /// # Errors
    ///
    /// Fails if the call does.
    pub async fn state_change(
        &self,
        event: Event,
        pod: &PodSandbox,
        container: Option<&Container>,
    ) -> Result<(), FakeError> {
        let request = StateChangeEvent {
            event: event as i32,
            pod: Some(pod.clone()),
            container: container.cloned(),
        };
        let _: Empty = self.send("StateChange", &request).await?;
        Ok(())
    }

    /// Tells the plugin that the runtime goes down.
    ///
    /// # Errors
    ///
    /// Fails if the call does.
    pub async fn shut_down(&self) -> Result<(), FakeError> {
        let _: Empty = self.send("Shutdown", &Empty {}).await?;
        Ok(())
    }

    async fn send<M: Message + Default>(
        &self,
        method: &str,
        request: &impl Message,
    ) -> Result<M, FakeError> {
        let reply = self.call(PLUGIN_SERVICE, method, request.encode_to_vec());
        Ok(M::decode(&*reply.await?)?)
    }

    fn has_dedicated_rpc(&self, event: Event) -> bool {
        self.version >= NriVersion::V0_12
            || matches!(
                event,
                Event::CreateContainer
                    | Event::UpdateContainer
                    | Event::StopContainer
                    | Event::UpdatePodSandbox
                    | Event::ValidateContainerAdjustment
            )
    }
}
