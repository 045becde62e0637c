//! The end of containers, and of what was known of them.

use std::fs;

use crate::harness::Node;

#[test]
fn the_record_goes_with_the_container() {
    let node = Node::new();
    node.spec(&node.bare());
    node.create("c1").passed();
    node.create("c2").passed();
    assert_eq!(node.records(), 2);
    let outcome = node.run(&["delete", "--force", "c1"]);
    assert_eq!(
        outcome.passed()[2..],
        ["delete", "--force", "c1"].map(str::to_owned)
    );
    assert_eq!(outcome.code, Some(0));
    assert_eq!(node.records(), 1);
    node.run(&["exec", "c1", "id"]).refused();
    node.run(&["exec", "c2", "id"]).passed();
}

#[test]
fn the_record_stays_while_the_container_does() {
    let node = Node::new();
    node.spec(&node.bare());
    node.create("c1").passed();
    fs::write(node.path("root/c1/busy"), "").unwrap();
    fs::write(node.path("status"), "3").unwrap();
    let outcome = node.run(&["delete", "c1"]);
    outcome.passed();
    assert_eq!(outcome.code, Some(3), "the runtime's status is the guard's");
    assert_eq!(node.records(), 1);
    fs::write(node.path("status"), "0").unwrap();
    node.run(&["exec", "c1", "id"]).passed();
}

/// Both spellings are the same directory to the runtime.
#[test]
fn a_root_has_one_name() {
    let node = Node::new();
    node.spec(&node.bare());
    node.create("c1").passed();
    let link = node.path("link");
    std::os::unix::fs::symlink(node.path("root"), &link).unwrap();
    let link = link.to_str().unwrap();
    node.run_plain(&["--root", link, "exec", "c1", "id"])
        .passed();
    node.run_plain(&["--root", &format!("{link}/"), "delete", "c1"])
        .passed();
    assert_eq!(node.records(), 0);
}
