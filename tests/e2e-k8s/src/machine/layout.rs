//! Where everything lies on the node, and the files that are there before anything runs.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;

use super::runtime;
use super::supervisor;
use crate::tools::Tools;

/// The node's address, which the API server announces.
pub(crate) const NODE_IP: &str = "172.31.99.1";
/// The first address of the service network, which is the API server's. No proxy: the node has the address itself.
pub(crate) const SERVICE_IP: &str = "10.96.0.1";
/// What services may be given.
pub(super) const SERVICES: &str = "10.96.0.0/16";
/// What pods are given.
const PODS: &str = "10.244.0.0/24";

/// The administrator's way in.
pub(crate) const KUBECONFIG: &str = "/etc/kubernetes/admin.conf";
/// Keys and certificates.
pub(super) const PKI: &str = "/etc/kubernetes/pki";
/// The main configuration of the container runtime.
pub(crate) const CONTAINERD_CONFIG: &str = "/etc/containerd/config.toml";
/// Restarts containerd and waits until it is done; works in a chroot of the node, too.
pub(crate) const RESTART_COMMAND: &str = "/run/e2e/restart-containerd";
/// Where programs are found on the node.
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Directories that a node's packages would have made.
const DIRECTORIES: [&str; 7] = [
    "/etc/containerd/conf.d",
    "/etc/cni/net.d",
    "/etc/kubernetes/manifests",
    "/opt/cni/bin",
    "/usr/local/bin",
    "/usr/local/sbin",
    "/var/lib/kubelet",
];

/// All are one program, which looks at what it is called.
const COMPONENTS: [&str; 6] = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubectl",
    "kubelet",
];

/// Installs the programs where their own instructions put them, and writes the configuration of runtime and network.
pub(super) fn write(scratch: &Path, tools: &Tools) -> Result<()> {
    for directory in DIRECTORIES {
        create(Path::new(directory))?;
    }
    create(&scratch.join("logs"))?;
    create(&scratch.join("home"))?;
    for program in ["containerd", "containerd-shim-runc-v2", "ctr"] {
        install(&tools.containerd.join(program), "/usr/local/bin")?;
    }
    install(&tools.runc.join("runc"), "/usr/local/sbin")?;
    for plugin in ["bridge", "loopback", "host-local"] {
        install(&tools.cni.join(plugin), "/opt/cni/bin")?;
    }
    install(&tools.helm.join("helm"), "/usr/local/bin")?;
    // Hundreds of megabytes that nothing on the node looks into.
    for name in COMPONENTS {
        link(
            &tools.kubernetes.join(name),
            &Path::new("/usr/local/bin").join(name),
        )?;
    }
    file("/etc/cni/net.d/10-bridge.conflist", &network().to_string())?;
    file("/etc/kubernetes/resolv.conf", "nameserver 192.0.2.53\n")?;
    file(CONTAINERD_CONFIG, &runtime::stock_config()?)?;
    write_run()
}

/// What has to be in /run, which is empty at each start of the node.
pub(super) fn write_run() -> Result<()> {
    create(Path::new("/run/lock"))?;
    create(Path::new("/run/e2e"))?;
    supervisor::write_command()
}

/// Writes a file of the node.
pub(super) fn file(path: impl AsRef<Path>, text: &str) -> Result<()> {
    let path = path.as_ref();
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Makes a directory of the node.
pub(super) fn create(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("cannot create {}", path.display()))
}

fn install(program: &Path, directory: &str) -> Result<()> {
    let target = Path::new(directory).join(program.file_name().unwrap_or_default());
    fs::copy(program, &target).with_context(|| format!("cannot install {}", program.display()))?;
    fs::set_permissions(&target, Permissions::from_mode(0o755))
        .with_context(|| format!("cannot change the mode of {}", target.display()))
}

fn link(to: &Path, at: &Path) -> Result<()> {
    symlink(to, at).with_context(|| format!("cannot link {}", at.display()))
}

fn network() -> serde_json::Value {
    json!({
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [{
            "type": "bridge",
            "bridge": "cni0",
            "isGateway": true,
            "ipMasq": false,
            "ipam": {
                "type": "host-local",
                "ranges": [[{ "subnet": PODS }]],
                "routes": [{ "dst": "0.0.0.0/0" }],
                "dataDir": "/var/lib/cni/networks",
            },
        }],
    })
}
