//! Which plan is applied, and which plans are refused.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::harness::*;

#[test]
fn a_profile_without_plan_is_refused() {
    let node = Node::new(&plan());
    let mut command = Command::new(node.nono());
    command.args(["wrap", "--profile", "other", "--", "true"]);
    run(&mut command).refused(125, &["\"other\"", "profiles/other.json"]);
}

#[test]
fn a_bad_plan_is_refused() {
    let node = Node::new(&plan());
    let good = fs::read_to_string(node.plan_file()).unwrap();
    let with = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replace(from, to)
    };
    let cases = [
        (String::new(), "not a launch plan"),
        (good[..good.len() / 2].to_owned(), "not a launch plan"),
        ("\0\u{1b}[2Jgarbage".into(), "not a launch plan"),
        (with("\"format\":1", "\"format\":2"), "plan format 2"),
        (
            with("\"format\":1", "\"format\":1,\"extra\":0"),
            "unknown field",
        ),
        (with("\"min_abi\":1", "\"min_abi\":0"), "min_abi 0"),
        (
            with("\"min_abi\":1", "\"min_abi\":99"),
            "needs Landlock ABI 99, this kernel has",
        ),
        (
            with("\"profile\":\"test\"", "\"profile\":\"wide\""),
            "that of profile \"wide\"",
        ),
        (
            good.clone() + &" ".repeat(1 << 20),
            "more than 1048576 bytes",
        ),
    ];
    fs::remove_file(node.plan_file()).unwrap();
    for (text, part) in cases {
        fs::write(node.plan_file(), text).unwrap();
        run(&mut node.wrap(&["true"])).refused(125, &[part]);
    }
    fs::write(node.plan_file(), good).unwrap();
    run(&mut node.wrap(&["true"])).succeeded();
}

#[test]
fn a_plan_that_is_no_file_is_refused() {
    let node = Node::new(&plan());
    let file = node.plan_file();
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    run(&mut node.wrap(&["true"])).refused(125, &["not a regular file"]);
    fs::remove_dir(&file).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(&file)
            .status()
            .unwrap()
            .success()
    );
    run(&mut node.wrap(&["true"])).refused(125, &["not a regular file"]);
}

#[test]
fn a_plan_outside_the_directory_is_refused() {
    let node = Node::new(&plan());
    let outside = node.path("plan.json");
    fs::copy(node.plan_file(), &outside).unwrap();
    let link = |target: &str| {
        fs::remove_file(node.plan_file()).unwrap();
        symlink(target, node.plan_file()).unwrap();
        run(&mut node.wrap(&["true"]))
    };
    let outside = outside.to_str().unwrap();
    for target in [
        outside,
        "../../plan.json",
        "../plans/../../plan.json",
        "/proc/self/cwd/x",
    ] {
        link(target).refused(125, &["profiles/test.json", "is a link to", target]);
    }
    // A link in `plans` is not followed, wherever it leads.
    symlink(outside, node.nono_dir().join("plans/link")).unwrap();
    link("../plans/link").refused(125, &["profiles/test.json", "ELOOP"]);
    link("../plans/absent").refused(125, &["profiles/test.json", "has no plan"]);
    fs::copy(outside, node.nono_dir().join("plans/plan.json")).unwrap();
    link("../plans/plan.json").succeeded();
}

#[test]
fn a_busy_node_does_not_disturb_a_launch() {
    // Renames between directories, and mounts, make the kernel answer EAGAIN to scoped lookups of `..`.
    let node = Node::new(&plan());
    let [a, b] = ["a", "b"].map(|name| node.work().join(name));
    fs::create_dir(&a).unwrap();
    fs::create_dir(&b).unwrap();
    fs::write(a.join("x"), "").unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                fs::rename(a.join("x"), b.join("x")).unwrap();
                fs::rename(b.join("x"), a.join("x")).unwrap();
            }
        });
        let launches: Vec<Outcome> = (0..300).map(|_| run(&mut node.wrap(&["true"]))).collect();
        done.store(true, Ordering::Relaxed);
        launches
            .into_iter()
            .for_each(|outcome| drop(outcome.succeeded()));
    });
}

#[test]
fn nothing_the_image_controls_leads_to_another_plan() {
    let node = Node::new(&plan());
    let decoy = Node::with(|work| plan().require(work, all_rights()).optional("/etc", READ));
    let decoy_dir = decoy.nono_dir();
    let mut command = node.wrap(&["cat", "/etc/passwd"]);
    command.arg0(decoy.nono()).current_dir(&decoy_dir);
    for name in [
        "NONO_HOME",
        "NONO_PROFILE_DIR",
        "HOME",
        "XDG_CONFIG_HOME",
        "XDG_CONFIG_DIRS",
        "PWD",
    ] {
        command.env(name, &decoy_dir);
    }
    command
        .env("NONO_ALLOW", "/etc")
        .env("NONO_PROFILE", "decoy");
    run(&mut command).denied();
    run(&mut decoy.wrap(&["cat", "/etc/passwd"])).succeeded();
}

#[test]
fn links_to_the_launcher_lead_to_its_own_directory() {
    let node = Node::new(&plan());
    symlink(node.nono(), node.work().join("nono")).unwrap();
    fs::create_dir(node.work().join("profiles")).unwrap();
    fs::write(node.work().join("profiles/test.json"), "decoy").unwrap();
    run(&mut node.bare(&["./nono", "wrap", "--profile", PROFILE, "true"])).succeeded();
}

#[test]
fn a_replaced_launcher_still_finds_its_plan() {
    let node = Node::new(&plan());
    // The shell holds the old file open by executing a copy that is then deleted.
    let script = r#"exec 9< "$1"; rm "$1"; exec /proc/self/fd/9 wrap --profile test -- echo hi"#;
    let argv = [
        "/bin/bash",
        "-c",
        script,
        "bash",
        node.nono().to_str().unwrap(),
    ]
    .map(String::from);
    assert_eq!(run(&mut node.bare(&argv)).succeeded().text(), "hi");
}

#[test]
fn a_mount_over_the_directory_is_refused() {
    let node = Node::new(&plan());
    let dir = node.nono_dir();
    let dir = dir.to_str().unwrap();
    let decoy = Node::with(|work| plan().optional("/etc", READ).optional(work, READ));
    let decoy = decoy.nono_dir();
    let decoy = decoy.to_str().unwrap();
    // Descriptor 9 reaches the covered launcher, whose path now leads to the decoy's directory.
    let start = "exec /proc/self/fd/9 wrap --profile test -- cat /etc/passwd";
    let script = format!("exec 9< $1/nono; mount --bind $2 $1; exec bash -c '{start}'");
    run_in_mount_namespace(&script, &[dir, decoy]).refused(125, &["covered by another mount"]);
    let script =
        format!("exec 9< $1/nono; mount --bind $2/profiles $1/profiles; exec bash -c '{start}'");
    run_in_mount_namespace(&script, &[dir, decoy]).refused(125, &["profiles/test.json", "EXDEV"]);
}
