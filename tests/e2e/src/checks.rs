//! What a sandboxed pod on a real container runtime must do, by topic.
//!
//! A check is a function that returns an error when the promise in its name does not hold. Most share one node per
//! runtime and version; those that restart things, or configure the runtime differently, start their own.

mod baseline;
mod broken;
mod confinement;
mod contract;
mod endpoints;
mod failure;
mod filters;
mod ground;
mod guard;
mod hostile;
mod image;
mod languages;
mod node_setup;
mod podman;
mod process;
mod profiles;
mod runtimes;
mod scale;
mod table;
mod volumes;

use anyhow::Result;

pub use self::ground::Ground;
use crate::node::Node;

/// One promise.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// What holds, as a sentence.
    pub name: &'static str,
    /// On which runtimes.
    pub on: On,
    /// How to find out.
    pub run: Run,
}

/// Container runtimes and their versions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum On {
    /// Every pinned version of containerd 2.
    All,
    /// The first pinned one of them: the runtime's version cannot matter.
    First,
    /// containerd 1.7, whose NRI drops changed arguments.
    Containerd1,
    /// CRI-O.
    Crio,
    /// CRI-O and containerd 1.7.
    Elsewhere,
    /// Podman, which has no pods of a kubelet's: these checks have nodes of their own.
    Podman,
}

/// What a check needs.
#[derive(Clone, Copy, Debug)]
pub enum Run {
    /// The node that all such checks share, with plugin, guard and all images.
    Shared(fn(&Node) -> Result<()>),
    /// A node of its own, of the given version.
    Own(fn(&str) -> Result<()>),
}

/// Every check, in order.
pub fn all() -> Vec<Check> {
    let topics: [&[Check]; 18] = [
        baseline::CHECKS,
        table::CHECKS,
        contract::CHECKS,
        profiles::CHECKS,
        process::CHECKS,
        languages::CHECKS,
        hostile::CHECKS,
        volumes::CHECKS,
        failure::CHECKS,
        endpoints::CHECKS,
        guard::CHECKS,
        broken::CHECKS,
        filters::CHECKS,
        scale::CHECKS,
        image::CHECKS,
        runtimes::CHECKS,
        podman::CHECKS,
        node_setup::CHECKS,
    ];
    topics.concat()
}

const fn shared(name: &'static str, run: fn(&Node) -> Result<()>) -> Check {
    shared_on(On::All, name, run)
}

const fn shared_once(name: &'static str, run: fn(&Node) -> Result<()>) -> Check {
    shared_on(On::First, name, run)
}

const fn shared_on(on: On, name: &'static str, run: fn(&Node) -> Result<()>) -> Check {
    Check {
        name,
        on,
        run: Run::Shared(run),
    }
}

const fn own(name: &'static str, run: fn(&str) -> Result<()>) -> Check {
    own_on(On::All, name, run)
}

const fn own_on(on: On, name: &'static str, run: fn(&str) -> Result<()>) -> Check {
    Check {
        name,
        on,
        run: Run::Own(run),
    }
}
