//! The attacks on how containers are put together and entered.

mod annotations;
mod environment;
mod exec;
mod home;
mod launcher_place;
mod podman;
mod restore;
mod second_plugin;

use anyhow::Result;

use crate::node::Node;
use crate::podman::Podman;

/// One such attack; each brings its own control.
#[derive(Clone, Copy, Debug)]
pub struct Structural {
    /// Its name.
    pub name: &'static str,
    /// What it tries.
    pub tries: &'static str,
    /// What stops it.
    pub stopped_by: &'static str,
    /// What succeeds without.
    pub control: &'static str,
    /// What it cannot do without.
    pub needs: Needs,
    /// The attack itself.
    pub run: Run,
}

/// What an attack is given.
#[derive(Clone, Copy, Debug)]
pub enum Run {
    /// A node with both handlers.
    Node(fn(&Node) -> Result<()>),
    /// A Podman without the guard, and one with it.
    Podman(fn(&Podman, &Podman) -> Result<()>),
}

/// What a node must have for an attack.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Needs {
    /// A container runtime that serves CRI.
    Cri,
    /// NRI, and with it the plugin.
    Nri,
    /// Podman, whose exec has options that CRI's has not.
    Podman,
}

/// Every attack, in the order of the document.
pub fn all() -> Vec<Structural> {
    let topics: [&[Structural]; 8] = [
        exec::ATTACKS,
        podman::ATTACKS,
        environment::ATTACKS,
        home::ATTACKS,
        launcher_place::ATTACKS,
        annotations::ATTACKS,
        second_plugin::ATTACKS,
        restore::ATTACKS,
    ];
    topics.concat()
}
