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
