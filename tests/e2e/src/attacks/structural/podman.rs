//! Entering a container with an environment, a working directory and a privilege of the exec's own.

use anyhow::{Context, Result, ensure};

use super::{Needs, Run, Structural};
use crate::attacks::ground::PROFILE;
use crate::images::ATTACK_LINKS;
use crate::podman::Podman;

const RECORD: &str =
    "the guard: the variables are those of PID 1, told when the container was created";

/// Files in places that variables of the exec would open, and in none that PID 1's do.
const REACHED: [&str; 9] = [
    "/app/tool",
    "read",
    "/secret/.local/bin/flag",
    "read",
    "/secret/flag",
    "write",
    "/secret/attacked",
    "write",
    "/etc/attacked",
];

pub(super) const ATTACKS: &[Structural] = &[
    Structural {
        name: "exec-own-environment",
        tries: "exec with HOME, TMPDIR and XDG variables of its own, in a working directory of its own",
        stopped_by: RECORD,
        control: "the files can be read and written",
        needs: Needs::Podman,
        run: Run::Podman(own_environment),
    },
    Structural {
        name: "exec-privileged",
        tries: "exec with every capability",
        stopped_by: "the guard: an exec is wrapped whatever its privilege",
        control: "the files can be read and written",
        needs: Needs::Podman,
        run: Run::Podman(|bare, guarded| enter(bare, guarded, &["--privileged"])),
    },
];

fn own_environment(bare: &Podman, guarded: &Podman) -> Result<()> {
    for value in ["/secret", "/etc", "/to-etc", "/"] {
        let variables = ["HOME", "TMPDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"];
        let mut options = variables
            .map(|name| format!("--env={name}={value}"))
            .to_vec();
        options.push(format!("--workdir={value}"));
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        enter(bare, guarded, &options).with_context(|| format!("variables at {value}"))?;
    }
    Ok(())
}

/// Execs the probe with options of `podman exec`, under a profile that opens home and working directory.
fn enter(bare: &Podman, guarded: &Podman, options: &[&str]) -> Result<()> {
    for (podman, result) in [(bare, "ok"), (guarded, "EACCES")] {
        let container = podman
            .container(ATTACK_LINKS, &["sleep", "300"])
            .annotation(PROFILE, "claude-code")
            .run()?;
        let output = container.exec_output(options, &REACHED)?;
        container.remove()?;
        let expected: String = REACHED[1..]
            .chunks(2)
            .map(|verb| format!("{}: {result}\n", verb.join(" ")))
            .collect();
        let printed = String::from_utf8_lossy(&output.stdout);
        ensure!(
            printed == expected,
            "an exec that should get {result} printed {printed:?}, {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}
