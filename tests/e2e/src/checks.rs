//! What a sandboxed pod on a real containerd must do, by topic.
//!
//! A check is a function that returns an error when the promise in its name does not hold. Most share one node per
//! containerd version; those that restart things, or configure the runtime differently, start their own.

mod baseline;
mod contract;
mod failure;
mod filters;
mod hostile;
mod languages;
mod process;
mod profiles;
mod scale;
mod table;
mod volumes;

use anyhow::Result;

use crate::node::Node;

/// One promise.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// What holds, as a sentence.
    pub name: &'static str,
    /// On which versions of containerd.
    pub versions: On,
    /// How to find out.
    pub run: Run,
}

/// Versions of containerd.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum On {
    /// Every pinned one.
    All,
    /// The first pinned one: the runtime's version cannot matter.
    First,
}

/// What a check needs.
#[derive(Clone, Copy, Debug)]
pub enum Run {
    /// The node that all such checks share, with the plugin attached and all images.
    Shared(fn(&Node) -> Result<()>),
    /// A node of its own, of the given containerd version.
    Own(fn(&str) -> Result<()>),
}

/// Every check, in order.
pub fn all() -> Vec<Check> {
    let topics: [&[Check]; 11] = [
        baseline::CHECKS,
        table::CHECKS,
        contract::CHECKS,
        profiles::CHECKS,
        process::CHECKS,
        languages::CHECKS,
        hostile::CHECKS,
        volumes::CHECKS,
        failure::CHECKS,
        filters::CHECKS,
        scale::CHECKS,
    ];
    topics.concat()
}

const fn shared(name: &'static str, run: fn(&Node) -> Result<()>) -> Check {
    Check {
        name,
        versions: On::All,
        run: Run::Shared(run),
    }
}

const fn shared_once(name: &'static str, run: fn(&Node) -> Result<()>) -> Check {
    Check {
        name,
        versions: On::First,
        run: Run::Shared(run),
    }
}

const fn own(name: &'static str, run: fn(&str) -> Result<()>) -> Check {
    Check {
        name,
        versions: On::All,
        run: Run::Own(run),
    }
}
