//! Everything that Kubernetes starts in a sandboxed pod is confined, and the same in a plain pod is not.
//!
//! The witness reads /etc/shadow: the profile `default` forbids it, and nothing else does.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::images;
use e2e::wait;
use serde_json::{Value, json};

use super::Stage;
use crate::cluster::{Cluster, INJECTED, PLAIN, Pod};
use crate::manifests::{SANDBOXED, SLEEP, container, pod};

const LIMIT: Duration = Duration::from_secs(60);
const WITNESS: [&str; 3] = ["/app/tool", "read", "/etc/shadow"];
const INTO_FILE: &str = "/app/tool read /etc/shadow > /tmp/seen";

pub(super) const STAGE: Stage = Stage {
    name: "confinement",
    prepare,
    checks: &[
        ("the first process of a container", first_process),
        ("kubectl exec", exec),
        (
            "kubectl exec of a path that is no command of the image's",
            exec_by_path,
        ),
        ("an exec probe", probe),
        ("a postStart hook", hook),
        ("an init container", init_container),
        ("an ephemeral container", ephemeral_container),
        ("a pod of another user, without privileges", other_user),
    ],
};

fn prepare(cluster: &Cluster) -> Result<()> {
    cluster.install()?;
    cluster.witnesses()
}

/// Runs `observe` with and without the sandbox, and compares what the witness says.
fn both(observe: impl Fn(&str, Option<&str>) -> Result<String>) -> Result<()> {
    let confined = observe("confined", Some(SANDBOXED))?;
    ensure!(
        confined.contains("read /etc/shadow: EACCES"),
        "with the sandbox the witness says {confined:?}"
    );
    let free = observe("free", None)?;
    ensure!(
        free.contains("read /etc/shadow: ok"),
        "without the sandbox the witness says {free:?}"
    );
    Ok(())
}

fn first_process(cluster: &Cluster) -> Result<()> {
    both(|name, class| {
        let command = format!("{}; {SLEEP}", WITNESS.join(" "));
        let pod = cluster.run_pod(&pod(
            &format!("first-{name}"),
            class,
            &["sh", "-c", &command],
        ))?;
        pod.wait_for_log("main", "shadow")
    })
}

fn exec(cluster: &Cluster) -> Result<()> {
    both(|_, class| witness_pod(cluster, class).exec(&["sh", "-c", &WITNESS.join(" ")]))
}

fn exec_by_path(cluster: &Cluster) -> Result<()> {
    both(|_, class| witness_pod(cluster, class).exec(&WITNESS))
}

fn witness_pod<'a>(cluster: &'a Cluster, class: Option<&str>) -> Pod<'a> {
    cluster.existing_pod(if class.is_some() { INJECTED } else { PLAIN })
}

fn probe(cluster: &Cluster) -> Result<()> {
    both(|name, class| {
        let mut manifest = pod(&format!("probe-{name}"), class, &["sh", "-c", SLEEP]);
        manifest["spec"]["containers"][0]["readinessProbe"] = json!({
            "exec": { "command": ["sh", "-c", INTO_FILE] },
            "periodSeconds": 1,
        });
        seen(&cluster.run_pod(&manifest)?)
    })
}

fn hook(cluster: &Cluster) -> Result<()> {
    both(|name, class| {
        let mut manifest = pod(&format!("hook-{name}"), class, &["sh", "-c", SLEEP]);
        manifest["spec"]["containers"][0]["lifecycle"] = json!({
            "postStart": { "exec": { "command": ["sh", "-c", INTO_FILE] } },
        });
        seen(&cluster.run_pod(&manifest)?)
    })
}

/// What a probe or a hook has written: it outlives them.
fn seen(pod: &Pod<'_>) -> Result<String> {
    wait::until("what the process has seen", LIMIT, || {
        let text = pod.exec(&["cat", "/tmp/seen"]).unwrap_or_default();
        Ok(text.contains("shadow").then_some(text))
    })
}

fn init_container(cluster: &Cluster) -> Result<()> {
    both(|name, class| {
        let mut manifest = pod(&format!("init-{name}"), class, &["sh", "-c", SLEEP]);
        manifest["spec"]["initContainers"] = Value::Array(vec![container("first", &WITNESS)]);
        cluster.run_pod(&manifest)?.logs("first")
    })
}

fn ephemeral_container(cluster: &Cluster) -> Result<()> {
    both(|name, class| {
        let pod = cluster.run_pod(&pod(
            &format!("ephemeral-{name}"),
            class,
            &["sh", "-c", SLEEP],
        ))?;
        let image = format!("--image={}", images::reference(images::BUSYBOX));
        let debug = ["debug", pod.name(), &image, "--image-pull-policy=Never"];
        let how = ["--container=visitor", "--profile=general", "--quiet", "--"];
        cluster.kubectl(&[&debug[..], &how, &WITNESS].concat())?;
        pod.wait_for_log("visitor", "shadow")
    })
}

fn other_user(cluster: &Cluster) -> Result<()> {
    both(|name, class| {
        // /etc/shadow is readable for all in the image, so it is still the sandbox that forbids it.
        let mut manifest = pod(&format!("user-{name}"), class, &["sh", "-c", SLEEP]);
        manifest["spec"]["containers"][0]["securityContext"] = json!({
            "runAsUser": 65532,
            "allowPrivilegeEscalation": false,
            "capabilities": { "drop": ["ALL"] },
            "readOnlyRootFilesystem": true,
        });
        cluster.run_pod(&manifest)?.exec(&WITNESS)
    })
}
