//! The node's network: its own address, the service address of the API server, and no way out.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::subprocess;

use super::layout::{NODE_IP, SERVICE_IP};

const IP: &str = "/usr/sbin/ip";
const LIMIT: Duration = Duration::from_secs(10);
/// A bridge, because every kernel that runs pods has them.
const INTERFACE: &str = "node0";

/// Gives the node its interfaces; pods get theirs from the CNI plugin.
pub(crate) fn lay_out() -> Result<()> {
    let node = format!("{NODE_IP}/24");
    let service = format!("{SERVICE_IP}/32");
    let commands: [&[&str]; 6] = [
        &["link", "set", "lo", "up"],
        &["address", "add", &service, "dev", "lo"],
        &["link", "add", INTERFACE, "type", "bridge"],
        &["address", "add", &node, "dev", INTERFACE],
        &["link", "set", INTERFACE, "up"],
        &["route", "add", "default", "dev", INTERFACE],
    ];
    for command in commands {
        subprocess::text(Path::new(IP), command, LIMIT).context(
            "iproute2 is missing, or the kernel has no bridges: run `cargo xtask setup`",
        )?;
    }
    fs::write("/proc/sys/net/ipv4/ip_forward", "1").context("cannot forward packets")
}
