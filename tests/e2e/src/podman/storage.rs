//! A private image and container store, which CRI-O and Podman share the format of.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::subprocess;

const IMPORT_LIMIT: Duration = Duration::from_secs(300);

const HIDE_VAR_LIB: &str = r#"mount -t tmpfs none /var/lib && exec "$0" "$@""#;

/// A store below a node's directory.
#[derive(Clone, Debug)]
pub(crate) struct Storage {
    home: PathBuf,
}

impl Storage {
    pub(crate) fn below(home: &Path) -> Self {
        Self {
            home: home.to_owned(),
        }
    }

    /// Writes the configuration that keeps the machine's own store, networks and locks out of it.
    pub(crate) fn configure(&self) -> Result<()> {
        let home = self.home.display();
        let store = format!(
            "[storage]\ndriver = \"overlay\"\ngraphroot = \"{home}/storage\"\nrunroot = \"{home}/storage-run\"\n"
        );
        // Locks in memory would be the machine's.
        let engine = format!(
            "[engine]\nlock_type = \"file\"\nevents_logger = \"none\"\ntmp_dir = \"{home}/podman\"\n\
             static_dir = \"{home}/storage/libpod\"\nvolume_path = \"{home}/volumes\"\n\
             [network]\nnetwork_config_dir = \"{home}/networks\"\n"
        );
        fs::write(self.home.join("storage.conf"), store).context("cannot write storage.conf")?;
        fs::write(self.home.join("containers.conf"), engine).context("cannot write containers.conf")
    }

    /// Makes a program use this configuration instead of the machine's.
    pub(crate) fn keep_apart(&self, command: &mut Command) {
        command.envs(self.variables());
    }

    /// The arguments that every call of Podman starts with.
    pub(super) fn arguments(&self) -> Vec<String> {
        let home = self.home.display();
        vec![
            format!("--root={home}/storage"),
            format!("--runroot={home}/storage-run"),
            format!("--tmpdir={home}/podman"),
            "--storage-driver=overlay".to_owned(),
            "--cgroup-manager=cgroupfs".to_owned(),
        ]
    }

    /// Where the bundles of containers are, one directory each.
    pub(crate) fn containers(&self) -> PathBuf {
        self.home.join("storage-run/overlay-containers")
    }

    /// Takes an image from an OCI archive and gives it a name.
    pub(crate) fn import(&self, archive: &Path, name: &str) -> Result<()> {
        let source = format!("oci-archive:{}", archive.display());
        let program = super::program()?;
        // Podman notes what it copied in /var/lib, wherever its store is.
        let hidden = [
            "--mount",
            "sh",
            "-c",
            HIDE_VAR_LIB,
            &program.to_string_lossy(),
        ];
        let own = self.arguments();
        let own = own.iter().map(String::as_str);
        let pull = ["pull", "--quiet", &source];
        let all: Vec<&str> = hidden.into_iter().chain(own).chain(pull).collect();
        let unshare = Path::new("unshare");
        let id = subprocess::text_with(unshare, &all, &self.variables(), IMPORT_LIMIT)?;
        self.podman(&["tag", id.trim(), name], IMPORT_LIMIT)
            .map(drop)
    }

    /// Runs Podman on this store.
    pub(super) fn podman(&self, arguments: &[&str], limit: Duration) -> Result<String> {
        let own = self.arguments();
        let own = own.iter().map(String::as_str);
        let all: Vec<&str> = own.chain(arguments.iter().copied()).collect();
        subprocess::text_with(&super::program()?, &all, &self.variables(), limit)
    }

    /// Like [`Storage::podman`], whatever the exit status.
    pub(super) fn podman_output(&self, arguments: &[&str], limit: Duration) -> Result<Output> {
        let own = self.arguments();
        let own = own.iter().map(String::as_str);
        let all: Vec<&str> = own.chain(arguments.iter().copied()).collect();
        subprocess::output_with(&super::program()?, &all, &self.variables(), limit)
    }

    fn variables(&self) -> [(&'static str, PathBuf); 2] {
        [
            ("CONTAINERS_CONF", self.home.join("containers.conf")),
            ("CONTAINERS_STORAGE_CONF", self.home.join("storage.conf")),
        ]
    }
}
