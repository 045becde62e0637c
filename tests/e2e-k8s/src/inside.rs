//! On the node: starts the cluster, then runs the checks or gives a shell.

use std::path::Path;

use anyhow::{Context, Result};
use e2e::terminal::progress;

use crate::checks;
use crate::cli::Selection;
use crate::cluster::Cluster;
use crate::machine::on_node;
use crate::suite::{Suite, Summary};

/// Runs to the end of checks or shell; whether all was well.
pub(crate) fn run(scratch: &Path, selection: &Selection) -> Result<bool> {
    let cluster = Cluster::start(scratch)?;
    if selection.shell {
        progress("kubectl and helm are on PATH; `exit` takes everything away");
        let shell = on_node("/bin/sh", scratch).arg("-i").status();
        return Ok(shell.context("cannot run /bin/sh")?.success());
    }
    let mut suite = Suite::continued(Summary::default());
    checks::run(&cluster, selection, &mut suite);
    suite.hand_over(scratch)?;
    Ok(suite.passed())
}
