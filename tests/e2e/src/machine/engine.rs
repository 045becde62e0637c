//! What differs between containerd and CRI-O: programs, configuration, images.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::LIMIT;
use crate::daemon::{PAUSE_IMAGE, oci_runtime};
use crate::images;
use crate::node::Runtime;
use crate::podman::{CONMON, Storage};
use crate::repository::tool_home;
use crate::scratch::Scratch;
use crate::subprocess;

const CRIO: &str = include_str!("crio.toml");
/// Nothing is pulled, so nothing has to be signed.
const POLICY: &str = r#"{ "default": [{ "type": "insecureAcceptAnything" }] }"#;

/// A container runtime as a distribution would install it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Engine<'a>(pub(super) Runtime<'a>);

impl Engine<'_> {
    /// The name of its program, and of its directory in `/etc`.
    pub(super) fn name(self) -> &'static str {
        match self.0 {
            Runtime::Containerd(_) => "containerd",
            Runtime::Crio(_) => "crio",
        }
    }

    /// Its CRI socket, below `/run`.
    pub(super) fn socket(self) -> &'static str {
        match self.0 {
            Runtime::Containerd(_) => "containerd/containerd.sock",
            Runtime::Crio(_) => "crio/crio.sock",
        }
    }

    fn tools(self) -> Result<PathBuf> {
        match self.0 {
            Runtime::Crio(version) => tool_home("crio", version),
            Runtime::Containerd(version) if version.starts_with("1.") => {
                tool_home("containerd-1.7", version)
            }
            Runtime::Containerd(version) => tool_home("containerd", version),
        }
    }

    /// Puts its programs into `/usr/local`.
    pub(super) fn install(self, scratch: &Scratch) -> Result<()> {
        let programs: &[&str] = match self.0 {
            Runtime::Containerd(_) => &["containerd", "containerd-shim-runc-v2", "ctr"],
            Runtime::Crio(_) => &["crio", "pinns"],
        };
        let tools = self.tools()?;
        for program in programs {
            symlink(
                tools.join(program),
                scratch.join("usr-local/bin").join(program),
            )?;
        }
        let runc = oci_runtime(scratch.path(), self.0)?;
        symlink(runc, scratch.join("usr-local/sbin/runc")).context("cannot install runc")
    }

    /// Writes its configuration: containerd's own default one, changed by `edit`, or a drop-in of CRI-O's.
    pub(super) fn configure(
        self,
        scratch: &Scratch,
        edit: impl FnOnce(String) -> String,
    ) -> Result<()> {
        let directory = scratch.join("etc").join(self.name());
        let (path, text) = match self.0 {
            Runtime::Containerd(_) => (directory.join("config.toml"), self.generated()?),
            Runtime::Crio(_) => {
                Storage::below(scratch.path()).configure()?;
                fs::write(scratch.join("policy.json"), POLICY)?;
                let text = CRIO
                    .replace("@HOME@", &scratch.path().to_string_lossy())
                    .replace("@CONMON@", CONMON)
                    .replace("@PAUSE@", PAUSE_IMAGE);
                (directory.join("crio.conf.d/10-machine.conf"), text)
            }
        };
        fs::create_dir_all(path.parent().unwrap_or(&directory))?;
        fs::write(&path, edit(text)).context("cannot write the runtime's configuration")
    }

    /// What containerd generates, with the pause image that there is, and without what this machine may withhold.
    fn generated(self) -> Result<String> {
        let program = self.tools()?.join("containerd");
        let text = subprocess::text(&program, &["config", "default"], LIMIT)?;
        let line = |line: &str| {
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            match key.trim() {
                "restrict_oom_score_adj" => format!("{key}= true\n"),
                "sandbox_image" => format!("{key}= '{PAUSE_IMAGE}'\n"),
                "sandbox" if value.contains("pause") => format!("{key}= '{PAUSE_IMAGE}'\n"),
                _ => format!("{line}\n"),
            }
        };
        Ok(text.lines().map(line).collect())
    }

    /// Has it use the machine's own image store.
    pub(super) fn keep_apart(self, scratch: &Scratch, command: &mut Command) {
        if let Runtime::Crio(_) = self.0 {
            Storage::below(scratch.path()).keep_apart(command);
        }
    }

    /// Takes an image; `shell` runs a command on the machine.
    pub(super) fn import(
        self,
        scratch: &Scratch,
        image: &str,
        shell: impl FnOnce(&str) -> Result<String>,
    ) -> Result<()> {
        let archive = images::archive(image)?;
        match self.0 {
            Runtime::Containerd(_) => {
                let archive = archive.to_string_lossy();
                let import = format!("ctr --namespace=k8s.io images import --local {archive}");
                shell(&import).map(drop)
            }
            Runtime::Crio(_) => {
                Storage::below(scratch.path()).import(&archive, &images::reference(image))
            }
        }
    }
}
