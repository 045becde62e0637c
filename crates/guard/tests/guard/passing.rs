//! What is passed on as it is, and what is not.

use std::fs;
use std::process::Command;

use crate::harness::Node;

#[test]
fn commands_that_start_nothing_are_passed_on() {
    let node = Node::new();
    for arguments in [
        &["--version"][..],
        &["features"],
        &[
            "--systemd-cgroup",
            "--log",
            "/l",
            "--log-format",
            "json",
            "start",
            "c1",
        ],
        &["kill", "--all", "c1", "9"],
        &["state", "c1"],
        &["list", "--format", "json"],
        &["ps", "c1", "-ef", "exec"],
        &["update", "--memory", "1", "c1"],
        &["pause", "c1"],
        &["checkpoint", "--image-path", "/x", "c1"],
    ] {
        let outcome = node.run_plain(arguments);
        assert_eq!(outcome.passed(), arguments);
    }
}

#[test]
fn what_is_not_understood_is_refused() {
    let node = Node::new();
    for arguments in [
        &["restore", "--image-path", "/x", "c1"][..],
        &["frobnicate"],
        &["--frobnicate", "kill", "c1"],
        &["create", "--frobnicate", "c1"],
        &["exec", "--frobnicate", "c1", "sh"],
        &["init"],
    ] {
        node.run_plain(arguments).refused();
    }
}

#[test]
fn a_broken_configuration_starts_nothing_and_ends_everything() {
    let node = Node::new();
    node.spec(&node.bare());
    node.create("c1").passed();
    let runtime = format!("runtime = {:?}\n", node.path("runc").display().to_string());
    for broken in ["called_by = 3", "[[[", "unknown = 1"] {
        node.configure_all(&format!("{broken}\n{runtime}"));
        let create = node.create("c2");
        assert!(
            create.refused().contains("nono-runc.toml"),
            "{}",
            create.stderr
        );
        node.run(&["exec", "c1", "sh"]).refused();
        node.run(&["kill", "c1", "9"]).passed();
        node.run(&["state", "c1"]).passed();
    }
    node.run(&["delete", "c1"]).passed();
}

#[test]
fn a_configuration_that_others_can_write_is_broken() {
    use std::os::unix::fs::PermissionsExt as _;
    let node = Node::new();
    node.spec(&node.bare());
    let path = node.path("bin/nono-runc.toml");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let outcome = node.create("c1");
    assert!(
        outcome.refused().contains("written by others than root"),
        "{}",
        outcome.stderr
    );
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    node.create("c1").passed();
}

#[test]
fn the_runtime_receives_what_the_guard_received() {
    let node = Node::new();
    let guard = node.path("bin/nono-runc");
    let guard = guard.to_str().unwrap();
    let ignored = |setup: &str| {
        let script = format!("{setup} exec env -i A=1 B=2 \"$0\" list");
        let outcome = node.run_with(Command::new("python3").args(["-c", PYTHON, &script, guard]));
        assert_eq!(outcome.passed(), ["list"]);
        let env = fs::read_to_string(node.path("env")).unwrap();
        assert!(env.contains("A=1\n") && env.contains("B=2\n"), "{env}");
        let line = fs::read_to_string(node.path("signals")).unwrap();
        u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()
    };
    const SIGPIPE: u64 = 1 << 12;
    assert_eq!(ignored("") & SIGPIPE, 0);
    assert_eq!(ignored("trap '' PIPE;") & SIGPIPE, SIGPIPE);
}

/// Starts a shell with default signals, which neither cargo nor Rust's own `Command` promise.
const PYTHON: &str = "
import os, signal, sys
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
os.execv('/bin/sh', ['sh', '-c', sys.argv[1], sys.argv[2]])
";
