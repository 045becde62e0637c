//! A handler that records its calls and misbehaves by container name, and a plugin that runs it.
#![allow(dead_code, unreachable_pub)] // each test binary uses a part

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use nri_plugin::api::{
    Container, ContainerUpdate, LinuxResources, PodSandbox, ValidateContainerAdjustmentRequest,
};
use nri_plugin::{
    Adjustment, CallContext, Event, EventSet, Handler, HandlerError, NriVersion, PluginRunner,
    Requires, RuntimeInfo, Verdict,
};
use tempfile::TempDir;
use test_support::{ContainerBuilder, FakeRuntime, PodBuilder, Session};
use tokio::sync::{Mutex as AsyncMutex, mpsc};

/// Upper bound of every wait; only a hung test reaches it.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Recorder {
    pub events: EventSet,
    calls: Mutex<Vec<String>>,
    released: (Mutex<bool>, Condvar),
    notices: mpsc::UnboundedSender<String>,
    inbox: AsyncMutex<mpsc::UnboundedReceiver<String>>,
}

impl Recorder {
    pub fn new(events: EventSet) -> Arc<Self> {
        let (notices, inbox) = mpsc::unbounded_channel();
        Arc::new(Self {
            events,
            calls: Mutex::default(),
            released: Default::default(),
            notices,
            inbox: AsyncMutex::new(inbox),
        })
    }

    /// The calls so far.
    pub fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    /// Waits for a connect or disconnect that contains `text`.
    pub async fn expect_notice(&self, text: &str) -> String {
        let mut inbox = self.inbox.lock().await;
        let search = async {
            loop {
                let notice = inbox.recv().await.unwrap();
                if notice.contains(text) {
                    return notice;
                }
            }
        };
        let found = tokio::time::timeout(PATIENCE, search).await;
        found.unwrap_or_else(|_| panic!("no notice contains {text:?}"))
    }

    /// Lets blocked handlers go on.
    pub fn release(&self) {
        *self.released.0.lock().unwrap() = true;
        self.released.1.notify_all();
    }

    /// Waits until a handler blocks.
    pub async fn wait_until_blocked(&self) {
        let blocked = async {
            while !self.calls().contains(&"blocked".to_owned()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, blocked).await.unwrap();
    }

    fn block(&self) {
        self.record("blocked");
        let released = self.released.0.lock().unwrap();
        let (released, _) = self
            .released
            .1
            .wait_timeout_while(released, PATIENCE, |released| !*released)
            .unwrap();
        drop(released);
    }

    fn record(&self, call: impl Into<String>) {
        self.calls.lock().unwrap().push(call.into());
    }
}

impl Handler for Recorder {
    fn events(&self) -> EventSet {
        self.events
    }

    fn configure(
        &self,
        _: &CallContext,
        runtime: &RuntimeInfo,
        config: &str,
    ) -> Result<(), HandlerError> {
        self.record(format!("configure {runtime} {config:?}"));
        match config {
            "panic" => panic!("configure panics"),
            "bad" => Err("the configuration is bad".into()),
            _ => Ok(()),
        }
    }

    fn synchronize(
        &self,
        _: &CallContext,
        pods: Vec<PodSandbox>,
        containers: Vec<Container>,
    ) -> Result<Vec<ContainerUpdate>, HandlerError> {
        self.record(format!("synchronize {} {}", pods.len(), containers.len()));
        match containers.first().map(|container| container.name.as_str()) {
            Some("sync-panics") => panic!("synchronize panics"),
            Some("sync-fails") => return Err("synchronize fails".into()),
            _ => {}
        }
        let update = containers.first().map(|container| ContainerUpdate {
            container_id: container.id.clone(),
            ..ContainerUpdate::default()
        });
        Ok(update.into_iter().collect())
    }

    fn create_container(
        &self,
        ctx: &CallContext,
        _: &PodSandbox,
        container: &Container,
    ) -> Result<Adjustment, HandlerError> {
        match container.name.as_str() {
            "panic" => panic!("create panics for {}", container.id),
            "error" => return Err("profile \"x\" does not exist".into()),
            "block" => {
                self.block();
                self.record(format!("released, expired: {}", ctx.is_expired()));
            }
            "overrun" => {
                while !ctx.is_expired() {
                    std::thread::sleep(Duration::from_millis(5));
                }
                self.record("overrun");
            }
            "plain" => return Ok(Adjustment::new()),
            "env" => return Ok(Adjustment::new().env("K", "V")),
            size => {
                if let Ok(size) = size.parse::<usize>() {
                    return Ok(Adjustment::new().env("SIZE", "x".repeat(size)));
                }
            }
        }
        let args = std::iter::once("/wrap".to_owned()).chain(container.args.iter().cloned());
        let dispensable = match container.name.as_str() {
            "spare" => Requires::ARGS,
            _ => Requires::NONE,
        };
        Ok(Adjustment::new().args(args).may_lose(dispensable))
    }

    fn validate_container_adjustment(
        &self,
        _: &CallContext,
        request: &ValidateContainerAdjustmentRequest,
    ) -> Result<Verdict, HandlerError> {
        match &request.adjust {
            Some(adjust) if !adjust.args.is_empty() => Ok(Verdict::Accept),
            _ => Ok(Verdict::Reject("not wrapped".into())),
        }
    }

    fn update_container(
        &self,
        _: &CallContext,
        _: &PodSandbox,
        container: &Container,
        resources: Option<&LinuxResources>,
    ) -> Result<Vec<ContainerUpdate>, HandlerError> {
        self.record(format!("update {} {}", container.id, resources.is_some()));
        Ok(Vec::new())
    }

    fn stop_container(
        &self,
        _: &CallContext,
        pod: &PodSandbox,
        container: &Container,
    ) -> Result<(), HandlerError> {
        self.record(format!("stop {} of {}", container.id, pod.name));
        Ok(())
    }

    fn event(
        &self,
        _: &CallContext,
        event: Event,
        pod: &PodSandbox,
        container: Option<&Container>,
    ) -> Result<(), HandlerError> {
        let container = container.map_or("-", |container| &container.id);
        self.record(format!("{event} {} {container}", pod.name));
        match container {
            "refused" => Err("no".into()),
            _ => Ok(()),
        }
    }

    fn synchronize_failed(&self, reason: &str) {
        let _ = self.notices.send(format!("not synchronized {reason}"));
    }

    fn connected(&self, runtime: &RuntimeInfo) {
        let _ = self.notices.send(format!("connected {runtime}"));
    }

    fn disconnected(&self, reason: &str) {
        let _ = self.notices.send(format!("disconnected {reason}"));
    }
}

/// A plugin task, ended with the test.
pub struct Plugin(tokio::task::JoinHandle<()>);

impl Plugin {
    pub fn start(socket: &Path, handler: Arc<Recorder>, requires: Requires) -> Self {
        let runner = PluginRunner::new("recorder", "10", handler)
            .unwrap()
            .socket(socket)
            .requires(requires);
        Self(tokio::spawn(async move {
            runner.run(std::future::pending()).await.unwrap();
        }))
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A plugin connected to a fake runtime and through the handshake.
pub struct Setup {
    pub handler: Arc<Recorder>,
    pub session: Session,
    pub runtime: FakeRuntime,
    pub pod: PodSandbox,
    pub directory: TempDir,
    _plugin: Plugin,
}

impl Setup {
    pub async fn new(version: NriVersion, requires: Requires) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let runtime = FakeRuntime::listen(directory.path(), version).await;
        let handler = Recorder::new(EventSet::ALL);
        let plugin = Plugin::start(runtime.socket(), handler.clone(), requires);
        let mut session = runtime.accept().await.unwrap();
        session.handshake(vec![], vec![]).await.unwrap();
        Self {
            handler,
            session,
            runtime,
            pod: PodBuilder::new("web").build(),
            directory,
            _plugin: plugin,
        }
    }

    pub fn container(&self, name: &str) -> Container {
        ContainerBuilder::new(&self.pod, name).build()
    }

    /// Shows that the connection still works.
    pub async fn assert_usable(&self) {
        let container = self.container("app");
        let created = self.session.create_container(&self.pod, &container).await;
        let adjust = created.unwrap().adjust.unwrap();
        assert_eq!(adjust.args, ["/wrap", "sleep", "1"]);
    }
}
