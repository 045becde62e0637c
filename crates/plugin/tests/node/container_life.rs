//! A container from creation to removal.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use nri_plugin::NriVersion;
use nri_plugin::api::{ContainerAdjustment, Event};
use test_support::{ContainerBuilder, FakeError, PodBuilder};

use crate::harness::{Node, adjusted, applied, container, eventually, pod, refusal, verdict};

#[tokio::test]
async fn the_adjustment_is_the_documented_one() {
    let node = Node::new(NriVersion::V0_12).await;
    let (_plugin, session) = node.connect().await;
    let pod = pod();
    let adjust = adjusted(&session, &pod, &container(&pod)).await;
    let shown = format!("{adjust:#?}").replace(&node.launcher_dir(), "/opt/nono-nri");
    insta::assert_snapshot!(shown);
}

#[tokio::test]
async fn state_and_log_follow_what_the_runtime_did() {
    let node = Node::new(NriVersion::V0_12).await;
    let (plugin, session) = node.connect().await;
    let pod = pod();
    let bare = container(&pod);
    let adjust = adjusted(&session, &pod, &bare).await;
    verdict(&session, &pod, &bare, adjust.clone())
        .await
        .unwrap();
    assert!(
        plugin.find("injected", &bare.id).is_none(),
        "logged before the runtime created anything"
    );

    let created = applied(&bare, &adjust);
    session
        .event(Event::PostCreateContainer, &pod, Some(&created))
        .await
        .unwrap();
    let line = plugin.logged("injected", &bare.id).await;
    for (key, value) in [
        ("decision", "inject"),
        ("pod", "web"),
        ("namespace", "prod"),
        ("profile", "default"),
        ("runtime_handler", "nono-runc"),
    ] {
        assert_eq!(line[key], value, "{line}");
    }
    let file = node.path(&format!("state/{}/{}/metadata.json", pod.uid, bare.id));
    eventually("the record", || file.exists()).await;
    let metadata: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    for (key, value) in [
        ("container_id", bare.id.as_str()),
        ("pod", "web"),
        ("namespace", "prod"),
        ("profile", "default"),
    ] {
        assert_eq!(metadata[key], value, "{metadata}");
    }
    assert!(
        node.path("opt/plans")
            .join(format!("{}.json", metadata["plan"].as_str().unwrap()))
            .exists()
    );
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );

    session
        .event(Event::StartContainer, &pod, Some(&created))
        .await
        .unwrap();
    session
        .event(Event::StopContainer, &pod, Some(&created))
        .await
        .unwrap();
    plugin.logged("container-stopping", &bare.id).await;
    session
        .event(Event::RemoveContainer, &pod, Some(&created))
        .await
        .unwrap();
    plugin.logged("container-removed", &bare.id).await;
    let state = node.path(&format!("state/{}", pod.uid));
    eventually("the record to go", || !state.exists()).await;
}

#[tokio::test]
async fn other_handlers_are_untouched_and_logged() {
    let node = Node::new(NriVersion::V0_12).await;
    let (plugin, session) = node.connect().await;
    let pod = PodBuilder::new("plain").runtime_handler("runc").build();
    let bare = ContainerBuilder::new(&pod, "app")
        .bind_mount("/x", "/nono", &[])
        .build();
    let adjust = session
        .create_container(&pod, &bare)
        .await
        .unwrap()
        .adjust
        .unwrap_or_default();
    assert_eq!(adjust, ContainerAdjustment::default());
    assert_eq!(plugin.logged("skip", &bare.id).await["decision"], "skip");
    verdict(&session, &pod, &bare, adjust).await.unwrap();
    for event in [
        Event::PostCreateContainer,
        Event::StartContainer,
        Event::RemoveContainer,
    ] {
        session.event(event, &pod, Some(&bare)).await.unwrap();
    }
    assert!(!node.path("state").exists());
}

#[tokio::test]
async fn refusals_say_which_container_which_profile_and_why() {
    let node = Node::new(NriVersion::V0_12).await;
    let (plugin, session) = node.connect().await;
    let wanting = |profile| {
        PodBuilder::new("web")
            .namespace("prod")
            .runtime_handler("nono-runc")
            .annotation("nono.sh/profile", profile)
            .build()
    };

    let unknown = wanting("no-such");
    let message = refusal(&session, &unknown, &container(&unknown)).await;
    for part in [
        "container \"app\" of pod prod/web cannot run under profile \"no-such\"",
        "profile \"no-such\" does not exist",
        "profiles for handler \"nono-runc\": ",
        "default, ",
    ] {
        assert!(message.contains(part), "{message:?} lacks {part:?}");
    }
    assert_eq!(
        plugin.logged("refused", "web-app").await["decision"],
        "refuse"
    );

    let pod = pod();
    for destination in [
        "/nono",
        "/nono/profiles",
        "/data/../nono",
        "/proc/self/root/nono",
    ] {
        let covering = ContainerBuilder::new(&pod, "app")
            .bind_mount("/x", destination, &[])
            .build();
        let message = refusal(&session, &pod, &covering).await;
        for part in [
            &format!("{destination:?}"),
            "\"app\"",
            "profile \"default\"",
        ] {
            assert!(message.contains(part), "{message:?} lacks {part:?}");
        }
    }
    let empty = ContainerBuilder::new(&pod, "app")
        .args::<String>([])
        .build();
    assert!(
        refusal(&session, &pod, &empty)
            .await
            .contains("has no command")
    );

    let odd = wanting("../etc");
    assert_eq!(
        adjusted(&session, &odd, &container(&odd)).await.args[3],
        "default"
    );
    plugin.logged("profile annotation ignored", "web-app").await;
}

#[tokio::test]
async fn a_container_can_have_a_profile_of_its_own() {
    let node = Node::new(NriVersion::V0_12).await;
    let _plugin = node.start_with("launcher = \"upstream\"\n");
    let session = node.accept(vec![], vec![]).await;
    let pod = PodBuilder::new("web")
        .runtime_handler("nono-runc")
        .annotation("nono.sh/profile", "claude-code")
        .annotation("container.nono.sh/sidecar", "codex")
        .build();
    for (name, profile) in [("agent", "claude-code"), ("sidecar", "codex")] {
        let container = ContainerBuilder::new(&pod, name).build();
        let args = adjusted(&session, &pod, &container).await.args;
        assert_eq!(
            args,
            [
                "/nono/nono",
                "wrap",
                "--profile",
                profile,
                "--",
                "sleep",
                "1"
            ]
        );
    }
    assert!(
        !node.path("opt/plans").exists(),
        "upstream nono has no use for plans"
    );
}

#[tokio::test]
async fn a_bare_container_is_not_started() {
    let node = Node::new(NriVersion::V0_12).await;
    let (plugin, session) = node.connect().await;
    let pod = pod();
    let bare = container(&pod);
    session
        .event(Event::PostCreateContainer, &pod, Some(&bare))
        .await
        .unwrap();
    let error = session
        .event(Event::StartContainer, &pod, Some(&bare))
        .await
        .unwrap_err();
    assert!(
        matches!(error, FakeError::Rpc { .. }) && error.to_string().contains("does not begin with"),
        "{error}"
    );
    assert!(plugin.find("injected", &bare.id).is_none());
    assert!(!node.path("state").exists());
}

#[tokio::test]
async fn large_adjustments_arrive_whole() {
    let node = Node::new(NriVersion::V0_12).await;
    let (_plugin, session) = node.connect().await;
    let pod = pod();
    let args: Vec<String> = (0..500).map(|i| format!("argument-{i:0>200}")).collect();
    let large = ContainerBuilder::new(&pod, "app")
        .args(args.clone())
        .build();
    assert_eq!(adjusted(&session, &pod, &large).await.args[5..], args);
}
