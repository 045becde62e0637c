//! Undoing installations that were made by hand, without a runtime: what is restored, and what is not.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use tempfile::TempDir;

use super::*;
use crate::cri::tests::{Server, ready};
use crate::files::{Attributes, digest};
use crate::manifest::{Before, FileRecord, Foreign, Purpose, RuntimeRecord};
use crate::root::Entrance;
use crate::runtime::{Kind, Owned, OwnedKey, Version};

const STATE: &str = "/var/lib/kubefence";
const CONFIG: &str = "/etc/containerd/config.toml";
const BEFORE: &str = "# mine\nversion = 3\n";
const AFTER: &str = "# mine\nversion = 3\nroot = \"/data\"\n";

const PLAN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.json";

struct Node {
    dir: TempDir,
    root: Root,
    manifest: Manifest,
}

impl Node {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path(), Entrance::through("/nonexistent", &[])).unwrap();
        let runtime = RuntimeRecord {
            kind: Kind::Containerd,
            version: Version {
                major: 2,
                minor: 3,
                patch: 7,
            },
            socket: "/run/containerd/containerd.sock".into(),
            units: vec!["containerd.service".to_owned()],
            validate: Vec::new(),
        };
        let mut manifest = Manifest::begin(runtime, Restart::None);
        manifest.phase = Phase::Installed;
        manifest.handlers = vec!["nono-runc".to_owned()];
        manifest.nono_dir = "/opt/nono-nri".into();
        manifest.bin_dir = "/opt/kubefence/bin".into();
        for path in [STATE, "/etc/containerd", "/opt"] {
            files::make_directory(&root, Path::new(path), 0o700).unwrap();
        }
        for path in ["/opt/nono-nri", "/opt/kubefence/bin"] {
            let made = files::make_directory(&root, Path::new(path), 0o755).unwrap();
            manifest.directories.extend(made);
        }
        Self {
            dir,
            root,
            manifest,
        }
    }

    fn write(&self, path: &str, text: &str) {
        let outside = self.dir.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(outside.parent().unwrap()).unwrap();
        fs::write(outside, text).unwrap();
    }

    fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.dir.path().join(path.trim_start_matches('/'))).ok()
    }

    fn exists(&self, path: &str) -> bool {
        self.dir.path().join(path.trim_start_matches('/')).exists()
    }

    /// A file that was installed, in the place of `before`.
    fn installed(&mut self, path: &str, purpose: Purpose, before: Option<&str>, after: &str) {
        let before = before.map(|text| {
            self.write(path, text);
            let found = files::find(&self.root, Path::new(path)).unwrap().unwrap();
            Before {
                sha256: self.store().back_up(&found.bytes).unwrap(),
                attributes: found.attributes,
            }
        });
        self.write(path, after);
        let record = FileRecord {
            purpose,
            before,
            after: digest(after.as_bytes()),
            superseded: None,
            keys: Vec::new(),
        };
        self.manifest.files.insert(path.into(), record);
    }

    fn with_programs(mut self) -> Self {
        self.installed("/opt/nono-nri/nono", Purpose::Program, None, "launcher");
        self.installed(
            "/opt/kubefence/bin/nono-runc",
            Purpose::Program,
            None,
            "guard",
        );
        self.installed(
            "/opt/kubefence/bin/nono-runc.toml",
            Purpose::GuardConfig,
            None,
            "config",
        );
        self.write(&format!("/opt/nono-nri/plans/{PLAN}"), "{}");
        self
    }

    fn store(&self) -> Store<'_> {
        Store::new(&self.root, Path::new(STATE))
    }

    fn uninstall(&self) -> Result<UninstallReport, UninstallError> {
        self.store().save(&self.manifest).unwrap();
        uninstall(&self.root, &options(true), &mut |_| {})
    }
}

fn options(force: bool) -> UninstallOptions {
    UninstallOptions {
        state_dir: STATE.into(),
        restart: None,
        runtime_socket: None,
        timeout: Duration::from_secs(1),
        force,
    }
}

fn key(path: &[&str], previous: Option<&str>, written: &str) -> OwnedKey {
    OwnedKey {
        path: path.iter().map(|&part| part.to_owned()).collect(),
        owned: Owned::Value {
            previous: previous.map(str::to_owned),
            written: written.to_owned(),
        },
    }
}

#[test]
fn everything_of_ours_goes_and_what_was_there_comes_back() {
    let mut node = Node::new().with_programs();
    node.installed(CONFIG, Purpose::EditedConfig, Some(BEFORE), AFTER);
    node.installed(
        "/etc/containerd/conf.d/50.toml",
        Purpose::OwnConfig,
        None,
        "ours",
    );
    node.manifest
        .directories
        .push("/etc/containerd/conf.d".into());
    node.write("/run/kubefence/guard/record", "{}");
    node.write("/var/run/nono-nri/pod/container/metadata.json", "{}");
    let report = node.uninstall().unwrap();
    assert!(report.was_installed);
    assert_eq!(node.read(CONFIG).unwrap(), BEFORE);
    for path in [
        "/etc/containerd/conf.d",
        "/opt/nono-nri",
        "/opt/kubefence",
        "/run/kubefence",
        "/var/run/nono-nri",
        STATE,
    ] {
        assert!(!node.exists(path), "{path} is still there");
    }
    assert!(node.exists("/opt"), "not ours");
}

#[test]
fn a_restored_file_has_its_old_mode_and_time() {
    let mut node = Node::new();
    node.write(CONFIG, BEFORE);
    let outside = node.dir.path().join("etc/containerd/config.toml");
    fs::set_permissions(&outside, fs::Permissions::from_mode(0o600)).unwrap();
    let old = Attributes::of(&outside).unwrap();
    node.installed(CONFIG, Purpose::EditedConfig, Some(BEFORE), AFTER);
    let before = &mut node
        .manifest
        .files
        .get_mut(Path::new(CONFIG))
        .unwrap()
        .before;
    before.as_mut().unwrap().attributes = old.clone();
    fs::set_permissions(&outside, fs::Permissions::from_mode(0o644)).unwrap();
    node.uninstall().unwrap();
    assert_eq!(Attributes::of(&outside).unwrap(), old);
}

#[test]
fn where_somebody_has_edited_only_our_part_goes() {
    let mut node = Node::new();
    node.installed(CONFIG, Purpose::EditedConfig, Some(BEFORE), AFTER);
    let record = node.manifest.files.get_mut(Path::new(CONFIG)).unwrap();
    record.keys = vec![key(&["root"], None, "\"/data\"")];
    node.write(CONFIG, &format!("{AFTER}state = \"/theirs\"\n"));
    let report = node.uninstall().unwrap();
    assert_eq!(
        node.read(CONFIG).unwrap(),
        format!("{BEFORE}state = \"/theirs\"\n")
    );
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.contains("somebody has changed it since"))
    );
}

#[test]
fn a_file_that_somebody_has_removed_stays_away() {
    let mut node = Node::new();
    node.installed(CONFIG, Purpose::EditedConfig, Some(BEFORE), AFTER);
    fs::remove_file(node.dir.path().join("etc/containerd/config.toml")).unwrap();
    let report = node.uninstall().unwrap();
    assert_eq!(node.read(CONFIG), None);
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.contains("removed it since")),
        "{:?}",
        report.notes
    );
}

#[test]
fn an_interrupted_installation_is_undone_wherever_it_was_interrupted() {
    for written in [false, true] {
        let mut node = Node::new().with_programs();
        node.installed(CONFIG, Purpose::EditedConfig, Some(BEFORE), AFTER);
        node.manifest.phase = Phase::Installing;
        if !written {
            node.write(CONFIG, BEFORE);
            fs::remove_file(node.dir.path().join("opt/kubefence/bin/nono-runc")).unwrap();
            fs::remove_dir_all(node.dir.path().join("opt/nono-nri")).unwrap();
        }
        node.uninstall().unwrap();
        assert_eq!(node.read(CONFIG).unwrap(), BEFORE, "written: {written}");
        assert!(!node.exists("/opt/kubefence"), "written: {written}");
    }
}

#[test]
fn what_stood_in_the_place_of_a_program_comes_back() {
    let mut node = Node::new();
    let path = "/opt/kubefence/bin/nono-runc";
    node.installed(path, Purpose::Program, Some("by hand"), "guard");
    node.uninstall().unwrap();
    assert_eq!(node.read(path).unwrap(), "by hand");
    assert!(!node.exists(STATE));
}

#[test]
fn what_others_had_in_the_launchers_directory_stays() {
    let mut node = Node::new();
    node.write("/opt/nono-nri/theirs/file", "theirs");
    symlink(
        "../plans/old.json",
        node.dir.path().join("opt/nono-nri/link"),
    )
    .unwrap();
    let foreign = |path: &str, target: Option<&str>| Foreign {
        path: path.into(),
        target: target.map(Into::into),
    };
    node.manifest.foreign = vec![
        foreign("link", Some("../plans/old.json")),
        foreign("theirs", None),
        foreign("theirs/file", None),
    ];
    let mut node = node.with_programs();
    node.manifest.phase = Phase::Installed;
    fs::remove_file(node.dir.path().join("opt/nono-nri/link")).unwrap();
    symlink(
        "../plans/new.json",
        node.dir.path().join("opt/nono-nri/link"),
    )
    .unwrap();
    node.uninstall().unwrap();
    assert_eq!(node.read("/opt/nono-nri/theirs/file").unwrap(), "theirs");
    let link = fs::read_link(node.dir.path().join("opt/nono-nri/link")).unwrap();
    assert_eq!(link, Path::new("../plans/old.json"));
    for path in ["/opt/nono-nri/nono", "/opt/nono-nri/plans"] {
        assert!(!node.exists(path), "{path} is still there");
    }
}

#[test]
fn what_others_put_there_since_stays_and_is_named() {
    let node = Node::new().with_programs();
    node.write("/opt/nono-nri/kubectl", "theirs");
    let report = node.uninstall().unwrap();
    assert_eq!(node.read("/opt/nono-nri/kubectl").unwrap(), "theirs");
    assert!(!node.exists("/opt/nono-nri/nono") && !node.exists("/opt/nono-nri/plans"));
    let named = |note: &String| note.starts_with("/opt/nono-nri/kubectl is left");
    assert!(report.notes.iter().any(named), "{:?}", report.notes);
}

#[test]
fn records_that_are_not_where_they_usually_are_are_spoken_of() {
    for there in [true, false] {
        let node = Node::new().with_programs();
        if there {
            node.write("/var/run/nono-nri/record", "{}");
        }
        let notes = node.uninstall().unwrap().notes;
        let spoken_of = notes.iter().any(|note| note.contains("state_dir"));
        assert_eq!(spoken_of, !there, "{notes:?}");
    }
}

#[test]
fn pods_that_come_up_before_the_restart_keep_the_guard() {
    for appear in [false, true] {
        let mut node = Node::new().with_programs();
        node.installed(CONFIG, Purpose::EditedConfig, Some(BEFORE), AFTER);
        node.manifest.runtime.socket = "/cri.sock".into();
        node.store().save(&node.manifest).unwrap();
        let (idle, busy) = (
            Server::start(ready(&[], &[])),
            Server::start(ready(&[("a", "nono-runc")], &[])),
        );
        let socket = node.dir.path().join("cri.sock");
        fs::rename(idle.root.dir().join("cri.sock"), &socket).unwrap();
        let result = uninstall(&node.root, &options(false), &mut |text| {
            if appear && text.starts_with("restoring") {
                fs::rename(busy.root.dir().join("cri.sock"), &socket).unwrap();
            }
        });
        match appear {
            true => assert!(
                matches!(result, Err(UninstallError::InUse(_))),
                "{result:?}"
            ),
            false => assert!(result.is_ok(), "control: {result:?}"),
        }
        assert_eq!(node.exists("/opt/kubefence/bin/nono-runc"), appear);
        assert_eq!(node.exists(STATE), appear, "it can be gone on with");
    }
}

#[test]
fn a_damaged_backup_stops_everything_before_anything_is_changed() {
    let mut node = Node::new().with_programs();
    node.installed(CONFIG, Purpose::EditedConfig, Some(BEFORE), AFTER);
    let backups = node.dir.path().join("var/lib/kubefence/backups");
    for entry in fs::read_dir(backups).unwrap() {
        fs::write(entry.unwrap().path(), "damaged").unwrap();
    }
    let error = node.uninstall().unwrap_err().to_string();
    assert!(
        error.contains("the backup of /etc/containerd/config.toml"),
        "{error}"
    );
    assert_eq!(node.read(CONFIG).unwrap(), AFTER);
    assert!(node.exists("/opt/kubefence/bin/nono-runc"));
}

#[test]
fn a_runtime_that_does_not_answer_is_no_proof_that_there_are_no_pods() {
    let node = Node::new().with_programs();
    node.store().save(&node.manifest).unwrap();
    for result in [
        uninstall(&node.root, &options(false), &mut |_| {}),
        preview(&node.root, &options(false)),
    ] {
        assert!(
            matches!(result, Err(UninstallError::Unknown(_))),
            "{result:?}"
        );
    }
    assert!(node.exists("/opt/kubefence/bin/nono-runc"));
    let report = preview(&node.root, &options(true)).unwrap();
    assert!(report.dry_run && node.exists("/opt/kubefence/bin/nono-runc"));
}

#[test]
fn nothing_installed_is_nothing_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path(), Entrance::through("/nonexistent", &[])).unwrap();
    let report = uninstall(&root, &options(false), &mut |_| {}).unwrap();
    assert!(!report.was_installed);
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        0,
        "and nothing is made"
    );
}

fn pod(name: &str, runs: bool) -> Pod {
    Pod {
        namespace: "work".to_owned(),
        name: name.to_owned(),
        handler: "nono-runc".to_owned(),
        runs,
    }
}

#[test]
fn what_is_left_of_ended_pods_is_in_the_way_only_of_crio() {
    let pods = vec![pod("a", true), pod("b", false)];
    assert_eq!(in_the_way(pods.clone(), Kind::Containerd), [pod("a", true)]);
    assert_eq!(in_the_way(pods.clone(), Kind::Crio), pods);
}

#[test]
fn pods_in_the_way_are_named() {
    let message = UninstallError::InUse(vec![pod("a", true), pod("b", false)]).to_string();
    assert_eq!(
        message,
        "pods of kubefence's handlers exist: work/a (nono-runc), work/b (nono-runc, ended); delete them, then run this again"
    );
    let many = (0..12).map(|n| pod(&n.to_string(), true)).collect();
    assert!(
        UninstallError::InUse(many)
            .to_string()
            .contains("and 2 more")
    );
}
