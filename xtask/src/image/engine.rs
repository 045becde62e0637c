//! Container engines that can build deploy/images/Dockerfile.

use std::process::{Command, Stdio};

use anyhow::bail;
use clap::ValueEnum;

use super::VERSION;
use super::reference::Reference;
use crate::cargo::{root, run};

/// Which engine builds the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Engine {
    /// The first that works.
    Auto,
    /// Docker.
    Docker,
    /// Podman.
    Podman,
}

impl Engine {
    /// Has the image built. Says `false` if there was a choice, and no engine works.
    pub(super) fn build(self, name: &Reference) -> anyhow::Result<bool> {
        let program = match self {
            Self::Auto => match ["docker", "podman"].into_iter().find(|name| works(name)) {
                Some(found) => found,
                None => return Ok(false),
            },
            Self::Docker => "docker",
            Self::Podman => "podman",
        };
        if self != Self::Auto && !works(program) {
            bail!(
                "`{program} info` fails: start or install it, or leave the choice to --engine auto"
            );
        }
        println!("{program} builds {}", name.short());
        run(Command::new(program).current_dir(root()).args([
            "build",
            "--file=deploy/images/Dockerfile",
            &format!("--build-arg=VERSION={VERSION}"),
            &format!("--tag={}", name.short()),
            ".",
        ]))?;
        Ok(true)
    }
}

/// Whether it is installed, and whatever it needs is running.
fn works(program: &str) -> bool {
    let mut info = Command::new(program);
    info.arg("info").stdout(Stdio::null()).stderr(Stdio::null());
    info.status().is_ok_and(|status| status.success())
}
