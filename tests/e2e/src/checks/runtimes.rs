//! Runtimes beside containerd 2: CRI-O, and containerd 1.7, whose NRI drops changed arguments. With plugin and guard,
//! and with one of them alone.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::confinement::{
    BARE, CONFINED, LIMIT, ON_TERMINAL, PROBE, SLEEP, bare, confined, expect, on_terminal, prints,
    refusal, sleeping,
};
use super::process::user_namespace;
use super::{Check, On, guard, own_on, shared_on};
use crate::daemon::{BASELINE, SANDBOXED};
use crate::images::BUSYBOX;
use crate::node::{Fixture, Node};
use crate::wait;

const ANNOTATION: &str = "nono.sh/profile";
/// `strict` has a seccomp filter, `default` has none.
const FILTER: &str = "grep ^Seccomp: /proc/self/status";

pub(super) const CHECKS: &[Check] = &[
    shared_on(
        On::Elsewhere,
        "process and exec are confined; control: those of another handler are not",
        both_ways,
    ),
    shared_on(
        On::Elsewhere,
        "the annotation nono.sh/profile names the profile of process and exec",
        named_profile,
    ),
    shared_on(
        On::Elsewhere,
        "the annotation container.nono.sh/NAME does for one container",
        own_profile,
    ),
    shared_on(
        On::Elsewhere,
        "a profile that plugin or guard does not know or allow is refused, and the runtime's message says why",
        disallowed_profile,
    ),
    shared_on(
        On::Elsewhere,
        "process and exec of a user without privilege are confined; control: those of another handler are not",
        unprivileged,
    ),
    shared_on(
        On::Elsewhere,
        "an exec on a terminal prints what the control prints, and is confined",
        terminal,
    ),
    shared_on(
        On::Crio,
        "in a user namespace, process and exec are confined; control: a pod of another handler is not",
        user_namespace,
    ),
    shared_on(
        On::Containerd1,
        "what the plugin's adjustment leaves half-wrapped, the guard completes",
        half_wrapped,
    ),
    shared_on(
        On::Elsewhere,
        "a removed pod leaves no record, mount or process",
        nothing_left,
    ),
    own_on(
        On::Crio,
        "without NRI the guard alone confines containers under the profile they ask for",
        |version| guard::alone(Fixture::crio(version)),
    ),
    own_on(
        On::Containerd1,
        "without NRI the guard alone confines containers under the profile they ask for",
        |version| guard::alone(Fixture::containerd(version)),
    ),
    own_on(
        On::Containerd1,
        "without the guard the plugin refuses containers of its handlers, and says why",
        plugin_alone,
    ),
];

fn both_ways(node: &Node) -> Result<()> {
    bare(&node.pod("bare").handler(BASELINE).run()?).context("control")?;
    confined(&node.pod("confined").run()?)
}

fn named_profile(node: &Node) -> Result<()> {
    for (profile, mode) in [("default", 0), ("strict", 2)] {
        let pod = node.pod("named").annotation(ANNOTATION, profile).run()?;
        let command = format!("{FILTER}; exec /app/tool trap 0");
        let container = pod.container(BUSYBOX, &["sh", "-c", &command]).start()?;
        let expected = format!("Seccomp:\t{mode}");
        container.wait_for_output("trap: ready", LIMIT)?;
        let output = container.output()?.replace("trap: ready\n", "");
        expect(&output, &expected, &format!("the process under {profile}"))?;
        let output = container.exec(&["sh", "-c", FILTER])?;
        expect(&output, &expected, &format!("an exec under {profile}"))?;
    }
    Ok(())
}

/// Plugin and guard learn the container's name in different ways; were they of different opinions, the guard would refuse.
fn own_profile(node: &Node) -> Result<()> {
    let key = "container.nono.sh/main";
    let pod = node.pod("own").annotation(key, "strict").run()?;
    for (name, mode) in [("main", 2), ("other", 0)] {
        let output = sleeping(&pod, name)?.exec(&["sh", "-c", FILTER])?;
        expect(
            &output,
            &format!("Seccomp:\t{mode}"),
            &format!("an exec in {name}"),
        )?;
    }
    Ok(())
}

fn disallowed_profile(node: &Node) -> Result<()> {
    let unknown = node.pod("unknown").annotation(ANNOTATION, "team").run()?;
    let message = refusal(&unknown, "main")?;
    ensure!(
        message.contains("cannot run under profile \"team\""),
        "the plugin's refusal says {message}"
    );
    let strict = node.pod("strict").annotation(ANNOTATION, "strict").run()?;
    sleeping(&strict, "before").context("control: an allowed profile")?;
    let guard = node.guard()?;
    let narrow = guard.read_config()? + "allowed_profiles = [\"default\"]\n";
    let message = guard.with_config(&narrow, || refusal(&strict, "main"))?;
    ensure!(
        message.contains("profile \"strict\" is not allowed (allowed are: default)"),
        "the guard's refusal says {message}"
    );
    Ok(())
}

fn unprivileged(node: &Node) -> Result<()> {
    let probe = [&PROBE[..], &["id"]].concat();
    for (handler, expected) in [(BASELINE, BARE), (SANDBOXED, CONFINED)] {
        let pod = node.pod("user").handler(handler).run()?;
        let expected = format!("{expected}id: 1000 0\n");
        prints(&pod, &probe, &expected, |request| {
            request.user(1000).without_capabilities()
        })
        .with_context(|| format!("handler {handler}"))?;
    }
    Ok(())
}

fn terminal(node: &Node) -> Result<()> {
    for (handler, expected) in [(BASELINE, BARE), (SANDBOXED, CONFINED)] {
        let pod = node.pod("terminal").handler(handler).run()?;
        let container = sleeping(&pod, "main")?;
        expect(
            &on_terminal(node, &container, ON_TERMINAL)?,
            &format!("on a terminal\nid: 0 0\n{expected}"),
            handler,
        )?;
    }
    Ok(())
}

fn half_wrapped(node: &Node) -> Result<()> {
    let pod = node.pod("half").run()?;
    let container = sleeping(&pod, "main")?;
    let spec = container.inspect()?["info"]["runtimeSpec"].take();
    let mounted = spec["mounts"]
        .as_array()
        .is_some_and(|mounts| mounts.iter().any(|mount| mount["destination"] == "/nono"));
    let args = &spec["process"]["args"];
    ensure!(
        *args == json!(SLEEP) && mounted,
        "the runtime's own spec is not half-wrapped: {spec}"
    );
    let bundle = container.oci_spec()?["process"]["args"].take();
    ensure!(
        bundle[0] == "/nono/nono" && bundle[1] == "wrap",
        "the bundle's args are {bundle}"
    );
    let alarm = node
        .plugin()?
        .lines()
        .into_iter()
        .find(|line| line["level"] == "ERROR" && line["container_id"] == *container.id());
    ensure!(alarm.is_none(), "a false alarm: {alarm:?}");
    Ok(())
}

fn nothing_left(node: &Node) -> Result<()> {
    let guard = node.guard()?;
    let before = node.mounts();
    let pod = node.pod("gone").run()?;
    let container = sleeping(&pod, "main")?;
    let record = guard.record_of(container.id())?;
    let process = Path::new("/proc").join(container.pid()?.to_string());
    ensure!(
        process.exists() && node.mounts() > before,
        "control: a running container has a process and mounts"
    );
    container.exec(&PROBE)?;
    let bundle = node.daemon().bundle(container.id());
    container.remove()?;
    pod.remove()?;
    for path in [&record, &process, &bundle] {
        wait::until(&format!("{} to go", path.display()), LIMIT, || {
            Ok((!path.exists()).then_some(()))
        })?;
    }
    wait::until("the pod's mounts to go", LIMIT, || {
        Ok((node.mounts() <= before).then_some(()))
    })
}

fn plugin_alone(version: &str) -> Result<()> {
    let node = Node::start(Fixture::containerd(version).images(&[BUSYBOX]).plugin())?;
    bare(&node.pod("bare").handler(BASELINE).run()?).context("control")?;
    let message = refusal(&node.pod("refused").run()?, "main")?;
    for part in ["drops changes of args", "upgrade to containerd 2.2"] {
        ensure!(
            message.contains(part),
            "no {part:?} in the refusal: {message}"
        );
    }
    Ok(())
}
