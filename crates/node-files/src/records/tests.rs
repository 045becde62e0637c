use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::*;

fn records() -> (TempDir, Records) {
    let dir = tempfile::tempdir().unwrap();
    let records = Records::new(dir.path().join("a/guard"));
    (dir, records)
}

fn record(root: &Path, id: &str) -> Record {
    Record {
        format: FORMAT,
        root: root.to_owned(),
        id: id.to_owned(),
        bundle: "/bundle".into(),
        kind: Kind::Container(Confinement {
            profile: ProfileName::parse("strict").unwrap(),
            plan: Some(PlanDigest::of(b"plan")),
            variables: vec![("HOME".to_owned(), "/root".to_owned())],
        }),
    }
}

#[test]
fn what_is_written_is_read_and_removed() {
    let (_dir, records) = records();
    let root = Path::new("/run/runc");
    assert_eq!(records.read(root, "a").unwrap(), None);
    let sandbox = Record {
        kind: Kind::Sandbox,
        ..record(root, "b")
    };
    for written in [record(root, "a"), sandbox] {
        records.write(&written).unwrap();
        let id = &written.id;
        assert_eq!(records.read(root, id).unwrap().as_ref(), Some(&written));
        assert_eq!(records.find(id).unwrap().as_ref(), Some(&written));
        assert_eq!(records.read(Path::new("/run/other"), id).unwrap(), None);
        records.remove(root, id).unwrap();
        assert_eq!(records.read(root, id).unwrap(), None);
        records.remove(root, id).unwrap();
    }
    assert_eq!(records.count().unwrap(), 0);
}

#[test]
fn a_record_is_that_of_its_container_or_refused() {
    let (_dir, records) = records();
    let root = Path::new("/run/runc");
    records.write(&record(root, "a")).unwrap();
    fs::rename(records.path(root, "a"), records.path(root, "b")).unwrap();
    let error = records.read(root, "b").unwrap_err().to_string();
    assert!(error.contains("it is that of \"a\""), "{error}");
    fs::write(records.path(root, "b"), "{").unwrap();
    assert!(matches!(
        records.read(root, "b"),
        Err(RecordError::Damaged { .. })
    ));
    let later = Record {
        format: 2,
        ..record(root, "b")
    };
    records.write(&later).unwrap();
    let error = records.read(root, "b").unwrap_err().to_string();
    assert!(error.contains("its format is 2"), "{error}");
}

#[test]
fn an_id_that_ends_like_another_is_another() {
    let (_dir, records) = records();
    let root = Path::new("/run/runc");
    records.write(&record(root, "x-a")).unwrap();
    assert_eq!(records.find("a").unwrap(), None);
    records.write(&record(root, "a")).unwrap();
    assert_eq!(records.find("a").unwrap().unwrap().id, "a");
}

#[test]
fn a_directory_that_others_can_write_to_is_not_trusted() {
    let (_dir, records) = records();
    let root = Path::new("/run/runc");
    records.write(&record(root, "a")).unwrap();
    fs::set_permissions(&records.dir, Permissions::from_mode(0o770)).unwrap();
    assert!(matches!(
        records.read(root, "a"),
        Err(RecordError::Untrusted(_))
    ));
    assert!(matches!(
        records.write(&record(root, "b")),
        Err(RecordError::Untrusted(_))
    ));
    fs::set_permissions(&records.dir, Permissions::from_mode(0o700)).unwrap();
    assert!(records.read(root, "a").unwrap().is_some());
}

#[test]
fn records_of_containers_that_are_gone_are_swept() {
    let (dir, records) = records();
    let root = dir.path().join("root");
    fs::create_dir_all(root.join("alive")).unwrap();
    for id in ["alive", "gone"] {
        records.write(&record(&root, id)).unwrap();
    }
    let left = records.path(&root, "x").with_extension("1.tmp");
    fs::write(&left, "{").unwrap();
    fs::write(records.path(&root, "damaged"), "{").unwrap();
    let now = fs::metadata(&left).unwrap().mtime();
    records.sweep(now, 60).unwrap();
    fs::remove_file(records.dir.join(SWEPT)).unwrap();
    assert_eq!(
        records.count().unwrap(),
        4,
        "the young ones may be on their way"
    );
    let elsewhere = record(&dir.path().join("no-root"), "elsewhere");
    records.write(&elsewhere).unwrap();
    records.sweep(now + 61, 60).unwrap();
    assert!(
        records
            .read(&elsewhere.root, "elsewhere")
            .unwrap()
            .is_some()
    );
    assert!(records.read(&root, "alive").unwrap().is_some());
    assert!(records.read(&root, "gone").unwrap().is_none());
    assert!(!left.exists());
    assert!(
        records.read(&root, "damaged").is_err(),
        "what cannot be told stays, and refuses"
    );
}

#[test]
fn a_record_that_could_not_be_read_is_not_written() {
    let (_dir, records) = records();
    let mut long = record(Path::new("/run/runc"), "a");
    if let Kind::Container(confinement) = &mut long.kind {
        confinement.variables = vec![("HOME".to_owned(), "/x".repeat(1 << 19))];
    }
    assert!(matches!(
        records.write(&long),
        Err(RecordError::TooBig { .. })
    ));
    assert_eq!(records.count().unwrap(), 0);
}

#[test]
fn records_are_not_swept_all_the_time() {
    let (dir, records) = records();
    let root = dir.path().join("root");
    fs::create_dir(&root).unwrap();
    records.write(&record(&root, "gone")).unwrap();
    let now = fs::metadata(records.path(&root, "gone")).unwrap().mtime();
    fs::write(records.dir.join(SWEPT), "").unwrap();
    records.sweep(now + 30, 60).unwrap();
    assert_eq!(records.count().unwrap(), 1);
    records.sweep(now + 120, 60).unwrap();
    assert_eq!(records.count().unwrap(), 0);
}
