//! The built binaries, laid out as on a node.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use kubefence_plugin::config::Config;
use kubefence_plugin::kernel::landlock_abi;
use kubefence_plugin::readiness::Readiness;
use kubefence_profile::Catalog;
use nri_plugin::api::{Container, PodSandbox};
use test_support::{ContainerBuilder, PodBuilder};

use crate::sample::Row;

/// A temporary node.
#[derive(Debug)]
pub struct Node {
    dir: tempfile::TempDir,
}

impl Node {
    /// Lays out `./nono` with the plans of all built-in profiles.
    pub fn new() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let opt = dir.path().join("opt");
        fs::create_dir(&opt)?;
        fs::copy(binary("nono"), opt.join("nono"))
            .context("there is no ./nono: run `make build`")?;
        let node = Self { dir };
        let config = Config::parse(node.path(), &node.config())?;
        Readiness::new(config, Catalog::built_in()?, landlock_abi).profiles()?;
        Ok(node)
    }

    /// The node's directory.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The launcher as containers start it.
    pub fn launcher(&self) -> PathBuf {
        self.dir.path().join("opt/nono")
    }

    /// The plugin's configuration on this node.
    pub fn config(&self) -> String {
        let dir = self.dir.path().display();
        format!(
            "nono_bin_path = \"{dir}/opt/nono\"\nsocket_path = \"{dir}/nri.sock\"\nstate_dir = \"{dir}/state\"\n"
        )
    }

    /// Sizes of the binaries.
    pub fn sizes(&self) -> anyhow::Result<Vec<Row>> {
        let row = |name: &str| {
            let size = fs::metadata(binary(name))?.len();
            Ok(Row {
                measure: format!("size of `{name}`"),
                median: format!("{} KiB", size.div_ceil(1024)),
                p99: String::new(),
                remark: "static, stripped".to_owned(),
            })
        };
        ["nono", "nono-runc", "10-nono-nri"]
            .into_iter()
            .map(row)
            .collect()
    }
}

/// A binary that `make build` put at the root.
pub fn binary(name: &str) -> PathBuf {
    repository().join(name)
}

/// The root of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A pod of the plugin's handler.
pub fn pod(name: &str) -> PodSandbox {
    PodBuilder::new(name)
        .namespace("bench")
        .runtime_handler("nono-runc")
        .build()
}

/// A container such as a kubelet creates: a dozen mounts, a few dozen variables.
pub fn container(pod: &PodSandbox) -> Container {
    let mut builder = ContainerBuilder::new(pod, "app")
        .args(["myapp", "--flag"])
        .env("PATH", "/usr/local/bin:/usr/bin:/bin");
    for i in 0..30 {
        builder = builder.env(&format!("SERVICE_{i}_PORT"), "tcp://10.0.0.1:443");
    }
    for i in 0..12 {
        builder = builder.bind_mount(
            "/var/lib/kubelet/x",
            &format!("/mnt/volume-{i}"),
            &["rbind", "rprivate", "ro"],
        );
    }
    builder.build()
}
