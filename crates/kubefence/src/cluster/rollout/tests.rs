use serde_json::{Value, json};

use super::*;

fn daemon_set(observed: Option<i64>, desired: usize, current: usize) -> DaemonSet {
    let mut status =
        json!({ "desiredNumberScheduled": desired, "currentNumberScheduled": current });
    if let Some(observed) = observed {
        status["observedGeneration"] = json!(observed);
    }
    let value = json!({ "metadata": { "name": "d", "generation": 2 }, "status": status });
    serde_json::from_value(value).unwrap()
}

fn pod(node: &str, status: Value) -> Pod {
    let value = json!({ "metadata": { "name": format!("p-{node}") }, "spec": { "nodeName": node }, "status": status });
    serde_json::from_value(value).unwrap()
}

fn ready() -> Value {
    json!({ "conditions": [{ "type": "Ready", "status": "True" }] })
}

fn init(restarts: u32, state: Value, last: Value) -> Value {
    json!({ "phase": "Pending", "initContainerStatuses": [{ "restartCount": restarts, "state": state, "lastState": last }] })
}

fn ended(code: i32, message: &str) -> Value {
    json!({ "terminated": { "exitCode": code, "reason": "Error", "message": message } })
}

#[test]
fn a_cluster_without_nodes_has_ended_once_the_controller_says_so() {
    assert!(!Rollout::of(&daemon_set(None, 0, 0), &[]).has_ended());
    assert!(
        !Rollout::of(&daemon_set(Some(1), 0, 0), &[]).has_ended(),
        "an older generation"
    );
    let rollout = Rollout::of(&daemon_set(Some(2), 0, 0), &[]);
    assert!(rollout.has_ended() && rollout.open().is_empty());
}

#[test]
fn nodes_whose_pods_do_not_exist_yet_are_waited_for() {
    let pods = [pod("a", ready())];
    assert!(!Rollout::of(&daemon_set(Some(2), 2, 1), &pods).has_ended());
    assert!(!Rollout::of(&daemon_set(Some(2), 2, 2), &pods).has_ended());
    assert!(
        Rollout::of(&daemon_set(Some(2), 1, 1), &pods).has_ended(),
        "control"
    );
}

#[test]
fn a_first_failure_gets_a_second_chance() {
    let waiting = json!({ "waiting": { "reason": "CrashLoopBackOff", "message": "back-off 10s" } });
    let running = json!({ "running": { "startedAt": "now" } });
    for (status, failed) in [
        (init(0, ended(1, "pods exist"), json!({})), false),
        (init(1, running, ended(1, "pods exist")), false),
        (init(1, ended(1, "pods exist"), json!({})), true),
        (init(1, waiting, ended(1, "pods exist")), true),
        (init(1, ended(0, ""), ended(1, "pods exist")), false),
    ] {
        let rollout = Rollout::of(&daemon_set(Some(2), 1, 1), &[pod("a", status.clone())]);
        let expected = Node::Failed("pods exist".to_owned());
        assert_eq!(rollout.nodes["a"] == expected, failed, "{status}");
        assert_eq!(rollout.has_ended(), failed, "{status}");
    }
}

#[test]
fn a_failure_without_a_message_is_told_by_its_code() {
    let status = init(1, ended(137, "  "), json!({}));
    let rollout = Rollout::of(&daemon_set(Some(2), 1, 1), &[pod("a", status)]);
    let reason = "exit code 137 (Error), and no message".to_owned();
    assert_eq!(rollout.open(), [("a".to_owned(), reason)]);
}

#[test]
fn what_a_pod_waits_for_is_told() {
    let pulling = init(
        0,
        json!({ "waiting": { "reason": "ErrImagePull", "message": "not found" } }),
        json!({}),
    );
    let creating = init(
        0,
        json!({ "waiting": { "reason": "PodInitializing" } }),
        json!({}),
    );
    let unscheduled = json!({
        "phase": "Pending",
        "conditions": [{ "type": "PodScheduled", "status": "False", "message": "node is full" }],
    });
    for (status, words) in [
        (pulling, "ErrImagePull: not found"),
        (creating, "Pending"),
        (unscheduled, "node is full"),
        (json!({}), "its pod is new"),
    ] {
        let rollout = Rollout::of(&daemon_set(Some(2), 1, 1), &[pod("a", status)]);
        assert_eq!(rollout.nodes["a"], Node::Busy(words.to_owned()));
        assert!(!rollout.has_ended());
    }
}

#[test]
fn pods_that_are_being_deleted_do_not_count() {
    let mut old = pod("a", ready());
    old.metadata.deletion_timestamp = Some("2030-01-01T00:00:00Z".to_owned());
    assert!(!Rollout::of(&daemon_set(Some(2), 1, 1), &[old]).has_ended());
}
