use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use tempfile::TempDir;

use super::*;
use crate::root::Entrance;

fn node() -> (TempDir, Root) {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("etc")).unwrap();
    let root = Root::open(dir.path(), Entrance::through("/nonexistent", &[])).unwrap();
    (dir, root)
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_file_gets_content_and_mode_and_nothing_is_left_beside_it() {
    let (dir, root) = node();
    let path = Path::new("/etc/config.toml");
    put(&root, path, b"content", &Attributes::new(0o640)).unwrap();
    let found = find(&root, path).unwrap().unwrap();
    assert_eq!(found.bytes, b"content");
    assert_eq!(found.attributes.mode(), 0o640);
    assert_eq!(names(&dir.path().join("etc")), ["config.toml"]);
}

#[test]
fn what_is_put_back_has_its_old_attributes() {
    let (dir, root) = node();
    let path = Path::new("/etc/config.toml");
    let outside = dir.path().join("etc/config.toml");
    fs::write(&outside, "original").unwrap();
    fs::set_permissions(&outside, fs::Permissions::from_mode(0o604)).unwrap();
    let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::new(1_000_000_000, 7);
    let file = File::options().write(true).open(&outside).unwrap();
    file.set_modified(long_ago).unwrap();
    let before = find(&root, path).unwrap().unwrap();
    put(&root, path, b"edited", &before.attributes.changed_now()).unwrap();
    let edited = fs::metadata(&outside).unwrap();
    assert_eq!(edited.mode() & 0o7777, 0o604);
    assert_ne!(
        edited.modified().unwrap(),
        long_ago,
        "control: an edit is seen"
    );
    put(&root, path, &before.bytes, &before.attributes).unwrap();
    assert_eq!(find(&root, path).unwrap().unwrap(), before);
    assert_eq!(
        fs::metadata(&outside).unwrap().modified().unwrap(),
        long_ago
    );
}

#[test]
fn extended_attributes_are_kept() {
    let (dir, root) = node();
    let outside = dir.path().join("etc/file");
    fs::write(&outside, "").unwrap();
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(&outside, "user.note", b"mine", flags).unwrap();
    let before = find(&root, Path::new("/etc/file")).unwrap().unwrap();
    put(&root, Path::new("/etc/file"), b"new", &before.attributes).unwrap();
    let mut value = [0; 16];
    let length = rustix::fs::getxattr(&outside, "user.note", &mut value[..]).unwrap();
    assert_eq!(&value[..length], b"mine");
}

#[test]
fn a_link_stays_and_its_target_is_replaced() {
    let (dir, root) = node();
    fs::create_dir(dir.path().join("real")).unwrap();
    fs::write(dir.path().join("real/config"), "old").unwrap();
    let link = dir.path().join("etc/config.toml");
    symlink("/real/config", &link).unwrap();
    put(
        &root,
        Path::new("/etc/config.toml"),
        b"new",
        &Attributes::new(0o644),
    )
    .unwrap();
    assert_eq!(fs::read_link(&link).unwrap(), Path::new("/real/config"));
    assert_eq!(fs::read(dir.path().join("real/config")).unwrap(), b"new");
}

#[test]
fn what_an_interrupted_run_left_is_in_nobodys_way() {
    let (dir, root) = node();
    let left = dir.path().join("etc/.a.kubefence-new");
    fs::write(&left, "half").unwrap();
    put(
        &root,
        Path::new("/etc/a"),
        b"whole",
        &Attributes::new(0o644),
    )
    .unwrap();
    assert_eq!(names(&dir.path().join("etc")), ["a"]);
    fs::write(&left, "half").unwrap();
    remove(&root, Path::new("/etc/a")).unwrap();
    assert_eq!(names(&dir.path().join("etc")), Vec::<String>::new());
    remove(&root, Path::new("/etc/a")).unwrap();
}

#[test]
fn a_file_that_cannot_be_written_is_named_and_stays() {
    let (dir, root) = node();
    fs::create_dir(dir.path().join("etc/a")).unwrap();
    fs::write(dir.path().join("etc/a/inside"), "").unwrap();
    let error = put(&root, Path::new("/etc/a"), b"", &Attributes::new(0o644)).unwrap_err();
    assert_eq!(error.to_string(), "cannot write /etc/a");
    assert_eq!(names(&dir.path().join("etc")), ["a"]);
    let error = put(&root, Path::new("/nowhere/a"), b"", &Attributes::new(0o644)).unwrap_err();
    assert_eq!(error.to_string(), "cannot write /nowhere/a");
}

#[test]
fn directories_are_made_from_the_outside_in() {
    let (dir, root) = node();
    let path = Path::new("/opt/kubefence/bin");
    let expected = ["/opt", "/opt/kubefence", "/opt/kubefence/bin"].map(PathBuf::from);
    assert_eq!(missing_directories(&root, path).unwrap(), expected);
    assert_eq!(make_directory(&root, path, 0o700).unwrap(), expected);
    assert_eq!(
        make_directory(&root, path, 0o700).unwrap(),
        Vec::<PathBuf>::new()
    );
    for (name, mode) in [
        ("opt", 0o755),
        ("opt/kubefence", 0o755),
        ("opt/kubefence/bin", 0o700),
    ] {
        let metadata = fs::metadata(dir.path().join(name)).unwrap();
        assert_eq!(metadata.mode() & 0o7777, mode, "{name}");
    }
}

#[test]
fn only_empty_directories_are_removed() {
    let (dir, root) = node();
    fs::write(dir.path().join("etc/a"), "").unwrap();
    assert!(!remove_empty_directory(&root, Path::new("/etc")).unwrap());
    fs::remove_file(dir.path().join("etc/a")).unwrap();
    assert!(remove_empty_directory(&root, Path::new("/etc")).unwrap());
    assert!(
        remove_empty_directory(&root, Path::new("/etc")).unwrap(),
        "gone is gone"
    );
}

#[test]
fn errors_say_the_way_out_where_there_is_one() {
    let error = |kind| FileError::Write {
        path: "/opt/nono-nri/nono".into(),
        source: io::Error::from(kind),
    };
    for (kind, way_out) in [
        (ErrorKind::ReadOnlyFilesystem, "--nono-dir"),
        (ErrorKind::StorageFull, "make room"),
        (ErrorKind::ResourceBusy, "a mount of its own"),
    ] {
        let message = error(kind).to_string();
        assert!(
            message.contains("/opt/nono-nri/nono") && message.contains(way_out),
            "{message}"
        );
    }
}

#[test]
fn readers_of_drop_ins_never_see_half_a_file() {
    let (dir, root) = node();
    fs::create_dir(dir.path().join("etc/crio.conf.d")).unwrap();
    let path = Path::new("/etc/crio.conf.d/99.conf");
    let left = dir.path().join("etc/.crio.conf.d.99.conf.kubefence-new");
    assert_eq!(temporary(&root.outside(path)), left);
    assert_eq!(
        temporary(Path::new("/etc/crio/crio.conf")),
        Path::new("/etc/crio/.crio.conf.kubefence-new"),
        "control"
    );
    put(&root, path, b"whole", &Attributes::new(0o644)).unwrap();
    assert_eq!(names(&dir.path().join("etc/crio.conf.d")), ["99.conf"]);
    fs::write(&left, "half").unwrap();
    clean(&root, path).unwrap();
    assert_eq!(names(&dir.path().join("etc")), ["crio.conf.d"]);
}

#[test]
fn files_do_not_come_from_another_file_system() {
    let (dir, _) = node();
    let place = dir.path().join("etc/a");
    check_same_device(&dir.path().join(".a"), &place).expect("control");
    let error = check_same_device(Path::new("/proc/.a"), &place).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CrossesDevices);
}
