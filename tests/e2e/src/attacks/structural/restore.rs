//! Processes that no launcher starts: those of a checkpoint.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::{Needs, Run, Structural};
use crate::node::Node;
use crate::subprocess;

pub(super) const ATTACKS: &[Structural] = &[Structural {
    name: "restore",
    tries: "have the runtime restore the processes of a checkpoint image",
    stopped_by: "the guard refuses `restore`",
    control: "runc takes the command, and misses the checkpoint",
    needs: Needs::Cri,
    run: Run::Node(restore),
}];

fn restore(node: &Node) -> Result<()> {
    let root = node.scratch().join("attacked/restore-root");
    let root = root.to_string_lossy();
    let bundle = node.scratch().path().to_string_lossy().into_owned();
    let call = |program: &std::path::Path, before: &[&str]| {
        let arguments = [before, &["restore", "--bundle", &bundle, "restored"]].concat();
        let output = subprocess::output(program, &arguments, Duration::from_secs(10))?;
        ensure!(
            !output.status.success(),
            "{} restored something",
            program.display()
        );
        anyhow::Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let globals: [&[&str]; 2] = [
        &["--root", &root],
        &["--root", &root, "--log-format", "json"],
    ];
    for before in globals {
        let control = call(node.daemon().runc(), before)?;
        ensure!(
            !control.contains("guard") && !control.contains("nono-runc"),
            "the control says {control:?}"
        );
        let refusal = call(&node.guard()?.binary(), before)?;
        ensure!(
            refusal.contains("restore") && refusal != control,
            "the guard says {refusal:?}"
        );
    }
    Ok(())
}
