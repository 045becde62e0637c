//! The Plugin service: from requests on the wire to handler methods and back.
//!
//! Invariant: every method of the API is served, so a runtime always gets the handler's result or an error that
//! says what failed; anything else is UNIMPLEMENTED (by the ttrpc crate).

mod lifecycle;
mod registration;

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt;
use prost::Message;
use ttrpc::asynchronous::{MethodHandler, Service, TtrpcContext};
use ttrpc::proto::{Request, Response, ResponseInit};

use crate::api::{Container, Event, PLUGIN_SERVICE, PodSandbox};
use crate::call::describe_panic;
use crate::call::{Budget, CallContext, InFlight, Workers};
use crate::handler::{Handler, HandlerError, Requires};
use crate::identity::Identity;
use crate::mux::MESSAGE_LIMIT;
use crate::status::Failure;
use registration::Registration;

/// Room that the reply's envelope needs, in bytes.
const ENVELOPE: usize = 64;

/// What stays the same from one connection to the next.
pub(crate) struct Plugin {
    pub(crate) identity: Identity,
    pub(crate) handler: Arc<dyn Handler>,
    pub(crate) requires: Requires,
    pub(crate) workers: Workers,
    pub(crate) in_flight: InFlight,
}

/// The service of one connection.
pub(crate) struct PluginService {
    plugin: Arc<Plugin>,
    registration: Registration,
}

/// A request's payload and time, and what it is about once that is known.
struct Call<'a> {
    payload: &'a [u8],
    budget: Budget,
    subject: String,
}

type Reply = Result<Vec<u8>, Failure>;

impl PluginService {
    pub(crate) fn new(plugin: Arc<Plugin>) -> Arc<Self> {
        Arc::new(Self {
            plugin,
            registration: Registration::default(),
        })
    }

    /// The connection's side of registration.
    pub(crate) fn registration(&self) -> &Registration {
        &self.registration
    }

    /// The service as the ttrpc crate's server takes it.
    pub(crate) fn methods(self: &Arc<Self>) -> HashMap<String, Service> {
        let fixed = [
            Rpc::Configure,
            Rpc::Synchronize,
            Rpc::Shutdown,
            Rpc::StateChange,
        ];
        let rpcs = fixed.into_iter().chain(Event::ALL.map(Rpc::Event));
        let methods = rpcs.map(|rpc| {
            let service = Arc::clone(self);
            let method: Box<dyn MethodHandler + Send + Sync> = Box::new(Method { rpc, service });
            (rpc.name().to_owned(), method)
        });
        let service = Service {
            methods: methods.collect(),
            streams: HashMap::new(),
        };
        HashMap::from([(PLUGIN_SERVICE.to_owned(), service)])
    }

    /// Serves a request; the reply carries a payload or an error.
    async fn serve(&self, rpc: Rpc, request: &Request) -> Response {
        let advertised = self.registration.runtime().request_timeout;
        let mut call = Call {
            payload: &request.payload,
            budget: Budget::start(request.timeout_nano, advertised),
            subject: String::new(),
        };
        let reply = match rpc {
            Rpc::Configure => self.configure(&mut call).await,
            Rpc::Synchronize => self.synchronize(&mut call).await,
            Rpc::Shutdown => {
                self.registration.shut_down();
                Ok(Vec::new())
            }
            Rpc::StateChange => self.state_change(&mut call).await,
            Rpc::Event(event) => self.event(event, &mut call).await,
        };
        match reply.and_then(check_length) {
            Ok(payload) => {
                let ok = ttrpc::get_status(ttrpc::Code::OK, "");
                let mut response = Response::init_status(ok);
                ResponseInit::set_payload(&mut response, payload);
                response
            }
            Err(failure) => {
                let plugin = &self.plugin.identity;
                Response::init_status(failure.into_status(plugin, rpc.name(), &call.subject))
            }
        }
    }

    /// Runs a handler method on a worker thread.
    async fn run<T: Send + 'static>(
        &self,
        budget: Budget,
        method: impl FnOnce(&dyn Handler, &CallContext) -> Result<T, HandlerError> + Send + 'static,
    ) -> Result<T, Failure> {
        let handler = Arc::clone(&self.plugin.handler);
        let workers = &self.plugin.workers;
        workers.run(budget, move |ctx| method(&*handler, ctx)).await
    }
}

impl Call<'_> {
    fn decode<M: Message + Default>(&self) -> Result<M, Failure> {
        M::decode(self.payload)
            .map_err(|error| Failure::malformed(format!("the request cannot be decoded: {error}")))
    }

    /// Notes what the call is about, for error replies.
    fn about(&mut self, pod: &PodSandbox, container: Option<&Container>) {
        let pod = format!("pod {}/{}", pod.namespace, pod.name);
        self.subject = match container {
            Some(container) => format!("container {} ({}) of {pod}", container.id, container.name),
            None => pod,
        };
    }
}

fn check_length(payload: Vec<u8>) -> Reply {
    let (length, limit) = (payload.len(), MESSAGE_LIMIT - ENVELOPE);
    if length > limit {
        let reason = format!("the result takes {length} bytes, more than the {limit} that fit");
        return Err(Failure::oversize(reason));
    }
    Ok(payload)
}

/// A method of the Plugin service.
#[derive(Clone, Copy)]
enum Rpc {
    Configure,
    Synchronize,
    Shutdown,
    StateChange,
    Event(Event),
}

impl Rpc {
    fn name(self) -> &'static str {
        match self {
            Self::Configure => "Configure",
            Self::Synchronize => "Synchronize",
            Self::Shutdown => "Shutdown",
            Self::StateChange => "StateChange",
            Self::Event(event) => event.name(),
        }
    }
}

struct Method {
    rpc: Rpc,
    service: Arc<PluginService>,
}

#[async_trait]
impl MethodHandler for Method {
    async fn handler(&self, _: TtrpcContext, request: Request) -> ttrpc::Result<Response> {
        let _in_flight = self.service.plugin.in_flight.enter();
        // Handler panics are dealt with on their own threads. This is for the rest, such as Tokio's panic when it
        // cannot start a thread: without a reply the runtime would run the container unadjusted.
        let serving = AssertUnwindSafe(self.service.serve(self.rpc, &request));
        let served = serving.catch_unwind().await;
        Ok(served.unwrap_or_else(|panic| {
            let failure = Failure::panicked(describe_panic("the plugin", &*panic));
            let plugin = &self.service.plugin.identity;
            Response::init_status(failure.into_status(plugin, self.rpc.name(), ""))
        }))
    }
}
