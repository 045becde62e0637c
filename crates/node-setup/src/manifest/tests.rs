use tempfile::TempDir;

use super::*;
use crate::root::Entrance;

pub(crate) fn runtime() -> RuntimeRecord {
    RuntimeRecord {
        kind: Kind::Containerd,
        version: Version {
            major: 2,
            minor: 3,
            patch: 7,
        },
        socket: "/run/containerd/containerd.sock".into(),
        units: vec!["containerd.service".to_owned()],
        validate: Vec::new(),
    }
}

const DIR: &str = "/var/lib/kubefence";

fn node() -> (TempDir, Root) {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path(), Entrance::through("/nonexistent", &[])).unwrap();
    files::make_directory(&root, Path::new(DIR), 0o700).unwrap();
    (dir, root)
}

fn record(before: Option<&str>) -> FileRecord {
    FileRecord {
        purpose: Purpose::EditedConfig,
        before: before.map(|text| Before {
            sha256: digest(text.as_bytes()),
            attributes: Attributes::new(0o644),
        }),
        after: digest(b"after"),
        superseded: None,
        keys: Vec::new(),
    }
}

fn found(text: &str) -> Found {
    Found {
        bytes: text.as_bytes().to_vec(),
        attributes: Attributes::new(0o600),
    }
}

#[test]
fn a_manifest_is_read_as_it_was_written() {
    let (dir, root) = node();
    let store = Store::new(&root, Path::new(DIR));
    assert!(store.load().unwrap().is_none());
    let mut manifest = Manifest::begin(runtime(), Restart::Command(vec!["/bin/true".to_owned()]));
    manifest
        .files
        .insert("/etc/containerd/config.toml".into(), record(Some("before")));
    store.save(&manifest).unwrap();
    assert_eq!(store.load().unwrap().unwrap(), manifest);
    let mode = Attributes::of(&dir.path().join("var/lib/kubefence/manifest.json"))
        .unwrap()
        .mode();
    assert_eq!(mode, 0o600);
}

#[test]
fn damaged_and_later_manifests_are_refused() {
    let (dir, root) = node();
    let store = Store::new(&root, Path::new(DIR));
    let path = dir.path().join("var/lib/kubefence/manifest.json");
    fs::write(&path, "{").unwrap();
    let message = store.load().unwrap_err().to_string();
    assert!(
        message.starts_with("/var/lib/kubefence/manifest.json is damaged"),
        "{message}"
    );
    fs::write(&path, "{\"format\": 2, \"news\": true}").unwrap();
    let message = store.load().unwrap_err().to_string();
    assert!(
        message.contains("format 2") && message.contains("up to 1"),
        "{message}"
    );
}

#[test]
fn a_backup_is_given_back_only_if_it_is_what_it_was() {
    let (dir, root) = node();
    let store = Store::new(&root, Path::new(DIR));
    let path = Path::new("/etc/containerd/config.toml");
    let name = store.back_up(b"before").unwrap();
    let before = record(Some("before")).before.unwrap();
    assert_eq!(store.backup_of(path, &before).unwrap(), b"before");
    fs::write(
        dir.path().join("var/lib/kubefence/backups").join(&name),
        "other",
    )
    .unwrap();
    let message = store.backup_of(path, &before).unwrap_err().to_string();
    assert!(
        message.contains("/etc/containerd/config.toml") && message.contains(&name),
        "{message}"
    );
    store.back_up(b"before").unwrap();
    assert_eq!(
        store.backup_of(path, &before).unwrap(),
        b"before",
        "a damaged one is replaced"
    );
}

#[test]
fn backups_that_nobody_needs_go() {
    let (dir, root) = node();
    let store = Store::new(&root, Path::new(DIR));
    store.back_up(b"before").unwrap();
    store.back_up(b"other").unwrap();
    let mut manifest = Manifest::begin(runtime(), Restart::Auto);
    manifest
        .files
        .insert("/etc/a".into(), record(Some("before")));
    store.prune(Some(&manifest)).unwrap();
    let left = fs::read_dir(dir.path().join("var/lib/kubefence/backups"))
        .unwrap()
        .count();
    assert_eq!(left, 1);
    store.save(&manifest).unwrap();
    store.clear().unwrap();
    assert!(!dir.path().join("var/lib/kubefence").exists());
    assert!(dir.path().join("var/lib").exists());
}

#[test]
fn what_became_of_a_file_shows_in_its_content() {
    for (before, now, fate) in [
        (Some("before"), Some("after"), Fate::Intact),
        (Some("before"), Some("before"), Fate::Restored),
        (Some("before"), Some("edited"), Fate::Changed),
        (Some("before"), None, Fate::Missing),
        (None, Some("after"), Fate::Intact),
        (None, Some("edited"), Fate::Changed),
        (None, None, Fate::Restored),
    ] {
        let found = now.map(found);
        assert_eq!(
            record(before).fate(found.as_ref()),
            fate,
            "{before:?} {now:?}"
        );
    }
}

#[test]
fn what_was_installed_before_an_interrupted_upgrade_is_ours_too() {
    let mut record = record(Some("before"));
    assert_eq!(record.fate(Some(&found("older"))), Fate::Changed, "control");
    record.superseded = Some(digest(b"older"));
    assert_eq!(record.fate(Some(&found("older"))), Fate::Intact);
}

#[test]
fn one_installation_at_a_time() {
    use std::time::Duration;
    let (_dir, root) = node();
    let take = |patience| Lock::take(&root, Path::new(DIR), Duration::from_millis(patience));
    let first = take(0).unwrap();
    let message = take(250).unwrap_err().to_string();
    assert!(
        message.contains("/var/lib/kubefence/lock is locked"),
        "{message}"
    );
    drop(first);
    take(0).unwrap();
}

#[test]
fn a_lock_that_went_with_an_installation_is_taken_anew() {
    use std::time::Duration;
    let (dir, root) = node();
    let held = Lock::take(&root, Path::new(DIR), Duration::ZERO).unwrap();
    Store::new(&root, Path::new(DIR)).clear().unwrap();
    assert!(!dir.path().join("var/lib/kubefence").exists());
    let anew = Lock::take(&root, Path::new(DIR), Duration::ZERO).unwrap();
    assert_eq!(anew.made, [PathBuf::from(DIR)]);
    drop(held);
}

#[test]
fn backups_are_pruned_on_the_node_also_through_a_link() {
    let (dir, root) = node();
    fs::create_dir_all(dir.path().join("data/backups")).unwrap();
    let link = dir.path().join("var/lib/kubefence/backups");
    std::os::unix::fs::symlink("/data/backups", &link).unwrap();
    let store = Store::new(&root, Path::new(DIR));
    let name = store.back_up(b"before").unwrap();
    let kept = dir.path().join("data/backups").join(name);
    assert!(kept.exists(), "control");
    store.prune(None).unwrap();
    assert!(!kept.exists());
}

#[test]
fn backups_that_cannot_be_listed_are_an_error() {
    let (dir, root) = node();
    fs::write(dir.path().join("var/lib/kubefence/backups"), "").unwrap();
    let store = Store::new(&root, Path::new(DIR));
    assert!(store.prune(None).is_err());
}

#[test]
fn only_handlers_that_were_unknown_show_a_restart() {
    let mut manifest = Manifest::begin(runtime(), Restart::None);
    manifest.handlers = vec!["nono-runc".to_owned()];
    manifest.restart_pending = true;
    let known = BTreeSet::from(["nono-runc".to_owned()]);
    assert!(!manifest.restart_shows(Some(&known)), "control");
    manifest.handlers_show_restart = true;
    assert!(manifest.restart_shows(Some(&known)));
    assert!(!manifest.restart_shows(Some(&BTreeSet::new())));
    assert!(!manifest.restart_shows(None));
}
