//! What is made below the home before the sandbox closes, and the variables that say where.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;

use kubefence_launch_plan::{Create, LaunchPlan, Volumes};

use crate::harness::*;
use crate::pod::*;

fn state_plan() -> LaunchPlan {
    let mut plan = plan()
        .create("$HOME/.claude", all_rights())
        .create("$HOME/.config/tool/deep", all_rights())
        .create("$HOME/.tool.json", all_rights());
    plan.rules.last_mut().unwrap().create = Some(Create::File);
    plan
}

const USE: &str = "echo x > $HOME/.claude/x && echo x > $HOME/.config/tool/deep/x && \
                   echo x > $HOME/.tool.json && cat $HOME/.tool.json";

#[test]
fn state_is_made_and_can_be_used() {
    for user in [0, 65532] {
        let pod = Pod::new(&state_plan()).with_env(&[HOME]).with_user(user);
        give(&pod.path("/home/u"), user);
        // The twin: without the sandbox nobody makes it, and nothing else can be made in it.
        assert_ne!(pod.bare("ls $HOME/.claude").code, Some(0));
        pod.wrap(USE).succeeded();
        pod.wrap(USE).succeeded();
        pod.check("mkdir $HOME/.other && rmdir $HOME/.other", false);
        pod.check("ls $HOME/.config/tool", false);
        for (name, expected) in [
            (".claude", 0o700),
            (".config", 0o700),
            (".config/tool", 0o700),
            (".config/tool/deep", 0o700),
            (".tool.json", 0o600),
        ] {
            let path = pod.path("/home/u").join(name);
            assert_eq!(mode(&path), expected, "{name}");
            assert_eq!(fs::metadata(&path).unwrap().uid(), user, "{name}");
        }
    }
}

#[test]
fn the_umask_is_the_workloads_before_and_after() {
    let node = Node::new(&plan().create("$HOME/.claude", all_rights()));
    for umask in ["0000", "0022", "0277"] {
        let home = node.path(umask);
        fs::create_dir(&home).unwrap();
        let script = format!("umask {umask}; exec \"$@\"");
        let nono = node.nono();
        let inner = ["wrap", "--profile", PROFILE, "--", "/bin/sh", "-c", "umask"];
        let argv = [
            &["/bin/sh", "-c", &script, "sh", nono.to_str().unwrap()],
            &inner[..],
        ]
        .concat();
        let outcome = run(node.bare(&argv).env("HOME", &home)).succeeded();
        assert_eq!(outcome.text(), umask);
        let expected = 0o700 & !u32::from_str_radix(umask, 8).unwrap();
        assert_eq!(mode(&home.join(".claude")), expected);
    }
}

/// Every path in a tree.
fn tree(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        found.push(path.to_str().unwrap().to_owned());
        if path.is_dir() && !path.is_symlink() {
            found.append(&mut tree(&path));
        }
    }
    found.sort();
    found
}

#[test]
fn no_home_makes_anything_in_the_system() {
    let pod = |env: &str| {
        let pod = Pod::new(&state_plan()).with_env(&[env]);
        fs::create_dir_all(pod.path("/usr/local")).unwrap();
        symlink("/etc", pod.path("/link")).unwrap();
        symlink("/proc/self/root/etc", pod.path("/magic")).unwrap();
        pod
    };
    for home in [
        "/",
        "//",
        "/etc",
        "/usr/local",
        "/home",
        "/link",
        "/magic",
        "/home/../etc",
        "home/u",
        "",
        "/nonexistent",
        "/bin/busybox",
        "/proc/self/cwd",
        "/nono",
        "/dev",
        "/home/absent/u",
    ] {
        let pod = pod(&format!("HOME={home}"));
        let before = tree(&pod.path("/"));
        pod.wrap("true").succeeded();
        assert_eq!(tree(&pod.path("/")), before, "{home}");
    }
    let pod = pod(HOME).with_env(&[]);
    let before = tree(&pod.path("/"));
    pod.wrap("true").succeeded();
    assert_eq!(tree(&pod.path("/")), before, "no HOME");
    let pod = pod.with_env(&[HOME]);
    pod.wrap("true").succeeded();
    assert_eq!(tree(&pod.path("/")).len(), before.len() + 5);
}

#[test]
fn no_link_below_the_home_is_followed() {
    for (link, target) in [
        (".claude", "/etc"),
        (".claude", "/etc/absent"),
        (".claude", "../absent"),
        (".config", "/etc"),
        (".config", "/app"),
        (".config", "../../app"),
        (".config/tool", "/app"),
        (".tool.json", "/etc/absent"),
        (".tool.json", "/app/absent"),
    ] {
        let pod = Pod::new(&state_plan()).with_env(&[HOME]);
        let link_path = pod.path("/home/u").join(link);
        fs::create_dir_all(link_path.parent().unwrap()).unwrap();
        symlink(target, &link_path).unwrap();
        let elsewhere = || [tree(&pod.path("/etc")), tree(&pod.path("/app"))];
        let (before, home) = (elsewhere(), tree(&pod.path("/home")));
        pod.wrap("true").succeeded();
        assert_eq!(elsewhere(), before, "{link} -> {target}");
        assert!(
            tree(&pod.path("/home")).len() > home.len(),
            "the other places are made"
        );
        let write = format!("echo x > $HOME/{link}/x || echo x > $HOME/{link}");
        pod.wrap(&write).denied();
        assert_eq!(elsewhere(), before, "{link} -> {target}");
        // The twin: a program without a sandbox follows it.
        fs::create_dir_all(pod.path("/etc/absent")).unwrap();
        fs::create_dir_all(pod.path("/app/absent")).unwrap();
        fs::create_dir_all(pod.path("/home/absent")).unwrap();
        pod.bare(&format!("echo x > $HOME/{link}/x")).succeeded();
    }
}

#[test]
fn what_cannot_be_made_is_left_out() {
    // Not the user's own home, a read-only root, a file where a directory would have to be.
    let other = Pod::new(&state_plan()).with_env(&[HOME]).with_user(65532);
    other.wrap("true").succeeded();
    let read_only = Pod::new(&state_plan())
        .with_env(&[HOME])
        .with_set_up("mount -o remount,bind,ro $root");
    read_only.wrap("true").succeeded();
    let blocked = Pod::new(&state_plan()).with_env(&[HOME]);
    fs::write(blocked.path("/home/u/.config"), "").unwrap();
    blocked.wrap("echo x > $HOME/.claude/x").succeeded();
    // A place that the plan requires must be there in the end.
    let mut required = state_plan();
    for rule in &mut required.rules {
        rule.optional &= rule.create.is_none();
    }
    other.install(&required);
    other
        .wrap("true")
        .refused(125, &["$HOME/.claude", "ENOENT"]);
    blocked.install(&required);
    blocked
        .wrap("true")
        .refused(125, &["$HOME/.config/tool/deep", "ENOTDIR"]);
    fs::remove_file(blocked.path("/home/u/.config")).unwrap();
    blocked.wrap(USE).succeeded();
}

#[test]
fn denied_places_are_not_made() {
    for deny in [
        "$HOME/.claude",
        "$HOME",
        "/home/u/.claude",
        "/home/u",
        "/link/.claude",
        "$XDG_CONFIG_HOME",
    ] {
        let config = deny.starts_with("$XDG");
        let (place, path) = match config {
            true => ("$HOME/.config/x", ".config"),
            false => ("$HOME/.claude", ".claude"),
        };
        let pod = Pod::new(&plan().create(place, all_rights()).deny(deny)).with_env(&[HOME]);
        symlink("/home/u", pod.path("/link")).unwrap();
        pod.wrap("true").succeeded();
        assert!(!pod.path("/home/u").join(path).exists(), "{deny}");
        pod.install(&plan().create(place, all_rights()).deny("$HOME/.other"));
        pod.wrap("true").succeeded();
        assert!(pod.path("/home/u").join(path).exists(), "{deny}");
    }
}

#[test]
fn state_is_made_on_volumes_that_may_be_written() {
    for (volumes, read_only, made) in [
        (Volumes::None, false, false),
        (Volumes::Read, false, false),
        (Volumes::AsMounted, false, true),
        (Volumes::AsMounted, true, false),
    ] {
        let plan = LaunchPlan {
            volumes,
            ..state_plan()
        };
        let pod = Pod::new(&plan).with_env(&[HOME]);
        let volume = pod.volume("v", &[]);
        let pod = match read_only {
            true => pod.with_read_only("v", "/home/u"),
            false => pod.with_mount("v", "/home/u"),
        };
        pod.wrap("true").succeeded();
        assert_eq!(
            volume.join(".claude").exists(),
            made,
            "{volumes:?} {read_only}"
        );
        assert_eq!(
            pod.wrap(USE).code == Some(0),
            made,
            "{volumes:?} {read_only}"
        );
    }
}

#[test]
fn xdg_variables_name_places() {
    let plan = || {
        plan()
            .create("$XDG_CONFIG_HOME/tool", all_rights())
            .optional("$XDG_CACHE_HOME", all_rights())
            .optional("$XDG_RUNTIME_DIR", all_rights())
    };
    let write = |dir: &str| format!("echo x > {dir}/x");
    let pod = Pod::new(&plan()).with_env(&[HOME]);
    fs::create_dir_all(pod.path("/home/u/.cache")).unwrap();
    pod.wrap(&write("/home/u/.config/tool")).succeeded();
    pod.check(&write("/home/u/.cache"), true);
    pod.check(&write("/home/u/.config"), false);
    let env = [
        HOME,
        "XDG_CONFIG_HOME=/app",
        "XDG_CACHE_HOME=/data",
        "XDG_RUNTIME_DIR=/data",
    ];
    let pod = Pod::new(&plan()).with_env(&env);
    pod.wrap(&write("/app/tool")).succeeded();
    pod.check(&write("/data"), true);
    pod.check(&write("/app"), false);
    assert!(!pod.path("/home/u/.config").exists());
}

#[test]
fn xdg_variables_are_as_untrusted_as_home() {
    let names = [
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "XDG_STATE_HOME",
        "XDG_CACHE_HOME",
        "XDG_RUNTIME_DIR",
    ];
    for name in names {
        for value in [
            "/",
            "/etc",
            "/link",
            "/app/../etc",
            "/proc/self/root/etc",
            "/run",
            "/usr",
        ] {
            let place = format!("${name}");
            let plan = plan()
                .optional(&place, all_rights())
                .create(&format!("{place}/made"), all_rights());
            let pod = Pod::new(&plan).with_env(&[&format!("{name}={value}")]);
            fs::create_dir_all(pod.path("/run")).unwrap();
            fs::create_dir_all(pod.path("/usr")).unwrap();
            symlink("/etc", pod.path("/link")).unwrap();
            let before = tree(&pod.path("/"));
            pod.wrap("true").succeeded();
            assert_eq!(tree(&pod.path("/")), before, "{name}={value}");
            pod.check("cat /etc/shadow", false);
        }
        let pod = Pod::new(&plan().optional(&format!("${name}"), READ));
        let pod = pod.with_env(&[&format!("{name}=/app")]);
        pod.check("ls /app", true);
    }
}

#[test]
fn what_xdg_variables_deny_stays_shut() {
    let plan = || {
        plan()
            .optional("$WORKDIR", READ)
            .deny("$XDG_CONFIG_HOME/gcloud")
    };
    for (env, file) in [
        (&[HOME][..], "/home/u/.config/gcloud/key"),
        (
            &[HOME, "XDG_CONFIG_HOME=/nonexistent"],
            "/home/u/.config/gcloud/key",
        ),
        (&["HOME=/nonexistent"], "/home/u/.config/gcloud/key"),
        (&["XDG_CONFIG_HOME=/home/u/cfg"], "/home/u/cfg/gcloud/key"),
    ] {
        let pod = Pod::new(&plan()).with_workdir("/home/u").with_env(env);
        write(&pod.path(file), "key");
        pod.check(&format!("cat {file}"), false);
        pod.install(&self::plan().optional("$WORKDIR", READ));
        pod.check(&format!("cat {file}"), true);
    }
}

#[test]
fn the_user_id_is_part_of_places() {
    let plan = plan()
        .optional("/data/$UID", READ)
        .optional("$HOME", READ)
        .deny("$HOME/$UID");
    let pod = Pod::new(&plan).with_user(65532).with_env(&[HOME]);
    for user in ["0", "65532", "$UID"] {
        write(&pod.path("/data").join(user).join("file"), "text");
    }
    write(&pod.path("/home/u/0"), "text");
    pod.check("cat /data/65532/file", true);
    pod.check("cat /data/0/file", false);
    pod.check("cat '/data/$UID/file'", false);
    pod.check("cat $HOME/0", true);
    write(&pod.path("/home/u/65532"), "text");
    pod.check("cat $HOME/0", false);
}
