//! The programs of a cluster, as `cargo xtask setup --group kubernetes` installs them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use e2e::repository::{self, Versions};

/// Where each tool lies in `.cache/tools`.
#[derive(Debug)]
pub(crate) struct Tools {
    /// kubelet, kubectl, the control plane, etcd.
    pub(crate) kubernetes: PathBuf,
    /// CNI plugins.
    pub(crate) cni: PathBuf,
    /// helm.
    pub(crate) helm: PathBuf,
    /// containerd, its shim, ctr.
    pub(crate) containerd: PathBuf,
    /// runc.
    pub(crate) runc: PathBuf,
    /// What is pinned of them, in words.
    pub(crate) versions: String,
}

impl Tools {
    /// Finds all of them, or says which is missing.
    pub(crate) fn find() -> Result<Self> {
        let versions = Versions::read()?;
        let home = |name: &str| -> Result<PathBuf> {
            versions
                .home(name)
                .with_context(|| "run `cargo xtask setup --group kubernetes` first")
        };
        let version = |name: &str| -> Result<String> { Ok(versions.of(name)?[0].clone()) };
        Ok(Self {
            kubernetes: home("kubernetes")?,
            cni: home("cni-plugins")?,
            helm: home("helm")?,
            containerd: home("containerd")?,
            runc: home("runc")?,
            versions: format!(
                "Kubernetes {}, containerd {}, runc {}",
                version("kubernetes")?,
                version("containerd")?,
                version("runc")?
            ),
        })
    }
}

/// The image that is installed: `$KUBEFENCE_IMAGE`, else what `cargo xtask image` writes.
pub(crate) fn image_archive() -> Result<PathBuf> {
    let path = std::env::var_os("KUBEFENCE_IMAGE").map_or_else(
        || repository::root().join("target/image/kubefence-image.tar"),
        PathBuf::from,
    );
    ensure!(
        path.is_file(),
        "{} is missing: run `cargo xtask image`, or point KUBEFENCE_IMAGE at it",
        path.display()
    );
    Ok(path)
}

/// The chart.
pub(crate) fn chart() -> PathBuf {
    deploy("helm/kubefence")
}

/// A file that is shipped for deployment.
pub(crate) fn deploy(name: impl AsRef<Path>) -> PathBuf {
    repository::root().join("deploy").join(name)
}
