use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;

use super::*;

fn image() -> (TempDir, Rootfs) {
    let dir = tempfile::tempdir().unwrap();
    for path in ["run", "usr/share", "home/app", "var"] {
        fs::create_dir_all(dir.path().join(path)).unwrap();
    }
    for (link, target) in [
        ("zz", "/nono"),
        ("top", "/"),
        ("var/run", "/run"),
        ("lib", "usr/lib"),
        ("data", "/usr/share"),
        ("app", "/home/app"),
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

fn resolved(rootfs: &Rootfs, destination: &str) -> Result<String, MountsError> {
    let found = others(vec![mount(destination)], rootfs, &dir())?;
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
fn mounts_that_links_lead_into_the_system_are_refused() {
    let (_dir, rootfs) = image();
    let error = resolved(&rootfs, "/data").unwrap_err();
    assert!(matches!(error, MountsError::IntoSystem { .. }), "{error}");
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
    let all = vec![
        mount("/a"),
        launcher_mount(&dir()),
        mount("/b"),
        launcher_mount(&dir()),
    ];
    let found = others(all, &rootfs, &dir()).unwrap();
    let destinations: Vec<_> = found.mounts.iter().map(|m| &*m.destination).collect();
    assert_eq!(destinations, ["/a", "/b"]);
    let foreign = Mount {
        source: "/evil".to_owned(),
        ..launcher_mount(&dir())
    };
    assert!(others(vec![foreign], &rootfs, &dir()).is_err());
}

#[test]
fn an_image_must_leave_room() {
    let (dir, rootfs) = image();
    let path = dir.path().join("nono");
    assert!(others(vec![], &rootfs, &super::tests::dir()).is_ok());
    fs::create_dir(&path).unwrap();
    assert!(others(vec![], &rootfs, &super::tests::dir()).is_ok());
    fs::remove_dir(&path).unwrap();
    for make in [
        |path: &Path| symlink("/tmp", path).unwrap(),
        |path: &Path| fs::write(path, "").unwrap(),
    ] {
        make(&path);
        let error = others(vec![], &rootfs, &super::tests::dir()).unwrap_err();
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
