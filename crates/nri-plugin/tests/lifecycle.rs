//! Events reach the same handler method whichever RPC they come by.

mod recorder;

use nri_plugin::api::{ContainerAdjustment, LinuxResources, ValidateContainerAdjustmentRequest};
use nri_plugin::{Event, NriVersion, Requires};
use recorder::Setup;
use test_support::{ContainerBuilder, FakeError};

/// What a handler sees of every event that is a notification.
const EXPECTED: [&str; 11] = [
    "RunPodSandbox web -",
    "StopPodSandbox web -",
    "RemovePodSandbox web -",
    "PostCreateContainer web web-app",
    "StartContainer web web-app",
    "PostStartContainer web web-app",
    "PostUpdateContainer web web-app",
    "stop web-app of web",
    "RemoveContainer web web-app",
    "UpdatePodSandbox web -",
    "PostUpdatePodSandbox web -",
];

#[tokio::test]
async fn state_changes_and_dedicated_rpcs_are_the_same_to_a_handler() {
    let mut recorded = Vec::new();
    for version in [
        NriVersion::V0_8,
        NriVersion::V0_9,
        NriVersion::V0_11,
        NriVersion::V0_12,
    ] {
        let setup = Setup::new(version, Requires::NONE).await;
        let container = setup.container("app");
        let before = setup.handler.calls().len();
        for event in Event::ALL {
            let container = match event {
                Event::CreateContainer | Event::ValidateContainerAdjustment => continue,
                Event::UpdateContainer => continue,
                _ if event.name().ends_with("PodSandbox") => None,
                _ => Some(&container),
            };
            setup
                .session
                .event(event, &setup.pod, container)
                .await
                .unwrap();
        }
        recorded.push(setup.handler.calls().split_off(before));
    }
    for calls in recorded {
        assert_eq!(calls, EXPECTED);
    }
}

#[tokio::test]
async fn state_changes_cover_what_normally_has_an_rpc() {
    let setup = Setup::new(NriVersion::V0_12, Requires::NONE).await;
    let container = setup.container("app");
    let before = setup.handler.calls().len();
    for event in [Event::StopContainer, Event::UpdateContainer] {
        let sent = setup
            .session
            .state_change(event, &setup.pod, Some(&container));
        sent.await.unwrap();
    }
    let calls = setup.handler.calls().split_off(before);
    assert_eq!(calls, ["stop web-app of web", "update web-app false"]);
    for event in [
        Event::Unknown,
        Event::CreateContainer,
        Event::ValidateContainerAdjustment,
    ] {
        let sent = setup
            .session
            .state_change(event, &setup.pod, Some(&container));
        assert!(matches!(sent.await, Err(FakeError::Rpc { code: 3, .. })));
    }
    let without = setup
        .session
        .state_change(Event::StopContainer, &setup.pod, None);
    assert!(matches!(without.await, Err(FakeError::Rpc { code: 3, .. })));
    setup.assert_usable().await;
}

#[tokio::test]
async fn a_refused_event_is_an_error_reply() {
    for version in [NriVersion::V0_8, NriVersion::V0_12] {
        let setup = Setup::new(version, Requires::NONE).await;
        let container = ContainerBuilder::new(&setup.pod, "app")
            .id("refused")
            .build();
        let sent = setup
            .session
            .event(Event::StartContainer, &setup.pod, Some(&container));
        assert!(matches!(sent.await, Err(FakeError::Rpc { code: 2, .. })));
        setup.assert_usable().await;
    }
}

#[tokio::test]
async fn updates_and_validations_reach_the_handler() {
    let setup = Setup::new(NriVersion::V0_12, Requires::NONE).await;
    let container = setup.container("app");
    let updated = setup
        .session
        .update_container(&setup.pod, &container, LinuxResources::default());
    updated.await.unwrap();
    assert_eq!(setup.handler.calls().last().unwrap(), "update web-app true");

    let mut request = ValidateContainerAdjustmentRequest {
        pod: Some(setup.pod.clone()),
        container: Some(container),
        ..ValidateContainerAdjustmentRequest::default()
    };
    let bare = setup.session.validate(&request).await.unwrap();
    assert!(bare.reject);
    assert_eq!(bare.reason, "not wrapped");
    request.adjust = Some(ContainerAdjustment {
        args: vec!["/wrap".into()],
        ..ContainerAdjustment::default()
    });
    assert!(!setup.session.validate(&request).await.unwrap().reject);
}
