//! Whatever a handler does, the runtime gets a reply in time and the connection stays usable.

mod recorder;

use std::time::Duration;

use nri_plugin::api::{Container, CreateContainerRequest, PLUGIN_SERVICE, StartContainerRequest};
use nri_plugin::{NriVersion, Requires};
use prost::Message;
use recorder::Setup;
use test_support::FakeError;

/// A time limit short enough for a test to wait for; replies are awaited for much longer.
const SHORT: Duration = Duration::from_millis(300);

const UNKNOWN: i32 = 2;
const FAILED_PRECONDITION: i32 = 9;
const ABORTED: i32 = 10;
const OUT_OF_RANGE: i32 = 11;
const UNIMPLEMENTED: i32 = 12;
const INTERNAL: i32 = 13;

impl Setup {
    /// Creates a container and expects an error reply.
    async fn refusal(&self, container: &Container, limit: Duration) -> (i32, String) {
        let created = self
            .session
            .create_container_within(&self.pod, container, limit);
        match created.await {
            Err(FakeError::Rpc { code, message }) => (code, message),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn errors_and_panics_are_replies() {
    for version in [NriVersion::V0_8, NriVersion::V0_12] {
        let setup = Setup::new(version, Requires::NONE).await;
        let long = Duration::from_secs(50);
        let (code, message) = setup.refusal(&setup.container("error"), long).await;
        assert_eq!(code, UNKNOWN);
        let expected = "nri plugin 10-recorder: CreateContainer of container web-error (error) of \
                        pod default/web: profile \"x\" does not exist";
        assert_eq!(message, expected);
        let (code, message) = setup.refusal(&setup.container("panic"), long).await;
        assert_eq!(code, INTERNAL);
        assert!(
            message.contains("panicked: create panics for web-panic"),
            "{message}"
        );
        setup.assert_usable().await;
    }
}

#[tokio::test]
async fn a_failed_synchronization_does_not_cost_the_connection() {
    for name in ["sync-panics", "sync-fails"] {
        let setup = Setup::new(NriVersion::V0_12, Requires::NONE).await;
        let containers = vec![setup.container(name)];
        let response = setup.session.synchronize(vec![], containers).await.unwrap();
        assert!(response.update.is_empty());
        setup.handler.expect_notice("not synchronized").await;
        setup.assert_usable().await;
    }
}

#[tokio::test]
async fn a_start_without_a_pod_is_refused() {
    let setup = Setup::new(NriVersion::V0_12, Requires::NONE).await;
    let request = StartContainerRequest {
        pod: None,
        container: Some(setup.container("app")),
    };
    let payload = request.encode_to_vec();
    let started = setup
        .session
        .call(PLUGIN_SERVICE, "StartContainer", payload)
        .await;
    assert!(matches!(started, Err(FakeError::Rpc { .. })), "{started:?}");
}

#[tokio::test]
async fn an_overrun_is_a_reply_and_its_result_is_discarded() {
    let setup = Setup::new(NriVersion::V0_12, Requires::NONE).await;
    for name in ["overrun", "block"] {
        let (code, message) = setup.refusal(&setup.container(name), SHORT).await;
        assert_eq!(code, ABORTED);
        assert!(message.contains("did not finish within 240ms"), "{message}");
        assert!(message.contains(&format!("web-{name}")), "{message}");
        setup.assert_usable().await;
    }
    setup.handler.release();
    let released = "released, expired: true".to_owned();
    let seen = async {
        while !setup.handler.calls().contains(&released) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(recorder::PATIENCE, seen)
        .await
        .unwrap();
    setup.assert_usable().await;
}

#[tokio::test]
async fn a_request_without_a_limit_has_the_advertised_one() {
    let directory = tempfile::tempdir().unwrap();
    let runtime = test_support::FakeRuntime::listen(directory.path(), NriVersion::V0_12).await;
    let runtime = runtime.request_timeout(SHORT);
    let handler = recorder::Recorder::new(nri_plugin::EventSet::ALL);
    let _plugin = recorder::Plugin::start(runtime.socket(), handler.clone(), Requires::NONE);
    let mut session = runtime.accept().await.unwrap();
    session.handshake(vec![], vec![]).await.unwrap();
    let pod = test_support::PodBuilder::new("web").build();
    let container = test_support::ContainerBuilder::new(&pod, "block").build();
    let created = session.create_container_within(&pod, &container, Duration::ZERO);
    match created.await {
        Err(FakeError::Rpc { message, .. }) => {
            assert!(message.contains("within 240ms"), "{message}");
        }
        other => panic!("{other:?}"),
    }
    handler.release();
}

#[tokio::test]
async fn hung_handlers_use_the_pool_up_but_replies_keep_coming() {
    let setup = Setup::new(NriVersion::V0_12, Requires::NONE).await;
    for _ in 0..8 {
        let (_, message) = setup.refusal(&setup.container("block"), SHORT).await;
        assert!(message.contains("did not finish"), "{message}");
    }
    let (code, message) = setup.refusal(&setup.container("app"), SHORT).await;
    assert_eq!(code, ABORTED);
    assert!(message.contains("busy"), "{message}");
    setup.handler.release();
    setup.assert_usable().await;
}

#[tokio::test]
async fn large_adjustments_arrive_intact() {
    let setup = Setup::new(NriVersion::V0_8, Requires::NONE).await;
    // The fake refuses any framing that upstream's reader could not take.
    for size in [1, 4000, 4090, 8200, 100_000, 150_001, 3 << 20] {
        let container = setup.container(&size.to_string());
        let created = setup.session.create_container(&setup.pod, &container).await;
        let value = &created.unwrap().adjust.unwrap().env[0].value;
        assert_eq!(value.len(), size);
        assert!(value.bytes().all(|byte| byte == b'x'));
    }
    setup.assert_usable().await;
}

#[tokio::test]
async fn an_oversize_adjustment_is_an_error_reply() {
    let setup = Setup::new(NriVersion::V0_12, Requires::NONE).await;
    let container = setup.container(&(5 << 20).to_string());
    let (code, message) = setup.refusal(&container, Duration::from_secs(50)).await;
    assert_eq!(code, OUT_OF_RANGE);
    assert!(message.contains("more than"), "{message}");
    setup.assert_usable().await;
}

#[tokio::test]
async fn required_args_refuse_on_runtimes_that_drop_them() {
    for version in [NriVersion::V0_8, NriVersion::V0_9] {
        let setup = Setup::new(version, Requires::ARGS).await;
        let long = Duration::from_secs(50);
        let (code, message) = setup.refusal(&setup.container("app"), long).await;
        assert_eq!(code, FAILED_PRECONDITION);
        assert!(message.contains(&format!("(NRI {version})")), "{message}");
        assert!(message.contains("upgrade"), "{message}");
        let (plain, env) = (setup.container("plain"), setup.container("env"));
        let untouched = setup.session.create_container(&setup.pod, &plain).await;
        assert_eq!(untouched.unwrap().adjust, None);
        let env = setup.session.create_container(&setup.pod, &env).await;
        assert_eq!(env.unwrap().adjust.unwrap().env[0].key, "K");
        let spare = setup.container("spare");
        let spare = setup.session.create_container(&setup.pod, &spare).await;
        assert_eq!(spare.unwrap().adjust.unwrap().args[0], "/wrap");
    }
    let setup = Setup::new(NriVersion::V0_10, Requires::ARGS).await;
    setup.assert_usable().await;
}

#[tokio::test]
async fn unknown_methods_are_unimplemented() {
    let setup = Setup::new(NriVersion::V0_12, Requires::NONE).await;
    match setup
        .session
        .call(PLUGIN_SERVICE, "FutureMethod", vec![])
        .await
    {
        Err(FakeError::Rpc { code, .. }) => assert_eq!(code, UNIMPLEMENTED),
        other => panic!("{other:?}"),
    }
    let other_service = setup
        .session
        .call("nri.pkg.api.v2.Plugin", "Configure", vec![]);
    assert!(matches!(other_service.await, Err(FakeError::Rpc { .. })));
    setup.assert_usable().await;
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused() {
    let setup = Setup::new(NriVersion::V0_12, Requires::NONE).await;
    let empty = CreateContainerRequest::default().encode_to_vec();
    let not_protobuf = vec![0xff; 30];
    for payload in [empty, not_protobuf] {
        let reply = setup
            .session
            .call(PLUGIN_SERVICE, "CreateContainer", payload);
        assert!(matches!(reply.await, Err(FakeError::Rpc { code: 3, .. })));
    }
    setup.assert_usable().await;
}
