use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;

use super::*;

fn image() -> (TempDir, Rootfs) {
    let dir = tempfile::tempdir().unwrap();
    for path in ["run", "usr/share", "home/app", "var", "opt"] {
        fs::create_dir_all(dir.path().join(path)).unwrap();
    }
    for (link, target) in [
        ("zz", "/nono"),
        ("top", "/"),
        ("var/run", "/run"),
        ("lib", "usr/lib"),
        ("data", "/usr/share"),
        ("app", "/home/app"),
        ("opt/vol", "/tmp/vol"),
    ] {
        symlink(target, dir.path().join(link)).unwrap();
    }
    let rootfs = Rootfs::open(dir.path()).unwrap();
    (dir, rootfs)
}

fn dir() -> LauncherDir {
    LauncherDir::of_launcher(Path::new("/opt/nono-nri/nono")).unwrap()
}

fn mount(destination: &str) -> Mount {
    Mount {
        text: String::new(),
        destination: destination.to_owned(),
        source: "/src".to_owned(),
        kind: "bind".to_owned(),
        options: vec![],
    }
}

fn all(mounts: Vec<Mount>, rootfs: &Rootfs) -> Result<Others, MountsError> {
    others(mounts, rootfs, Path::new("/run/bundle/rootfs"), &dir())
}

fn resolved(rootfs: &Rootfs, destination: &str) -> Result<String, MountsError> {
    let found = all(vec![mount(destination)], rootfs)?;
    Ok(found.resolved[0].clone())
}

#[test]
fn mounts_that_links_lead_to_the_launcher_are_refused() {
    let (_dir, rootfs) = image();
    for destination in ["/zz", "/zz/profiles", "/top", "/top/nono", "/top/zz"] {
        let error = resolved(&rootfs, destination).unwrap_err();
        assert!(
            matches!(error, MountsError::CoversLauncher { .. }),
            "{destination}: {error}"
        );
        assert!(error.to_string().contains(destination), "{error}");
    }
}

#[test]
fn mounts_that_links_lead_to_open_places_are_refused() {
    let (_dir, rootfs) = image();
    let rights = |path: &str| match path {
        path if is_at_or_below(path, "/tmp") => FsRights::READ.union(FsRights::WRITE),
        path if ["/usr", "/home/app", "/opt"]
            .iter()
            .any(|dir| is_at_or_below(path, dir)) =>
        {
            FsRights::READ
        }
        _ => FsRights::EMPTY,
    };
    let check = |destination| {
        all(vec![mount(destination)], &rootfs)
            .unwrap()
            .check_redirected(rights)
    };
    // The last is open for reading where it is asked for, and for writing where it ends up.
    for destination in ["/data", "/data/x", "/app", "/opt/vol"] {
        let error = check(destination).unwrap_err();
        assert!(
            matches!(error, MountsError::Opened { .. }),
            "{destination}: {error}"
        );
    }
    for destination in [
        "/usr/share/x",
        "/home/app/x",
        "/lib/modules",
        "/var/run/x",
        "/other",
    ] {
        let is_own = destination != "/lib/modules";
        assert_eq!(check(destination).is_ok(), is_own, "{destination}");
    }
}

#[test]
fn the_launcher_is_told_where_the_pods_mounts_are() {
    let (_dir, rootfs) = image();
    let mounts = [
        "/proc",
        "/dev/shm",
        "/dev/shm/x",
        "/sys/fs/cgroup",
        "/app/x",
        "/b",
        "/b",
        "/var/run/s",
    ];
    let found = all(mounts.into_iter().map(mount).collect(), &rootfs).unwrap();
    assert_eq!(
        found.expected(),
        ["/b", "/dev/shm/x", "/home/app/x", "/run/s"]
    );
}

/// What an earlier mount will cover, the image does not redirect.
#[test]
fn links_below_an_earlier_mount_are_not_the_images() {
    let (_dir, rootfs) = image();
    let found = all(vec![mount("/var"), mount("/var/run/x")], &rootfs).unwrap();
    assert_eq!(found.resolved, ["/var", "/var/run/x"]);
}

#[test]
fn destinations_that_runtimes_read_differently_are_refused() {
    let (_dir, rootfs) = image();
    for destination in [
        "/a/../b",
        "..",
        "/run/bundle/rootfs/nono/plans",
        "//run/bundle//rootfs",
    ] {
        let error = resolved(&rootfs, destination).unwrap_err();
        assert!(
            matches!(error, MountsError::Ambiguous(_)),
            "{destination}: {error}"
        );
    }
    assert!(resolved(&rootfs, "/run/bundle/rootfs2").is_ok());
    assert!(resolved(&rootfs, "/a/..b").is_ok());
}

#[test]
fn usual_links_are_no_reason_to_refuse() {
    let (_dir, rootfs) = image();
    for (destination, expected) in [
        ("/data2", "/data2"),
        (
            "/var/run/secrets/kubernetes.io/serviceaccount",
            "/run/secrets/kubernetes.io/serviceaccount",
        ),
        ("/lib/modules", "/usr/lib/modules"),
        ("/app/state", "/home/app/state"),
        ("/usr/share/x", "/usr/share/x"),
        ("/proc", "/proc"),
    ] {
        assert_eq!(resolved(&rootfs, destination).unwrap(), expected);
    }
}

#[test]
fn the_launchers_own_mount_is_sorted_out() {
    let (_dir, rootfs) = image();
    let mounts = vec![
        mount("/a"),
        launcher_mount(&dir()),
        mount("/b"),
        launcher_mount(&dir()),
    ];
    let found = all(mounts, &rootfs).unwrap();
    let destinations: Vec<_> = found.mounts.iter().map(|m| &*m.destination).collect();
    assert_eq!(destinations, ["/a", "/b"]);
    let foreign = Mount {
        source: "/evil".to_owned(),
        ..launcher_mount(&dir())
    };
    assert!(all(vec![foreign], &rootfs).is_err());
}

#[test]
fn an_image_must_leave_room() {
    let (dir, rootfs) = image();
    let path = dir.path().join("nono");
    assert!(all(vec![], &rootfs).is_ok());
    fs::create_dir(&path).unwrap();
    assert!(all(vec![], &rootfs).is_ok());
    fs::remove_dir(&path).unwrap();
    for make in [
        |path: &Path| symlink("/tmp", path).unwrap(),
        |path: &Path| fs::write(path, "").unwrap(),
    ] {
        make(&path);
        let error = all(vec![], &rootfs).unwrap_err();
        assert!(matches!(error, MountsError::NoRoom), "{error}");
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn the_launchers_mount_is_the_contracts() {
    let text = launcher_mount(&dir()).text;
    assert_eq!(
        text,
        r#"{"destination":"/nono","type":"bind","source":"/opt/nono-nri","options":["bind","ro","rprivate","nosuid","nodev"]}"#
    );
}

#[test]
fn the_launchers_directory_is_not_shown_twice() {
    let (_dir, rootfs) = image();
    let from = |source: &str| Mount {
        source: source.to_owned(),
        ..mount("/data")
    };
    for source in [
        "/opt/nono-nri",
        "/opt/nono-nri/plans",
        "/opt/x/../nono-nri//",
    ] {
        let error = all(vec![from(source)], &rootfs).unwrap_err();
        assert!(
            matches!(error, MountsError::ShowsLauncher { .. }),
            "{source}: {error}"
        );
    }
    for source in ["/opt/nono-nri2", "/opt", "tmpfs"] {
        assert!(all(vec![from(source)], &rootfs).is_ok(), "{source}");
    }
}
