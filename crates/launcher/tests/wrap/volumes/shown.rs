//! One volume under several paths: what counts is what it shows, not what it is called.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

use kubefence_launch_plan::Volumes;

use crate::harness::*;
use crate::pod::*;

/// A pod with what the kubelet projects, to be mounted as `tok`, and with the volume `d`.
fn pod() -> Pod {
    let pod = Pod::new(&with(Volumes::AsMounted)).with_env(&["HOME=/nonexistent"]);
    let tokens = pod.volume("tok", &[("..2026_01/token", TOKEN)]);
    symlink("..2026_01", tokens.join("..data")).unwrap();
    symlink("..data/token", tokens.join("token")).unwrap();
    pod.volume("d", &[("file", "text"), ("home/file", "text")]);
    pod
}

#[test]
fn a_token_below_a_volume_shuts_its_other_names() {
    let twice = || pod().with_mount("d", "/a").with_mount("d", "/b");
    let below_it = || twice().with_read_only("tok", "/b/t");
    let below_tmpfs = || {
        twice()
            .with_tmpfs("/b/m", &[])
            .with_read_only("tok", "/b/m/t")
    };
    let beside_it = || twice().with_read_only("tok", "/opt/t");
    for (pod, token, granted) in [
        (below_it(), "/b/t/token", false),
        (below_tmpfs(), "/b/m/t/token", false),
        (beside_it(), "/opt/t/token", true),
    ] {
        pod.check(&format!("cat {token}"), false);
        pod.check("cat /a/file && cat /b/file", granted);
    }
}

#[test]
fn a_fixed_rule_does_not_open_a_token_by_another_name() {
    let plan = with(Volumes::AsMounted).optional("/tmp", all_rights());
    let new = || pod().with_mount("d", "/tmp").with_mount("d", "/cache");
    let pod = new().with_read_only("tok", "/cache/t");
    pod.install(&plan);
    pod.check("cat /cache/t/token", false);
    let pod = new().with_read_only("tok", "/opt/t");
    pod.install(&plan);
    pod.check("cat /opt/t/token", false);
    pod.check("cat /tmp/file && echo x > /tmp/x", true);
}

#[test]
fn a_place_of_the_home_does_not_open_a_token_by_another_name() {
    let pod = pod()
        .with_mount("d", "/home/u")
        .with_mount("d", "/b")
        .with_read_only("tok", "/b/.claude/t")
        .with_env(&[HOME]);
    pod.volume("d", &[(".cache/file", "text")]);
    let plan = with(Volumes::AsMounted);
    pod.install(
        &plan
            .optional("$HOME/.claude", RX)
            .optional("$HOME/.cache", RX),
    );
    pod.check("cat /b/.claude/t/token", false);
    pod.check("cat /home/u/.cache/file", true);
}

#[test]
fn what_is_denied_is_so_under_every_path() {
    let new = || pod().with_mount("d/home", "/root").with_mount("d", "/data");
    new().check("cat /data/home/file && cat /root/file", true);
    for workdir in ["/", "/data"] {
        let pod = new().with_workdir(workdir);
        pod.volume("d", &[("home/.ssh/id", "key")]);
        pod.install(&with(Volumes::AsMounted).optional("$WORKDIR", RX));
        pod.check("cat /data/home/.ssh/id", false);
        pod.check("cat /root/.ssh/id", false);
    }
}

#[test]
fn the_home_is_known_on_a_file_system_that_is_mounted_twice() {
    for (home, granted) in [("HOME=/b", false), ("HOME=/nonexistent", true)] {
        let pod = pod()
            .with_tmpfs("/b", &[("private", "text")])
            .with_set_up("mkdir -p $root/a; mount --bind $root/b $root/a")
            .with_env(&[home]);
        pod.check("cat /a/private", granted);
    }
}

#[test]
fn a_mount_point_that_others_move_opens_nothing() {
    let pod = pod()
        .with_mount("d", "/data")
        .with_read_only("tok", "/data/t/tok");
    pod.check("cat /data/t/tok/token", false);
    let read = "cat /data/t/tok/token || cat /data/u/tok/token || cat /data/t/tok/token";
    let wrap = format!("/nono/nono wrap --profile {PROFILE} -- /bin/busybox sh -c '{read}'");
    let script =
        format!(": > /data/go; i=0; while [ $i -lt 150 ]; do i=$((i+1)); {wrap}; done 2>/dev/null");
    let dir = pod.volume("d", &[]);
    let is_over = AtomicBool::new(false);
    let outcome = std::thread::scope(|scope| {
        scope.spawn(|| {
            // Not before everything is mounted.
            while !dir.join("go").exists() && !is_over.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
            while !is_over.load(Ordering::Relaxed) {
                fs::rename(dir.join("t"), dir.join("u")).unwrap();
                fs::rename(dir.join("u"), dir.join("t")).unwrap();
            }
        });
        let outcome = pod.bare(&script);
        is_over.store(true, Ordering::Relaxed);
        outcome
    });
    assert_eq!(outcome.text(), "");
    pod.bare("cat /data/t/tok/token").succeeded();
}
