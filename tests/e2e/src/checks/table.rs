//! The table of the demo.

use anyhow::{Result, ensure};

use super::{Check, shared};
use crate::demo;
use crate::node::Node;

pub(super) const CHECKS: &[Check] = &[shared(
    "the before/after table is what the specification says",
    table,
)];

fn table(node: &Node) -> Result<()> {
    let deviations = demo::run(node, |_| ())?.deviations();
    ensure!(deviations.is_empty(), "{}", deviations.join("; "));
    Ok(())
}
