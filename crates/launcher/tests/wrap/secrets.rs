//! Secrets and volumes that the pod mounts, in an image that tries to have them granted.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use kubefence_launch_plan::LaunchPlan;
use tempfile::TempDir;

use crate::harness::*;

const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const WRAP: &str = "/nono/nono wrap --profile test --";

fn secret_plan() -> LaunchPlan {
    plan()
        .optional("/opt", RX)
        .optional("$WORKDIR", RX)
        .optional("$TMPDIR", all_rights())
        .optional("$HOME/.local/bin", RX)
        .deny(TOKEN)
        .deny("$HOME/.ssh")
}

/// A root directory with busybox, the launcher, and a directory `volume` outside to be mounted.
fn image(plan: &LaunchPlan) -> TempDir {
    let dir = scratch();
    let root = dir.path().join("root");
    install(&root.join("nono"), plan);
    for name in ["bin", "proc", "var", "opt", "data", "home/u/.local/bin"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    copy_program("/bin/busybox", root.join("bin/busybox"));
    fs::create_dir(dir.path().join("volume")).unwrap();
    fs::write(dir.path().join("volume/token"), "secret").unwrap();
    dir
}

/// Mounts the volume at `at`, as a runtime does that follows the image's links, and runs a command in
/// `workdir` as `user`.
fn run_in(dir: &Path, at: &str, user: u32, workdir: &str, env: &str, command: &str) -> Outcome {
    let script = format!(
        "mount -t proc proc $1/root/proc; mkdir -p $1/root{at}; mount --bind $1/volume $1/root{at}; \
         cd $1/root{workdir}; exec env -i PATH=/bin {env} perl -e \
         'chroot(shift); $) = $( = shift; $< = $> = $(; exec(@ARGV)' $1/root {user} {command}"
    );
    run_in_mount_namespace(&script, &[dir.to_str().unwrap()])
}

#[test]
fn a_token_that_the_image_moves_into_a_granted_place_ends_the_launch() {
    for (link, target, read) in [
        (
            "var/run",
            "/opt",
            "/opt/secrets/kubernetes.io/serviceaccount/token",
        ),
        (
            "var/run/secrets",
            "/opt",
            "/opt/kubernetes.io/serviceaccount/token",
        ),
        (
            "var/run/secrets/kubernetes.io/serviceaccount",
            "/data",
            "/data/token",
        ),
    ] {
        let dir = image(&secret_plan());
        let link = dir.path().join("root").join(link);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(target, link).unwrap();
        // The mount lands where the link leads; mkdir and mount here do not know the new root.
        let at = read.strip_suffix("/token").unwrap();
        let cat = format!("/bin/busybox cat {read}");
        run_in(dir.path(), at, 0, "/data", "", &cat).succeeded();
        run_in(dir.path(), at, 0, "/data", "", &format!("{WRAP} {cat}"))
            .refused(125, &["/var/run/secrets", "image"]);
    }
}

#[test]
fn a_token_whose_place_cannot_be_found_out_ends_the_launch() {
    let dir = image(&secret_plan());
    let root = dir.path().join("root");
    fs::create_dir_all(root.join("hid")).unwrap();
    symlink("/data", root.join("hid/run")).unwrap();
    symlink("/hid/run", root.join("var/run")).unwrap();
    let at = "/data/secrets/kubernetes.io/serviceaccount";
    let cat = format!("/bin/busybox cat {at}/token");
    let wrapped = format!("{WRAP} {cat}");
    let start = |mode: u32, command: &str| {
        fs::set_permissions(root.join("hid"), fs::Permissions::from_mode(mode)).unwrap();
        run_in(dir.path(), at, 65532, "/data", "", command)
    };
    start(0o700, &cat).succeeded();
    start(0o700, &wrapped).refused(125, &[TOKEN, "EACCES"]);
    start(0o755, &wrapped).refused(125, &[TOKEN]);
}

#[test]
fn a_token_in_its_own_place_stays_shut() {
    let dir = image(&secret_plan());
    let cat = format!("/bin/busybox cat {TOKEN}/token");
    run_in(dir.path(), TOKEN, 0, "/data", "", &cat).succeeded();
    run_in(dir.path(), TOKEN, 0, "/data", "", &format!("{WRAP} {cat}")).denied();
    run_in(
        dir.path(),
        TOKEN,
        0,
        "/data",
        "",
        &format!("{WRAP} /bin/busybox true"),
    )
    .succeeded();
}

#[test]
fn volumes_are_not_the_images_to_open() {
    let cat = |path: &str| format!("{WRAP} /bin/busybox cat {path}");
    for (at, workdir, env, file) in [
        ("/data", "/data", "", "/data/token"),
        ("/data/below", "/data", "", "/data/below/token"),
        ("/data", "/", "TMPDIR=/data", "/data/token"),
        ("/data", "/", "TMPDIR=/data/sub", "/data/sub/token"),
        (
            "/home/u/.local/bin",
            "/",
            "HOME=/home/u",
            "/home/u/.local/bin/token",
        ),
    ] {
        let dir = image(&secret_plan());
        fs::create_dir(dir.path().join("volume/sub")).unwrap();
        fs::write(dir.path().join("volume/sub/token"), "secret").unwrap();
        let bare = format!("/bin/busybox cat {file}");
        run_in(dir.path(), at, 0, workdir, env, &bare).succeeded();
        run_in(dir.path(), at, 0, workdir, env, &cat(file)).denied();
        // The same place of the image itself is granted.
        let own = dir.path().join("root").join(file.trim_start_matches('/'));
        fs::create_dir_all(own.parent().unwrap()).unwrap();
        fs::write(own, "own").unwrap();
        run_in(dir.path(), "/mnt", 0, workdir, env, &cat(file)).succeeded();
    }
}

#[test]
fn keys_stay_shut_whatever_the_image_calls_home() {
    let dir = image(&secret_plan());
    let home = dir.path().join("root/home/u");
    fs::create_dir(home.join(".ssh")).unwrap();
    fs::write(home.join(".ssh/id"), "key").unwrap();
    let cat = "/bin/busybox cat /home/u/.ssh/id";
    for env in ["HOME=/home/u", "HOME=/nope", "HOME=/opt", ""] {
        for workdir in ["/home/u", "/home/u/.ssh", "/home"] {
            run_in(dir.path(), "/mnt", 0, workdir, env, cat).succeeded();
            run_in(
                dir.path(),
                "/mnt",
                0,
                workdir,
                env,
                &format!("{WRAP} {cat}"),
            )
            .denied();
        }
    }
    fs::rename(home.join(".ssh"), home.join("ssh")).unwrap();
    let list = format!("{WRAP} /bin/busybox ls /home/u");
    run_in(dir.path(), "/mnt", 0, "/home/u", "", &list).succeeded();
}

#[test]
fn a_fixed_rule_does_not_open_the_keys_of_a_home() {
    for home in ["/opt", "/opt/u"] {
        let dir = image(&secret_plan());
        let keys = format!("{home}/.ssh");
        let cat = format!("/bin/busybox cat {keys}/token");
        let wrapped = format!("{WRAP} {cat}");
        let start = |env: &str, command: &str| run_in(dir.path(), &keys, 0, "/data", env, command);
        let named = format!("HOME={home}");
        start(&named, &cat).succeeded();
        start(&named, &wrapped).denied();
        start(&format!("HOME=/.//{}/", &home[1..]), &wrapped).denied();
        // Somebody else's: the host has opened the place.
        start("HOME=/nonexistent", &wrapped).succeeded();
        // The twin: a home without keys.
        fs::create_dir_all(dir.path().join("root").join(&home[1..])).unwrap();
        fs::write(dir.path().join("root/opt/file"), "text").unwrap();
        let file = format!("{WRAP} /bin/busybox cat /opt/file");
        fs::remove_dir_all(dir.path().join("root").join(&keys[1..])).unwrap();
        run_in(dir.path(), "/mnt", 0, "/data", &named, &file).succeeded();
    }
}

#[test]
fn the_shell_files_of_a_home_shut_no_fixed_place() {
    let plan = secret_plan().deny("$HOME/.profile").deny("$HOME/.npmrc");
    for (home, file, granted) in [
        ("/opt/u", ".profile", true),
        ("/opt/u", ".npmrc", false),
        // A home in a system directory is no reason to shut that.
        ("/bin/u", ".npmrc", true),
    ] {
        let dir = image(&plan);
        let root = dir.path().join("root");
        fs::create_dir_all(root.join(&home[1..])).unwrap();
        fs::create_dir_all(root.join("opt")).unwrap();
        fs::write(root.join(&home[1..]).join(file), "text").unwrap();
        fs::write(root.join("opt/file"), "text").unwrap();
        let cat = "/bin/busybox cat /opt/file";
        let start = |command: &str| {
            let named = format!("HOME={home}");
            run_in(dir.path(), "/mnt", 0, "/data", &named, command)
        };
        start(cat).succeeded();
        let outcome = start(&format!("{WRAP} {cat}"));
        match granted {
            true => outcome.succeeded(),
            false => outcome.denied(),
        };
    }
}

#[test]
fn a_fixed_rule_does_not_open_what_a_denied_link_leads_to() {
    let plan = secret_plan().deny("/etc/x").deny("/data/y");
    for (link, target, denied) in [
        ("etc/x", "/opt/v", true),
        ("etc/z", "/opt/v", false),
        ("home/u/.ssh", "/opt/v", true),
        ("data/y", "/opt", true),
    ] {
        let dir = image(&plan);
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("etc")).unwrap();
        symlink(target, root.join(link)).unwrap();
        let start =
            |command: &str| run_in(dir.path(), "/opt/v", 0, "/data", "HOME=/home/u", command);
        let cat = "/bin/busybox cat /opt/v/token";
        start(cat).succeeded();
        let outcome = start(&format!("{WRAP} {cat}"));
        match denied {
            true => outcome.denied(),
            false => outcome.succeeded(),
        };
    }
}

#[test]
fn a_planted_link_into_the_system_ends_no_launch() {
    for target in [
        "/bin",
        "/",
        "/usr",
        "/var",
        "/nono",
        "/bin/busybox",
        "..",
        "/proc/self",
    ] {
        for link in [".ssh", ".kube"] {
            let dir = image(&secret_plan().deny("$HOME/.kube/config"));
            symlink(target, dir.path().join("root/home/u").join(link)).unwrap();
            let start =
                |command: &str| run_in(dir.path(), "/mnt", 0, "/data", "HOME=/home/u", command);
            start(&format!("{WRAP} /bin/busybox true")).succeeded();
            let list = "/bin/busybox ls /home/u";
            start(list).succeeded();
            start(&format!("{WRAP} {list}")).denied();
        }
    }
}

#[test]
fn a_link_to_a_path_that_is_too_long_ends_no_launch() {
    let plan = secret_plan().optional("$HOME/.claude", RX);
    let deep = |dir: &Path, link: &str| {
        // A name is as long as can be, and ten of them are reached by one link after another.
        let script = "n=$(printf %0250d 0); p=$n/$n/$n/$n/$n/$n/$n/$n/$n/$n; cd $1; mkdir -p $p; \
                      ln -s $p/l $2; cd $p; ln -s $p l; mkdir -p $p; : > $p/file";
        run_in_mount_namespace(script, &[dir.to_str().unwrap(), link]).succeeded();
    };
    for link in [".ssh", ".claude", ".local"] {
        let dir = image(&plan);
        let home = dir.path().join("root/home/u");
        fs::remove_dir_all(home.join(".local")).unwrap();
        deep(&home, link);
        let in_dir = |workdir: &str, env: &str, command: &str| {
            run_in(dir.path(), "/mnt", 0, workdir, env, command)
        };
        let start = |env: &str, command: &str| in_dir("/home/u", env, command);
        for env in [
            "HOME=/home/u",
            "HOME=/nonexistent",
            "HOME=/home/u TMPDIR=/home/u/.ssh",
        ] {
            start(env, &format!("{WRAP} /bin/busybox true")).succeeded();
        }
        // What has such a link for a secret is not read, and it is there.
        let list = format!("/bin/busybox cat /home/u/{link}/file");
        in_dir("/data", "HOME=/home/u", &list).succeeded();
        in_dir("/data", "HOME=/home/u", &format!("{WRAP} {list}")).denied();
        if link == ".ssh" {
            start("HOME=/home/u", &format!("{WRAP} /bin/busybox ls /home/u")).denied();
        }
    }
}

#[test]
fn a_token_is_no_program() {
    use kubefence_launch_plan::Volumes;
    const JWT: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW0ifQ.c2lnbmF0dXJl";
    for volumes in [Volumes::None, Volumes::Read, Volumes::AsMounted] {
        let plan = LaunchPlan {
            volumes,
            ..plan().optional("$ENTRYPOINT", RX).deny(TOKEN)
        };
        // Not `..data`, but memory: where the kubelet writes tokens.
        for (text, granted) in [(JWT, false), ("echo hello", true)] {
            let dir = image(&plan);
            let root = dir.path().join("root");
            symlink("busybox", root.join("bin/sh")).unwrap();
            let mount = format!(
                "mkdir -p $1/root/tokens; mount -t tmpfs none $1/root/tokens; \
                 mkdir $1/root/tokens/..1; printf '%s' '{text}' > $1/root/tokens/..1/token; \
                 ln -s ..1 $1/root/tokens/..data; ln -s ..data/token $1/root/tokens/token; \
                 chmod 755 $1/root/tokens/..1/token; mount -t proc proc $1/root/proc; \
                 exec env -i PATH=/bin perl -e 'chroot(shift); chdir(\"/data\"); exec(@ARGV)' $1/root"
            );
            let start = |command: &str| {
                let script = format!("{mount} {command}");
                run_in_mount_namespace(&script, &[dir.path().to_str().unwrap()])
            };
            start("/bin/busybox cat /tokens/token").succeeded();
            let wrapped = start(&format!("{WRAP} /tokens/token"));
            // The shell says which command it does not find: that would be the token.
            assert!(!wrapped.stderr.contains(JWT), "{volumes:?} {wrapped:?}");
            match granted {
                true => assert_eq!(wrapped.succeeded().text(), "hello", "{volumes:?}"),
                false => assert_ne!(wrapped.code, Some(0), "{volumes:?} {wrapped:?}"),
            }
        }
    }
}
