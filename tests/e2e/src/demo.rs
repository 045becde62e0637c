//! The before/after table: one Python workload as a baseline pod and as a sandboxed pod.

mod table;

use std::time::Duration;

use anyhow::{Context, Result};

pub use self::table::{Outcome, Row, Table};
use crate::daemon::{BASELINE, SANDBOXED};
use crate::images;
use crate::node::Node;

const WORKLOAD: &str = include_str!("demo/workload.py");
const LIMIT: Duration = Duration::from_secs(60);

/// Runs the workload under both handlers. `report` hears about each step.
pub fn run(node: &Node, report: impl Fn(&str)) -> Result<Table> {
    report("running the workload as a baseline pod");
    let baseline = workload_output(node, BASELINE)?;
    report("running the workload as a sandboxed pod");
    let sandbox = workload_output(node, SANDBOXED)?;
    Ok(Table::from_outputs(&baseline, &sandbox))
}

fn workload_output(node: &Node, handler: &str) -> Result<String> {
    let pod = node
        .pod("demo")
        .handler(handler)
        .run()
        .with_context(|| format!("pod of handler {handler}"))?;
    let exit = pod
        .container(images::DEBIAN, &["python3", "-c", WORKLOAD])
        .finish(LIMIT)
        .with_context(|| format!("workload under handler {handler}"))?;
    let output = exit
        .success()
        .with_context(|| format!("workload under handler {handler}"))?;
    pod.remove()?;
    Ok(output)
}
