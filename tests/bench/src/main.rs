//! Measures the built binaries as whole processes and prints a Markdown table.

#![forbid(unsafe_code)]

use bench::{guard, launcher, machine, node, plugin};

fn main() -> anyhow::Result<()> {
    let node = node::Node::new()?;
    println!("{}\n", machine::describe());
    println!("| measure | median | p99 | remark |");
    println!("| --- | --- | --- | --- |");
    for row in launcher::rows(&node)?
        .into_iter()
        .chain(guard::rows(&node)?)
        .chain(plugin::rows(&node)?)
        .chain(node.sizes()?)
    {
        println!(
            "| {} | {} | {} | {} |",
            row.measure, row.median, row.p99, row.remark
        );
    }
    Ok(())
}
