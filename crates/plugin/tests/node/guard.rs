//! Handlers whose OCI runtime is the guard: what it has wrapped counts, although the runtime's spec is bare.
//!
//! These tests need root: records count only if nobody else could have written them.

use std::fs;

use kubefence_node_files::records::{Confinement, FORMAT, Kind, Record, Records};
use kubefence_profile::{PlanDigest, ProfileName};
use nri_plugin::NriVersion;
use nri_plugin::api::{Container, ContainerState, Event, PodSandbox};
use test_support::{ContainerBuilder, FakeError, PodBuilder, Session};

use crate::harness::{Node, Plugin, adjusted, applied, container, eventually, pod, verdict};

impl Node {
    /// A plugin on a node whose handler `nono-runc` has the guard, and whose handler `plain-nono` has not.
    async fn connect_guarded(&self) -> (Plugin, Session) {
        self.connect_with(&self.guarded()).await
    }

    pub(crate) fn guarded(&self) -> String {
        format!(
            "runtime_classes = [\"nono-runc\", \"plain-nono\"]\nguarded_classes = [\"nono-runc\"]\nguard_state_dir = {:?}\n",
            self.path("guard")
        )
    }

    /// Does as the guard does when it has wrapped a container.
    pub(crate) fn record(&self, id: &str, kind: Kind) {
        let record = Record {
            format: FORMAT,
            root: "/run/runc".into(),
            id: id.to_owned(),
            bundle: "/bundle".into(),
            kind,
        };
        Records::new(self.path("guard")).write(&record).unwrap();
    }

    async fn metadata(&self, pod: &PodSandbox, container: &Container) -> serde_json::Value {
        let path = format!("state/{}/{}/metadata.json", pod.uid, container.id);
        let file = self.path(&path);
        eventually("the metadata", || file.exists()).await;
        serde_json::from_slice(&fs::read(&file).unwrap()).unwrap()
    }
}

pub(crate) fn confined(profile: &str) -> Kind {
    Kind::Container(Confinement {
        profile: ProfileName::parse(profile).unwrap(),
        plan: Some(PlanDigest::of(b"plan")),
        variables: Vec::new(),
    })
}

/// A pod of the handler without the guard.
fn unguarded() -> PodSandbox {
    PodBuilder::new("plain")
        .runtime_handler("plain-nono")
        .build()
}

/// Why a container may not start.
async fn stopped(session: &Session, pod: &PodSandbox, container: &Container) -> String {
    let event = Event::StartContainer;
    match session.event(event, pod, Some(container)).await {
        Err(FakeError::Rpc { message, .. }) => message,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_bare_spec_may_start_once_the_guard_has_wrapped_it() {
    let node = Node::new(NriVersion::V0_12).await;
    let (plugin, session) = node.connect_guarded().await;
    let pod = pod();
    let bare = container(&pod);
    session
        .event(Event::PostCreateContainer, &pod, Some(&bare))
        .await
        .unwrap();
    let left = plugin.logged("left to the guard", &bare.id).await;
    assert_eq!(left["level"], "INFO");
    let message = stopped(&session, &pod, &bare).await;
    for part in ["does not begin with", "has no record of it", "nono-runc"] {
        assert!(message.contains(part), "{message:?} lacks {part:?}");
    }

    node.record(&bare.id, confined("default"));
    session
        .event(Event::StartContainer, &pod, Some(&bare))
        .await
        .unwrap();
    let metadata = node.metadata(&pod, &bare).await;
    assert_eq!(metadata["profile"], "default");
    let plan = PlanDigest::of(b"plan").to_string();
    assert_eq!(metadata["plan"], plan.as_str());
    let line = plugin.logged("sandboxed by the guard", &bare.id).await;
    assert_eq!(line["plan"], plan.as_str());
    assert!(plugin.find("injected", &bare.id).is_none());
}

#[tokio::test]
async fn records_count_for_their_container_their_profile_and_guarded_handlers_only() {
    let node = Node::new(NriVersion::V0_12).await;
    let (_plugin, session) = node.connect_guarded().await;
    let pod = pod();
    let named = |name: &str| ContainerBuilder::new(&pod, name).build();

    let other_profile = named("strict");
    node.record(&other_profile.id, confined("strict"));
    let message = stopped(&session, &pod, &other_profile).await;
    assert!(message.contains("under profile \"strict\""), "{message}");

    let sandbox = named("sandbox");
    node.record(&sandbox.id, Kind::Sandbox);
    let message = stopped(&session, &pod, &sandbox).await;
    assert!(
        message.contains("takes it for a pod's sandbox"),
        "{message}"
    );

    let longer = named("long-app");
    node.record(&format!("x-{}", longer.id), confined("default"));
    let message = stopped(&session, &pod, &longer).await;
    assert!(message.contains("has no record of it"), "{message}");

    let plain = unguarded();
    let bare = container(&plain);
    node.record(&bare.id, confined("default"));
    let message = stopped(&session, &plain, &bare).await;
    assert!(message.contains("does not begin with"), "{message}");

    let damaged = named("damaged");
    node.record(&damaged.id, confined("default"));
    session
        .event(Event::StartContainer, &pod, Some(&damaged))
        .await
        .unwrap();
    for entry in fs::read_dir(node.path("guard")).unwrap() {
        fs::write(entry.unwrap().path(), "{").unwrap();
    }
    let message = stopped(&session, &pod, &damaged).await;
    assert!(message.contains("cannot be read"), "{message}");
}

#[tokio::test]
async fn containers_that_the_guard_has_wrapped_are_no_false_alarm() {
    let node = Node::new(NriVersion::V0_12).await;
    let (pod, plain) = (pod(), unguarded());
    let in_state = |pod, name, state| ContainerBuilder::new(pod, name).state(state).build();
    let guarded = in_state(&pod, "guarded", ContainerState::Running);
    let runs_bare = in_state(&pod, "runs-bare", ContainerState::Running);
    let not_started = in_state(&pod, "not-started", ContainerState::Created);
    let unguarded = in_state(&plain, "app", ContainerState::Created);
    node.record(&guarded.id, confined("strict"));
    node.record(&unguarded.id, confined("strict"));

    let plugin = node.start_with(&node.guarded());
    let containers = [&guarded, &runs_bare, &not_started, &unguarded];
    let containers = containers.map(Clone::clone).to_vec();
    let _session = node.accept(vec![pod.clone(), plain], containers).await;
    let metadata = node.metadata(&pod, &guarded).await;
    assert_eq!(metadata["profile"], "strict");
    assert_eq!(
        metadata["plan"],
        PlanDigest::of(b"plan").to_string().as_str()
    );
    assert_eq!(plugin.logged("synchronized", "").await["sandboxed"], 1);
    plugin.logged("left to the guard", &not_started.id).await;
    let alarmed: Vec<_> = plugin
        .lines("unsandboxed container")
        .into_iter()
        .map(|line| line["container_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(alarmed, [runs_bare.id, unguarded.id]);
}

#[tokio::test]
async fn the_guard_completes_what_old_runtimes_leave_half_wrapped() {
    for version in [NriVersion::V0_8, NriVersion::V0_9] {
        let node = Node::new(version).await;
        let (plugin, session) = node.connect_guarded().await;
        let line = plugin.logged("runtime too old", "").await;
        assert_eq!(
            (&line["level"], &line["handlers"]),
            (&"ERROR".into(), &"plain-nono".into())
        );
        let plain = unguarded();
        let refused = session.create_container(&plain, &container(&plain)).await;
        assert!(matches!(refused, Err(FakeError::Rpc { .. })), "{refused:?}");

        let pod = pod();
        let bare = container(&pod);
        let mut adjust = adjusted(&session, &pod, &bare).await;
        assert_eq!(adjust.mounts[0].destination, "/nono");
        assert!(adjust.env.iter().any(|v| v.key == "NONO_PROFILE"));
        adjust.args.clone_from(&bare.args);
        let half = applied(&bare, &adjust);
        session
            .event(Event::PostCreateContainer, &pod, Some(&half))
            .await
            .unwrap();
        plugin.logged("left to the guard", &bare.id).await;
        stopped(&session, &pod, &half).await;
        node.record(&bare.id, confined("default"));
        session
            .event(Event::StartContainer, &pod, Some(&half))
            .await
            .unwrap();
        assert!(plugin.find("injected", &bare.id).is_none());
    }
}

#[tokio::test]
async fn an_old_runtime_is_no_error_if_all_handlers_have_the_guard() {
    let node = Node::new(NriVersion::V0_8).await;
    let (plugin, _session) = node
        .connect_with("guarded_classes = [\"nono-runc\"]\n")
        .await;
    assert_eq!(plugin.logged("runtime too old", "").await["level"], "WARN");
}

#[tokio::test]
async fn the_guard_changes_nothing_about_validation() {
    let node = Node::new(NriVersion::V0_12).await;
    let (_plugin, session) = node.connect_guarded().await;
    let pod = pod();
    let bare = container(&pod);
    let adjust = adjusted(&session, &pod, &bare).await;
    verdict(&session, &pod, &bare, adjust.clone())
        .await
        .unwrap();
    let mut tampered = adjust;
    tampered.args = vec!["myapp".to_owned()];
    let rejected = verdict(&session, &pod, &bare, tampered).await.unwrap_err();
    assert!(rejected.contains("does not begin with"), "{rejected}");
}
