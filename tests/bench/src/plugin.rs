//! The built plugin: time per container and memory.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::Context as _;
use nri_plugin::NriVersion;
use nri_plugin::api::{Event, ValidateContainerAdjustmentRequest};
use test_support::{FakeRuntime, Session};

use crate::node::{Node, binary, container, pod};
use crate::sample::{Row, Sample};

const CONTAINERS: usize = 500;
const ROUND_TRIPS: usize = 5000;

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Rows for the CreateContainer round trip and for resident memory.
pub fn rows(node: &Node) -> anyhow::Result<Vec<Row>> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(measure(node))
}

async fn measure(node: &Node) -> anyhow::Result<Vec<Row>> {
    let runtime = FakeRuntime::listen(node.path(), NriVersion::V0_12).await;
    let config = node.path().join("plugin.toml");
    fs::write(&config, node.config())?;
    let plugin = Command::new(binary("10-nono-nri"))
        .arg("--config")
        .arg(config)
        .stderr(Stdio::null())
        .spawn();
    let plugin = Running(plugin.context("there is no ./10-nono-nri: run `make build`")?);
    let mut session = runtime.accept().await?;
    session.handshake(vec![], vec![]).await?;

    let idle = resident_kib(&plugin)?;
    for i in 0..CONTAINERS {
        live_and_die(&session, i).await?;
    }
    let used = resident_kib(&plugin)?;

    let mut round_trips = Sample::default();
    let pod = pod("timed");
    let container = container(&pod);
    for _ in 0..ROUND_TRIPS {
        let start = Instant::now();
        session.create_container(&pod, &container).await?;
        round_trips.add(start.elapsed());
    }
    let memory = |measure: &str, kib: u64| Row {
        measure: measure.to_owned(),
        median: format!("{:.1} MiB", kib as f64 / 1024.0),
        p99: String::new(),
        remark: "VmRSS of the process".to_owned(),
    };
    Ok(vec![
        round_trips.row(
            "CreateContainer, round trip",
            "over the socket, both sides' encoding included",
        ),
        memory("plugin memory, idle", idle),
        memory(
            &format!("plugin memory after {CONTAINERS} containers"),
            used,
        ),
    ])
}

/// Everything that a runtime says of one container.
async fn live_and_die(session: &Session, i: usize) -> anyhow::Result<()> {
    let pod = pod(&format!("pod-{i}"));
    let mut container = container(&pod);
    let response = session.create_container(&pod, &container).await?;
    let adjust = response.adjust.context("the plugin adjusted nothing")?;
    let request = ValidateContainerAdjustmentRequest {
        pod: Some(pod.clone()),
        container: Some(container.clone()),
        adjust: Some(adjust.clone()),
        ..Default::default()
    };
    session.validate(&request).await?;
    container.args = adjust.args;
    container.mounts.extend(adjust.mounts);
    for event in [
        Event::PostCreateContainer,
        Event::StartContainer,
        Event::StopContainer,
        Event::RemoveContainer,
    ] {
        session.event(event, &pod, Some(&container)).await?;
    }
    Ok(())
}

fn resident_kib(plugin: &Running) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", plugin.0.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let value = line
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .context("no VmRSS in status")?;
    Ok(value.trim().parse()?)
}
