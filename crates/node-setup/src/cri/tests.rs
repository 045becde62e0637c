//! The client against a server that speaks real gRPC over a real socket.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message as _;
use tempfile::TempDir;
use tokio::net::UnixListener;

use super::messages::{
    Container, PodSandbox, PodSandboxMetadata, PodSandboxStatusResponse, RuntimeCondition,
    RuntimeHandler, RuntimeStatus,
};
use super::*;
use crate::root::Entrance;

const SOCKET: &str = "/cri.sock";

/// What a method answers: a message, or an error's code and message.
pub(crate) type Answers = HashMap<&'static str, Result<Vec<u8>, (&'static str, &'static str)>>;

pub(crate) struct Server {
    pub(crate) root: Root,
    _dir: TempDir,
    _runtime: tokio::runtime::Runtime,
}

impl Server {
    pub(crate) fn start(answers: Answers) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let _entered = runtime.enter();
        let listener = UnixListener::bind(dir.path().join("cri.sock")).unwrap();
        runtime.spawn(serve(listener, Arc::new(answers)));
        drop(_entered);
        Self {
            root: Root::open(dir.path(), Entrance::through("/nonexistent", &[])).unwrap(),
            _dir: dir,
            _runtime: runtime,
        }
    }

    fn cri(&self) -> Cri<'_> {
        Cri::at(&self.root, Path::new(SOCKET))
    }
}

async fn serve(listener: UnixListener, answers: Arc<Answers>) {
    while let Ok((stream, _)) = listener.accept().await {
        let answers = Arc::clone(&answers);
        let service = service_fn(move |request| respond(request, Arc::clone(&answers)));
        let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
    }
}

type Body = http_body_util::combinators::BoxBody<Bytes, Infallible>;

async fn respond(
    request: Request<Incoming>,
    answers: Arc<Answers>,
) -> Result<Response<Body>, Infallible> {
    let method = request
        .uri()
        .path()
        .strip_prefix("/runtime.v1.RuntimeService/")
        .unwrap()
        .to_owned();
    assert_eq!(request.headers()["content-type"], "application/grpc");
    assert_eq!(request.headers()["te"], "trailers");
    let mut trailers = HeaderMap::new();
    let mut frames = Vec::new();
    match answers.get(method.as_str()) {
        Some(Ok(message)) => {
            let length = u32::try_from(message.len()).unwrap().to_be_bytes();
            // In two pieces, as large answers come.
            frames.push(Frame::data(Bytes::from([&[0][..], &length].concat())));
            frames.push(Frame::data(Bytes::from(message.clone())));
            trailers.insert("grpc-status", "0".parse().unwrap());
        }
        Some(Err((code, message))) => {
            trailers.insert("grpc-status", code.parse().unwrap());
            trailers.insert("grpc-message", message.parse().unwrap());
        }
        None => {
            let response = Response::builder()
                .header("grpc-status", "12")
                .header("grpc-message", "unknown method");
            return Ok(response.body(http_body_util::Empty::new().boxed()).unwrap());
        }
    }
    frames.push(Frame::trailers(trailers));
    let stream = futures::stream::iter(frames.into_iter().map(Ok));
    Ok(Response::new(BodyExt::boxed(StreamBody::new(stream))))
}

fn status(ready: bool) -> StatusResponse {
    StatusResponse {
        status: Some(RuntimeStatus {
            conditions: vec![
                RuntimeCondition {
                    kind: "NetworkReady".to_owned(),
                    ..RuntimeCondition::default()
                },
                RuntimeCondition {
                    kind: "RuntimeReady".to_owned(),
                    status: ready,
                    reason: "Starting".to_owned(),
                    message: "not yet".to_owned(),
                },
            ],
        }),
        ..StatusResponse::default()
    }
}

/// What a runtime answers that is ready, with some pods of some handlers, and the handlers that it knows; without any, it does not tell its handlers.
pub(crate) fn ready(pods: &[(&str, &str)], handlers: &[&str]) -> Answers {
    let mut status = status(true);
    let handler = |name: &&str| RuntimeHandler {
        name: (*name).to_owned(),
    };
    status.runtime_handlers = handlers.iter().map(handler).collect();
    let pods = pods.iter().map(|(name, handler)| sandbox(name, handler, 0));
    let pods = ListPodSandboxResponse {
        items: pods.collect(),
    };
    HashMap::from([
        ("Version", Ok(version())),
        ("Status", Ok(status.encode_to_vec())),
        ("ListPodSandbox", Ok(pods.encode_to_vec())),
        (
            "ListContainers",
            Ok(ListContainersResponse::default().encode_to_vec()),
        ),
    ])
}

pub(crate) fn version() -> Vec<u8> {
    let version = VersionResponse {
        runtime_name: "containerd".to_owned(),
        runtime_version: "v2.3.7".to_owned(),
    };
    version.encode_to_vec()
}

fn sandbox(name: &str, handler: &str, state: i32) -> PodSandbox {
    PodSandbox {
        id: format!("id-{name}"),
        metadata: Some(PodSandboxMetadata {
            name: name.to_owned(),
            namespace: "work".to_owned(),
        }),
        state,
        runtime_handler: handler.to_owned(),
    }
}

#[test]
fn a_ready_runtime_is_waited_for_no_longer_than_needed() {
    let answers = [
        ("Version", Ok(version())),
        ("Status", Ok(status(true).encode_to_vec())),
    ];
    let server = Server::start(Answers::from(answers));
    let version = server.cri().wait(Duration::from_secs(30)).unwrap();
    assert_eq!(
        (version.name.as_str(), version.version.as_str()),
        ("containerd", "v2.3.7")
    );
}

#[test]
fn a_runtime_that_is_not_ready_says_why() {
    let answers = [
        ("Version", Ok(version())),
        ("Status", Ok(status(false).encode_to_vec())),
    ];
    let server = Server::start(Answers::from(answers));
    let error = server.cri().wait(Duration::from_millis(300)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the container runtime at /cri.sock is not ready: Starting: not yet"
    );
}

#[test]
fn nobody_at_the_socket_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path(), Entrance::through("/nonexistent", &[])).unwrap();
    let error = Cri::at(&root, Path::new(SOCKET)).version().unwrap_err();
    assert_eq!(
        error.to_string(),
        "the container runtime does not answer at /cri.sock"
    );
}

fn pods(items: Vec<PodSandbox>, containers: Vec<Container>) -> Vec<Pod> {
    pods_with(items, containers, Err(("5", "no such pod")))
}

fn pods_with(
    items: Vec<PodSandbox>,
    containers: Vec<Container>,
    status: Result<Vec<u8>, (&'static str, &'static str)>,
) -> Vec<Pod> {
    let pods = ListPodSandboxResponse { items }.encode_to_vec();
    let containers = ListContainersResponse { containers }.encode_to_vec();
    let answers = [
        ("ListPodSandbox", Ok(pods)),
        ("ListContainers", Ok(containers)),
        ("PodSandboxStatus", status),
    ];
    let server = Server::start(Answers::from(answers));
    let is_guarded = |id: &str| id == "guarded";
    server
        .cri()
        .pods_of(&["nono-runc".to_owned()], is_guarded)
        .unwrap()
}

fn container(id: &str, pod: &str, state: i32) -> Container {
    Container {
        id: id.to_owned(),
        pod_sandbox_id: format!("id-{pod}"),
        state,
    }
}

#[test]
fn pods_are_told_apart_by_their_handler() {
    let items = vec![
        sandbox("gone-meanwhile", "", 0),
        sandbox("a", "nono-runc", 0),
        sandbox("b", "nono-runc", 1),
        sandbox("c", "kata-qemu", 0),
    ];
    let pods = pods(items, Vec::new());
    let pods: Vec<_> = pods
        .iter()
        .map(|pod| (pod.name.as_str(), pod.runs))
        .collect();
    assert_eq!(pods, [("a", true), ("b", false)]);
}

#[test]
fn a_pod_runs_as_long_as_one_of_its_containers_has_not_ended() {
    for (state, runs) in [(0, true), (1, true), (2, false), (3, true)] {
        let containers = vec![
            container("1", "a", 2),
            container("2", "other", 1),
            container("3", "a", state),
        ];
        let pods = pods(vec![sandbox("a", "nono-runc", 1)], containers);
        assert_eq!(pods[0].runs, runs, "{state}");
    }
}

#[test]
fn handlers_that_are_not_listed_are_asked_for() {
    for (noted, count) in [("nono-runc", 1), ("runc", 0)] {
        let info = format!(
            r#"{{"runtimeSpec":{{"annotations":{{"io.kubernetes.cri-o.RuntimeHandler":"{noted}"}}}}}}"#
        );
        let status = PodSandboxStatusResponse {
            info: HashMap::from([("info".to_owned(), info)]),
        };
        let pods = pods_with(
            vec![sandbox("a", "", 0)],
            Vec::new(),
            Ok(status.encode_to_vec()),
        );
        assert_eq!(pods.len(), count, "{noted}");
    }
}

#[test]
fn a_container_that_the_guard_knows_counts_whatever_its_pod_says() {
    for (state, count) in [(1, 1), (2, 0)] {
        let containers = vec![container("guarded", "a", state), container("other", "b", 1)];
        let items = vec![sandbox("a", "forged", 0), sandbox("b", "forged", 0)];
        assert_eq!(pods(items, containers).len(), count, "{state}");
    }
}

#[test]
fn large_answers_arrive_whole() {
    let items = (0..5000).map(|number| sandbox(&format!("pod-{number:0200}"), "nono-runc", 0));
    assert_eq!(pods(items.collect(), Vec::new()).len(), 5000);
}

#[test]
fn handlers_are_listed_or_shown_in_the_configuration() {
    let handler = |name: &str| RuntimeHandler {
        name: name.to_owned(),
    };
    let listed = StatusResponse {
        runtime_handlers: vec![handler(""), handler("runc"), handler("nono-runc")],
        ..StatusResponse::default()
    };
    let config = r#"{"containerd":{"runtimes":{"runc":{},"nono-runc":{}}}}"#;
    let shown = StatusResponse {
        info: HashMap::from([("config".to_owned(), config.to_owned())]),
        ..StatusResponse::default()
    };
    for answer in [listed, shown] {
        let server = Server::start(Answers::from([("Status", Ok(answer.encode_to_vec()))]));
        let known = ["nono-runc", "runc"].map(str::to_owned);
        assert_eq!(
            server.cri().handlers().unwrap(),
            Some(BTreeSet::from(known.clone()))
        );
        assert_eq!(server.cri().unknown_of(&known).unwrap(), None);
        let wanted = ["runc", "other"].map(str::to_owned);
        assert_eq!(
            server.cri().unknown_of(&wanted).unwrap().as_deref(),
            Some("other")
        );
    }
    let silent = StatusResponse::default().encode_to_vec();
    let server = Server::start(Answers::from([("Status", Ok(silent))]));
    assert_eq!(server.cri().handlers().unwrap(), None);
}

#[test]
fn errors_of_the_service_keep_their_words() {
    let failed = Err(("14", "still%20starting"));
    let server = Server::start(Answers::from([("Version", failed)]));
    let error = server.cri().version().unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "Version failed with status 14: still starting");
    let error = server.cri().handlers().unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "Status failed with status 12: unknown method");
}
