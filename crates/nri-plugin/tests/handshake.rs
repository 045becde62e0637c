//! Registration, configuration and synchronization with each version of NRI.

mod recorder;

use nri_plugin::{EventSet, NriVersion, Requires};
use recorder::{Plugin, Recorder, Setup};
use test_support::fake_runtime::Framing;
use test_support::{ContainerBuilder, FakeError, FakeRuntime, PodBuilder};

const VERSIONS: [(NriVersion, u32, &str); 5] = [
    (NriVersion::V0_8, 0x7ff, "containerd v2.1.9 (NRI 0.8)"),
    (NriVersion::V0_9, 0x1fff, "cri-o 1.33.0 (NRI 0.9)"),
    (NriVersion::V0_10, 0x3fff, "containerd v2.2.0 (NRI 0.10)"),
    (NriVersion::V0_11, 0x3fff, "containerd v2.2.7 (NRI 0.11)"),
    (NriVersion::V0_12, 0x3fff, "containerd v2.3.4 (NRI 0.12)"),
];

#[tokio::test]
async fn each_version_is_offered_the_events_it_knows() {
    for (version, mask, runtime_name) in VERSIONS {
        let directory = tempfile::tempdir().unwrap();
        let runtime = FakeRuntime::listen(directory.path(), version).await;
        let handler = Recorder::new(EventSet::ALL);
        let _plugin = Plugin::start(runtime.socket(), handler.clone(), Requires::NONE);
        let mut session = runtime.accept().await.unwrap();
        let plugin = session.expect_register().await.unwrap();
        assert_eq!(plugin.request.plugin_name, "recorder");
        assert_eq!(plugin.request.plugin_idx, "10");
        assert_eq!(plugin.request.nri_version, "0.12.0");
        session.accept_registration(plugin).await.unwrap();
        assert_eq!(session.configure("key = 1").await.unwrap().mask(), mask);
        session.synchronize(vec![], vec![]).await.unwrap();
        handler
            .expect_notice(&format!("connected {runtime_name}"))
            .await;
        let configured = format!("configure {runtime_name} \"key = 1\"");
        assert_eq!(handler.calls(), [configured, "synchronize 0 0".into()]);
    }
}

#[tokio::test]
async fn configure_and_synchronize_may_overtake_the_register_reply() {
    let directory = tempfile::tempdir().unwrap();
    let runtime = FakeRuntime::listen(directory.path(), NriVersion::V0_11).await;
    let handler = Recorder::new(EventSet::ALL);
    let _plugin = Plugin::start(runtime.socket(), handler.clone(), Requires::NONE);
    let mut session = runtime.accept().await.unwrap();
    let plugin = session.expect_register().await.unwrap();
    session.configure("").await.unwrap();
    session.synchronize(vec![], vec![]).await.unwrap();
    session.accept_registration(plugin).await.unwrap();
    handler.expect_notice("connected").await;
}

#[tokio::test]
async fn chunks_are_handed_over_at_once() {
    let mut setup = Setup::new(NriVersion::V0_12, Requires::NONE).await;
    let pods = |n: usize| (0..n).map(|i| PodBuilder::new(&format!("p{i}")).build());
    let pod = PodBuilder::new("p").build();
    let containers = |n: usize| {
        (0..n).map(|i| {
            ContainerBuilder::new(&pod, &format!("c{i}"))
                .env("E", &"x".repeat(9000))
                .build()
        })
    };
    let chunks = || {
        vec![
            (pods(3).collect(), containers(20).collect()),
            (pods(2).collect(), vec![]),
            (vec![], containers(1).collect()),
        ]
    };
    for framing in [Framing::Upstream, Framing::Pieces(1), Framing::Pieces(4096)] {
        setup.session.set_framing(framing);
        let last = setup.session.synchronize_in_chunks(chunks()).await.unwrap();
        assert_eq!(last.update[0].container_id, "p-c0");
        assert_eq!(setup.handler.calls().last().unwrap(), "synchronize 5 21");
    }
    setup.session.set_framing(Framing::Upstream);
    setup.assert_usable().await;
    drop(setup.session);
    setup.session = setup.runtime.accept().await.unwrap();
}

#[tokio::test]
async fn an_empty_subscription_fails_registration() {
    let directory = tempfile::tempdir().unwrap();
    let runtime = FakeRuntime::listen(directory.path(), NriVersion::V0_8).await;
    let only_new = EventSet::of(&[nri_plugin::Event::ValidateContainerAdjustment]);
    let handler = Recorder::new(only_new);
    let _plugin = Plugin::start(runtime.socket(), handler, Requires::NONE);
    let mut session = runtime.accept().await.unwrap();
    let plugin = session.expect_register().await.unwrap();
    session.accept_registration(plugin).await.unwrap();
    match session.configure("").await {
        Err(FakeError::Rpc { message, .. }) => {
            assert!(message.contains("empty subscription"), "{message}");
            assert!(message.contains("10-recorder"), "{message}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_configuration_that_is_refused_is_an_error_reply() {
    let setup = Setup::new(NriVersion::V0_12, Requires::NONE).await;
    for (config, reason) in [
        ("bad", "the configuration is bad"),
        ("panic", "configure panics"),
    ] {
        match setup.session.configure(config).await {
            Err(FakeError::Rpc { message, .. }) => assert!(message.contains(reason), "{message}"),
            other => panic!("{other:?}"),
        }
    }
    setup.assert_usable().await;
}

#[tokio::test]
async fn a_refused_registration_is_reported_and_retried() {
    let directory = tempfile::tempdir().unwrap();
    let runtime = FakeRuntime::listen(directory.path(), NriVersion::V0_12).await;
    let handler = Recorder::new(EventSet::ALL);
    let _plugin = Plugin::start(runtime.socket(), handler.clone(), Requires::NONE);
    let mut session = runtime.accept().await.unwrap();
    let plugin = session.expect_register().await.unwrap();
    session
        .refuse_registration(plugin, "plugins are off")
        .await
        .unwrap();
    handler.expect_notice("plugins are off").await;
    let mut session = runtime.accept().await.unwrap();
    session.handshake(vec![], vec![]).await.unwrap();
    handler.expect_notice("connected").await;
}
