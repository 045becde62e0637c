//! Start and end of the process: flags, exit codes, first log lines.

use std::fs;
use std::process::Output;

use nri_plugin::NriVersion;

use crate::harness::{Node, eventually, plugin_command};

fn run(config: &str) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("c.toml");
    fs::write(&file, config).unwrap();
    plugin_command().arg("--config").arg(file).output().unwrap()
}

#[test]
fn a_bad_configuration_exits_78_with_one_json_line() {
    let output = run("runtime_classes = []\n");
    assert_eq!(output.status.code(), Some(78));
    let line: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    let reason = line["reason"].as_str().unwrap();
    assert_eq!(line["level"], "ERROR");
    assert!(
        reason.contains("runtime_classes = []") && reason.contains("at least one"),
        "{reason}"
    );
    assert_eq!(run("nonsense").status.code(), Some(78));
}

#[test]
fn a_bad_command_line_exits_2() {
    for args in [&["--nope"][..], &["--log-level", "loud"], &["--config"]] {
        assert_eq!(
            plugin_command().args(args).output().unwrap().status.code(),
            Some(2),
            "{args:?}"
        );
    }
}

#[tokio::test]
async fn signals_end_it_cleanly() {
    for signal in ["TERM", "INT"] {
        let node = Node::new(NriVersion::V0_12).await;
        let (mut plugin, _session) = node.connect().await;
        plugin.logged("registered", "").await;
        plugin.signal(signal);
        assert_eq!(plugin.child.wait().unwrap().code(), Some(0), "SIG{signal}");
    }
}

#[tokio::test]
async fn the_first_lines_tell_the_set_up() {
    let node = Node::new(NriVersion::V0_11).await;
    let (plugin, _session) = node.connect().await;
    let starting = plugin.logged("starting", "").await;
    assert!(
        starting["landlock_abi"].as_u64().unwrap() >= 1,
        "{starting}"
    );
    let registered = plugin.logged("registered", "").await;
    assert!(
        registered["runtime"].as_str().unwrap().contains("NRI 0.11"),
        "{registered}"
    );
    let published = node.path("opt/profiles/default.json");
    eventually("the plans", || published.exists()).await;
}
