//! A pod network without a network: a CNI plugin that only says what a runtime wants to hear.
//!
//! Pods use the host's network unless they have a user namespace, which cannot own the host's.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};

/// The loopback plugin, too, because containerd 1.7 calls one of that name.
const PLUGINS: [&str; 2] = ["unconnected", "loopback"];

const PLUGIN: &str = r#"#!/bin/sh
cat > /dev/null
case "$CNI_COMMAND" in
VERSION) echo '{"cniVersion":"0.4.0","supportedVersions":["0.3.1","0.4.0"]}' ;;
ADD)
    cat <<END
{
  "cniVersion": "0.4.0",
  "interfaces": [{ "name": "$CNI_IFNAME", "sandbox": "$CNI_NETNS" }],
  "ips": [{ "version": "4", "interface": 0, "address": "192.0.2.1/32" }]
}
END
    ;;
esac
"#;

const NETWORK: &str = r#"{
  "cniVersion": "0.4.0",
  "name": "unconnected",
  "plugins": [{ "type": "unconnected" }]
}
"#;

/// Writes the plugin and its configuration into `cni-bin` and `cni-conf`.
pub(super) fn lay_out(home: &Path) -> Result<()> {
    let (programs, networks) = (home.join("cni-bin"), home.join("cni-conf"));
    for directory in [&programs, &networks] {
        fs::create_dir_all(directory).context("cannot make the directories of the network")?;
    }
    for name in PLUGINS {
        let program = programs.join(name);
        fs::write(&program, PLUGIN).context("cannot write the network plugin")?;
        fs::set_permissions(&program, Permissions::from_mode(0o755))?;
    }
    fs::write(networks.join("10-unconnected.conflist"), NETWORK)
        .context("cannot write the network's configuration")
}
