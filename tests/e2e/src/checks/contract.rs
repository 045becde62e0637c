//! What an operator can observe of one injection: process, mount, bundle, metadata, log.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{Check, shared};
use crate::daemon::{BASELINE, SANDBOXED};
use crate::images::BUSYBOX;
use crate::node::Node;
use crate::wait;

const LIMIT: Duration = Duration::from_secs(10);
const SLEEP: [&str; 2] = ["sleep", "300"];
const METADATA_KEYS: [&str; 5] = ["container_id", "namespace", "pod", "profile", "timestamp"];

pub(super) const CHECKS: &[Check] = &[
    shared("/proc/1/cmdline shows the original command", cmdline),
    shared(
        "/nono/nono is there with mode -rwxr-xr-x",
        launcher_is_mounted,
    ),
    shared("/nono cannot be written from inside", mount_is_read_only),
    shared(
        "the runtime's spec has wrapped args, and the bundle's are pinned to a plan and to variables",
        wrapped_args,
    ),
    shared(
        "the bundle mounts /nono read-only, private, nosuid, nodev",
        bundle_mount,
    ),
    shared(
        "the bundle's environment has NONO_PROFILE and /nono first on PATH",
        bundle_env,
    ),
    shared(
        "metadata.json is written, private, and removed with the container",
        metadata,
    ),
    shared(
        "an injection is logged with its fields",
        injection_is_logged,
    ),
    shared(
        "a pod of another handler is untouched and logged as skip",
        other_handler,
    ),
    shared("exec and logs work in a sandboxed pod", exec_and_logs),
];

fn cmdline(node: &Node) -> Result<()> {
    let pod = node.pod("cmdline").run()?;
    let container = pod.container(BUSYBOX, &SLEEP).start()?;
    wait::until("process 1 to become the original command", LIMIT, || {
        let cmdline = container.exec(&["cat", "/proc/1/cmdline"])?;
        Ok((cmdline == "sleep\u{0}300\u{0}").then_some(()))
    })
}

fn launcher_is_mounted(node: &Node) -> Result<()> {
    let pod = node.pod("mounted").run()?;
    let container = pod.container(BUSYBOX, &SLEEP).start()?;
    let listing = container.exec(&["ls", "-l", "/nono/nono"])?;
    ensure!(listing.starts_with("-rwxr-xr-x"), "ls says {listing:?}");
    Ok(())
}

fn mount_is_read_only(node: &Node) -> Result<()> {
    let pod = node.pod("read-only").run()?;
    // EROFS is the mount's; the sandbox would say EACCES.
    let container = pod.container(BUSYBOX, &SLEEP).start()?;
    let output = container.exec(&["/app/tool", "write", "/nono/nono", "write", "/nono/new"])?;
    ensure!(
        output == "write /nono/nono: EROFS\nwrite /nono/new: EROFS",
        "the probe says {output:?}"
    );
    Ok(())
}

fn wrapped_args(node: &Node) -> Result<()> {
    let pod = node.pod("args").run()?;
    let container = pod.container(BUSYBOX, &SLEEP).start()?;
    let contract = ["/nono/nono", "wrap", "--profile", "default"];
    let args = container.inspect()?["info"]["runtimeSpec"]["process"]["args"].take();
    let expected = [&contract[..], &["--"], &SLEEP].concat();
    ensure!(args == json!(expected), "the runtime's args are {args}");

    let bundle = container.oci_spec()?["process"]["args"].take();
    let args: Vec<&str> = bundle
        .as_array()
        .map(|args| args.iter().filter_map(Value::as_str).collect())
        .context("the bundle has no args")?;
    let link = node.install()?.directory().join("profiles/default.json");
    let plan = fs::read_link(&link).with_context(|| format!("{} is no link", link.display()))?;
    let plan = plan.file_stem().unwrap_or_default().to_string_lossy();
    let pinned = [&contract[..], &["--plan", &plan]].concat();
    let variables = args
        .strip_prefix(pinned.as_slice())
        .and_then(|rest| rest.strip_suffix([&["--"], &SLEEP[..]].concat().as_slice()))
        .with_context(|| format!("the bundle's args are {bundle}, should begin with {pinned:?}"))?;
    ensure!(
        variables
            .chunks(2)
            .all(|pair| matches!(pair[0], "--var" | "--mounted")),
        "variables and mounts are {variables:?}"
    );
    for expected in ["HOME=/root", "WORKDIR=/", "ENTRYPOINT=sleep"] {
        ensure!(
            variables.contains(&expected),
            "no {expected} in {variables:?}"
        );
    }
    Ok(())
}

fn bundle_mount(node: &Node) -> Result<()> {
    let spec = spec_of_sleeper(node)?;
    let mounts = spec["mounts"]
        .as_array()
        .context("the bundle has no mounts")?;
    let found: Vec<&Value> = mounts
        .iter()
        .filter(|mount| mount["destination"] == "/nono")
        .collect();
    ensure!(found.len() == 1, "{} mounts at /nono", found.len());
    let source = node.install()?.directory().to_string_lossy();
    ensure!(
        found[0]["source"] == *source,
        "its source is {}",
        found[0]["source"]
    );
    let options = found[0]["options"]
        .as_array()
        .context("the mount has no options")?;
    for option in ["ro", "rprivate", "nosuid", "nodev"] {
        ensure!(
            options.iter().any(|given| given == option),
            "no {option} in {options:?}"
        );
    }
    ensure!(
        options.iter().any(|o| o == "bind" || o == "rbind"),
        "no bind in {options:?}"
    );
    Ok(())
}

fn bundle_env(node: &Node) -> Result<()> {
    let spec = spec_of_sleeper(node)?;
    let env = spec["process"]["env"]
        .as_array()
        .context("the bundle has no environment")?;
    let values = |key: &str| -> Vec<&str> {
        env.iter()
            .filter_map(|entry| entry.as_str()?.strip_prefix(key)?.strip_prefix('='))
            .collect()
    };
    ensure!(
        values("NONO_PROFILE") == ["default"],
        "NONO_PROFILE is {:?}",
        values("NONO_PROFILE")
    );
    let paths = values("PATH");
    ensure!(
        paths.len() == 1 && paths[0].starts_with("/nono:"),
        "PATH is {paths:?}"
    );
    Ok(())
}

fn spec_of_sleeper(node: &Node) -> Result<Value> {
    let pod = node.pod("bundle").run()?;
    pod.container(BUSYBOX, &SLEEP).start()?.oci_spec()
}

fn metadata(node: &Node) -> Result<()> {
    let plugin = node.plugin()?;
    let pod = node.pod("metadata").run()?;
    let container = pod.container(BUSYBOX, &SLEEP).start()?;
    let path = plugin.metadata(pod.uid(), container.id());
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let metadata: serde_json::Map<String, Value> = serde_json::from_str(&text)?;
    for key in METADATA_KEYS {
        ensure!(
            metadata.get(key).is_some_and(|value| value != ""),
            "no {key} in {text}"
        );
    }
    let expected = json!([container.id(), pod.name(), "e2e", "default"]);
    let got = json!([
        metadata["container_id"],
        metadata["pod"],
        metadata["namespace"],
        metadata["profile"]
    ]);
    ensure!(got == expected, "metadata says {got}, should be {expected}");
    modes_are_private(&path)?;
    container.remove()?;
    wait::until("the metadata to go with its container", LIMIT, || {
        Ok((!path.exists()).then_some(()))
    })?;
    pod.remove()?;
    let directory = path
        .ancestors()
        .nth(2)
        .context("the metadata lies in a pod's directory")?
        .to_owned();
    wait::until("the pod's directory to go", LIMIT, || {
        Ok((!directory.exists()).then_some(()))
    })
}

fn modes_are_private(path: &Path) -> Result<()> {
    for (path, expected) in path.ancestors().zip([0o600, 0o700, 0o700, 0o700]) {
        let mode = fs::metadata(path)?.permissions().mode() & 0o7777;
        ensure!(
            mode == expected,
            "{} has mode {mode:o}, should be {expected:o}",
            path.display()
        );
    }
    Ok(())
}

fn injection_is_logged(node: &Node) -> Result<()> {
    let line = decision_of(node, "logged", SANDBOXED, "injected")?;
    for (key, expected) in [
        ("decision", "inject"),
        ("profile", "default"),
        ("namespace", "e2e"),
        ("runtime_handler", "nono-runc"),
    ] {
        ensure!(line[key] == expected, "{key} is {} in {line}", line[key]);
    }
    for key in ["time", "level", "container_id"] {
        ensure!(line[key].is_string(), "no {key} in {line}");
    }
    Ok(())
}

fn other_handler(node: &Node) -> Result<()> {
    let line = decision_of(node, "other", BASELINE, "skip")?;
    ensure!(
        line["decision"] == "skip",
        "decision is {} in {line}",
        line["decision"]
    );
    let pod = node.pod("untouched").handler(BASELINE).run()?;
    let container = pod.container(BUSYBOX, &SLEEP).start()?;
    let spec = container.oci_spec()?;
    ensure!(
        spec["process"]["args"] == json!(SLEEP),
        "args are {}",
        spec["process"]["args"]
    );
    ensure!(
        !spec.to_string().contains("nono/nono"),
        "its bundle mentions the launcher"
    );
    ensure!(
        !spec.to_string().contains("NONO_PROFILE"),
        "its bundle mentions NONO_PROFILE"
    );
    let metadata = node.plugin()?.metadata(pod.uid(), container.id());
    ensure!(!metadata.exists(), "{} exists", metadata.display());
    Ok(())
}

/// Runs a container and returns the log line `msg` about it.
fn decision_of(node: &Node, name: &str, handler: &str, msg: &str) -> Result<Value> {
    let mark = node.plugin()?.mark();
    let pod = node.pod(name).handler(handler).run()?;
    pod.container(BUSYBOX, &SLEEP).start()?;
    let about = format!("a log line {msg:?} about pod {}", pod.name());
    node.plugin()?.wait_for_line(&about, mark, |line| {
        line["msg"] == msg && line["pod"] == pod.name()
    })
}

fn exec_and_logs(node: &Node) -> Result<()> {
    let pod = node.pod("exec").run()?;
    let container = pod
        .container(
            BUSYBOX,
            &["sh", "-c", "echo out; echo err >&2; exec sleep 300"],
        )
        .start()?;
    // The two streams are copied independently, so their order is open.
    for line in ["out\n", "err\n"] {
        container.wait_for_output(line, LIMIT)?;
    }
    ensure!(
        container.output()?.len() == 8,
        "the log holds {:?}",
        container.output()?
    );
    let failing = container.exec_output(&["sh", "-c", "exit 9"])?;
    ensure!(!failing.status.success(), "exec hides an exit status");
    Ok(())
}
