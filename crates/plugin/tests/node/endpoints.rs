//! What /metrics, /healthz and /readyz say of a plugin, and that they cannot get into its way.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use nri_plugin::NriVersion;
use nri_plugin::api::{Event, PodSandbox};
use test_support::{ContainerBuilder, PodBuilder, Session};

use crate::guard::confined;
use crate::harness::{
    Node, Plugin, adjusted, applied, container, eventually, plugin_command, pod, refusal,
};

const LONG: Duration = Duration::from_secs(60);

fn with_endpoints(address: &str) -> Command {
    let mut command = plugin_command();
    command.args(["--metrics-addr", address]);
    command
}

/// A plugin with endpoints on a free port, and where they are.
async fn start(node: &Node, extra: &str) -> (Plugin, String) {
    let plugin = node.start_by(with_endpoints("127.0.0.1:0"), extra);
    let line = plugin.logged("serving metrics", "").await;
    let address = line["addr"].as_str().unwrap().to_owned();
    (plugin, address)
}

/// Status and body.
fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

/// The value of one series.
fn value(address: &str, series: &str) -> f64 {
    let (status, body) = get(address, "/metrics");
    assert_eq!(status, 200);
    let found = body
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    let found = found.unwrap_or_else(|| panic!("no {series} in:\n{body}"));
    found.parse().unwrap()
}

fn decisions(address: &str) -> [f64; 4] {
    ["inject", "guard", "skip", "refuse"].map(|d| {
        value(
            address,
            &format!("kubefence_decisions_total{{decision=\"{d}\"}}"),
        )
    })
}

async fn ready(address: &str) {
    eventually("readiness", || get(address, "/readyz").0 == 200).await;
}

async fn not_ready(address: &str, reason: &str) {
    let says_so = || {
        let (status, body) = get(address, "/readyz");
        status == 503 && body.contains(reason)
    };
    eventually(reason, says_so).await;
}

/// What the runtime says of a container that is created and started.
async fn run(session: &Session, pod: &PodSandbox, name: &str) {
    let bare = ContainerBuilder::new(pod, name).args(["app"]).build();
    let adjust = adjusted(session, pod, &bare).await;
    let created = applied(&bare, &adjust);
    for event in [Event::PostCreateContainer, Event::StartContainer] {
        session.event(event, pod, Some(&created)).await.unwrap();
    }
}

#[tokio::test]
async fn a_plugin_is_ready_while_a_runtime_has_it_registered() {
    let node = Node::new(NriVersion::V0_12).await;
    let (_plugin, address) = start(&node, "").await;
    not_ready(&address, "not registered with the runtime").await;
    assert_eq!(get(&address, "/healthz"), (200, "ok\n".to_owned()));
    let session = node.accept(vec![], vec![]).await;
    ready(&address).await;
    assert_eq!(value(&address, "kubefence_connected"), 1.0);
    assert_eq!(value(&address, "kubefence_reconnects_total"), 0.0);
    drop(session);
    not_ready(&address, "not registered with the runtime").await;
    assert_eq!(value(&address, "kubefence_connected"), 0.0);
    assert_eq!(value(&address, "kubefence_ready"), 0.0);
    assert_eq!(
        get(&address, "/healthz").0,
        200,
        "the runtime is not its health"
    );
    let _session = node.accept(vec![], vec![]).await;
    ready(&address).await;
    assert_eq!(value(&address, "kubefence_reconnects_total"), 1.0);
}

#[tokio::test]
async fn a_runtime_that_drops_args_is_ready_only_for_guarded_handlers() {
    for (extra, is_ready) in [("", false), ("guarded_classes = [\"nono-runc\"]\n", true)] {
        let node = Node::new(NriVersion::V0_9).await;
        let (_plugin, address) = start(&node, extra).await;
        let session = node.accept(vec![], vec![]).await;
        if is_ready {
            ready(&address).await;
            continue;
        }
        not_ready(&address, "drops changes of args").await;
        let (_, body) = get(&address, "/readyz");
        assert!(body.contains("upgrade to containerd 2.2"), "{body}");
        let pod = pod();
        let message = refusal(&session, &pod, &container(&pod)).await;
        assert!(message.contains("upgrade to containerd 2.2"), "{message}");
        let series = "kubefence_refusals_total{reason=\"runtime_too_old\"}";
        assert_eq!(value(&address, series), 1.0);
    }
}

#[tokio::test]
async fn a_node_without_its_launcher_is_not_ready_until_it_is_back() {
    let node = Node::new(NriVersion::V0_12).await;
    let (_plugin, address) = start(&node, "").await;
    let session = node.accept(vec![], vec![]).await;
    ready(&address).await;
    fs::rename(node.path("opt/nono"), node.path("aside")).unwrap();
    not_ready(&address, "install the launcher there or set nono_bin_path").await;
    let pod = pod();
    refusal(&session, &pod, &container(&pod)).await;
    let series = "kubefence_refusals_total{reason=\"node_not_ready\"}";
    assert_eq!(value(&address, series), 1.0);
    let profiles = |state: &str| {
        value(
            &address,
            &format!("kubefence_profiles{{state=\"{state}\"}}"),
        )
    };
    assert_eq!(profiles("usable"), 0.0);
    fs::rename(node.path("aside"), node.path("opt/nono")).unwrap();
    ready(&address).await;
    assert!(profiles("usable") > 0.0 && profiles("unusable") > 0.0);
    assert!(value(&address, "kubefence_landlock_abi") >= 1.0);
}

#[tokio::test]
async fn what_becomes_of_containers_is_counted_once() {
    let node = Node::new(NriVersion::V0_12).await;
    let (_plugin, address) = start(&node, "").await;
    let session = node.accept(vec![], vec![]).await;
    assert_eq!(decisions(&address), [0.0; 4]);
    let ours = pod();
    run(&session, &ours, "app").await;
    assert_eq!(decisions(&address), [1.0, 0.0, 0.0, 0.0]);
    let other = PodBuilder::new("plain").runtime_handler("runc").build();
    let plain = ContainerBuilder::new(&other, "app").args(["app"]).build();
    session.create_container(&other, &plain).await.unwrap();
    session
        .event(Event::StartContainer, &other, Some(&plain))
        .await
        .unwrap();
    assert_eq!(decisions(&address), [1.0, 0.0, 1.0, 0.0]);
    let unknown = PodBuilder::new("unknown")
        .runtime_handler("nono-runc")
        .annotation("nono.sh/profile", "nowhere")
        .build();
    refusal(&session, &unknown, &container(&unknown)).await;
    assert_eq!(decisions(&address), [1.0, 0.0, 1.0, 1.0]);
    let refusals = |reason: &str| {
        value(
            &address,
            &format!("kubefence_refusals_total{{reason=\"{reason}\"}}"),
        )
    };
    assert_eq!(refusals("unknown_profile"), 1.0);
    // The runtime has created it bare, and is told not to start it.
    let bare = ContainerBuilder::new(&ours, "bare").args(["app"]).build();
    let _ = session
        .event(Event::PostCreateContainer, &ours, Some(&bare))
        .await;
    assert!(
        session
            .event(Event::StartContainer, &ours, Some(&bare))
            .await
            .is_err()
    );
    assert_eq!((refusals("not_wrapped"), refusals("other")), (1.0, 0.0));
    assert_eq!(decisions(&address), [1.0, 0.0, 1.0, 2.0]);
    assert_eq!(
        value(&address, "kubefence_create_container_seconds_count"),
        3.0
    );
    let odd = PodBuilder::new("odd")
        .runtime_handler("nono-runc")
        .annotation("nono.sh/profile", "no/name")
        .build();
    run(&session, &odd, "app").await;
    assert_eq!(value(&address, "kubefence_invalid_annotations_total"), 1.0);
}

#[tokio::test]
async fn what_the_guard_wraps_is_counted_as_its_own() {
    let node = Node::new(NriVersion::V0_9).await;
    let (_plugin, address) = start(&node, &node.guarded()).await;
    let session = node.accept(vec![], vec![]).await;
    let pod = pod();
    let bare = container(&pod);
    session.create_container(&pod, &bare).await.unwrap();
    let start = || session.event(Event::StartContainer, &pod, Some(&bare));
    assert!(start().await.is_err(), "control: without a record");
    node.record(&bare.id, confined("strict"));
    assert!(start().await.is_err(), "control: with another profile");
    let series = "kubefence_refusals_total{reason=\"not_guarded\"}";
    assert_eq!(value(&address, series), 2.0);
    assert_eq!(decisions(&address), [0.0, 0.0, 0.0, 2.0]);
    node.record(&bare.id, confined("default"));
    start().await.unwrap();
    assert_eq!(decisions(&address), [0.0, 1.0, 0.0, 2.0]);
}

#[tokio::test]
async fn bare_containers_count_from_connection_to_their_end() {
    let node = Node::new(NriVersion::V0_12).await;
    let (_plugin, address) = start(&node, "").await;
    let pod = pod();
    let bare = |name: &str| ContainerBuilder::new(&pod, name).args(["app"]).build();
    let (first, second) = (bare("first"), bare("second"));
    let containers = vec![first.clone(), second.clone()];
    let session = node.accept(vec![pod.clone()], containers).await;
    let count = || value(&address, "kubefence_unsandboxed_containers");
    assert_eq!(count(), 2.0);
    session
        .event(Event::StopContainer, &pod, Some(&first))
        .await
        .unwrap();
    assert_eq!(count(), 1.0);
    drop(session);
    let _session = node.accept(vec![pod], vec![]).await;
    assert_eq!(count(), 0.0);
}

#[tokio::test]
async fn broken_profiles_are_counted_until_they_are_mended() {
    let node = Node::new(NriVersion::V0_12).await;
    fs::create_dir(node.path("own")).unwrap();
    let file = node.path("own/team.json");
    fs::write(&file, "{").unwrap();
    let dir = node.path("own");
    let (_plugin, address) = start(&node, &format!("profile_dir = \"{}\"\n", dir.display())).await;
    let _session = node.accept(vec![], vec![]).await;
    let broken = || value(&address, "kubefence_broken_profile_files");
    eventually("the broken file", || broken() == 1.0).await;
    assert_eq!(
        value(&address, "kubefence_profile_reload_failures_total"),
        1.0
    );
    eventually("the plans", || {
        value(
            &address,
            "kubefence_profile_reload_success_timestamp_seconds",
        ) > 1.0e9
    })
    .await;
    fs::write(node.path("own/.new"), r#"{ "extends": "default" }"#).unwrap();
    fs::rename(node.path("own/.new"), &file).unwrap();
    eventually("the mended file", || broken() == 0.0).await;
    assert_eq!(
        value(&address, "kubefence_profile_reload_failures_total"),
        1.0
    );
}

#[tokio::test]
async fn whoever_plays_with_the_endpoints_holds_no_container_up() {
    let node = Node::new(NriVersion::V0_12).await;
    let (mut plugin, address) = start(&node, "").await;
    let session = node.accept(vec![], vec![]).await;
    let mut open = Vec::new();
    for i in 0..200 {
        let mut stream = TcpStream::connect(&address).unwrap();
        let garbage: &[u8] = [
            &b""[..],
            b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n",
            &[0xff; 20_000],
            b"POST /metrics HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n",
        ][i % 4];
        let _ = stream.write_all(garbage);
        open.push(stream);
    }
    let pod = pod();
    for i in 0..20 {
        run(&session, &pod, &format!("app-{i}")).await;
    }
    assert_eq!(plugin.child.try_wait().unwrap(), None, "the plugin exited");
    assert_eq!(decisions(&address)[0], 20.0);
}

#[tokio::test]
async fn an_address_that_cannot_be_used_ends_the_plugin_before_it_does_anything() {
    let node = Node::new(NriVersion::V0_12).await;
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let mut plugin = node.start_by(with_endpoints(&taken), "");
    assert_eq!(plugin.child.wait().unwrap().code(), Some(1));
    let line = plugin.logged("cannot run", "").await;
    let reason = line["reason"].as_str().unwrap();
    assert!(
        reason.contains(&taken) && reason.contains("--metrics-addr"),
        "{reason}"
    );
    assert!(plugin.find("starting", "").is_none());
    assert!(!node.path("opt/plans").exists());
    for wrong in ["9464", "localhost:9464", "127.0.0.1", "127.0.0.1:70000", ""] {
        let output = with_endpoints(wrong).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains("--metrics-addr"), "{message}");
    }
}
