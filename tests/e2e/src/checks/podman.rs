//! The guard as Podman's `--runtime`: no Kubernetes, no NRI. Each check has a Podman of its own, and controls leave the
//! guard out.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::confinement::{BARE, CONFINED, LIMIT, ON_TERMINAL, PROBE, SLEEP, expect};
use super::{Check, On, own_on};
use crate::images::BUSYBOX;
use crate::podman::{Podman, PodmanContainer, PodmanRequest};
use crate::wait;

const ANNOTATION: &str = "nono.sh/profile";

pub(super) const CHECKS: &[Check] = &[
    on_podman(
        "process and exec are confined, of users without privilege as well; control: without the guard they are not",
        both_ways,
    ),
    on_podman(
        "an exec on a terminal prints what the control prints, and is confined",
        terminal,
    ),
    on_podman(
        "the annotation nono.sh/profile names the profile of process and exec",
        named_profile,
    ),
    on_podman(
        "a profile that is not allowed is refused, and Podman's message says why",
        disallowed_profile,
    ),
    on_podman(
        "a removed container leaves no record, mount or process",
        nothing_left,
    ),
];

/// The version is that of the one Podman that is installed.
const fn on_podman(name: &'static str, run: fn(&str) -> Result<()>) -> Check {
    own_on(On::Podman, name, run)
}

fn guarded() -> Result<Podman> {
    Podman::start(&[BUSYBOX], true)
}

/// Runs `check` on a container without the guard, and on one with it.
fn with_control(
    podman: &Podman,
    command: &[&str],
    adjust: impl Fn(PodmanRequest<'_>) -> PodmanRequest<'_>,
    check: impl Fn(&PodmanContainer<'_>, &str) -> Result<()>,
) -> Result<()> {
    let request = || adjust(podman.container(BUSYBOX, command));
    let bare = request().bare().run()?;
    check(&bare, BARE).context("control")?;
    check(&request().run()?, CONFINED)
}

fn both_ways(_: &str) -> Result<()> {
    let podman = guarded()?;
    let probe = [&PROBE[..], &["id"]].concat();
    for user in [0, 1000] {
        let command = [&probe[..], &["trap", "0"]].concat();
        with_control(
            &podman,
            &command,
            |request| request.user(user),
            |container, expected| {
                let expected = format!("{expected}id: {user} 0\n");
                container.wait_for_output("trap: ready", LIMIT)?;
                let output = container.output()?.replace("trap: ready\n", "");
                expect(&output, &expected, "the container's process")?;
                expect(&container.exec(&probe)?, &expected, "an exec")
            },
        )?;
    }
    Ok(())
}

fn terminal(_: &str) -> Result<()> {
    let podman = guarded()?;
    with_control(
        &podman,
        &SLEEP,
        |request| request,
        |container, expected| {
            let output = container.exec_output(&["--tty"], &["sh", "-c", ON_TERMINAL])?;
            let printed = String::from_utf8_lossy(&output.stdout).replace('\r', "");
            let expected = format!("on a terminal\nid: 0 0\n{expected}");
            expect(&printed, &expected, "an exec")
        },
    )
}

fn named_profile(_: &str) -> Result<()> {
    let podman = guarded()?;
    let filter = "grep ^Seccomp: /proc/self/status";
    let command = format!("{filter}; exec /app/tool trap 0");
    for (profile, mode) in [("default", 0), ("strict", 2)] {
        // Podman's own filter is left out.
        let container = podman
            .container(BUSYBOX, &["sh", "-c", &command])
            .option("--security-opt=seccomp=unconfined")
            .annotation(ANNOTATION, profile)
            .run()?;
        let expected = format!("Seccomp:\t{mode}");
        container.wait_for_output("trap: ready", LIMIT)?;
        let output = container.output()?.replace("trap: ready\n", "");
        expect(&output, &expected, &format!("the process under {profile}"))?;
        let output = container.exec(&["sh", "-c", filter])?;
        expect(&output, &expected, &format!("an exec under {profile}"))?;
    }
    Ok(())
}

fn disallowed_profile(_: &str) -> Result<()> {
    let podman = guarded()?;
    let guard = podman.guard()?;
    let strict = || {
        podman
            .container(BUSYBOX, &SLEEP)
            .annotation(ANNOTATION, "strict")
    };
    strict().run().context("control: an allowed profile")?;
    let narrow = guard
        .read_config()?
        .replace(", \"strict\", \"claude-code\"", "");
    let message = guard.with_config(&narrow, || strict().refusal())?;
    ensure!(
        message.contains("profile \"strict\" is not allowed (allowed are: default)"),
        "the refusal says {message}"
    );
    Ok(())
}

fn nothing_left(_: &str) -> Result<()> {
    let podman = guarded()?;
    let guard = podman.guard()?;
    let before = podman.mounts();
    let container = podman.container(BUSYBOX, &SLEEP).run()?;
    let record = guard.record_of(container.id())?;
    let process = Path::new("/proc").join(container.pid()?.to_string());
    ensure!(
        process.exists() && podman.mounts() > before,
        "control: a running container has a process and mounts"
    );
    container.exec(&PROBE)?;
    container.remove()?;
    for path in [&record, &process] {
        wait::until(&format!("{} to go", path.display()), LIMIT, || {
            Ok((!path.exists()).then_some(()))
        })?;
    }
    wait::until("the container's mounts to go", LIMIT, || {
        Ok((podman.mounts() <= before).then_some(()))
    })?;
    let leftovers = podman.finish();
    ensure!(
        leftovers.is_empty(),
        "left behind: {}",
        leftovers.join(", ")
    );
    Ok(())
}
