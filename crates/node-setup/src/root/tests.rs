use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use tempfile::TempDir;

use super::*;

fn node() -> (TempDir, Root) {
    let dir = tempfile::tempdir().unwrap();
    for name in ["etc", "usr/bin", "var/opt"] {
        fs::create_dir_all(dir.path().join(name)).unwrap();
    }
    let root = Root::open(dir.path(), Entrance::through("/nonexistent", &[])).unwrap();
    (dir, root)
}

#[test]
fn absolute_links_stay_inside() {
    let (dir, root) = node();
    fs::write(dir.path().join("etc/passwd"), "the node's").unwrap();
    symlink("/etc/passwd", dir.path().join("link")).unwrap();
    symlink("../../../../etc/passwd", dir.path().join("etc/climber")).unwrap();
    for path in ["/link", "/etc/climber", "/../etc/passwd"] {
        let found = root.read(Path::new(path)).unwrap();
        assert_eq!(found.as_deref(), Some(&b"the node's"[..]), "{path}");
        let place = root.locate(Path::new(path)).unwrap();
        assert_eq!(place.as_deref(), Some(Path::new("/etc/passwd")), "{path}");
    }
}

#[test]
fn what_is_not_there_is_no_error() {
    let (dir, root) = node();
    fs::write(dir.path().join("etc/file"), "").unwrap();
    for path in ["/nowhere", "/nowhere/below", "/etc/file/below"] {
        assert_eq!(root.read(Path::new(path)).unwrap(), None, "{path}");
        assert_eq!(root.locate(Path::new(path)).unwrap(), None, "{path}");
    }
    assert_eq!(
        root.list(Path::new("/nowhere")).unwrap(),
        Vec::<PathBuf>::new()
    );
}

#[test]
fn new_files_are_placed_where_the_links_above_them_lead() {
    let (dir, root) = node();
    symlink("/var/opt", dir.path().join("opt")).unwrap();
    let place = root.place(Path::new("/opt/nono-nri/nono")).unwrap();
    assert_eq!(place, Path::new("/var/opt/nono-nri/nono"));
}

#[test]
fn a_link_that_leads_nowhere_is_no_place() {
    let (dir, root) = node();
    symlink("/gone/config.toml", dir.path().join("etc/config.toml")).unwrap();
    let error = root.place(Path::new("/etc/config.toml")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/etc/config.toml is a link that leads nowhere"
    );
}

#[test]
fn loops_are_errors() {
    let (dir, root) = node();
    symlink("/etc/b", dir.path().join("etc/a")).unwrap();
    symlink("/etc/a", dir.path().join("etc/b")).unwrap();
    assert!(root.read(Path::new("/etc/a")).is_err());
}

#[test]
fn a_directory_is_listed_in_order_and_by_the_name_asked_for() {
    let (dir, root) = node();
    symlink("/etc", dir.path().join("link")).unwrap();
    for name in ["b", "a"] {
        fs::write(dir.path().join("etc").join(name), "").unwrap();
    }
    let expected = ["/link/a", "/link/b"].map(PathBuf::from);
    assert_eq!(root.list(Path::new("/link")).unwrap(), expected);
}

#[test]
fn programs_are_executable_files() {
    let (dir, root) = node();
    let program = dir.path().join("usr/bin/runc");
    fs::write(&program, "").unwrap();
    assert_eq!(
        root.find_program("runc"),
        None,
        "control: it cannot be executed"
    );
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let found = Some(PathBuf::from("/usr/bin/runc"));
    assert_eq!(root.find_program("runc"), found);
    assert_eq!(root.find_program("/usr/bin/runc"), found);
    assert_eq!(root.find_program("/usr/bin"), None);
}

#[test]
fn programs_are_started_through_the_entrance() {
    let dir = tempfile::tempdir().unwrap();
    let entrance = Entrance::through("/bin/echo", &["enter"]);
    let root = Root::open(dir.path(), entrance).unwrap();
    let output = root
        .run(Path::new("/usr/bin/runc"), &["--version"])
        .unwrap();
    let expected = format!("enter {} /usr/bin/runc --version\n", dir.path().display());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
}

#[test]
fn programs_that_do_not_end_are_ended() {
    let root = Root::open(Path::new("/"), Entrance::through("/nonexistent", &[])).unwrap();
    let limit = std::time::Duration::from_millis(200);
    let error = root
        .run_within(Path::new("/bin/sleep"), &["60"], limit)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    let output = root
        .run_within(Path::new("/bin/echo"), &["answer"], limit * 50)
        .unwrap();
    assert_eq!(output.stdout, b"answer\n");
}

#[test]
fn a_root_that_is_not_there_is_named() {
    let error = Root::open(
        Path::new("/nowhere"),
        Entrance::through("/nonexistent", &[]),
    );
    let message = error.unwrap_err().to_string();
    assert!(
        message.starts_with("cannot open /nowhere: --root"),
        "{message}"
    );
}
