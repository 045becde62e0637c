//! An OCI runtime for machines that withhold CAP_SYS_RESOURCE.
//!
//! CRI-O protects its sandboxes from the kernel's memory killer, and gives privileged containers every capability
//! that it knows. containerd can be told not to do the one, and looks before it does the other.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::install::open_to_all;

const CAP_SYS_RESOURCE: u32 = 24;

const SCRIPT: &str = r#"#!/bin/sh
# runc, without what this machine withholds: CAP_SYS_RESOURCE, and the lowering of oom_score_adj that needs it.
without() {
    sed -i -e 's/"oomScoreAdj": *-[0-9]*/"oomScoreAdj":0/' -e 's/"CAP_SYS_RESOURCE", *//g' "$1"
}
previous=
for argument; do
    case "$previous" in
    --bundle) without "$argument/config.json" ;;
    --process) without "$argument" ;;
    esac
    previous=$argument
done
exec @RUNC@ "$@"
"#;

/// The runtime itself, or a script in front of it that takes out of bundles what cannot be had.
pub(super) fn without(home: &Path, runc: &Path) -> Result<PathBuf> {
    let status =
        fs::read_to_string("/proc/self/status").context("cannot read /proc/self/status")?;
    if has_capability(&status) {
        return Ok(runc.to_owned());
    }
    let script = home.join("runc-without");
    fs::write(&script, SCRIPT.replace("@RUNC@", &runc.to_string_lossy()))
        .context("cannot write the OCI runtime's wrapper")?;
    open_to_all(&script)?;
    Ok(script)
}

fn has_capability(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| (mask >> CAP_SYS_RESOURCE) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::has_capability;

    #[test]
    fn the_capability_is_read_from_the_effective_set() {
        assert!(has_capability("CapPrm:\t0\nCapEff:\t000001ffffffffff\n"));
        assert!(!has_capability(
            "CapPrm:\tffffffffffff\nCapEff:\t000001fffeffffff\n"
        ));
        assert!(!has_capability(""));
    }
}
