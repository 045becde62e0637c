use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use kubefence_profile::Catalog;
use nri_plugin::{NriVersion, RuntimeInfo};

use super::*;
use crate::config::Config;
use crate::connection::Connection;
use crate::metrics::{Decision, Reason};
use crate::readiness::{AbiProbe, Readiness};

const LOCAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const LONG: Duration = Duration::from_secs(60);

/// Endpoints of a node in a temporary directory.
struct Node {
    dir: tempfile::TempDir,
    address: SocketAddr,
    metrics: Arc<Metrics>,
    connection: Arc<Connection>,
    readiness: Arc<Readiness>,
}

fn node(config: &str, abi: AbiProbe, is_alive: bool) -> Node {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let config = format!(
        "nono_bin_path = \"{}/nono\"\n{config}",
        dir.path().display()
    );
    let config = Config::parse(Path::new("c"), &config).unwrap();
    let metrics = Arc::<Metrics>::default();
    let connection = Arc::new(Connection::new(Arc::clone(&metrics)));
    let readiness = Readiness::new(config.clone(), Catalog::built_in().unwrap(), abi);
    let readiness = Arc::new(readiness);
    let health = Health::new(&config, Arc::clone(&readiness), Arc::clone(&connection));
    let (pulse, heart) = pulse();
    if is_alive {
        std::thread::spawn(move || {
            let loop_ = tokio::runtime::Builder::new_current_thread().build();
            loop_.unwrap().block_on(heart);
        });
    } else {
        // It stays, and is never run.
        std::mem::forget(heart);
    }
    let listener = Listener::bind(LOCAL).unwrap();
    let address = listener.address;
    let views = Views {
        metrics: Arc::clone(&metrics),
        health,
        pulse,
    };
    listener.serve(views).unwrap();
    Node {
        dir,
        address,
        metrics,
        connection,
        readiness,
    }
}

impl Node {
    fn install(&self) {
        let launcher = self.dir.path().join("nono");
        std::fs::write(&launcher, "launcher").unwrap();
        std::fs::set_permissions(&launcher, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn register(&self, nri: NriVersion) {
        let runtime = RuntimeInfo::new("containerd", "v2", nri, LONG);
        self.connection.configured(&runtime);
        self.connection.begun();
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream
    }

    /// What is answered to these bytes, as long as it lasts.
    fn send(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        // The other side may have had enough before all is sent.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8(answer).unwrap()
    }

    /// Status line and body.
    fn get(&self, path: &str) -> (String, String) {
        let answer = self.send(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes());
        let (head, body) = answer.split_once("\r\n\r\n").expect(&answer);
        let status = head.lines().next().unwrap();
        let status = status.strip_prefix("HTTP/1.1 ").unwrap();
        (status.to_owned(), body.to_owned())
    }

    fn obstacles(&self) -> Vec<String> {
        let (status, body) = self.get("/readyz");
        let expected = if body == "ok\n" {
            "200 OK"
        } else {
            "503 Service Unavailable"
        };
        assert_eq!(status, expected, "{body}");
        let lines = body.lines().filter(|line| *line != "ok");
        lines.map(str::to_owned).collect()
    }
}

#[test]
fn a_node_is_ready_once_nothing_is_missing_and_says_of_each_thing_what_to_do() {
    let node = node("", || 7, true);
    let is = |parts: &[&str]| {
        let found = node.obstacles();
        let matches = found
            .iter()
            .zip(parts)
            .all(|(line, part)| line.contains(part));
        assert!(
            found.len() == parts.len() && matches,
            "{found:#?} are not {parts:#?}"
        );
    };
    is(&[
        "look whether the runtime runs with NRI",
        "no plans are published yet",
    ]);
    node.readiness.publish().unwrap_err();
    is(&[
        "not registered",
        "install the launcher there or set nono_bin_path",
    ]);
    node.register(NriVersion::V0_12);
    is(&["install the launcher"]);
    node.install();
    node.readiness.publish().unwrap();
    is(&[]);
    std::fs::write(node.dir.path().join("profiles/default.json"), "{}").unwrap();
    node.readiness.recheck();
    is(&["the published plan of profile \"default\" is damaged"]);
    node.readiness.publish().unwrap();
    is(&[]);
    node.connection.ended("it hung up");
    is(&["it hung up"]);
}

#[test]
fn a_kernel_without_landlock_is_not_ready() {
    let node = node("", || 0, true);
    node.install();
    node.register(NriVersion::V0_12);
    node.readiness.publish().unwrap_err();
    let obstacles = node.obstacles();
    assert!(
        obstacles.len() == 1 && obstacles[0].contains("no Landlock: boot with"),
        "{obstacles:?}"
    );
}

#[test]
fn a_runtime_that_drops_args_is_enough_only_where_every_handler_has_the_guard() {
    let handlers = "runtime_classes = [\"a\", \"b\"]\nguarded_classes =";
    for (guarded, expected) in [
        ("[]", Some("a, b")),
        ("[\"a\"]", Some("b")),
        ("[\"a\", \"b\"]", None),
    ] {
        let node = node(&format!("{handlers} {guarded}"), || 7, true);
        node.install();
        node.readiness.publish().unwrap();
        node.register(NriVersion::V0_9);
        let obstacles = node.obstacles();
        match expected {
            None => assert!(obstacles.is_empty(), "{obstacles:?}"),
            Some(handlers) => assert!(
                obstacles.len() == 1
                    && obstacles[0].starts_with(&format!("containers of {handlers} are refused"))
                    && obstacles[0].contains("upgrade to"),
                "{obstacles:?}"
            ),
        }
        node.register(NriVersion::V0_10);
        assert!(node.obstacles().is_empty());
    }
}

#[test]
fn health_is_whether_the_event_loop_answers() {
    assert_eq!(
        node("", || 7, true).get("/healthz"),
        ("200 OK".into(), "ok\n".into())
    );
    let (status, body) = node("", || 7, false).get("/healthz");
    assert_eq!(status, "503 Service Unavailable");
    assert!(body.contains("has not answered"), "{body}");
}

#[test]
fn metrics_have_every_series_from_the_start() {
    let node = node("", || 7, true);
    let (status, body) = node.get("/metrics");
    assert_eq!(status, "200 OK");
    let body = body.replace(env!("CARGO_PKG_VERSION"), "VERSION");
    // The order of series within a metric is the registry's own business.
    let mut blocks: Vec<Vec<&str>> = Vec::new();
    for line in body.lines() {
        if line.starts_with("# HELP") || line == "# EOF" {
            blocks.push(Vec::new());
        }
        blocks.last_mut().unwrap().push(line);
    }
    for block in blocks
        .iter_mut()
        .filter(|block| !block[0].contains("create_container"))
    {
        block.sort_unstable();
    }
    insta::assert_snapshot!(blocks.concat().join("\n"));
}

#[test]
fn metrics_move() {
    let node = node("", || 7, true);
    node.install();
    node.readiness.publish().unwrap();
    node.register(NriVersion::V0_12);
    node.metrics.decided(Decision::Inject);
    node.metrics.refused(Reason::UnknownProfile);
    node.metrics
        .answered_create_container(Duration::from_micros(30));
    let (_, body) = node.get("/metrics");
    for line in [
        "kubefence_decisions_total{decision=\"inject\"} 1",
        "kubefence_decisions_total{decision=\"refuse\"} 1",
        "kubefence_decisions_total{decision=\"skip\"} 0",
        "kubefence_refusals_total{reason=\"unknown_profile\"} 1",
        "kubefence_create_container_seconds_count 1",
        "kubefence_create_container_seconds_bucket{le=\"0.000025\"} 0",
        "kubefence_create_container_seconds_bucket{le=\"0.00005\"} 1",
        "kubefence_connected 1",
        "kubefence_ready 1",
    ] {
        assert!(
            body.lines().any(|found| found == line),
            "no {line} in:\n{body}"
        );
    }
    let usable = body
        .lines()
        .find(|line| line.starts_with("kubefence_profiles{state=\"usable\"}"));
    assert!(!usable.unwrap().ends_with(" 0"), "{usable:?}");
}

#[test]
fn what_is_no_plain_question_is_refused() {
    let node = node("", || 7, true);
    let status = |request: &str| {
        let answer = node.send(request.as_bytes());
        answer.split(' ').nth(1).unwrap_or(&answer).to_owned()
    };
    let host = "HTTP/1.1\r\nhost: x\r\n";
    assert_eq!(
        status(&format!("GET /metrics {host}\r\n")),
        "200",
        "control"
    );
    assert_eq!(status(&format!("GET /metrics?a=b {host}\r\n")), "200");
    assert_eq!(status(&format!("GET /metrics/x {host}\r\n")), "404");
    assert_eq!(status(&format!("GET / {host}\r\n")), "404");
    assert_eq!(
        status(&format!("POST /metrics {host}content-length: 0\r\n\r\n")),
        "405"
    );
    assert_eq!(status(&format!("DELETE /metrics {host}\r\n")), "405");
    assert_eq!(
        status(&format!("GET /metrics {host}content-length: 1\r\n\r\nx")),
        "413"
    );
    assert_eq!(status("nonsense\r\n\r\n"), "400");
    let long = "x".repeat(2 * server::HEAD_SIZE);
    assert_eq!(
        status(&format!("GET /metrics {host}a: {long}\r\n\r\n")),
        "431"
    );
    let many: String = (0..100).map(|i| format!("h{i}: x\r\n")).collect();
    assert_eq!(status(&format!("GET /metrics {host}{many}\r\n")), "431");
    let head = node.send(format!("HEAD /healthz {host}\r\n").as_bytes());
    assert!(
        head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"),
        "{head:?}"
    );
}

#[test]
fn answers_name_their_type_and_end_the_connection() {
    let node = node("", || 7, true);
    // Reading to the end would not return otherwise.
    let answer = node
        .send(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")
        .to_lowercase();
    for header in [
        "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8",
        "cache-control: no-store",
        "connection: close",
    ] {
        assert!(answer.contains(header), "{answer:?} lacks {header:?}");
    }
    assert!(answer.ends_with("# eof\n"));
}

#[test]
fn who_holds_connections_open_keeps_nobody_out() {
    let node = node("", || 7, true);
    let start = Instant::now();
    let idle: Vec<TcpStream> = (0..2 * server::CONNECTIONS)
        .map(|_| node.connect())
        .collect();
    for mut stream in &idle {
        let _ = stream.write_all(b"GET /metr");
    }
    assert_eq!(node.get("/healthz").0, "200 OK");
    assert!(
        start.elapsed() < server::CONNECTION_LIMIT,
        "it had to wait for idle connections"
    );
    let mut rest = Vec::new();
    // The first was ended to make room.
    let _ = (&idle[0]).read_to_end(&mut rest);
    assert!(rest.is_empty() && start.elapsed() < server::CONNECTION_LIMIT);
}

#[test]
fn a_request_that_never_ends_is_ended() {
    let node = node("", || 7, true);
    let start = Instant::now();
    let answer = node.send(b"GET /metrics HTTP/1.1\r\nhost: ");
    assert!(!answer.contains("200"), "{answer:?}");
    assert!(start.elapsed() <= server::CONNECTION_LIMIT + LONG);
}

#[test]
fn an_address_in_use_is_named() {
    let first = Listener::bind(LOCAL).unwrap();
    let error = format!("{:#}", Listener::bind(first.address).unwrap_err());
    for part in [
        &*first.address.to_string(),
        "choose another --metrics-addr",
        "in use",
    ] {
        assert!(error.contains(part), "{error:?} lacks {part:?}");
    }
}
