//! What the plugin's endpoints say of a real runtime and its containers.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::confinement::{LIMIT, SLEEP, refusal, sleeping};
use super::{Check, own, shared};
use crate::daemon::BASELINE;
use crate::images::BUSYBOX;
use crate::node::{Fixture, Node};
use crate::plugin::Plugin;
use crate::wait;

/// What a single answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

pub(super) const CHECKS: &[Check] = &[
    shared(
        "metrics follow an injected, a skipped and a refused container",
        metrics_move,
    ),
    own(
        "the plugin is ready while containerd runs, and says why not while it is stopped; its event loop is healthy",
        readiness_flips,
    ),
    own(
        "a container that started bare while the plugin was away is counted until it ends",
        bare_is_counted,
    ),
];

/// Status and body.
fn get(plugin: &Plugin, path: &str) -> Result<(u16, String)> {
    let address = plugin.endpoints()?;
    let mut stream =
        TcpStream::connect(&address).with_context(|| format!("nobody answers at {address}"))?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: node\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    Ok((status, body.to_owned()))
}

/// The values of some series, in order.
fn values<const N: usize>(plugin: &Plugin, series: [&str; N]) -> Result<[f64; N]> {
    let (status, body) = get(plugin, "/metrics")?;
    ensure!(status == 200, "/metrics answers {status}: {body}");
    let mut values = [0.0; N];
    for (value, series) in values.iter_mut().zip(series) {
        let mut lines = body.lines();
        let found = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        *value = found
            .with_context(|| format!("no {series} in /metrics"))?
            .parse()?;
    }
    Ok(values)
}

fn metrics_move(node: &Node) -> Result<()> {
    const SERIES: [&str; 5] = [
        "kubefence_decisions_total{decision=\"inject\"}",
        "kubefence_decisions_total{decision=\"skip\"}",
        "kubefence_decisions_total{decision=\"refuse\"}",
        "kubefence_refusals_total{reason=\"unknown_profile\"}",
        "kubefence_create_container_seconds_count",
    ];
    let plugin = node.plugin()?;
    let moves = |what: &str, expected: [f64; 5], run: &dyn Fn() -> Result<()>| {
        let before = values(plugin, SERIES)?;
        run()?;
        let after = values(plugin, SERIES)?;
        for ((series, expected), (before, after)) in SERIES
            .iter()
            .zip(expected)
            .zip(before.into_iter().zip(after))
        {
            ensure!(
                after - before == expected,
                "{what}: {series} went from {before} to {after}"
            );
        }
        Ok(())
    };
    moves("nothing happens", [0.0; 5], &|| Ok(()))?;
    let ours = node.pod("counted").run()?;
    moves("a sandboxed container", [1.0, 0.0, 0.0, 0.0, 1.0], &|| {
        sleeping(&ours, "main").map(drop)
    })?;
    let plain = node.pod("not-ours").handler(BASELINE).run()?;
    moves("one of another handler", [0.0, 1.0, 0.0, 0.0, 1.0], &|| {
        sleeping(&plain, "main").map(drop)
    })?;
    let lost = node
        .pod("refused")
        .annotation("nono.sh/profile", "nowhere")
        .run()?;
    moves("a refused one", [0.0, 0.0, 1.0, 1.0, 1.0], &|| {
        let message = refusal(&lost, "main")?;
        ensure!(message.contains("\"nowhere\" does not exist"), "{message}");
        Ok(())
    })
}

fn node(containerd: &str) -> Result<Node> {
    Node::start(Fixture::containerd(containerd).images(&[BUSYBOX]).plugin())
}

fn readiness_flips(containerd: &str) -> Result<()> {
    let node = node(containerd)?;
    let plugin = node.plugin()?;
    until_ready(plugin)?;
    node.restart_daemon(|| {
        wait::until("an answer of 503 from /readyz", LIMIT, || {
            let (status, body) = get(plugin, "/readyz")?;
            let says_why = body.contains("not registered with the runtime");
            Ok((status == 503 && says_why).then_some(()))
        })?;
        let (status, _) = get(plugin, "/healthz")?;
        ensure!(status == 200, "/healthz answers {status} without a runtime");
        let connected = values(plugin, ["kubefence_connected", "kubefence_ready"])?;
        ensure!(
            connected == [0.0, 0.0],
            "connected and ready are {connected:?}"
        );
        Ok(())
    })?;
    until_ready(plugin)?;
    let series = [
        "kubefence_connected",
        "kubefence_ready",
        "kubefence_reconnects_total",
    ];
    let found = values(plugin, series)?;
    ensure!(found == [1.0, 1.0, 1.0], "{series:?} are {found:?}");
    Ok(())
}

fn until_ready(plugin: &Plugin) -> Result<()> {
    let mut last = String::new();
    wait::until("an answer of 200 from /readyz", LIMIT, || {
        let (status, body) = get(plugin, "/readyz")?;
        last = body;
        Ok((status == 200).then_some(()))
    })
    .with_context(|| format!("it answered {last:?}"))
}

fn bare_is_counted(containerd: &str) -> Result<()> {
    const SERIES: [&str; 1] = ["kubefence_unsandboxed_containers"];
    let node = node(containerd)?;
    let plugin = node.plugin()?;
    let pod = node.pod("bare").run()?;
    sleeping(&pod, "sandboxed")?;
    plugin.stop()?;
    // The runtime drops a closed validator only after it has failed one creation.
    let names = ["bare-1", "bare-2", "bare-3"].into_iter();
    let bare = names
        .filter_map(|name| pod.container(BUSYBOX, &SLEEP).name(name).start().ok())
        .next();
    let Some(bare) = bare else {
        bail!("no container was started while the plugin was away");
    };
    node.start_plugin_again()?;
    let found = values(plugin, SERIES)?;
    ensure!(
        found == [1.0],
        "{SERIES:?} are {found:?} with one bare container"
    );
    bare.stop(0)?;
    wait::until("the count of bare containers to fall", LIMIT, || {
        Ok((values(plugin, SERIES)? == [0.0]).then_some(()))
    })
}
