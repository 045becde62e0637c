//! What a plan allows on volumes, and what it never allows there.

mod mounted;
mod redirected;
mod scratch;
mod shown;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use kubefence_launch_plan::Volumes;

use crate::harness::*;
use crate::pod::*;

#[test]
fn volumes_get_what_the_plan_says() {
    let pod = Pod::new(&plan()).with_mount("v", "/data");
    pod.volume("v", &[("file", "text")]);
    copy_program("/bin/busybox", pod.volume("v", &[]).join("busybox"));
    for volumes in EVERY {
        pod.install(&with(volumes));
        for script in ["cat /data/file", "ls /data", "/data/busybox true"] {
            pod.check(script, volumes != Volumes::None);
        }
        for script in [
            "echo x >> /data/file",
            ": > /data/file; echo text > /data/file",
            "echo x > /data/x && rm /data/x",
            "mkdir /data/d && mv /data/file /data/d/file && mv /data/d/file /data && rmdir /data/d",
            "ln -s x /data/l && rm /data/l",
            "mkfifo /data/p && rm /data/p",
        ] {
            pod.check(script, volumes == Volumes::AsMounted);
        }
        // What is no volume stays as it was.
        pod.check("cat /etc/shadow", false);
        pod.check("echo x > /app/x", false);
        pod.check("mknod /data/n c 1 3 && rm /data/n", false);
    }
}

#[test]
fn what_is_mounted_read_only_stays_so() {
    let pod = Pod::new(&with(Volumes::AsMounted)).with_read_only("v", "/data");
    pod.volume("v", &[("file", "text")]);
    pod.check("cat /data/file", true);
    for outcome in [pod.bare("echo x > /data/x"), pod.wrap("echo x > /data/x")] {
        assert_ne!(outcome.code, Some(0), "{outcome:?}");
    }
}

#[test]
fn single_files_are_volumes_too() {
    let pod = Pod::new(&with(Volumes::AsMounted)).with_mount("v/file", "/app/config");
    pod.volume("v", &[("file", "text")]);
    pod.check("cat /app/config && echo x > /app/config", true);
    pod.install(&with(Volumes::Read));
    pod.check("cat /app/config", true);
    pod.check("echo x > /app/config", false);
}

#[test]
fn system_directories_are_not_written_through_volumes() {
    let pod = Pod::new(&with(Volumes::AsMounted))
        .with_mount("v", "/etc/config")
        .with_mount("v/file", "/etc/hosts")
        .with_mount("w", "/data");
    pod.volume("v", &[("file", "text")]);
    pod.volume("w", &[]);
    pod.check("cat /etc/config/file", true);
    pod.check("echo x > /data/x", true);
    for script in [
        "echo x > /etc/config/x",
        "echo x > /etc/hosts",
        "cat /etc/hosts",
    ] {
        pod.check(script, false);
    }
}

#[test]
fn tokens_are_no_volume_wherever_they_are_mounted() {
    let projected = [
        ("..2026_01/token", TOKEN),
        ("..2026_01/dir/ca.crt", "certificate"),
    ];
    let subdir = [("..2026_01/sub/token", TOKEN)];
    let set_up = |pod: Pod, files: &[(&str, &str)]| {
        let volume = pod.volume("v", files);
        symlink("..2026_01", volume.join("..data")).unwrap();
        symlink("..data/token", volume.join("token")).unwrap();
        pod.volume("w", &[("file", "text")]);
        pod.with_mount("w", "/data")
    };
    let new = || Pod::new(&plan());
    let cases = [
        (
            set_up(new(), &projected).with_read_only("v", "/opt/t"),
            "/opt/t/token",
        ),
        (
            set_up(new(), &projected).with_read_only("v", "/data/t"),
            "/data/t/token",
        ),
        (
            set_up(new(), &projected).with_read_only("v", "/home/u"),
            "/home/u/token",
        ),
        (
            set_up(new(), &projected).with_read_only("v", "/run/secrets/x"),
            "/run/secrets/x/token",
        ),
        (
            set_up(new(), &projected).with_mount("v/..2026_01/token", "/etc/config/t"),
            "/etc/config/t",
        ),
        (
            set_up(new(), &subdir).with_mount("v/..2026_01/sub", "/opt/t"),
            "/opt/t/token",
        ),
        (
            set_up(new(), &projected).with_tmpfs("/opt/t", &[("a/b/token", TOKEN)]),
            "/opt/t/a/b/token",
        ),
    ];
    for (pod, token) in cases {
        let pod = pod.with_env(&["HOME=/nonexistent"]);
        for volumes in [Volumes::Read, Volumes::AsMounted] {
            pod.install(&with(volumes).optional("$HOME", RX));
            pod.check(&format!("cat {token}"), false);
            // The volume beside it is granted, but not one that it is mounted in.
            pod.check("cat /data/file", !token.starts_with("/data"));
        }
    }
}

#[test]
fn what_is_no_token_is_granted() {
    let pod = Pod::new(&with(Volumes::AsMounted))
        .with_read_only("v", "/opt/c")
        .with_tmpfs("/opt/t", &[("a/key", "eyJ no token"), ("b", "text")]);
    let volume = pod.volume("v", &[("..2026_01/settings", "a=b")]);
    symlink("..2026_01", volume.join("..data")).unwrap();
    symlink("..data/settings", volume.join("settings")).unwrap();
    pod.check(
        "cat /opt/c/settings /opt/t/a/key && echo x > /opt/t/x",
        true,
    );
}

#[test]
fn what_cannot_be_looked_through_is_not_granted() {
    let fill =
        |n: u32| format!("i=0; while [ $i -lt {n} ]; do : > $root/opt/t/$i; i=$((i+1)); done");
    for (files, granted) in [(900, true), (1100, false)] {
        let pod = Pod::new(&with(Volumes::Read))
            .with_tmpfs("/opt/t", &[])
            .with_set_up(&fill(files));
        pod.check("cat /opt/t/0", granted);
    }
    // A file that the user may not read, in what may be a projection.
    let pod = Pod::new(&with(Volumes::Read))
        .with_user(65532)
        .with_read_only("v", "/opt/t");
    let volume = pod.volume(
        "v",
        &[("..data/public", "text"), ("..data/private", "text")],
    );
    pod.check("cat /opt/t/..data/public", true);
    let private = volume.join("..data/private");
    fs::set_permissions(&private, fs::Permissions::from_mode(0o600)).unwrap();
    pod.check("cat /opt/t/..data/public", false);
}

#[test]
fn a_pipe_in_a_volume_holds_nothing_up() {
    let pod = Pod::new(&with(Volumes::Read))
        .with_tmpfs("/opt/t", &[("file", "text")])
        .with_set_up("mkfifo $root/opt/t/fifo; ln -s /proc/self/mem $root/opt/t/link");
    pod.check("cat /opt/t/file", true);
}

#[test]
fn only_the_topmost_mount_counts() {
    let token = || [("token", TOKEN)];
    let harmless = || [("token", "text")];
    let pod = || Pod::new(&with(Volumes::AsMounted));
    let covered = pod()
        .with_tmpfs("/opt/t", &token())
        .with_tmpfs("/opt/t", &harmless());
    covered.check("cat /opt/t/token && echo x > /opt/t/x", true);
    let covering = pod()
        .with_tmpfs("/opt/t", &harmless())
        .with_tmpfs("/opt/t", &token());
    covering.check("cat /opt/t/token", false);
    let over_disk = pod()
        .with_mount("v", "/opt/t")
        .with_tmpfs("/opt/t", &token());
    over_disk.volume("v", &[]);
    over_disk.check("cat /opt/t/token", false);
    let inside = pod()
        .with_tmpfs("/opt/t/in", &token())
        .with_tmpfs("/opt/t", &harmless());
    inside.check("cat /opt/t/token", true);
}

#[test]
fn a_secret_of_its_own_below_the_home_stays_shut() {
    let pod = Pod::new(&with(Volumes::AsMounted))
        .with_mount("v", "/home/u/.ssh")
        .with_mount("w", "/home/u/project")
        .with_env(&[HOME]);
    pod.volume("v", &[("id_rsa", "key")]);
    pod.volume("w", &[("file", "text")]);
    pod.check("cat /home/u/.ssh/id_rsa", false);
    pod.check(
        "cat /home/u/project/file && echo x > /home/u/project/x",
        true,
    );
}

#[test]
fn a_socket_on_a_volume_is_no_obstacle_but_a_device_is() {
    let pod = |what: &str| {
        Pod::new(&with(Volumes::Read))
            .with_mount("v", "/data")
            .with_set_up("mknod $dir/null c 1 3")
            .with_mount(what, "/data/special")
    };
    for (what, granted) in [("socket", true), ("null", false)] {
        let pod = pod(what);
        let dir = pod.volume("v", &[("file", "text")]);
        let socket = dir.parent().unwrap().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(socket).unwrap();
        pod.wrap("true").succeeded();
        fs::remove_file(dir.parent().unwrap().join("null")).unwrap();
        assert_eq!(
            pod.wrap("cat /data/file").code == Some(0),
            granted,
            "{what}"
        );
        fs::remove_file(dir.parent().unwrap().join("null")).unwrap();
        pod.bare("cat /data/file").succeeded();
    }
}
