//! An API server with DaemonSets and pods, a controller that makes one pod for each node, and nodes that do as they are told.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

const TOKEN: &str = "a-token";
const PLUGIN: &str = "nono-nri";
const COLLECTION: &str = "/apis/apps/v1/namespaces/kube-system/daemonsets";
const PODS: &str = "/api/v1/namespaces/kube-system/pods?labelSelector=app%3D";

/// What the pods on a node do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Behaviour {
    /// Their init container succeeds.
    Succeeds,
    /// That of one DaemonSet fails.
    Fails {
        in_daemon_set: &'static str,
        message: &'static str,
    },
    /// Their image cannot be had.
    NeverStarts,
}

#[derive(Default)]
struct State {
    nodes: Vec<(&'static str, Behaviour)>,
    /// By name: how often it was looked at.
    daemon_sets: BTreeMap<String, u32>,
    /// Pods end a little later than what they belong to: by label, how often they are still shown.
    ending: BTreeMap<String, u32>,
    changes: Vec<String>,
    requests: u32,
    fail_next: u32,
    fail_code: u16,
}

/// The server; it ends with the value.
pub(crate) struct ApiServer {
    state: Arc<Mutex<State>>,
    files: TempDir,
    port: u16,
    _runtime: tokio::runtime::Runtime,
}

impl ApiServer {
    /// A cluster with these nodes, on which the plugin's DaemonSet runs.
    pub(crate) fn start(nodes: &[(&'static str, Behaviour)]) -> Self {
        let state = Arc::new(Mutex::new(State {
            nodes: nodes.to_vec(),
            daemon_sets: BTreeMap::from([(PLUGIN.to_owned(), 0)]),
            ..State::default()
        }));
        let files = tempfile::tempdir().unwrap();
        let tls = acceptor(files.path());
        std::fs::write(files.path().join("token"), format!("{TOKEN}\n")).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        runtime.spawn(serve(listener, tls, Arc::clone(&state)));
        Self {
            state,
            files,
            port,
            _runtime: runtime,
        }
    }

    /// A directory with `ca.crt` and `token`.
    pub(crate) fn files(&self) -> &Path {
        self.files.path()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// What was created and deleted, in order.
    pub(crate) fn changes(&self) -> Vec<String> {
        self.state().changes.clone()
    }

    /// The DaemonSets that there are.
    pub(crate) fn daemon_sets(&self) -> Vec<String> {
        self.state().daemon_sets.keys().cloned().collect()
    }

    /// How many requests there were.
    pub(crate) fn requests(&self) -> u32 {
        self.state().requests
    }

    /// Adds a DaemonSet.
    pub(crate) fn add(&self, name: &str) {
        self.state().daemon_sets.insert(name.to_owned(), 0);
    }

    /// Answers the next requests with an error.
    pub(crate) fn fail_next(&self, count: u32, code: u16) {
        let mut state = self.state();
        state.fail_next = count;
        state.fail_code = code;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn acceptor(files: &Path) -> TlsAcceptor {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(files.join("ca.crt"), made.cert.pem()).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, state: Arc<Mutex<State>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, state) = (tls.clone(), Arc::clone(&state));
        tokio::spawn(async move {
            let Ok(stream) = tls.accept(stream).await else {
                return;
            };
            let service = service_fn(move |request| respond(request, Arc::clone(&state)));
            let connection = hyper::server::conn::http1::Builder::new();
            let _ = connection
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn respond(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let method = request.method().clone();
    let path = request.uri().to_string();
    let authorized = request.headers()["authorization"] == format!("Bearer {TOKEN}");
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    state.requests += 1;
    let (code, value) = match authorized {
        true => state.answer(&method, &path, &body),
        false => (401, json!({ "message": "Unauthorized" })),
    };
    let response = Response::builder().status(code);
    Ok(response
        .body(Full::new(Bytes::from(value.to_string())))
        .unwrap())
}

impl State {
    fn answer(&mut self, method: &Method, path: &str, body: &[u8]) -> (u16, Value) {
        if self.fail_next > 0 {
            self.fail_next -= 1;
            return (
                self.fail_code,
                json!({ "kind": "Status", "message": "as the test wishes" }),
            );
        }
        let name = path
            .strip_prefix(COLLECTION)
            .and_then(|rest| rest.strip_prefix('/'));
        match (method, name, path.strip_prefix(PODS)) {
            (&Method::POST, None, None) if path == COLLECTION => self.create(body),
            (&Method::GET, Some(name), None) => self.get(name),
            (&Method::DELETE, Some(name), None) => self.delete(name),
            (&Method::GET, None, Some(app)) => (200, json!({ "items": self.pods(app) })),
            _ => (
                405,
                json!({ "message": format!("{method} {path} is not what was agreed") }),
            ),
        }
    }

    fn create(&mut self, body: &[u8]) -> (u16, Value) {
        let value: Value = serde_json::from_slice(body).unwrap();
        let name = value["metadata"]["name"].as_str().unwrap().to_owned();
        if self.daemon_sets.contains_key(&name) {
            return (409, json!({ "message": "already exists" }));
        }
        self.changes.push(format!("POST {name}"));
        self.daemon_sets.insert(name, 0);
        (201, value)
    }

    /// The controller needs a moment: first nothing is known, then one pod is missing.
    fn get(&mut self, name: &str) -> (u16, Value) {
        let expected = self.nodes.len();
        let Some(looks) = self.daemon_sets.get_mut(name) else {
            return (404, json!({ "message": "not found" }));
        };
        *looks += 1;
        let status = match *looks {
            1 => json!({}),
            2 => {
                json!({ "observedGeneration": 1, "desiredNumberScheduled": expected, "currentNumberScheduled": 0 })
            }
            _ => {
                json!({ "observedGeneration": 1, "desiredNumberScheduled": expected, "currentNumberScheduled": expected })
            }
        };
        let value = json!({
            "metadata": { "name": name, "generation": 1 },
            "spec": { "selector": { "matchLabels": { "app": name } } },
            "status": status,
        });
        (200, value)
    }

    fn delete(&mut self, name: &str) -> (u16, Value) {
        if self.daemon_sets.remove(name).is_none() {
            return (404, json!({ "message": "not found" }));
        }
        self.changes.push(format!("DELETE {name}"));
        self.ending.insert(name.to_owned(), 2);
        (200, json!({ "status": "Success" }))
    }

    fn pods(&mut self, app: &str) -> Vec<Value> {
        if let Some(left) = self.ending.get_mut(app).filter(|left| **left > 0) {
            *left -= 1;
            let ending = json!({ "name": "ending", "deletionTimestamp": "2030-01-01T00:00:00Z" });
            return vec![json!({ "metadata": ending })];
        }
        let looks = self.daemon_sets.get(app).copied().unwrap_or_default();
        let nodes = self.nodes.iter().filter(|_| looks > 2);
        nodes
            .map(|(node, behaviour)| pod(app, node, *behaviour, looks))
            .collect()
    }
}

fn pod(app: &str, node: &str, behaviour: Behaviour, looks: u32) -> Value {
    let status = match behaviour {
        Behaviour::NeverStarts => waiting("ErrImagePull", "no such image", 0, &json!({})),
        _ if looks < 4 => waiting("PodInitializing", "", 0, &json!({})),
        Behaviour::Fails {
            in_daemon_set,
            message,
        } if in_daemon_set == app => {
            let ended =
                json!({ "terminated": { "exitCode": 1, "reason": "Error", "message": message } });
            // The first failure is followed by a second attempt.
            let restarts = u32::from(looks > 4);
            waiting("CrashLoopBackOff", "back-off", restarts, &ended)
        }
        _ => json!({ "conditions": [{ "type": "Ready", "status": "True" }] }),
    };
    json!({ "metadata": { "name": format!("{app}-{node}") }, "spec": { "nodeName": node }, "status": status })
}

fn waiting(reason: &str, message: &str, restarts: u32, last: &Value) -> Value {
    json!({
        "phase": "Pending",
        "initContainerStatuses": [{
            "restartCount": restarts,
            "state": { "waiting": { "reason": reason, "message": message } },
            "lastState": last,
        }],
    })
}
