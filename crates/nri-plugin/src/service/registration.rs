//! Configure and Synchronize.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prost::Message;
use tokio::sync::Notify;

use super::{Call, PluginService, Reply};
use crate::api::{
    ConfigureRequest, ConfigureResponse, Container, PodSandbox, SynchronizeRequest,
    SynchronizeResponse,
};
use crate::event_set::EventSet;
use crate::status::Failure;
use crate::versions::RuntimeInfo;

/// Most bytes of Synchronize chunks that are accumulated; some 30 000 containers.
const CHUNKS_LIMIT: usize = 64 << 20;

/// How far one connection has come.
#[derive(Default)]
pub(crate) struct Registration {
    state: Mutex<State>,
    synchronized: Notify,
}

#[derive(Default)]
struct State {
    runtime: Option<RuntimeInfo>,
    chunks: Chunks,
    shut_down: bool,
}

#[derive(Default)]
struct Chunks {
    pods: Vec<PodSandbox>,
    containers: Vec<Container>,
    bytes: usize,
}

impl Registration {
    /// The runtime at the other end; the oldest one thinkable until Configure has come.
    pub(crate) fn runtime(&self) -> RuntimeInfo {
        let runtime = self.lock().runtime.clone();
        runtime.unwrap_or_else(RuntimeInfo::unknown)
    }

    /// Waits until the handler has accepted the runtime's pods and containers.
    pub(crate) async fn synchronized(&self) {
        self.synchronized.notified().await;
    }

    /// Notes that the runtime asked the plugin to shut down.
    pub(crate) fn shut_down(&self) {
        self.lock().shut_down = true;
    }

    /// Whether the runtime asked the plugin to shut down.
    pub(crate) fn is_shut_down(&self) -> bool {
        self.lock().shut_down
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics with the lock held, and the state is valid after each assignment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a chunk; returns everything once it is the last one.
    fn accumulate(
        &self,
        chunk: SynchronizeRequest,
        bytes: usize,
    ) -> Result<Option<Chunks>, Failure> {
        let mut state = self.lock();
        let chunks = &mut state.chunks;
        chunks.bytes += bytes;
        if chunks.bytes > CHUNKS_LIMIT {
            *chunks = Chunks::default();
            let reason = format!("the chunks exceed {CHUNKS_LIMIT} bytes");
            return Err(Failure::malformed(reason));
        }
        chunks.pods.extend(chunk.pods);
        chunks.containers.extend(chunk.containers);
        Ok((!chunk.more).then(|| std::mem::take(chunks)))
    }
}

impl PluginService {
    /// Configures the handler and answers with the events it wants and the runtime knows.
    pub(super) async fn configure(&self, call: &mut Call<'_>) -> Reply {
        let request: ConfigureRequest = call.decode()?;
        let runtime = RuntimeInfo::from_configure(&request);
        call.subject = runtime.to_string();
        self.registration.lock().runtime = Some(runtime.clone());
        let known = runtime.known_events();
        let wanted = self.run(call.budget, move |handler, ctx| {
            handler.configure(ctx, &runtime, &request.config)?;
            Ok(handler.events())
        });
        let mask = subscription(wanted.await?, known)?;
        Ok(ConfigureResponse { events: mask }.encode_to_vec())
    }

    /// Hands the pods and containers to the handler after the last chunk.
    ///
    /// A failure is not passed on: a runtime drops a plugin that answers with an error here, and starts
    /// containers without it from then on.
    pub(super) async fn synchronize(&self, call: &mut Call<'_>) -> Reply {
        let chunk: SynchronizeRequest = call.decode()?;
        let Some(all) = self.registration.accumulate(chunk, call.payload.len())? else {
            let response = SynchronizeResponse {
                update: Vec::new(),
                more: true,
            };
            return Ok(response.encode_to_vec());
        };
        call.subject = format!(
            "{} pods and {} containers",
            all.pods.len(),
            all.containers.len()
        );
        let update = self.run(call.budget, move |handler, ctx| {
            handler.synchronize(ctx, all.pods, all.containers)
        });
        let update = update.await.unwrap_or_else(|failure| {
            let (handler, reason) = (Arc::clone(&self.plugin.handler), failure.to_string());
            tokio::task::spawn_blocking(move || handler.synchronize_failed(&reason));
            Vec::new()
        });
        let response = SynchronizeResponse {
            update,
            more: false,
        };
        self.registration.synchronized.notify_one();
        Ok(response.encode_to_vec())
    }
}

fn subscription(wanted: EventSet, known: EventSet) -> Result<i32, Failure> {
    let offered = wanted.intersection(known);
    if offered.is_empty() {
        return Err(Failure::unsupported(format!(
            "the plugin subscribes to {wanted:?}, none of which this runtime knows, and an empty \
             subscription would mean all events: subscribe to some other event or upgrade the runtime"
        )));
    }
    Ok(offered.mask() as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_bounded_and_start_afresh() {
        let registration = Registration::default();
        let chunk = |more| SynchronizeRequest {
            pods: vec![PodSandbox::default()],
            containers: Vec::new(),
            more,
        };
        assert!(registration.accumulate(chunk(true), 10).unwrap().is_none());
        assert!(registration.accumulate(chunk(true), CHUNKS_LIMIT).is_err());
        let all = registration.accumulate(chunk(false), 10).unwrap().unwrap();
        assert_eq!(all.pods.len(), 1);
    }

    #[test]
    fn an_empty_subscription_is_an_error() {
        assert!(subscription(EventSet::EMPTY, EventSet::ALL).is_err());
        assert_eq!(
            subscription(EventSet::ALL, EventSet::from_mask(0x7ff)),
            Ok(0x7ff)
        );
    }
}
