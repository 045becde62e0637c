//! A node in a temporary directory: launcher file, configuration, fake runtime, running plugin.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nri_plugin::NriVersion;
use nri_plugin::api::{
    Container, ContainerAdjustment, Mount, PodSandbox, ValidateContainerAdjustmentRequest,
};
use serde_json::Value;
use test_support::{ContainerBuilder, FakeError, FakeRuntime, PodBuilder, Session};

/// Everything a plugin needs.
pub(crate) struct Node {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) runtime: FakeRuntime,
}

/// A running plugin; killed when dropped.
pub(crate) struct Plugin {
    pub(crate) child: Child,
    log: Arc<Mutex<Vec<Value>>>,
}

impl Node {
    pub(crate) async fn new(version: NriVersion) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let launcher = dir.path().join("opt/nono");
        fs::create_dir(launcher.parent().unwrap()).unwrap();
        fs::write(&launcher, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&launcher, fs::Permissions::from_mode(0o755)).unwrap();
        let runtime = FakeRuntime::listen(dir.path(), version).await;
        Self { dir, runtime }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Source of the mount that sandboxed containers get.
    pub(crate) fn launcher_dir(&self) -> String {
        self.path("opt").to_str().unwrap().to_owned()
    }

    pub(crate) fn start(&self) -> Plugin {
        self.start_with("")
    }

    pub(crate) fn start_with(&self, extra: &str) -> Plugin {
        self.start_by(plugin_command(), extra)
    }

    /// Starts the plugin by `command`, which takes its arguments.
    pub(crate) fn start_by(&self, mut command: Command, extra: &str) -> Plugin {
        let config = self.config(extra);
        let mut child = command
            .arg("--config")
            .arg(config)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (stderr, lines) = (child.stderr.take().unwrap(), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines() {
                let Ok(line) = line else { return };
                lines
                    .lock()
                    .unwrap()
                    .push(serde_json::from_str(&line).expect("log lines are JSON"));
            }
        });
        Plugin { child, log }
    }

    /// A configuration file for this node, with `extra` keys.
    pub(crate) fn config(&self, extra: &str) -> PathBuf {
        let mut config = format!(
            "nono_bin_path = \"{0}/opt/nono\"\nsocket_path = \"{0}/nri.sock\"\n",
            self.dir.path().display()
        );
        if !extra.lines().any(|line| line.starts_with("state_dir")) {
            config += &format!("state_dir = \"{}/state\"\n", self.dir.path().display());
        }
        let file = self.path("config.toml");
        fs::write(&file, config + extra).unwrap();
        file
    }

    /// A plugin that the runtime has accepted, on a node where nothing runs yet.
    pub(crate) async fn connect(&self) -> (Plugin, Session) {
        self.connect_with("").await
    }

    /// Like [`Self::connect`], with extra configuration.
    pub(crate) async fn connect_with(&self, extra: &str) -> (Plugin, Session) {
        let plugin = self.start_with(extra);
        let session = self.accept(vec![], vec![]).await;
        (plugin, session)
    }

    pub(crate) async fn accept(
        &self,
        pods: Vec<PodSandbox>,
        containers: Vec<Container>,
    ) -> Session {
        let mut session = self.runtime.accept().await.unwrap();
        session.handshake(pods, containers).await.unwrap();
        session
    }
}

/// Waits until `condition` holds.
pub(crate) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..600 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("waited in vain for {what}");
}

/// The built plugin.
pub(crate) fn plugin_command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_10-nono-nri"))
}

impl Plugin {
    /// The first log line called `msg` about container `id`, waited for.
    pub(crate) async fn logged(&self, msg: &str, id: &str) -> Value {
        for _ in 0..600 {
            if let Some(line) = self.find(msg, id) {
                return line;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!(
            "no log line {msg:?} about {id:?} in {:#?}",
            self.log.lock().unwrap()
        );
    }

    pub(crate) fn find(&self, msg: &str, id: &str) -> Option<Value> {
        let log = self.log.lock().unwrap();
        let found = log
            .iter()
            .find(|line| line["msg"] == msg && (id.is_empty() || line["container_id"] == id));
        found.cloned()
    }

    /// All log lines called `msg`.
    pub(crate) fn lines(&self, msg: &str) -> Vec<Value> {
        let log = self.log.lock().unwrap();
        log.iter()
            .filter(|line| line["msg"] == msg)
            .cloned()
            .collect()
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", name, &pid])
                .status()
                .unwrap()
                .success()
        );
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn pod() -> PodSandbox {
    PodBuilder::new("web")
        .namespace("prod")
        .runtime_handler("nono-runc")
        .build()
}

pub(crate) fn container(pod: &PodSandbox) -> Container {
    ContainerBuilder::new(pod, "app")
        .args(["myapp", "--flag"])
        .env("PATH", "/usr/bin")
        .build()
}

/// What the plugin changes in a container.
pub(crate) async fn adjusted(
    session: &Session,
    pod: &PodSandbox,
    container: &Container,
) -> ContainerAdjustment {
    session
        .create_container(pod, container)
        .await
        .unwrap()
        .adjust
        .unwrap()
}

/// The message with which creation is refused.
pub(crate) async fn refusal(session: &Session, pod: &PodSandbox, container: &Container) -> String {
    match session.create_container(pod, container).await {
        Err(FakeError::Rpc { message, .. }) => message,
        other => panic!("not refused: {other:?}"),
    }
}

/// What the plugin says of a container as all plugins together adjusted it.
pub(crate) async fn verdict(
    session: &Session,
    pod: &PodSandbox,
    container: &Container,
    adjust: ContainerAdjustment,
) -> Result<(), String> {
    let request = ValidateContainerAdjustmentRequest {
        pod: Some(pod.clone()),
        container: Some(container.clone()),
        adjust: Some(adjust),
        ..Default::default()
    };
    let response = session.validate(&request).await.unwrap();
    if response.reject {
        Err(response.reason)
    } else {
        Ok(())
    }
}

/// The container as the runtime's spec shows it once `adjust` is applied.
pub(crate) fn applied(container: &Container, adjust: &ContainerAdjustment) -> Container {
    let mut container = container.clone();
    container.args.clone_from(&adjust.args);
    container.mounts.extend(adjust.mounts.iter().cloned());
    container
}

pub(crate) fn mount(destination: &str) -> Mount {
    Mount {
        destination: destination.to_owned(),
        r#type: "bind".to_owned(),
        source: "/evil".to_owned(),
        options: vec!["bind".to_owned()],
    }
}
