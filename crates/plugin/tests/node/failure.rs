//! What happens when something is missing, too old, stuck, broken, or comes back.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kubefence_plugin::config::Config;
use kubefence_plugin::handler::Sandboxer;
use kubefence_plugin::readiness::Readiness;
use kubefence_plugin::recorder::Recorder;
use kubefence_plugin::state::StateDir;
use kubefence_profile::Catalog;
use nri_plugin::api::Event;
use nri_plugin::{CallContext, Handler as _, NriVersion};
use test_support::{ContainerBuilder, FakeError, PodBuilder};

use crate::harness::{Node, applied, container, plugin_command, pod};

#[tokio::test]
async fn runtimes_that_drop_args_get_a_refusal() {
    for version in [NriVersion::V0_8, NriVersion::V0_9] {
        let node = Node::new(version).await;
        let (plugin, session) = node.connect().await;
        let line = plugin.logged("runtime too old", "").await;
        assert!(
            line["reason"].as_str().unwrap().contains("upgrade"),
            "{line}"
        );
        let pod = pod();
        let refused = session.create_container(&pod, &container(&pod)).await;
        assert!(
            matches!(refused, Err(FakeError::Rpc { .. })),
            "{version:?}: {refused:?}"
        );
        let bare = container(&pod);
        let started = session
            .event(Event::StartContainer, &pod, Some(&bare))
            .await;
        assert!(
            matches!(started, Err(FakeError::Rpc { .. })),
            "{version:?}: {started:?}"
        );
    }
}

#[tokio::test]
async fn runtimes_from_0_10_on_are_served() {
    for version in [NriVersion::V0_10, NriVersion::V0_11, NriVersion::V0_12] {
        let node = Node::new(version).await;
        let (plugin, session) = node.connect().await;
        let pod = pod();
        let bare = container(&pod);
        let adjust = session
            .create_container(&pod, &bare)
            .await
            .unwrap()
            .adjust
            .unwrap();
        let created = applied(&bare, &adjust);
        for event in [
            Event::PostCreateContainer,
            Event::StartContainer,
            Event::RemoveContainer,
        ] {
            session.event(event, &pod, Some(&created)).await.unwrap();
        }
        plugin.logged("injected", &bare.id).await;
        plugin.logged("container-removed", &bare.id).await;
    }
}

#[tokio::test]
async fn a_plugin_that_was_stopped_meanwhile_claims_nothing() {
    let node = Node::new(NriVersion::V0_12).await;
    let (plugin, session) = node.connect().await;
    let pod = pod();
    let bare = container(&pod);
    plugin.signal("STOP");
    let call = session.create_container(&pod, &bare);
    let late = tokio::time::timeout(Duration::from_millis(300), call).await;
    assert!(late.is_err(), "a stopped plugin answered: {late:?}");
    drop(session);
    plugin.signal("CONT");
    let session = node.accept(vec![], vec![]).await;
    // What the runtime would report of the container, had it created one all the same.
    session
        .event(Event::PostCreateContainer, &pod, Some(&bare))
        .await
        .unwrap();
    plugin.logged("created without its sandbox", &bare.id).await;
    assert!(plugin.find("injected", &bare.id).is_none());
    let started = session
        .event(Event::StartContainer, &pod, Some(&bare))
        .await;
    assert!(matches!(started, Err(FakeError::Rpc { .. })), "{started:?}");
}

#[tokio::test]
async fn garbage_on_the_socket_is_survived() {
    let node = Node::new(NriVersion::V0_12).await;
    let mut plugin = node.start();
    for garbage in [
        &b"\x00"[..],
        &[0xff; 64],
        &[0; 4096],
        b"GET / HTTP/1.1\r\n\r\n",
    ] {
        let session = node.accept(vec![], vec![]).await;
        session.send_bytes(garbage).await.unwrap();
        drop(session);
    }
    let session = node.accept(vec![], vec![]).await;
    session.send_frame(1, &[0xff; 300]).await.unwrap();
    drop(session);
    let session = node.accept(vec![], vec![]).await;
    let pod = pod();
    session
        .create_container(&pod, &container(&pod))
        .await
        .unwrap();
    assert_eq!(plugin.child.try_wait().unwrap(), None, "the plugin exited");
}

#[tokio::test]
async fn reconnection_reconciles_state() {
    let node = Node::new(NriVersion::V0_12).await;
    let (plugin, session) = node.connect().await;
    let pod = pod();
    let bare = container(&pod);
    let gone = ContainerBuilder::new(&pod, "gone").build();
    let unseen = ContainerBuilder::new(&pod, "unseen").build();
    let runs_bare = ContainerBuilder::new(&pod, "runs-bare").build();
    let mut created = Vec::new();
    for container in [&bare, &gone, &unseen] {
        let adjust = session
            .create_container(&pod, container)
            .await
            .unwrap()
            .adjust
            .unwrap();
        created.push(applied(container, &adjust));
    }
    for container in &created[..2] {
        session
            .event(Event::PostCreateContainer, &pod, Some(container))
            .await
            .unwrap();
    }
    drop(session);
    let live = vec![created[0].clone(), created[2].clone(), runs_bare.clone()];
    let _session = node.accept(vec![pod.clone()], live).await;
    let line = plugin.logged("unsandboxed container", &runs_bare.id).await;
    assert_eq!(line["level"], "ERROR");
    plugin
        .logged("state of containers that are gone removed", "")
        .await;
    let state = |id: &str| {
        node.path(&format!("state/{}/{id}/metadata.json", pod.uid))
            .exists()
    };
    assert!(state(&bare.id), "the record of a live container is gone");
    assert!(
        state(&unseen.id),
        "a sandboxed container without a record was not adopted"
    );
    assert!(
        !state(&gone.id),
        "the record of a container that is gone stayed"
    );
    assert!(
        !state(&runs_bare.id),
        "a bare container was recorded as sandboxed"
    );
}

#[tokio::test]
async fn an_unusable_state_directory_costs_no_confinement() {
    let node = Node::new(NriVersion::V0_12).await;
    fs::write(node.path("file"), "").unwrap();
    let plugin = node.start_with(&format!(
        "state_dir = \"{}\"\n",
        node.path("file/state").display()
    ));
    let session = node.accept(vec![], vec![]).await;
    let pod = pod();
    let bare = container(&pod);
    let adjust = session
        .create_container(&pod, &bare)
        .await
        .unwrap()
        .adjust
        .unwrap();
    session
        .event(
            Event::PostCreateContainer,
            &pod,
            Some(&applied(&bare, &adjust)),
        )
        .await
        .unwrap();
    plugin.logged("injected", &bare.id).await;
    assert_eq!(
        plugin
            .logged(
                "state not up to date; confinement does not depend on it",
                ""
            )
            .await["level"],
        "WARN"
    );
}

#[tokio::test]
async fn a_missing_launcher_refuses_until_it_is_there() {
    let node = Node::new(NriVersion::V0_12).await;
    fs::rename(node.path("opt/nono"), node.path("aside")).unwrap();
    let (plugin, session) = node.connect().await;
    plugin
        .logged(
            "not ready; containers of the configured handlers are refused",
            "",
        )
        .await;
    let pod = pod();
    let refused = session
        .create_container(&pod, &container(&pod))
        .await
        .unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("opt/nono is not an executable file"),
        "{refused}"
    );
    fs::rename(node.path("aside"), node.path("opt/nono")).unwrap();
    session
        .create_container(&pod, &container(&pod))
        .await
        .unwrap();
}

#[test]
fn a_kernel_without_landlock_refuses_every_step() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config::parse(
        dir.path(),
        &format!("state_dir = \"{}/state\"", dir.path().display()),
    )
    .unwrap();
    let readiness = Readiness::new(config.clone(), Catalog::built_in().unwrap(), || 0);
    let recorder = Recorder::start(StateDir::new(config.state_dir.clone())).unwrap();
    let sandboxer = Sandboxer::new(config, Arc::new(readiness), recorder);
    let context = CallContext::with_deadline(Instant::now() + Duration::from_secs(60));
    let pod = pod();
    let bare = container(&pod);
    let refused = sandboxer
        .create_container(&context, &pod, &bare)
        .unwrap_err()
        .to_string();
    assert!(refused.contains("kernel has no Landlock"), "{refused}");
    assert!(
        sandboxer
            .event(&context, Event::StartContainer, &pod, Some(&bare))
            .is_err()
    );
    let mut other = pod;
    other.runtime_handler = "runc".to_owned();
    let untouched = sandboxer.create_container(&context, &other, &bare).unwrap();
    assert_eq!(untouched, nri_plugin::Adjustment::new());
}

#[tokio::test]
async fn a_stuck_state_directory_holds_no_answer_up() {
    let node = Node::new(NriVersion::V0_12).await;
    // Opening a pipe that nobody reads blocks for ever.
    let record = node.path("state/uid-web/web-app");
    fs::create_dir_all(&record).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(record.join(".metadata.json"))
        .status();
    assert!(made.unwrap().success());
    let (plugin, session) = node.connect().await;
    let pod = pod();
    for name in ["app", "second", "third"] {
        let bare = ContainerBuilder::new(&pod, name).build();
        let adjust = session
            .create_container(&pod, &bare)
            .await
            .unwrap()
            .adjust
            .unwrap();
        let created = applied(&bare, &adjust);
        for event in [Event::PostCreateContainer, Event::StartContainer] {
            session.event(event, &pod, Some(&created)).await.unwrap();
        }
        plugin.logged("injected", &bare.id).await;
    }
    drop(session);
    node.accept(vec![pod], vec![]).await;
}

#[tokio::test]
async fn a_log_that_nobody_reads_holds_no_answer_up() {
    for reader_stays in [true, false] {
        let node = Node::new(NriVersion::V0_12).await;
        let (reader, pipe) = std::io::pipe().unwrap();
        let mut child = plugin_command()
            .arg("--config")
            .arg(node.config(""))
            .stderr(pipe)
            .spawn()
            .unwrap();
        let reader = reader_stays.then_some(reader);
        let session = node.accept(vec![], vec![]).await;
        let plain = PodBuilder::new("plain").runtime_handler("runc").build();
        for i in 0..1000 {
            let skipped = ContainerBuilder::new(&plain, &format!("c{i}")).build();
            session.create_container(&plain, &skipped).await.unwrap();
        }
        let pod = pod();
        let adjust = session
            .create_container(&pod, &container(&pod))
            .await
            .unwrap()
            .adjust;
        assert!(adjust.is_some_and(|adjust| adjust.args[0] == "/nono/nono"));
        let pid = child.id().to_string();
        std::process::Command::new("kill")
            .arg(&pid)
            .status()
            .unwrap();
        assert_eq!(
            child.wait().unwrap().code(),
            Some(0),
            "reader stays: {reader_stays}"
        );
        drop(reader);
    }
}

#[tokio::test]
async fn a_stuck_launcher_directory_refuses_ours_and_leaves_others_alone() {
    let node = Node::new(NriVersion::V0_12).await;
    let plans = node.path("opt/plans");
    fs::create_dir(&plans).unwrap();
    for profile in Catalog::built_in().unwrap().iter() {
        // Those that cannot be enforced are never written.
        let Ok(plan) = profile.compile(&kubefence_profile::CompileOptions::default()) else {
            continue;
        };
        let digest = plan.encode().unwrap().digest;
        // Reading a pipe into which nobody writes blocks for ever.
        let pipe = plans.join(format!("{digest}.json"));
        let made = std::process::Command::new("mkfifo").arg(pipe).status();
        assert!(made.unwrap().success());
    }
    let (_plugin, session) = node.connect().await;
    let (ours, other) = (
        pod(),
        PodBuilder::new("plain").runtime_handler("runc").build(),
    );
    for _ in 0..10 {
        let refused = session.create_container(&ours, &container(&ours)).await;
        assert!(matches!(refused, Err(FakeError::Rpc { .. })), "{refused:?}");
    }
    session
        .create_container(&other, &container(&other))
        .await
        .unwrap();
}
