//! What checks run on.

use std::fmt;

use anyhow::{Result, bail};

use super::{Check, On};
use crate::images;
use crate::node::{Fixture, Node};
use crate::podman;
use crate::repository::Versions;

/// The images of a shared node; runtimes that few checks run on need no more than the first.
const IMAGES: [&str; 6] = [
    images::BUSYBOX,
    images::SCRATCH,
    images::HOSTILE,
    images::REDIRECT,
    images::GRASPING,
    images::DEBIAN,
];

/// A container runtime of one version.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ground {
    kind: Kind,
    version: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    FirstContainerd,
    LaterContainerd,
    Containerd1,
    Crio,
    Podman,
}

impl Ground {
    /// All of them, in order: the pinned versions, and the installed Podman.
    pub fn all() -> Result<Vec<Self>> {
        let versions = Versions::read()?;
        let containerd = versions.of("containerd")?;
        let kinds = [Kind::FirstContainerd]
            .into_iter()
            .chain(std::iter::repeat(Kind::LaterContainerd));
        let mut all: Vec<Self> = kinds
            .zip(containerd)
            .map(|(kind, version)| Self::new(kind, version))
            .collect();
        all.push(Self::new(Kind::Crio, &versions.of("crio")?[0]));
        all.push(Self::new(Kind::Podman, &podman::version()));
        let old = &versions.of("containerd-1.7")?[0];
        all.push(Self::new(Kind::Containerd1, old));
        Ok(all)
    }

    fn new(kind: Kind, version: &str) -> Self {
        let version = version.to_owned();
        Self { kind, version }
    }

    /// Without `v`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether a check is to be run here.
    pub fn has(&self, check: &Check) -> bool {
        let runtimes: &[On] = match self.kind {
            Kind::FirstContainerd => &[On::All, On::First],
            Kind::LaterContainerd => &[On::All],
            Kind::Containerd1 => &[On::Containerd1, On::Elsewhere],
            Kind::Crio => &[On::Crio, On::Elsewhere],
            Kind::Podman => &[On::Podman],
        };
        runtimes.contains(&check.on)
    }

    /// Starts the node that checks share, with plugin and guard.
    pub fn start_shared(&self) -> Result<Node> {
        let version = &self.version;
        let fixture = match self.kind {
            Kind::FirstContainerd | Kind::LaterContainerd => {
                Fixture::containerd(version).images(&IMAGES)
            }
            Kind::Containerd1 => Fixture::containerd(version).images(&IMAGES[..1]),
            Kind::Crio => Fixture::crio(version).images(&IMAGES[..1]),
            Kind::Podman => bail!("Podman serves no kubelet, so its checks share no node"),
        };
        Node::start(fixture.plugin().guard())
    }
}

/// Like `CRI-O 1.36.3`.
impl fmt::Display for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.kind {
            Kind::FirstContainerd | Kind::LaterContainerd | Kind::Containerd1 => "containerd",
            Kind::Crio => "CRI-O",
            Kind::Podman => "Podman",
        };
        write!(f, "{name} {}", self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Run, all};
    use super::*;

    #[test]
    fn every_check_is_run_somewhere_and_shares_a_node_only_where_there_is_one() {
        let grounds = Ground::all().unwrap();
        for check in all() {
            let here: Vec<_> = grounds.iter().filter(|ground| ground.has(&check)).collect();
            assert!(!here.is_empty(), "{} runs nowhere", check.name);
            if let Run::Shared(_) = check.run {
                assert!(here.iter().all(|ground| ground.kind != Kind::Podman));
            }
        }
    }

    #[test]
    fn no_two_checks_of_a_runtime_have_the_same_name() {
        for ground in Ground::all().unwrap() {
            let checks = all().into_iter().filter(|check| ground.has(check));
            let mut names: Vec<_> = checks.map(|check| check.name).collect();
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count, "{ground}");
        }
    }

    #[test]
    fn old_containerd_is_told_from_the_new_by_its_version() {
        let lines: Vec<_> = Ground::all()
            .unwrap()
            .iter()
            .map(Ground::to_string)
            .collect();
        assert!(lines[0].starts_with("containerd 2."), "{lines:?}");
        assert!(lines.iter().any(|line| line.starts_with("containerd 1.7.")));
    }
}
