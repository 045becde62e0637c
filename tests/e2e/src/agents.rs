//! Coding agents and language tools under their profiles, on a real containerd.
//!
//! Everything runs as root and as user 1000, with a home and a workspace on volumes, as in a cluster. Agents run
//! without any network service: what they do here, they do alone, or with a model that the check plays.

mod claude;
mod commands;
mod desk;
mod languages;
mod model;
mod secrets;

use anyhow::Result;

use crate::node::Node;

type Run = Box<dyn Fn(&Node) -> Result<()> + Send + Sync>;

/// One promise.
pub struct Check {
    /// What holds, as a sentence.
    pub name: String,
    run: Run,
}

impl Check {
    fn new(name: String, run: impl Fn(&Node) -> Result<()> + Send + Sync + 'static) -> Self {
        let run = Box::new(run);
        Self { name, run }
    }

    /// Finds out.
    pub fn run(&self, node: &Node) -> Result<()> {
        (self.run)(node)
    }
}

/// Every check, in order.
pub fn all() -> Result<Vec<Check>> {
    let mut checks = commands::checks()?;
    checks.extend(claude::checks());
    checks.extend(model::checks());
    checks.extend(secrets::checks());
    checks.extend(languages::checks());
    Ok(checks)
}
