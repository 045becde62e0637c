use std::fs;
use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

/// A root file system with links of every kind.
fn tree() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let at = |path: &str| dir.path().join(path);
    for path in ["nono", "a/b/c", "run", "usr/lib", "etc", "loop"] {
        fs::create_dir_all(at(path)).unwrap();
    }
    fs::write(at("etc/passwd"), "root:x:0:0::/root:/bin/sh\n").unwrap();
    for (link, target) in [
        ("zz", "/nono"),
        ("relative", "a/../nono"),
        ("out", "../../../../nono"),
        ("chain", "zz"),
        ("a/up", ".."),
        ("a/abs", "/a/b"),
        ("lib", "usr/lib"),
        ("dangling", "/nowhere/x"),
        ("loop/x", "../loop/x"),
        ("slashes", "//nono//"),
    ] {
        symlink(target, at(link)).unwrap();
    }
    dir
}

#[test]
fn links_are_followed_inside_the_root() {
    let dir = tree();
    let rootfs = Rootfs::open(dir.path()).unwrap();
    for (path, expected) in [
        ("/", "/"),
        ("", "/"),
        ("/data", "/data"),
        ("zz", "/nono"),
        ("/zz/profiles", "/nono/profiles"),
        ("/relative", "/nono"),
        ("/out", "/nono"),
        ("/chain/x", "/nono/x"),
        ("/a/up/zz", "/nono"),
        ("/a/abs/c/../../up/nono", "/nono"),
        ("/a/missing/../../zz", "/nono"),
        ("/lib/x/y", "/usr/lib/x/y"),
        ("/dangling/y", "/nowhere/x/y"),
        ("/slashes/.", "/nono"),
        ("/../../nono", "/nono"),
        ("/etc/passwd/x", "/etc/passwd/x"),
    ] {
        assert_eq!(rootfs.resolve(path, &[]).unwrap(), expected, "{path}");
    }
    assert!(matches!(
        rootfs.resolve("/loop/x", &[]),
        Err(RootfsError::Links(_))
    ));
}

/// What exists, the kernel finds at the same place.
#[test]
fn the_kernel_agrees() {
    let dir = tree();
    let rootfs = Rootfs::open(dir.path()).unwrap();
    for path in [
        "/",
        "zz",
        "/relative",
        "/out",
        "/chain",
        "/a/up/zz",
        "/a/abs/c/../../up/nono",
        "/lib",
        "/slashes/.",
        "/../../nono",
        "/etc/passwd",
    ] {
        let fd = openat2(
            &rootfs.root,
            if path == "/" { "." } else { path },
            OFlags::PATH,
            Mode::empty(),
            ResolveFlags::IN_ROOT,
        )
        .unwrap();
        let kernel = rustix::fs::fstat(fd).unwrap();
        let ours = rootfs.resolve(path, &[]).unwrap();
        let ours = statat(&rootfs.root, relative(&ours), AtFlags::SYMLINK_NOFOLLOW).unwrap();
        assert_eq!(kernel.st_ino, ours.st_ino, "{path}");
    }
}

#[test]
fn nothing_is_looked_up_where_something_will_be_mounted() {
    let dir = tree();
    let rootfs = Rootfs::open(dir.path()).unwrap();
    let mounted = ["/a".to_owned()];
    assert_eq!(rootfs.resolve("/a/abs/c", &mounted).unwrap(), "/a/abs/c");
    assert_eq!(
        rootfs.resolve("/a/abs/../../zz", &mounted).unwrap(),
        "/nono"
    );
    assert_eq!(rootfs.resolve("/zz", &mounted).unwrap(), "/nono");
}

#[test]
fn only_directories_and_nothing_leave_room_for_the_mount() {
    let dir = tree();
    let rootfs = Rootfs::open(dir.path()).unwrap();
    for (path, expected) in [
        ("/nono", true),
        ("/new", true),
        ("/zz", false),
        ("/etc/passwd", false),
    ] {
        assert_eq!(
            rootfs.is_free_for_directory(path).unwrap(),
            expected,
            "{path}"
        );
    }
}

#[test]
fn only_regular_files_are_opened() {
    let dir = tree();
    let rootfs = Rootfs::open(dir.path()).unwrap();
    assert!(rootfs.open_file("/etc/passwd").unwrap().is_some());
    for path in ["/etc", "/zz", "/missing", "/etc/passwd/x"] {
        assert!(rootfs.open_file(path).unwrap().is_none(), "{path}");
    }
}

#[test]
fn text_is_made_normal_without_looking() {
    for (text, expected) in [
        ("/", "/"),
        ("", "/"),
        ("a//b/./c/", "/a/b/c"),
        ("/a/../../b", "/b"),
        ("/..", "/"),
    ] {
        assert_eq!(normal(text), expected);
    }
    assert!(
        is_at_or_below("/a/b", "/a") && is_at_or_below("/a", "/a") && is_at_or_below("/a", "/")
    );
    assert!(!is_at_or_below("/ab", "/a") && !is_at_or_below("/", "/a"));
}
