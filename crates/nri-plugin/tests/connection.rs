//! Broken connections: the plugin reports them, comes back, and never crashes.

mod recorder;

use nri_plugin::api::{CreateContainerRequest, PLUGIN_SERVICE};
use nri_plugin::{EventSet, NriVersion, PluginRunner, Requires};
use prost::Message;
use recorder::{Plugin, Recorder, Setup};
use test_support::{ContainerBuilder, FakeRuntime, PodBuilder, Session};

impl Setup {
    /// Waits until the plugin has come back, and shows that it works.
    async fn assert_reconnects(&mut self) {
        self.session = self.runtime.accept().await.unwrap();
        self.session.handshake(vec![], vec![]).await.unwrap();
        self.handler.expect_notice("connected containerd").await;
        self.assert_usable().await;
    }
}

#[tokio::test]
async fn malformed_frames_end_the_connection_only() {
    let mut setup = Setup::new(NriVersion::V0_12, Requires::NONE).await;
    let too_long = [&1_u32.to_be_bytes()[..], &(64_u32 << 20).to_be_bytes()].concat();
    let cases: [(&[u8], &str); 3] = [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "frame of"),
        (&too_long, "frame of"),
        (&[0; 16], "reserved"),
    ];
    for (bytes, reason) in cases {
        setup.session.send_bytes(bytes).await.unwrap();
        setup.session.wait_for_hang_up().await.unwrap();
        setup.handler.expect_notice(reason).await;
        setup.assert_reconnects().await;
    }
}

#[tokio::test]
async fn garbage_inside_frames_never_crashes() {
    let mut setup = Setup::new(NriVersion::V0_12, Requires::NONE).await;
    // Frames for connections that do not exist are dropped; empty ones mean nothing.
    setup.session.send_frame(77, &[1; 9000]).await.unwrap();
    setup.session.send_frame(1, &[]).await.unwrap();
    setup.assert_usable().await;
    // Not a ttrpc message: an even stream id, an unknown type, a payload that is not a request.
    let junk = [
        [0, 0, 0, 4, 0, 0, 0, 2, 9, 9, 1, 2, 3, 4],
        [0, 0, 0, 4, 0, 0, 0, 99, 1, 0, 255, 255, 255, 255],
    ];
    for junk in junk {
        setup.session.send_frame(1, &junk).await.unwrap();
        setup.session.send_frame(2, &junk).await.unwrap();
    }
    setup.assert_usable().await;
    drop(std::mem::replace(&mut setup.session, dead_session().await));
    setup.assert_reconnects().await;
}

/// A placeholder for a session that was dropped.
async fn dead_session() -> Session {
    let (near, _) = tokio::net::UnixStream::pair().unwrap();
    test_support::fake_runtime::session_over(near, NriVersion::V0_12)
}

#[tokio::test]
async fn hanging_up_amid_a_call_makes_the_plugin_come_back() {
    let mut setup = Setup::new(NriVersion::V0_11, Requires::NONE).await;
    for name in ["app", "block", "panic"] {
        let request = CreateContainerRequest {
            pod: Some(setup.pod.clone()),
            container: Some(setup.container(name)),
        };
        let session = std::mem::replace(&mut setup.session, dead_session().await);
        let payload = request.encode_to_vec();
        session
            .call_and_hang_up(PLUGIN_SERVICE, "CreateContainer", payload)
            .await
            .unwrap();
        setup.handler.expect_notice("disconnected").await;
        setup.assert_reconnects().await;
    }
    setup.handler.release();
}

#[tokio::test]
async fn a_frame_that_is_cut_short_makes_the_plugin_come_back() {
    let mut setup = Setup::new(NriVersion::V0_12, Requires::NONE).await;
    setup
        .session
        .send_bytes(&[0, 0, 0, 1, 0, 0, 0, 50, 1, 2])
        .await
        .unwrap();
    setup.session = dead_session().await;
    setup.handler.expect_notice("inside a frame").await;
    setup.assert_reconnects().await;
}

#[tokio::test]
async fn the_plugin_waits_for_the_runtime_and_survives_its_restart() {
    let directory = tempfile::tempdir().unwrap();
    let handler = Recorder::new(EventSet::ALL);
    let socket = directory.path().join("nri.sock");
    let _plugin = Plugin::start(&socket, handler.clone(), Requires::NONE);
    handler.expect_notice("cannot connect to").await;
    for version in [NriVersion::V0_8, NriVersion::V0_12] {
        let runtime = FakeRuntime::listen(directory.path(), version).await;
        let mut session = runtime.accept().await.unwrap();
        session.handshake(vec![], vec![]).await.unwrap();
        handler.expect_notice(&format!("(NRI {version})")).await;
        session.shut_down().await.unwrap();
        drop(session);
        drop(runtime);
        handler.expect_notice("disconnected the peer closed").await;
        handler.expect_notice("cannot connect to").await;
    }
}

#[tokio::test]
async fn shutdown_waits_for_the_reply_to_a_request_in_flight() {
    let directory = tempfile::tempdir().unwrap();
    let runtime = FakeRuntime::listen(directory.path(), NriVersion::V0_12).await;
    let handler = Recorder::new(EventSet::ALL);
    let runner = PluginRunner::new("recorder", "10", handler.clone()).unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(runner.socket(runtime.socket()).run(async {
        let _ = stopped.await;
    }));
    let mut session = runtime.accept().await.unwrap();
    session.handshake(vec![], vec![]).await.unwrap();
    let pod = PodBuilder::new("web").build();
    let container = ContainerBuilder::new(&pod, "block").build();
    let stop_amid_the_call = async {
        handler.wait_until_blocked().await;
        stop.send(()).unwrap();
        tokio::task::yield_now().await;
        handler.release();
    };
    let created = session.create_container(&pod, &container);
    let (created, ()) = tokio::join!(created, stop_amid_the_call);
    assert_eq!(created.unwrap().adjust.unwrap().args[0], "/wrap");
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn shutdown_ends_the_plugin_and_hangs_up() {
    let directory = tempfile::tempdir().unwrap();
    let runtime = FakeRuntime::listen(directory.path(), NriVersion::V0_12).await;
    let handler = Recorder::new(EventSet::ALL);
    let runner = PluginRunner::new("recorder", "10", handler).unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(runner.socket(runtime.socket()).run(async {
        let _ = stopped.await;
    }));
    let mut session = runtime.accept().await.unwrap();
    session.handshake(vec![], vec![]).await.unwrap();
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
    session.wait_for_hang_up().await.unwrap();
}
