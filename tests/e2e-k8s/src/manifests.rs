//! What the checks put into the cluster.

use e2e::images;
use serde_json::{Value, json};

/// The handler and RuntimeClass whose pods are sandboxed.
pub(crate) const SANDBOXED: &str = "nono-runc";

/// Ends at once when it is asked to.
pub(crate) const SLEEP: &str = "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done";

/// A pod of one container that runs busybox.
pub(crate) fn pod(name: &str, class: Option<&str>, command: &[&str]) -> Value {
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": name, "labels": { "e2e": name } },
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": false,
            "containers": [container("main", command)],
        },
    });
    if let Some(class) = class {
        pod["spec"]["runtimeClassName"] = json!(class);
    }
    pod
}

/// A container that runs busybox.
pub(crate) fn container(name: &str, command: &[&str]) -> Value {
    json!({
        "name": name,
        "image": images::reference(images::BUSYBOX),
        "imagePullPolicy": "Never",
        "command": command,
    })
}
