//! Which profiles pods can choose, and the operator's own ones: read, changed, broken and removed while the
//! plugin runs.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};

use kubefence_profile::{Catalog, CompileOptions, ProfileName, read_profile};
use nri_plugin::NriVersion;
use nri_plugin::api::{Container, Event, PodSandbox};
use test_support::{FakeError, PodBuilder, Session};

use crate::harness::{Node, Plugin, applied, container, eventually};

const DATA: &str = r#"{ "extends": "default", "filesystem": { "read": ["/data"] } }"#;

/// A node whose operator has profiles, of which pods can choose `team` and `other`.
struct Team {
    node: Node,
    plugin: Plugin,
    session: Session,
}

impl Team {
    async fn start() -> Self {
        let team = Self::start_after(|dir| fs::create_dir(dir).unwrap()).await;
        team.plugin.logged("profiles loaded", "").await;
        team
    }

    /// Starts once `prepare` has done something about the directory of profiles.
    async fn start_after(prepare: impl FnOnce(&Path)) -> Self {
        let node = Node::new(NriVersion::V0_12).await;
        let dir = node.path("profiles.d");
        prepare(&dir);
        let extra = format!(
            "profile_dir = {dir:?}\n[allowed_profiles]\nnono-runc = [\"default\", \"python-dev\", \"team\", \"other\"]\n"
        );
        let (plugin, session) = node.connect_with(&extra).await;
        Self {
            node,
            plugin,
            session,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.node.path("profiles.d").join(name)
    }

    /// Puts a file in place at once, as editors and configuration management do.
    fn write(&self, name: &str, text: &str) {
        let temporary = self.file(&format!(".{name}"));
        fs::write(&temporary, text).unwrap();
        fs::rename(temporary, self.file(name)).unwrap();
    }

    fn link(&self, profile: &str) -> PathBuf {
        self.node.path(&format!("opt/profiles/{profile}.json"))
    }

    fn reads(&self, profile: &str, path: &str) -> bool {
        let plan = fs::read_to_string(self.link(profile)).unwrap_or_default();
        plan.contains(&format!("{path:?}"))
    }

    /// Waits until the plan of `profile` allows reading `path`, and containers can be given it.
    async fn published(&self, profile: &str, path: &str) {
        eventually(profile, || self.reads(profile, path)).await;
        for _ in 0..600 {
            if self.create(profile).await.is_ok() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("waited in vain for {profile}");
    }

    /// Creates a container under `profile`; the message if that is refused.
    async fn create(&self, profile: &str) -> Result<(PodSandbox, Container), String> {
        let pod = wanting(profile);
        let bare = container(&pod);
        match self.session.create_container(&pod, &bare).await {
            Ok(response) => {
                let created = applied(&bare, &response.adjust.unwrap());
                assert_eq!(created.args[3], profile);
                Ok((pod, created))
            }
            Err(FakeError::Rpc { message, .. }) => Err(message),
            Err(error) => panic!("{error}"),
        }
    }

    async fn refused(&self, profile: &str, parts: &[&str]) {
        let message = self.create(profile).await.unwrap_err();
        for part in parts {
            assert!(message.contains(part), "{message:?} lacks {part:?}");
        }
    }

    async fn event(
        &self,
        event: Event,
        (pod, created): &(PodSandbox, Container),
    ) -> Result<(), String> {
        let result = self.session.event(event, pod, Some(created)).await;
        result.map_err(|error| error.to_string())
    }

    /// How often profile files were said to be broken, once `name` was.
    async fn broken(&self, name: &str) -> usize {
        let about = || {
            let lines = self.plugin.lines("profile file broken");
            lines.iter().filter(|line| line["file"] == name).count()
        };
        eventually("the report of a broken file", || about() > 0).await;
        about()
    }

    async fn reloads(&self, count: usize) {
        eventually("a reload", || {
            self.plugin.lines("profiles reloaded").len() >= count
        })
        .await;
    }
}

fn wanting(profile: &str) -> PodSandbox {
    PodBuilder::new("web")
        .namespace("prod")
        .runtime_handler("nono-runc")
        .annotation("nono.sh/profile", profile)
        .build()
}

#[tokio::test]
async fn a_profile_appears_and_changes_without_a_restart() {
    let team = Team::start().await;
    team.refused("team", &["profile \"team\" does not exist", "default"])
        .await;
    team.write("team.json", DATA);
    team.published("team", "/data").await;
    assert!(!team.reads("default", "/data"));
    team.reloads(1).await;
    let line = &team.plugin.lines("profiles reloaded")[0];
    assert_eq!(
        (&line["custom"], &line["broken"]),
        (&1.into(), &0.into()),
        "{line}"
    );

    let created = team.create("team").await.unwrap();
    team.write("team.json", &DATA.replace("data", "srv2"));
    team.published("team", "/srv2").await;
    assert!(!team.reads("team", "/data"));
    for event in [Event::PostCreateContainer, Event::StartContainer] {
        team.event(event, &created).await.unwrap();
    }
    team.plugin.logged("injected", &created.1.id).await;
}

#[tokio::test]
async fn profiles_that_are_there_at_the_start_are_loaded_with_the_built_in_ones() {
    let team = Team::start_after(|dir| {
        fs::create_dir(dir).unwrap();
        let text = "extends = \"default\"\n[filesystem]\nread = [\"/data\"]\n";
        fs::write(dir.join("team.toml"), text).unwrap();
    })
    .await;
    team.published("team", "/data").await;
    let line = team.plugin.logged("profiles loaded", "").await;
    assert_eq!(line["custom"], 1, "{line}");
    team.create("default").await.unwrap();
}

#[tokio::test]
async fn a_broken_file_keeps_its_last_good_version_and_takes_no_other_down() {
    let team = Team::start().await;
    team.write("team.json", DATA);
    team.published("team", "/data").await;
    team.write("team.json", "{\n  \"extend\": \"default\"\n}");
    assert_eq!(team.broken("team.json").await, 1);
    let line = &team.plugin.lines("profile file broken")[0];
    assert_eq!(line["level"], "ERROR");
    assert_eq!(
        (&line["kept"], &line["failures"]),
        (&true.into(), &1.into()),
        "{line}"
    );
    let reason = line["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("team.json:2:3: error: \"extend\" is no key"),
        "{reason}"
    );

    team.write("other.json", DATA);
    team.published("other", "/data").await;
    for profile in ["team", "default"] {
        team.create(profile).await.unwrap();
    }
    assert!(team.reads("team", "/data"));
    assert_eq!(
        team.broken("team.json").await,
        1,
        "said again without a change"
    );

    team.write("team.json", &DATA.replace("data", "srv2"));
    team.published("team", "/srv2").await;
}

#[tokio::test]
async fn a_profile_that_is_removed_is_refused_even_at_the_start() {
    let team = Team::start().await;
    team.write("team.json", DATA);
    team.published("team", "/data").await;
    let created = team.create("team").await.unwrap();
    let plan = fs::canonicalize(team.link("team")).unwrap();
    fs::remove_file(team.file("team.json")).unwrap();
    eventually("the profile to go", || {
        fs::symlink_metadata(team.link("team")).is_err()
    })
    .await;
    team.reloads(2).await;
    team.refused("team", &["profile \"team\" does not exist"])
        .await;
    assert!(plan.exists(), "containers that run may need it");
    // Its launcher would find no plan; and it is not bare, so nothing says so.
    team.event(Event::PostCreateContainer, &created)
        .await
        .unwrap();
    let message = team
        .event(Event::StartContainer, &created)
        .await
        .unwrap_err();
    assert!(
        message.contains("profile \"team\" does not exist"),
        "{message}"
    );
    assert!(
        team.plugin
            .find("created without its sandbox", "")
            .is_none()
    );
    let other = team.create("default").await.unwrap();
    team.event(Event::StartContainer, &other).await.unwrap();
}

#[tokio::test]
async fn pods_choose_only_what_is_allowed_and_can_be_enforced() {
    let team = Team::start().await;
    team.write("secret.json", "{}");
    team.reloads(1).await;
    for profile in ["strict", "secret"] {
        let refused = format!("profile {profile:?} is not allowed");
        team.refused(
            profile,
            &[
                &refused,
                "for handler \"nono-runc\": default)",
                "allowed_profiles",
            ],
        )
        .await;
    }
    let parts = [
        "container \"app\" of pod prod/web cannot run under profile \"python-dev\"",
        "nono wrap does not support proxy mode",
        "choose another profile",
        "profiles for handler \"nono-runc\": default",
    ];
    team.refused("python-dev", &parts).await;
    assert!(!team.link("python-dev").exists());
    assert!(
        team.link("strict").exists(),
        "sandboxed processes may wrap their children"
    );
    team.create("default").await.unwrap();
}

#[tokio::test]
async fn an_update_of_a_mounted_config_map_is_followed() {
    let team = Team::start_after(|dir| {
        fs::create_dir_all(dir.join("..2026_1")).unwrap();
        fs::write(dir.join("..2026_1/team.json"), DATA).unwrap();
        symlink("..2026_1", dir.join("..data")).unwrap();
        symlink("..data/team.json", dir.join("team.json")).unwrap();
    })
    .await;
    team.published("team", "/data").await;
    fs::create_dir(team.file("..2026_2")).unwrap();
    fs::write(
        team.file("..2026_2/team.json"),
        DATA.replace("data", "srv2"),
    )
    .unwrap();
    symlink("..2026_2", team.file("..data_tmp")).unwrap();
    fs::rename(team.file("..data_tmp"), team.file("..data")).unwrap();
    fs::remove_dir_all(team.file("..2026_1")).unwrap();
    team.published("team", "/srv2").await;
    assert!(team.plugin.lines("profile file broken").is_empty());
}

#[tokio::test]
async fn a_directory_that_is_missing_leaves_the_built_in_profiles_and_is_looked_for_again() {
    let team = Team::start_after(|_| ()).await;
    team.create("default").await.unwrap();
    let line = team
        .plugin
        .logged(
            "profile directory cannot be read; it is looked for again",
            "",
        )
        .await;
    assert_eq!(
        (&line["level"], &line["kept"]),
        (&"ERROR".into(), &false.into()),
        "{line}"
    );
    fs::create_dir(team.file("")).unwrap();
    team.write("team.json", DATA);
    team.published("team", "/data").await;
    let aside = team.node.path("aside");
    fs::rename(team.file(""), &aside).unwrap();
    eventually("the second report", || {
        team.plugin
            .lines("profile directory cannot be read; it is looked for again")
            .len()
            == 2
    })
    .await;
    team.create("team").await.unwrap();
}

#[tokio::test]
async fn what_a_denial_forbids_is_reported_for_profiles_in_use() {
    let team = Team::start().await;
    let text =
        r#"{ "extends": "default", "filesystem": { "read": ["/run"] }, "hooks": { "pre": "x" } }"#;
    team.write("secret.json", text);
    team.write("team.json", text);
    team.plugin.logged("grant dropped", "").await;
    team.write("other.json", DATA);
    team.published("other", "/data").await;
    let lines = team.plugin.lines("grant dropped");
    assert_eq!(lines.len(), 1, "{lines:?}");
    for (key, value) in [
        ("level", "WARN"),
        ("profile", "team"),
        ("place", "/run"),
        ("origin", "filesystem.read"),
    ] {
        assert_eq!(lines[0][key], value, "{lines:?}");
    }
    let warnings = team.plugin.lines("profile file partly without effect");
    assert_eq!(warnings.len(), 2, "once for each file: {warnings:?}");
    team.create("team").await.unwrap();
}

#[tokio::test]
async fn a_disk_that_is_stuck_during_a_reload_holds_no_answer_up() {
    let team = Team::start().await;
    team.create("default").await.unwrap();
    let pipe = team
        .node
        .path("opt/plans")
        .join(format!("{}.json", digest_of_data("team")));
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    team.write("team.json", DATA);
    // A writer that does not wait can open a pipe only while somebody reads it.
    let mut options = OpenOptions::new();
    options.write(true).custom_flags(libc::O_NONBLOCK);
    let mut writer = options.open(&pipe);
    while writer.is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        writer = options.open(&pipe);
    }
    for _ in 0..5 {
        team.create("default").await.unwrap();
    }
    team.refused("team", &["does not exist"]).await;
    drop(writer);
    team.published("team", "/data").await;
}

/// The plan of a profile `name` with the text [`DATA`].
fn digest_of_data(name: &str) -> String {
    let source = read_profile(&format!("{name}.json"), DATA).profile.unwrap();
    let (catalog, _) = Catalog::built_in().unwrap().with_custom(vec![source]);
    let profile = catalog.get(&ProfileName::parse(name).unwrap()).unwrap();
    let plan = profile.compile(&CompileOptions::default()).unwrap();
    plan.encode().unwrap().digest.to_string()
}
