//! The battery in one container, whichever container runtime it belongs to.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::battery::{BATTERY, Reach};
use super::outcome::{Outcome, Outcomes};
use super::place::Road;
use crate::pod::Container;
use crate::podman::PodmanContainer;
use crate::wait;

/// The attack program in its image.
pub(super) const PROGRAM: &str = "/bin/attack";
/// A program that is linked as usual, and runs into the image's loader.
pub(super) const DYNAMIC: &str = "/bin/dynamic";

const LIMIT: Duration = Duration::from_secs(60);

/// A running container.
pub(super) trait Inside {
    /// Runs a command and returns stdout.
    fn exec(&self, command: &[&str]) -> Result<String>;
    /// What its own command printed so far.
    fn output(&self) -> Result<String>;
    /// Waits until its own command has printed `text`.
    fn wait_for(&self, text: &str) -> Result<()>;
    /// The host's ID of its first process.
    fn pid(&self) -> Result<i64>;
}

impl Inside for Container<'_> {
    fn exec(&self, command: &[&str]) -> Result<String> {
        self.exec(command)
    }

    fn output(&self) -> Result<String> {
        self.output()
    }

    fn wait_for(&self, text: &str) -> Result<()> {
        self.wait_for_output(text, LIMIT)
    }

    fn pid(&self) -> Result<i64> {
        self.pid()
    }
}

impl Inside for PodmanContainer<'_> {
    fn exec(&self, command: &[&str]) -> Result<String> {
        self.exec(command)
    }

    fn output(&self) -> Result<String> {
        self.output()
    }

    fn wait_for(&self, text: &str) -> Result<()> {
        self.wait_for_output(text, LIMIT)
    }

    fn pid(&self) -> Result<i64> {
        self.pid()
    }
}

/// The command of a container that attacks as its first process.
pub(super) fn serve<'a>(names: &[&'a str]) -> Vec<&'a str> {
    [&[PROGRAM, "serve"], names].concat()
}

/// Attacks from a container that was started with [`serve`], as its first process and then by exec. The first process
/// waits for a victim that is exec'd.
pub(super) fn attack(container: &impl Inside, names: &[&str]) -> Result<[Outcomes; 2]> {
    container.wait_for("serve: ready")?;
    let mut first = Outcomes::default();
    look_for_modules(container, &mut first)?;
    container.exec(&[PROGRAM, "victim-behind"])?;
    container.exec(&[PROGRAM, "go"])?;
    container.wait_for("serve: done")?;
    let first = first.with(&container.output()?)?;
    // What the victim and the signal to go have left is not this one's.
    look_for_modules(container, &mut Outcomes::default())?;
    let output = container.exec(&[&[PROGRAM, "run"], names].concat())?;
    let mut exec = Outcomes::default().with(&output)?;
    look_for_modules(container, &mut exec)?;
    for (road, outcomes) in Road::ALL.iter().zip([&first, &exec]) {
        let seen = outcomes.victims();
        ensure!(
            seen >= 2,
            "by {road}, the attacker saw {seen} processes of other domains, should be 2 or more"
        );
    }
    Ok([first, exec])
}

/// What the image's modules left in /etc since the last look.
fn look_for_modules(container: &impl Inside, outcomes: &mut Outcomes) -> Result<()> {
    for attack in BATTERY {
        if let Reach::Module(file) = attack.reach {
            outcomes.insert(attack.name, marker(container, file)?);
        }
    }
    Ok(())
}

/// Attacks with the image's loader, in a container whose first process is [`DYNAMIC`].
pub(super) fn load(container: &impl Inside) -> Result<[Outcomes; 2]> {
    let mut found = [Outcomes::default(), Outcomes::default()];
    for attack in BATTERY {
        let Reach::Loader(file) = attack.reach else {
            continue;
        };
        // It leaves its mark in /tmp in any case.
        let ran = path_in(container, "tmp", file)?;
        wait::until("the image's loader", LIMIT, || {
            Ok(ran.exists().then_some(()))
        })?;
        found[0].insert(attack.name, marker(container, file)?);
        fs::remove_file(&ran).context("cannot forget that the loader ran")?;
        container.exec(&[DYNAMIC])?;
        ensure!(ran.exists(), "the image's loader did not run by exec");
        found[1].insert(attack.name, marker(container, file)?);
    }
    Ok(found)
}

/// Whether something of the image ran outside of the sandbox: it left a file in /etc. The file is removed.
fn marker(container: &impl Inside, file: &str) -> Result<Outcome> {
    let path = path_in(container, "etc", file)?;
    if !path.exists() {
        return Ok(Outcome::Held("nothing in /etc".to_owned()));
    }
    fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    Ok(Outcome::Won)
}

/// As the container's own process sees it.
fn path_in(container: &impl Inside, directory: &str, file: &str) -> Result<PathBuf> {
    let pid = container.pid()?;
    Ok(PathBuf::from(format!(
        "/proc/{pid}/root/{directory}/{file}"
    )))
}
