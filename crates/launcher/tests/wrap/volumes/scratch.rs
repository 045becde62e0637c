//! What programs keep in memory themselves, next to what the kubelet puts there.

use std::os::unix::fs::symlink;

use kubefence_launch_plan::{LaunchPlan, Volumes};

use crate::harness::*;
use crate::pod::*;

fn plan() -> LaunchPlan {
    with(Volumes::AsMounted).optional("$HOME/.claude", all_rights())
}

#[test]
fn a_token_of_its_own_does_not_cost_a_program_its_home() {
    let files = [(".claude/session", TOKEN), (".claude/state", "text")];
    let script = "cat /home/u/.claude/session && cat /home/u/.claude/state";
    let home = Pod::new(&plan())
        .with_tmpfs("/home/u", &files)
        .with_env(&[HOME]);
    home.check(script, true);
    home.check("echo x > /home/u/.claude/x", true);
    let read_only = Pod::new(&plan())
        .with_tmpfs("/home/u", &files)
        .with_set_up("mount -o remount,bind,ro $root/home/u")
        .with_env(&[HOME]);
    read_only.check(script, false);
    let projected = Pod::new(&plan())
        .with_tmpfs("/home/u", &files)
        .with_set_up("ln -s .claude $root/home/u/..data")
        .with_env(&[HOME]);
    projected.check(script, false);
}

#[test]
fn a_volume_in_memory_with_a_token_is_not_opened_as_a_whole() {
    for (text, granted) in [(TOKEN, false), ("text", true)] {
        let pod = Pod::new(&plan()).with_tmpfs("/data", &[("a", text), ("b", "text")]);
        pod.check("cat /data/a", granted);
        pod.check("cat /data/b", granted);
    }
}

#[test]
fn a_planted_link_makes_no_projection_of_a_disk() {
    let files = [("a/token", TOKEN), ("b", "text")];
    for is_writable in [true, false] {
        let pod = Pod::new(&plan());
        symlink("a", pod.volume("v", &files).join("..data")).unwrap();
        let pod = match is_writable {
            true => pod.with_mount("v", "/data"),
            false => pod.with_read_only("v", "/data"),
        };
        pod.check("cat /data/b", is_writable);
    }
}

#[test]
fn what_programs_keep_in_memory_is_looked_at_to_a_bound_over_all() {
    let fill = "i=0; while [ $i -lt 400 ]; do
                : > $root/m1/$i; : > $root/m2/$i; : > $root/m3/$i; i=$((i+1)); done";
    let pod = Pod::new(&plan())
        .with_tmpfs("/m1", &[])
        .with_tmpfs("/m2", &[])
        .with_tmpfs("/m3", &[])
        .with_set_up(fill)
        .with_read_only("v", "/opt/c");
    let volume = pod.volume("v", &[("..2026_01/settings", "a=b")]);
    symlink("..2026_01", volume.join("..data")).unwrap();
    pod.check("cat /m1/0 && cat /m2/0", true);
    pod.check("cat /m3/0", false);
    // What the kubelet wrote does not suffer from it.
    pod.check("cat /opt/c/..data/settings", true);
}

#[test]
fn a_token_may_be_written_with_spaces() {
    for (text, granted) in [
        ("eyAiYWxnIjogIlJTMjU2IiB9.eyAic3ViIjogIngiIH0.c2ln", false),
        ("ewogImFsZyI6ICJSUzI1NiJ9.ewogInN1YiI6ICJ4In0.c2ln", false),
        ("example.co.uk", true),
    ] {
        let pod = Pod::new(&plan()).with_mount("v/file", "/app/file");
        pod.volume("v", &[("file", text)]);
        pod.check("cat /app/file", granted);
    }
}
