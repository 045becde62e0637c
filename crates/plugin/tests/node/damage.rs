//! What is lost or damaged after the plugin was ready, and disks that are full.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::Duration;

use nri_plugin::NriVersion;
use nri_plugin::api::{Event, PodSandbox};
use test_support::{FakeError, PodBuilder, Session};

use crate::harness::{
    Node, adjusted, applied, container, eventually, plugin_command, pod, refusal,
};

/// Creates containers until one is refused, and says why it was.
async fn eventually_refused(session: &Session, pod: &PodSandbox) -> String {
    for _ in 0..600 {
        match session.create_container(pod, &container(pod)).await {
            Err(FakeError::Rpc { message, .. }) => return message,
            Err(other) => panic!("{other:?}"),
            Ok(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    panic!("no container was refused");
}

/// Creates containers until one is adjusted.
async fn eventually_adjusted(session: &Session, pod: &PodSandbox) {
    for _ in 0..600 {
        if session
            .create_container(pod, &container(pod))
            .await
            .is_ok_and(|response| response.adjust.is_some())
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("all containers were refused");
}

fn strict() -> PodSandbox {
    PodBuilder::new("strict")
        .runtime_handler("nono-runc")
        .annotation("nono.sh/profile", "strict")
        .build()
}

/// The plan file to which the name of a profile leads.
fn plan(node: &Node, profile: &str) -> PathBuf {
    let profiles = node.path("opt/profiles");
    let link = fs::read_link(profiles.join(format!("{profile}.json"))).unwrap();
    fs::canonicalize(profiles.join(link)).unwrap()
}

#[tokio::test]
async fn a_launcher_that_is_deleted_later_refuses_until_it_is_back() {
    for extra in ["", "profile_dir = \"/nowhere\"\n"] {
        let node = Node::new(NriVersion::V0_12).await;
        let (plugin, session) = node.connect_with(extra).await;
        let pod = pod();
        adjusted(&session, &pod, &container(&pod)).await;
        fs::rename(node.path("opt/nono"), node.path("aside")).unwrap();
        let message = eventually_refused(&session, &pod).await;
        assert!(
            message.contains("opt/nono is not an executable file"),
            "{message}"
        );
        plugin
            .logged("published files damaged; put right if possible", "")
            .await;
        plugin
            .logged(
                "not ready; containers of the configured handlers are refused",
                "",
            )
            .await;
        fs::rename(node.path("aside"), node.path("opt/nono")).unwrap();
        adjusted(&session, &pod, &container(&pod)).await;
    }
}

#[tokio::test]
async fn a_plan_that_is_cut_short_is_written_anew() {
    let node = Node::new(NriVersion::V0_12).await;
    let (plugin, session) = node.connect().await;
    let pod = pod();
    adjusted(&session, &pod, &container(&pod)).await;
    let plan = plan(&node, "default");
    let whole = fs::read(&plan).unwrap();
    let file = File::options().write(true).open(&plan).unwrap();
    file.set_len(whole.len() as u64 / 2).unwrap();
    let line = plugin
        .logged("published files damaged; put right if possible", "")
        .await;
    let reason = line["reason"].as_str().unwrap();
    assert!(reason.contains("profile \"default\""), "{reason}");
    eventually("the whole plan", || fs::read(&plan).unwrap() == whole).await;
    eventually_adjusted(&session, &pod).await;
}

#[tokio::test]
async fn a_plan_that_cannot_be_mended_refuses_its_profile_alone() {
    let node = Node::new(NriVersion::V0_12).await;
    let (plugin, session) = node.connect().await;
    let (ours, strict) = (pod(), strict());
    for pod in [&ours, &strict] {
        adjusted(&session, pod, &container(pod)).await;
    }
    let plan = plan(&node, "strict");
    fs::remove_file(&plan).unwrap();
    // No file can be renamed over a directory.
    fs::create_dir_all(plan.join("occupied")).unwrap();
    let message = eventually_refused(&session, &strict).await;
    assert!(
        message.contains("the published plan of profile \"strict\" is damaged"),
        "{message}"
    );
    plugin
        .logged("profiles not reloaded; it is tried again", "")
        .await;
    adjusted(&session, &ours, &container(&ours)).await;
    refusal(&session, &strict, &container(&strict)).await;
    fs::remove_dir_all(&plan).unwrap();
    eventually_adjusted(&session, &strict).await;
    assert!(plan.is_file());
    let said = plugin.lines("published files damaged; put right if possible");
    assert_eq!(said.len(), 1, "{said:#?}");
}

#[tokio::test]
async fn a_full_state_disk_costs_no_confinement() {
    let node = Node::new(NriVersion::V0_12).await;
    fs::create_dir(node.path("state")).unwrap();
    // A file system that has no room for a second file; it goes with the process. Needs root.
    let mut command = std::process::Command::new("unshare");
    command
        .args(["--mount", "sh", "-ec"])
        .arg("mount -t tmpfs -o nr_inodes=1 tmpfs \"$1\"; shift; exec \"$@\"")
        .arg("sh")
        .arg(node.path("state"))
        .arg(plugin_command().get_program());
    let plugin = node.start_by(command, "");
    let session = node.accept(vec![], vec![]).await;
    let pod = pod();
    let bare = container(&pod);
    let created = applied(&bare, &adjusted(&session, &pod, &bare).await);
    for event in [Event::PostCreateContainer, Event::StartContainer] {
        session.event(event, &pod, Some(&created)).await.unwrap();
    }
    plugin.logged("injected", &bare.id).await;
    let line = plugin
        .logged(
            "state not up to date; confinement does not depend on it",
            "",
        )
        .await;
    let reason = line["reason"].as_str().unwrap();
    assert!(reason.contains("No space left on device"), "{reason}");
}

#[tokio::test]
async fn a_plugin_that_is_killed_amid_a_creation_leaves_no_claim() {
    let node = Node::new(NriVersion::V0_12).await;
    let (plugin, session) = node.connect().await;
    let pod = pod();
    let bare = container(&pod);
    plugin.signal("STOP");
    let kill = async {
        // The request is on its way by then, or never answered either.
        tokio::task::yield_now().await;
        plugin.signal("KILL");
    };
    let (created, ()) = tokio::join!(session.create_container(&pod, &bare), kill);
    assert!(
        matches!(created, Err(FakeError::HungUp | FakeError::Io(_))),
        "{created:?}"
    );
    assert!(plugin.find("injected", &bare.id).is_none());
    drop(session);
    let plugin = node.start();
    let session = node.accept(vec![pod.clone()], vec![bare.clone()]).await;
    plugin.logged("unsandboxed container", &bare.id).await;
    let started = session
        .event(Event::StartContainer, &pod, Some(&bare))
        .await;
    assert!(matches!(started, Err(FakeError::Rpc { .. })), "{started:?}");
    assert!(plugin.find("injected", &bare.id).is_none());
}
