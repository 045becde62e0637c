//! Images: users without a home, read-only roots, busybox, scratch; code of the image before exec.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use kubefence_launch_plan::LaunchPlan;
use tempfile::TempDir;

use crate::harness::*;

/// What the built-in profiles grant of these places.
fn image_plan() -> LaunchPlan {
    plan()
        .optional("$ENTRYPOINT", RX)
        .optional("$ENTRYPOINT_DIR", RX)
        .optional("$WORKDIR", all_rights())
        .optional("$HOME", READ)
        .optional("$TMPDIR", all_rights())
        .optional("/tmp", all_rights())
}

#[test]
fn a_user_without_a_home_can_run() {
    let node = Node::new(&image_plan());
    for home in [None, Some("/nonexistent"), Some("/")] {
        let mut command = node.wrap_sh("id -u; cat /etc/shadow 2>/dev/null; true");
        command.uid(65532).gid(65532).env_clear();
        if let Some(home) = home {
            command.env("HOME", home);
        }
        assert_eq!(run(&mut command).succeeded().text(), "65532");
    }
}

/// A root directory with a launcher in /nono and `program` in /bin.
fn root_with(program: &str) -> TempDir {
    let root = scratch();
    install(&root.path().join("nono"), &image_plan());
    for dir in ["bin", "proc", "app"] {
        fs::create_dir(root.path().join(dir)).unwrap();
    }
    copy_program("/bin/busybox", root.path().join("bin").join(program));
    root
}

/// Runs a command line in `root`, with procfs and the launcher's directory mounted as a runtime does.
fn run_in(root: &Path, prepare: &str, command: &str) -> Outcome {
    let mounts = "mount -t proc proc $1/proc; mount --bind $1/nono $1/nono; \
                  mount -o remount,bind,ro,nosuid,nodev $1/nono";
    let script = format!("{mounts}; {prepare} exec env -i /usr/sbin/chroot $1 {command}");
    run_in_mount_namespace(&script, &[root.to_str().unwrap()])
}

const WRAP: &str = "/nono/nono wrap --profile test --";

#[test]
fn a_busybox_image_works() {
    let root = root_with("busybox");
    for applet in ["sh", "echo", "cat", "mkdir"] {
        std::os::unix::fs::symlink("busybox", root.path().join("bin").join(applet)).unwrap();
    }
    fs::create_dir(root.path().join("etc")).unwrap();
    fs::write(root.path().join("etc/shadow"), "secret").unwrap();
    let hi = run_in(
        root.path(),
        "",
        &format!("{WRAP} sh -c 'cat /proc/self/comm && echo hi'"),
    );
    assert_eq!(hi.succeeded().text(), "cat\nhi");
    run_in(root.path(), "", &format!("{WRAP} cat /etc/shadow")).denied();
    run_in(root.path(), "", "/bin/cat /etc/shadow").succeeded();
}

#[test]
fn an_image_from_scratch_works() {
    let root = root_with("busybox");
    fs::rename(root.path().join("bin/busybox"), root.path().join("busybox")).unwrap();
    fs::remove_dir(root.path().join("bin")).unwrap();
    let hi = run_in(root.path(), "", &format!("{WRAP} /busybox echo hi"));
    assert_eq!(hi.succeeded().text(), "hi");
    // The root directory was the entrypoint's: not granted.
    run_in(root.path(), "", &format!("{WRAP} /busybox ls /app /")).denied();
    run_in(root.path(), "", "/busybox ls /app /").succeeded();
    run_in(root.path(), "", &format!("{WRAP} sh -c true"))
        .refused(127, &["\"sh\" not found in PATH"]);
}

#[test]
fn a_read_only_root_works() {
    let root = root_with("busybox");
    let read_only = "mount --bind $1 $1; mount --bind $1/nono $1/nono; mount -t proc proc $1/proc; \
                     mount -o remount,bind,ro $1;";
    let echo = format!("{WRAP} /bin/busybox echo hi");
    assert_eq!(
        run_in(root.path(), read_only, &echo).succeeded().text(),
        "hi"
    );
    let touch = "/bin/busybox touch /app/x";
    let outcome = run_in(root.path(), read_only, touch);
    assert!(outcome.stderr.contains("Read-only"), "{outcome:?}");
}

#[test]
fn without_procfs_the_launch_is_refused() {
    let root = root_with("busybox");
    let echo = format!("{WRAP} /bin/busybox echo hi");
    run_in(root.path(), "umount $1/proc;", &echo).refused(125, &["/proc is not procfs"]);
    let fake = "umount $1/proc; mkdir -p $1/fake; mount --bind $1/fake $1/proc;";
    run_in(root.path(), fake, &echo).refused(125, &["/proc is not procfs"]);
    let absent = "umount $1/proc; rmdir $1/proc;";
    run_in(root.path(), absent, &echo).refused(125, &["/proc", "ENOENT"]);
}

#[test]
fn name_services_and_locales_are_not_linked() {
    // They load code and data from the image, even in a static binary.
    const FORBIDDEN: [&str; 8] = [
        "getpw",
        "getgrnam",
        "getgrgid",
        "getgrent",
        "getgrouplist",
        "getaddrinfo",
        "iconv_open",
        "setlocale",
    ];
    let output = Command::new("nm").arg(binary()).output().unwrap();
    let symbols = String::from_utf8(output.stdout).unwrap();
    assert!(
        symbols.contains(" T main\n"),
        "no symbols: {}",
        binary().display()
    );
    let names = symbols
        .lines()
        .filter_map(|line| line.split(' ').next_back());
    let names = names.map(|name| name.trim_start_matches('_'));
    let linked: Vec<&str> = names
        .filter(|name| FORBIDDEN.iter().any(|f| name.starts_with(f)))
        .collect();
    assert!(linked.is_empty(), "{linked:?}");
}

#[test]
fn a_preload_library_never_runs_in_the_launcher() {
    let node = Node::new(&image_plan());
    let outcome = run(node
        .wrap(&["/bin/busybox", "echo", "hi"])
        .env("LD_PRELOAD", "/none/evil.so"));
    assert_eq!(outcome.succeeded().text(), "hi");
    // The twin: a dynamic program's loader would have complained.
    let dynamic = run(node.bare(&["/bin/true"]).env("LD_PRELOAD", "/none/evil.so"));
    assert!(dynamic.stderr.contains("/none/evil.so"), "{dynamic:?}");
}

#[test]
fn a_system_wide_preload_never_runs_in_the_launcher() {
    let node = Node::new(&image_plan());
    let nono = node.nono();
    let run = |command: &str| {
        let etc = "mount -t tmpfs none /etc; echo /none/evil.so > /etc/ld.so.preload";
        let script = format!("{etc}; exec /bin/busybox env -i {command}");
        run_in_mount_namespace(&script, &[])
    };
    let wrapped = format!(
        "{} wrap --profile test /bin/busybox echo hi",
        nono.display()
    );
    assert_eq!(run(&wrapped).succeeded().text(), "hi");
    assert!(run("/bin/true").stderr.contains("/none/evil.so"));
}
