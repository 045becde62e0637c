use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;

use super::*;

fn image(passwd: &str) -> (TempDir, Rootfs) {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("etc")).unwrap();
    fs::create_dir_all(dir.path().join("srv/app")).unwrap();
    fs::write(dir.path().join("etc/passwd"), passwd).unwrap();
    symlink("/srv/app", dir.path().join("app")).unwrap();
    let rootfs = Rootfs::open(dir.path()).unwrap();
    (dir, rootfs)
}

fn home(rootfs: &Rootfs, mounted: &[&str], uid: u32) -> Option<String> {
    let mounted: Vec<String> = mounted.iter().map(|m| (*m).to_owned()).collect();
    let image = Image {
        rootfs,
        mounted: &mounted,
    };
    image.home(uid).unwrap()
}

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nbad\nx:x:abc:0::/bad:\napp:x:1000:1000::/home/app:\n\
                      twice:x:1000:1::/second:\nrel:x:7:7::home:\n";

#[test]
fn the_home_is_the_users_first_entry() {
    let (_dir, rootfs) = image(PASSWD);
    for (uid, expected) in [(0, "/root"), (1000, "/home/app"), (7, "/"), (4711, "/")] {
        assert_eq!(home(&rootfs, &[], uid).as_deref(), Some(expected), "{uid}");
    }
}

#[test]
fn a_home_that_a_volume_decides_is_not_told() {
    let (dir, rootfs) = image(PASSWD);
    assert_eq!(home(&rootfs, &["/etc/passwd"], 0), None);
    assert_eq!(home(&rootfs, &["/etc"], 0), None);
    assert_eq!(home(&rootfs, &["/etc/pass"], 0).as_deref(), Some("/root"));
    let link = dir.path().join("etc/passwd");
    fs::remove_file(&link).unwrap();
    symlink("/data/passwd", &link).unwrap();
    assert_eq!(home(&rootfs, &["/data"], 0), None);
    assert_eq!(home(&rootfs, &[], 0).as_deref(), Some("/"));
}

#[test]
fn nothing_but_a_file_is_read_as_passwd() {
    let (dir, rootfs) = image(PASSWD);
    let path = dir.path().join("etc/passwd");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_eq!(home(&rootfs, &[], 0).as_deref(), Some("/"));
    fs::remove_dir(&path).unwrap();
    symlink("/proc/self/environ", &path).unwrap();
    assert_eq!(
        home(&rootfs, &[], 0).as_deref(),
        Some("/"),
        "the host's files are out of reach"
    );
    let host = Path::new("/etc/passwd");
    assert!(host.exists());
}

fn told(process: &str, rootfs: Option<&Rootfs>, mounted: &[&str]) -> Variables {
    let process = Process::read(process).unwrap();
    let mounted: Vec<String> = mounted.iter().map(|m| (*m).to_owned()).collect();
    let image = rootfs.map(|rootfs| Image {
        rootfs,
        mounted: &mounted,
    });
    variables(&process, &process.env().unwrap(), &process.args[0], image).unwrap()
}

fn pairs(pairs: &[(&str, &str)]) -> Variables {
    let pairs = pairs.iter();
    pairs
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn variables_come_from_the_spec() {
    let process = r#"{"args":["run","x"],"cwd":"/app","env":["HOME=/a","PATH=/x","TMPDIR=","HOME=/b","XDG_DATA_HOME=/d","WORKDIR=/etc"]}"#;
    let (_dir, rootfs) = image("");
    let expected = |workdir| {
        pairs(&[
            ("HOME", "/b"),
            ("XDG_DATA_HOME", "/d"),
            ("WORKDIR", workdir),
            ("ENTRYPOINT", "run"),
            ("PATH", "/x"),
        ])
    };
    assert_eq!(told(process, Some(&rootfs), &[]), expected("/srv/app"));
    assert_eq!(told(process, Some(&rootfs), &["/app"]), expected("/app"));
    assert_eq!(told(process, None, &[]), expected("/app"));
}

#[test]
fn a_command_with_a_slash_needs_no_path() {
    let process = r#"{"args":["./run"],"cwd":"/w/../x","env":["PATH=/x"]}"#;
    assert_eq!(
        told(process, None, &[]),
        pairs(&[("WORKDIR", "/x"), ("ENTRYPOINT", "./run")])
    );
}
