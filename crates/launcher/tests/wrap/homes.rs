//! Homes and other places of a profile that lie on volumes.

use std::fs;
use std::os::unix::fs::symlink;

use kubefence_launch_plan::{LaunchPlan, Volumes};

use crate::harness::*;
use crate::pod::*;

fn home_plan() -> LaunchPlan {
    with(Volumes::AsMounted)
        .create("$HOME/.claude", all_rights())
        .optional("$HOME/.local/bin", RX)
}

#[test]
fn a_home_on_a_volume_keeps_its_secrets() {
    let files = [
        (".ssh/id_rsa", "key"),
        ("notes", "text"),
        (".local/bin/x", ""),
    ];
    let pod = Pod::new(&home_plan())
        .with_mount("v", "/home/u")
        .with_env(&[HOME]);
    pod.volume("v", &files);
    pod.check(
        "mkdir -p $HOME/.claude && echo x > $HOME/.claude/x && ls $HOME/.local/bin",
        true,
    );
    for path in [".ssh/id_rsa", "notes"] {
        pod.check(&format!("cat $HOME/{path}"), false);
    }
    // It lies on that volume whatever the environment says, and whichever way leads there.
    for env in [&["HOME=/nonexistent"][..], &[]] {
        let pod = Pod::new(&home_plan())
            .with_mount("v", "/home/u")
            .with_env(env);
        pod.volume("v", &files);
        pod.check("cat /home/u/.ssh/id_rsa", false);
    }
    for (home, other) in [("v/u", "v"), ("v", "v"), ("v", "v/.ssh")] {
        let pod = Pod::new(&home_plan())
            .with_mount(home, "/home/u")
            .with_env(&[HOME]);
        pod.volume(home, &files);
        pod.volume(other, &[]);
        let pod = pod.with_mount(other, "/alias");
        let key = "$(find /alias -name id_rsa)";
        if other == "v/.ssh" {
            // A mount of the secret itself is the pod's own word.
            pod.check("cat /alias/id_rsa", true);
        } else {
            pod.bare(&format!("cat {key}")).succeeded();
            pod.wrap("cat /alias/.ssh/id_rsa /alias/u/.ssh/id_rsa")
                .denied();
        }
    }
}

#[test]
fn a_home_is_not_granted_as_a_whole_wherever_it_shows() {
    let files = [("notes", "text"), ("u/notes", "text")];
    for (home, other, notes) in [
        ("v", "w", "/home/u/notes"),
        ("v", "v", "/alias/notes"),
        ("v/u", "v", "/alias/u/notes"),
    ] {
        let pod = |env: &str| {
            let pod = Pod::new(&home_plan()).with_env(&[env]);
            pod.volume("v", &files);
            pod.volume("w", &files);
            pod.with_mount(home, "/home/u").with_mount(other, "/alias")
        };
        pod(HOME).check(&format!("cat {notes}"), false);
        pod("HOME=/nonexistent").check(&format!("cat {notes}"), true);
    }
    // What lies beside the home on the same file system is another volume.
    let pod = Pod::new(&home_plan()).with_env(&[HOME]);
    pod.volume("v", &files);
    pod.volume("w", &files);
    let pod = pod.with_mount("v", "/home/u").with_mount("w", "/data");
    pod.check("cat /data/notes", true);
}

#[test]
fn a_place_with_a_token_in_it_is_not_granted() {
    let pod = || Pod::new(&home_plan()).with_env(&[HOME]);
    let files = |text| [("token", text)];
    let place = pod().with_tmpfs("/home/u/.claude/t", &files(TOKEN));
    write(&place.path("/home/u/.claude/x"), "text");
    place.check("cat $HOME/.claude/x", false);
    place.check("cat $HOME/.claude/t/token", false);
    let harmless = pod().with_tmpfs("/home/u/.claude/t", &files("text"));
    write(&harmless.path("/home/u/.claude/x"), "text");
    harmless.check("cat $HOME/.claude/x $HOME/.claude/t/token", true);
}

#[test]
fn links_on_a_volume_lead_nowhere() {
    for target in ["/etc", "../secret", "/home/u/notes", "/home/secret", "/app"] {
        let pod = Pod::new(&home_plan())
            .with_mount("v", "/home")
            .with_env(&[HOME]);
        let volume = pod.volume("v", &[("u/notes/shadow", "x"), ("secret/shadow", "x")]);
        write(&pod.path("/app/shadow"), "x");
        symlink(target, volume.join("u/.claude")).unwrap();
        for volumes in EVERY {
            pod.install(&LaunchPlan {
                volumes,
                ..home_plan()
            });
            pod.check("cat $HOME/.claude/shadow", false);
            pod.check("echo x >> $HOME/.claude/shadow", false);
        }
        // The twin: the same without the link.
        fs::remove_file(volume.join("u/.claude")).unwrap();
        write(&volume.join("u/.claude/shadow"), "x");
        pod.check(
            "cat $HOME/.claude/shadow && echo x >> $HOME/.claude/shadow",
            true,
        );
    }
}

#[test]
fn links_of_the_image_lead_nowhere_either() {
    // Nobody can tell whether a process left them before this launch.
    for target in ["/app", "/etc", "/data"] {
        let pod = Pod::new(&home_plan())
            .with_mount("v", "/data")
            .with_env(&[HOME]);
        // What the volume itself gets is nothing here, for it holds what looks like a home.
        pod.volume("v", &[("shadow", "x"), (".ssh/id_rsa", "key")]);
        write(&pod.path("/app/shadow"), "x");
        let state = pod.path("/home/u/.claude");
        symlink(target, &state).unwrap();
        pod.check("cat $HOME/.claude/shadow", false);
        fs::remove_file(&state).unwrap();
        write(&state.join("shadow"), "x");
        pod.check("cat $HOME/.claude/shadow", true);
    }
}

#[test]
fn a_link_in_place_of_the_home_leads_nowhere() {
    let pod = |linked: bool| {
        let pod = Pod::new(&home_plan())
            .with_mount("v", "/data")
            .with_env(&["HOME=/data/home"]);
        let volume = pod.volume("v", &[]);
        write(&pod.path("/root/.claude/creds"), "creds");
        match linked {
            true => symlink("/root", volume.join("home")).unwrap(),
            false => write(&volume.join("home/.claude/creds"), "own"),
        }
        pod
    };
    pod(true).check("cat /root/.claude/creds", false);
    pod(true).check("echo x > /root/.claude/x", false);
    pod(false).check("cat $HOME/.claude/creds && echo x > $HOME/.claude/x", true);
}

#[test]
fn a_working_directory_above_the_home_is_not_written() {
    let plan = |access| with(Volumes::AsMounted).optional("$WORKDIR", access);
    for volume in [true, false] {
        let pod = |home: &str| {
            let pod = Pod::new(&plan(all_rights())).with_workdir("/data");
            let files = [("home/x", "text"), ("file", "text")];
            for (path, text) in files {
                write(&pod.path("/data").join(path), text);
            }
            pod.volume("v", &files);
            let pod = pod.with_env(&[&format!("HOME={home}")]);
            match volume {
                true => pod.with_mount("v", "/data"),
                false => pod,
            }
        };
        for home in ["/data/home", "/data/absent", "/data//home/"] {
            pod(home).check("cat file home/x", true);
            pod(home).check("echo x > home/.bashrc", false);
            pod(home).check("mkdir home/a || mkdir home/b", false);
        }
        for home in ["/nonexistent", "/home/u"] {
            pod(home).check("echo x > home/.bashrc && echo x > x", true);
        }
    }
}

#[test]
fn a_project_with_dotfiles_is_no_home() {
    let plan = || {
        [".env", ".npmrc", ".profile"].iter().fold(
            with(Volumes::AsMounted).optional("$WORKDIR", all_rights()),
            |plan, name| plan.deny(&format!("$HOME/{name}")),
        )
    };
    for volume in [true, false] {
        for (name, home, granted) in [
            (".env", "/home/u", true),
            (".npmrc", "/home/u", true),
            (".profile", "/nonexistent", true),
            // The home itself, and what only a home holds.
            (".env", "/data/project", false),
            (".ssh/id", "/home/u", false),
        ] {
            let pod = Pod::new(&plan()).with_workdir("/data/project");
            let pod = pod.with_env(&[&format!("HOME={home}")]);
            let files = [("file", "text")];
            write(&pod.path("/data/project/file"), "text");
            let at = match volume {
                true => pod.volume("v", &files),
                false => pod.path("/data/project"),
            };
            write(&at.join(name), "x");
            let pod = match volume {
                true => pod.with_mount("v", "/data/project"),
                false => pod,
            };
            pod.check("cat file && echo x > x", granted);
        }
    }
    // A link to a directory counts as one.
    let pod = Pod::new(&plan()).with_workdir("/data").with_env(&[HOME]);
    write(&pod.path("/data/keys/id"), "key");
    symlink("keys", pod.path("/data/.ssh")).unwrap();
    pod.check("cat keys/id", false);
    fs::remove_file(pod.path("/data/.ssh")).unwrap();
    pod.check("cat keys/id", true);
}

#[test]
fn nothing_is_made_behind_a_link_on_a_volume() {
    let plan = with(Volumes::AsMounted).create("$HOME/.config/tool", all_rights());
    let pod = Pod::new(&plan).with_mount("v", "/home").with_env(&[HOME]);
    let volume = pod.volume("v", &[("u/x", ""), ("secret/x", "")]);
    symlink("../secret", volume.join("u/.config")).unwrap();
    pod.wrap("true").succeeded();
    assert!(!volume.join("secret/tool").exists());
    fs::remove_file(volume.join("u/.config")).unwrap();
    pod.wrap("echo x > $HOME/.config/tool/x").succeeded();
    assert!(volume.join("u/.config/tool/x").exists());
}

#[test]
fn a_volume_with_every_home_is_not_granted_as_a_whole() {
    let pod = Pod::new(&home_plan())
        .with_mount("v", "/home")
        .with_env(&[HOME]);
    pod.volume("v", &[("u/.claude/x", "text"), ("other/notes", "text")]);
    pod.check("cat $HOME/.claude/x", true);
    pod.check("cat /home/other/notes", false);
}

#[test]
fn places_on_volumes_get_no_more_than_volumes() {
    let base = |volumes| with(volumes).optional("$WORKDIR", all_rights());
    let pod = Pod::new(&plan())
        .with_mount("v", "/home/u")
        .with_workdir("/home/u")
        .with_env(&[HOME]);
    pod.volume("v", &[("file", "text")]);
    for volumes in EVERY {
        pod.install(&base(volumes));
        pod.check("cat file", volumes != Volumes::None);
        pod.check("echo x > x", volumes == Volumes::AsMounted);
    }
    let above = Pod::new(&base(Volumes::Read))
        .with_mount("v", "/app/v")
        .with_workdir("/app");
    above.volume("v", &[("file", "text")]);
    write(&above.path("/app/own"), "text");
    above.check("cat own v/file", true);
    above.check("echo x > v/x", false);
    above.install(&base(Volumes::AsMounted));
    above.check("echo x > v/x && echo x > x", true);
}

#[test]
fn a_place_may_be_a_volume_itself() {
    for (volumes, read, write) in [
        (Volumes::None, false, false),
        (Volumes::Read, true, false),
        (Volumes::AsMounted, true, true),
    ] {
        let plan = LaunchPlan {
            volumes,
            ..home_plan()
        };
        let pod = Pod::new(&plan)
            .with_mount("v", "/home/u/.claude")
            .with_mount("v/key", "/home/u/.claude/key")
            .with_env(&[HOME]);
        pod.volume("v", &[("key", "not a token")]);
        pod.check("cat $HOME/.claude/key", read);
        pod.check("echo x > $HOME/.claude/x", write);
    }
}

#[test]
fn a_home_in_memory_is_usable_however_full() {
    let fill = "mkdir $root/home/u/n; i=0; while [ $i -lt 1100 ]; do : > $root/home/u/n/$i; i=$((i+1)); done";
    let pod = || Pod::new(&home_plan()).with_env(&[HOME]);
    let full = pod()
        .with_tmpfs("/home/u", &[(".claude/x", "text")])
        .with_set_up(fill);
    full.check("cat $HOME/.claude/x && echo y > $HOME/.claude/y", true);
    full.check("ls $HOME/n", false);
    let token = pod().with_tmpfs("/home/u", &[(".claude/x", TOKEN)]);
    token.check("cat $HOME/.claude/x", true);
}

#[test]
fn another_user_gets_the_same() {
    let pod = Pod::new(&home_plan())
        .with_mount("v", "/home/u")
        .with_mount("w", "/data")
        .with_user(65532)
        .with_env(&[HOME]);
    give(&pod.volume("v", &[(".ssh/id_rsa", "key")]), 65532);
    give(&pod.volume("w", &[("file", "text")]), 65532);
    pod.check("mkdir -p $HOME/.claude && echo x > $HOME/.claude/x", true);
    pod.check("cat /data/file && echo x > /data/x", true);
    pod.check("cat $HOME/.ssh/id_rsa", false);
}
