//! `make chart`: writes the chart's README, the golden renders and the manifests of deploy/ anew. The tests of this
//! crate fail while one of them is not up to date.

#![forbid(unsafe_code)]

use std::fs;

use anyhow::{Context as _, Result};

fn main() -> Result<()> {
    let root = chart::root();
    for (path, text) in chart::generated::all()? {
        let shown = path.strip_prefix(&root).unwrap_or(&path).display();
        let state = match fs::read_to_string(&path) {
            Ok(found) if found == text => "unchanged",
            _ => {
                fs::write(&path, text).with_context(|| format!("cannot write {shown}"))?;
                "written"
            }
        };
        println!("{state:>9} {shown}");
    }
    Ok(())
}
