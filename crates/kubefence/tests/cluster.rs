//! `kubefence cluster uninstall` against a small API server, over real TLS.

mod api_server;

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use api_server::{ApiServer, Behaviour};

const CHECK: &str = "check";
const REAL: &str = "uninstall";
const PLUGIN: &str = "nono-nri";

struct Run {
    output: Output,
    took: Duration,
}

impl Run {
    fn said(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    fn succeeded(&self) -> bool {
        self.output.status.success()
    }
}

fn uninstall(server: &ApiServer, seconds: &str) -> Run {
    let files = server.files();
    for name in [CHECK, REAL] {
        let manifest = serde_json::json!({
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": { "name": name },
            "spec": { "selector": { "matchLabels": { "app": name } } },
        });
        std::fs::write(files.join(format!("{name}.json")), manifest.to_string()).unwrap();
    }
    let begin = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_kubefence"))
        .args([
            "cluster",
            "uninstall",
            "--namespace",
            "kube-system",
            "--timeout",
            seconds,
        ])
        .args(["--remove-daemonset", PLUGIN])
        .arg("--check")
        .arg(files.join("check.json"))
        .arg("--manifest")
        .arg(files.join("uninstall.json"))
        .arg("--service-account")
        .arg(files)
        .env("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        .env("KUBERNETES_SERVICE_PORT", server.port().to_string())
        .output()
        .unwrap();
    Run {
        output,
        took: begin.elapsed(),
    }
}

fn succeeds(node: &'static str) -> (&'static str, Behaviour) {
    (node, Behaviour::Succeeds)
}

#[test]
fn nodes_are_asked_then_the_plugin_goes_then_they_are_uninstalled() {
    let server = ApiServer::start(&[succeeds("a"), succeeds("b")]);
    let run = uninstall(&server, "30");
    assert!(run.succeeded(), "{}", run.said());
    let changes = [
        "POST check",
        "DELETE check",
        "DELETE nono-nri",
        "POST uninstall",
        "DELETE uninstall",
    ];
    assert_eq!(server.changes(), changes);
    assert!(
        run.said().contains("node b: done (2 of 2)"),
        "{}",
        run.said()
    );
    assert_eq!(
        server.daemon_sets(),
        Vec::<String>::new(),
        "and nothing is left"
    );
}

#[test]
fn a_node_that_refuses_stops_everything_before_anything_is_changed() {
    let refuses = Behaviour::Fails {
        in_daemon_set: CHECK,
        message: "pods of kubefence's handlers exist: work/agent",
    };
    let server = ApiServer::start(&[succeeds("a"), ("b", refuses)]);
    let run = uninstall(&server, "30");
    assert_eq!(run.output.status.code(), Some(1));
    let said = run.said();
    assert!(
        said.contains("node b: pods of kubefence's handlers exist: work/agent"),
        "{said}"
    );
    assert!(said.contains("nothing was changed"), "{said}");
    assert_eq!(server.changes(), ["POST check", "DELETE check"]);
    assert_eq!(server.daemon_sets(), [PLUGIN]);
}

#[test]
fn a_node_that_fails_is_named_and_the_way_on_is_told() {
    let fails = Behaviour::Fails {
        in_daemon_set: REAL,
        message: "cannot write /etc",
    };
    let server = ApiServer::start(&[succeeds("a"), ("b", fails)]);
    let run = uninstall(&server, "30");
    assert_eq!(run.output.status.code(), Some(1));
    let said = run.said();
    for part in [
        "node a: done",
        "node b: cannot write /etc",
        "`helm upgrade` brings it back",
    ] {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
    assert_eq!(server.changes().last().unwrap(), "DELETE uninstall");
}

#[test]
fn a_cluster_without_nodes_is_done_at_once() {
    let server = ApiServer::start(&[]);
    let run = uninstall(&server, "30");
    assert!(run.succeeded(), "{}", run.said());
    assert!(run.took < Duration::from_secs(15), "{:?}", run.took);
}

#[test]
fn a_node_that_never_starts_is_named_when_the_time_is_up() {
    let server = ApiServer::start(&[succeeds("a"), ("b", Behaviour::NeverStarts)]);
    let run = uninstall(&server, "3");
    assert_eq!(run.output.status.code(), Some(1));
    assert!(
        run.said()
            .contains("node b: not finished: ErrImagePull: no such image"),
        "{}",
        run.said()
    );
    assert_eq!(server.changes(), ["POST check", "DELETE check"]);
}

#[test]
fn what_an_interrupted_run_left_is_removed_first() {
    let server = ApiServer::start(&[succeeds("a")]);
    server.add(REAL);
    let run = uninstall(&server, "30");
    assert!(run.succeeded(), "{}", run.said());
    let changes = server.changes();
    let last = &changes[changes.len() - 3..];
    assert_eq!(
        last,
        ["DELETE uninstall", "POST uninstall", "DELETE uninstall"]
    );
}

#[test]
fn a_server_that_goes_away_for_a_moment_is_asked_again() {
    let server = ApiServer::start(&[succeeds("a")]);
    server.fail_next(4, 503);
    let run = uninstall(&server, "30");
    assert!(run.succeeded(), "{}", run.said());
}

#[test]
fn a_refusal_is_final_and_says_what_was_refused() {
    let server = ApiServer::start(&[succeeds("a")]);
    server.fail_next(u32::MAX, 403);
    let run = uninstall(&server, "30");
    assert_eq!(run.output.status.code(), Some(1));
    assert!(
        run.said().contains("403") && run.said().contains("as the test wishes"),
        "{}",
        run.said()
    );
    assert!(run.took < Duration::from_secs(15), "{:?}", run.took);
}

#[test]
fn a_server_with_another_certificate_is_told_nothing() {
    let server = ApiServer::start(&[succeeds("a")]);
    let other = ApiServer::start(&[]);
    std::fs::copy(other.files().join("ca.crt"), server.files().join("ca.crt")).unwrap();
    let run = uninstall(&server, "2");
    assert_eq!(run.output.status.code(), Some(1));
    assert!(run.said().contains("does not answer"), "{}", run.said());
    assert_eq!(server.requests(), 0);
}

#[test]
fn only_the_bearer_of_the_token_is_served() {
    let server = ApiServer::start(&[succeeds("a")]);
    std::fs::write(server.files().join("token"), "stale").unwrap();
    let run = uninstall(&server, "30");
    assert_eq!(run.output.status.code(), Some(1));
    assert!(run.said().contains("401"), "{}", run.said());
}
