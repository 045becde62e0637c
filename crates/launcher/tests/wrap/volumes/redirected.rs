//! Images whose links lead the runtime's mounts to where volumes could be.

use kubefence_launch_plan::Volumes;

use crate::harness::*;
use crate::pod::*;

/// A pod whose image has these links, each from a name to a target.
fn image(links: &[(&str, &str)]) -> Pod {
    let pod = Pod::new(&with(Volumes::AsMounted));
    links.iter().fold(pod, |pod, (name, target)| {
        pod.with_set_up(&format!(
            "[ -L $root{name} ] || rm -rf $root{name}; mkdir -p $(dirname $root{name})
             ln -sfn {target} $root{name}"
        ))
    })
}

#[test]
fn the_runtimes_files_are_no_volumes_behind_links() {
    for (links, granted) in [
        (&[("/etc/resolv.conf", "/w/resolv")][..], false),
        (&[], true),
    ] {
        let pod = image(links)
            .with_mount("v/resolv", "/w/resolv")
            .with_mount("v/other", "/w/other");
        pod.volume("v", &[("resolv", "nameserver"), ("other", "text")]);
        pod.check("echo x > /w/resolv && cat /w/resolv", granted);
        pod.check("echo x > /w/other && cat /w/other", true);
    }
}

#[test]
fn the_runtimes_directories_are_no_volumes_behind_links() {
    for (links, granted) in [(&[("/dev", "/d2")][..], false), (&[], true)] {
        let pod = image(links)
            .with_tmpfs("/d2", &[("x", "text")])
            .with_tmpfs("/d2/shm", &[("x", "text")])
            .with_tmpfs("/data", &[("x", "text")]);
        pod.check("cat /d2/x", granted);
        pod.check("echo x > /d2/shm/x", granted);
        pod.check("cat /data/x", true);
    }
}

#[test]
fn a_system_directory_behind_a_link_is_read_at_most() {
    for (links, granted) in [(&[("/etc", "/e2")][..], false), (&[], true)] {
        let pod = image(links)
            .with_mount("v", "/e2/config")
            .with_mount("v/hosts", "/e2/hosts")
            .with_env(&["HOME=/e2/config"]);
        pod.volume(
            "v",
            &[
                ("file", "text"),
                ("hosts", "text"),
                (".claude/file", "text"),
            ],
        );
        pod.check("cat /e2/hosts", granted);
        pod.install(&with(Volumes::AsMounted).optional("$HOME/.claude", all_rights()));
        pod.check("echo x > /e2/config/.claude/x", granted);
        let pod = pod.with_env(&["HOME=/nonexistent"]);
        pod.check("cat /e2/config/file", true);
        pod.check("echo x > /e2/config/file", granted);
    }
}

#[test]
fn usual_links_take_nothing_away() {
    let pod = image(&[("/var/run", "/run"), ("/etc/mtab", "/proc/mounts")])
        .with_mount("v", "/data")
        .with_mount("v", "/run/app");
    pod.volume("v", &[("file", "text")]);
    pod.check("cat /run/app/file && echo x > /data/x", true);
}
