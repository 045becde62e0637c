//! Processes that join a container.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Node, strings};

/// A node with the running container `c1`.
fn node() -> Node {
    let node = Node::new();
    node.spec(&node.bare());
    node.create("c1").passed();
    node
}

fn process(node: &Node, process: &Value) -> String {
    let path = node.path("process.json");
    fs::write(&path, process.to_string()).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_process_from_a_file_is_wrapped() {
    let node = node();
    let given = json!({
        "terminal": true, "user": { "uid": 5 }, "args": ["id", "-u"], "env": ["HOME=/etc", "PATH=/evil"], "cwd": "/etc",
    });
    let file = process(&node, &given);
    let outcome = node.run(&[
        "exec",
        "--process",
        &file,
        "--detach",
        "--pid-file",
        "/p",
        "c1",
    ]);
    assert_eq!(
        outcome.passed()[2..],
        [
            "exec",
            "--process",
            &file,
            "--detach",
            "--pid-file",
            "/p",
            "c1"
        ]
        .map(str::to_owned)
    );
    let text = fs::read_to_string(&file).unwrap();
    let mut now: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        strings(&now["args"]),
        node.expected("default", &["id", "-u"])
    );
    now["args"] = given["args"].clone();
    assert_eq!(now, given, "more than the arguments has changed");
}

#[test]
fn a_process_on_the_command_line_is_wrapped() {
    let node = node();
    let outcome = node.run(&[
        "exec",
        "--cwd",
        "/etc",
        "--env",
        "HOME=/etc",
        "-t",
        "c1",
        "id",
        "--process",
    ]);
    let passed = outcome.passed();
    assert_eq!(
        passed[2..8],
        ["exec", "--cwd", "/etc", "--env", "HOME=/etc", "-t"].map(str::to_owned)
    );
    assert_eq!(passed[8], "c1");
    assert_eq!(passed[9..], node.expected("default", &["id", "--process"]));
}

#[test]
fn descriptors_are_told_to_the_launcher() {
    let node = node();
    let outcome = node.run(&["exec", "--preserve-fds", "2", "c1", "id"]);
    let passed = outcome.passed();
    let at = passed.iter().rposition(|a| a == "--preserve-fds").unwrap();
    assert_eq!(passed[at + 1], "2");
    assert!(at > 5, "it is the runtime's own");
}

/// The plan counts that the container was created with, though its profile has another one by now.
#[test]
fn the_plan_is_that_of_the_creation() {
    let node = node();
    let expected = node.expected("default", &["id"]);
    let link = node.launcher_dir().join("profiles/default.json");
    let other = format!("../plans/{}.json", node.digest("strict"));
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(other, &link).unwrap();
    assert_eq!(node.run(&["exec", "c1", "id"]).passed()[4..], expected);
}

#[test]
fn without_a_record_nothing_is_executed() {
    let node = node();
    let outcome = node.run(&["exec", "c2", "id"]);
    assert!(
        outcome.refused().contains("did not create it"),
        "{}",
        outcome.stderr
    );
    // The same container of another runtime is another one.
    let other = node.path("other");
    let outcome = node.run_plain(&["--root", other.to_str().unwrap(), "exec", "c1", "id"]);
    assert!(
        outcome.refused().contains("did not create it"),
        "{}",
        outcome.stderr
    );
    node.run(&["exec", "c1", "id"]).passed();
}

#[test]
fn files_that_can_be_read_in_two_ways_are_refused() {
    let node = node();
    for text in [
        r#"{"args":["id"],"Args":["sh"],"cwd":"/"}"#,
        r#"{"ARGS":["sh"],"cwd":"/"}"#,
        r#"{"args":["id"],"args":["sh"],"cwd":"/"}"#,
        r#"{"args":[],"cwd":"/"}"#,
        r#"{"cwd":"/"}"#,
        "",
    ] {
        let path = node.path("process.json");
        fs::write(&path, text).unwrap();
        node.run(&["exec", "--process", path.to_str().unwrap(), "c1"])
            .refused();
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    node.run(&["exec", "--process", "/dev/null", "c1"])
        .refused();
}

#[test]
fn a_container_that_the_guard_did_not_create_is_not_believed() {
    let node = node();
    let root = node.path("root/c2");
    fs::create_dir(&root).unwrap();
    let state = |bundle: &str| {
        // An annotation called `bundle` comes first.
        let labels = json!([
            format!("bundle={}", node.path("bundle").display()),
            "a=b",
            format!("bundle={bundle}")
        ]);
        json!({ "init_process_pid": std::process::id(), "config": { "labels": labels } })
    };
    let bundle = node.path("other");
    fs::create_dir(&bundle).unwrap();
    fs::write(
        root.join("state.json"),
        state(bundle.to_str().unwrap()).to_string(),
    )
    .unwrap();
    for (spec, expected) in [
        (node.bare(), "was not started under profile"),
        (node.wrapped("strict"), "was not started under profile"),
        // This process has no /nono, or not this one.
        (node.wrapped("default"), "/nono/nono"),
    ] {
        fs::write(bundle.join("config.json"), spec.to_string()).unwrap();
        let outcome = node.run(&["exec", "c2", "id"]);
        assert!(outcome.refused().contains(expected), "{}", outcome.stderr);
    }
}
