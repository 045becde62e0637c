//! A plugin that the runtime starts, with its end of a socket pair as descriptor 3.
//!
//! The test starts itself: `the_plugin` is the child, and ignored unless the environment says so.

mod recorder;

use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use nri_plugin::{EventSet, NriVersion, PluginRunner, RunError};
use recorder::Recorder;
use test_support::fake_runtime::session_over;
use test_support::{ContainerBuilder, PodBuilder, Session};

const EXPECTED_END: &str = "KUBEFENCE_TEST_EXPECTED_END";

#[tokio::test]
#[ignore = "the child of the other tests"]
async fn the_plugin() {
    let Ok(expected) = std::env::var(EXPECTED_END) else {
        return;
    };
    let runner = PluginRunner::new("default-name", "99", Recorder::new(EventSet::ALL)).unwrap();
    let runner = runner.from_environment().unwrap();
    let again = PluginRunner::new("again", "00", Recorder::new(EventSet::ALL)).unwrap();
    assert!(
        again.from_environment().is_err(),
        "the socket was adopted twice"
    );
    let ended = runner.run(std::future::pending()).await;
    match expected.as_str() {
        "shutdown" => ended.unwrap(),
        _ => assert!(
            matches!(ended, Err(RunError::Disconnected { .. })),
            "{ended:?}"
        ),
    }
}

/// Starts the child as a runtime would.
fn start(expected: &str) -> (Child, Session) {
    let (near, far) = std::os::unix::net::UnixStream::pair().unwrap();
    // Descriptors above 2 do not survive an exec from Rust; a shell moves the socket from 0 to 3.
    let child = Command::new("/bin/sh")
        .args(["-c", r#"exec "$0" "$@" 3<&0 0</dev/null"#])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "the_plugin", "--ignored", "--nocapture"])
        .env("NRI_PLUGIN_NAME", "given-name")
        .env("NRI_PLUGIN_IDX", "42")
        .env("NRI_PLUGIN_SOCKET", "3")
        .env(EXPECTED_END, expected)
        .stdin(OwnedFd::from(far))
        .stdout(Stdio::inherit())
        .spawn()
        .unwrap();
    near.set_nonblocking(true).unwrap();
    let near = tokio::net::UnixStream::from_std(near).unwrap();
    (child, session_over(near, NriVersion::V0_12))
}

#[tokio::test]
async fn it_serves_one_connection_under_the_name_it_is_given() {
    for expected in ["shutdown", "disconnect"] {
        let (mut child, mut session) = start(expected);
        let plugin = session.expect_register().await.unwrap();
        assert_eq!(plugin.request.plugin_name, "given-name");
        assert_eq!(plugin.request.plugin_idx, "42");
        session.accept_registration(plugin).await.unwrap();
        session.configure("").await.unwrap();
        session.synchronize(vec![], vec![]).await.unwrap();
        let pod = PodBuilder::new("web").build();
        let container = ContainerBuilder::new(&pod, "app").build();
        let created = session.create_container(&pod, &container).await.unwrap();
        assert_eq!(created.adjust.unwrap().args[0], "/wrap");
        if expected == "shutdown" {
            session.shut_down().await.unwrap();
        }
        drop(session);
        let status = tokio::task::spawn_blocking(move || child.wait())
            .await
            .unwrap();
        assert!(status.unwrap().success());
    }
}
