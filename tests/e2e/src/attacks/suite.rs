//! Which attacks run on which fixture, and what their results mean.

use std::fmt;

use anyhow::{Result, bail, ensure};

use super::battery::{BATTERY, Battery};
use super::cells::{self, Cells};
use super::outcome::judge;
use super::place::{Place, Road};
use super::stage;
use super::structural::{self, Needs, Run, Structural};
use crate::cleanup::Leftovers;
use crate::daemon::{BASELINE, SANDBOXED};
use crate::images::{ATTACK, ATTACK_LINKS};
use crate::node::{Fixture, Node};
use crate::podman::Podman;
use crate::repository::Versions;

/// What attacks run on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Kind {
    /// containerd of a version, with NRI, plugin and guard.
    Containerd(String),
    /// The same without NRI: the guard alone.
    ContainerdAlone(String),
    /// CRI-O of a version, with NRI, plugin and guard.
    Crio(String),
    /// Podman with the guard.
    Podman,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Containerd(version) => write!(f, "containerd {version}"),
            Self::ContainerdAlone(version) => write!(f, "containerd {version} without NRI"),
            Self::Crio(version) => write!(f, "CRI-O {version}"),
            Self::Podman => f.write_str("Podman"),
        }
    }
}

impl Kind {
    /// All fixtures, of the pinned versions.
    pub fn all() -> Result<Vec<Self>> {
        let versions = Versions::read()?;
        let containerd = versions.of("containerd")?.iter().cloned();
        let mut kinds: Vec<Self> = containerd.map(Self::Containerd).collect();
        kinds.push(Self::ContainerdAlone(versions.of("containerd")?[0].clone()));
        kinds.push(Self::Crio(versions.of("crio")?[0].clone()));
        kinds.push(Self::Podman);
        Ok(kinds)
    }

    /// The battery's attacks that run here.
    pub fn battery(&self) -> Vec<&'static Battery> {
        let here = |attack: &&Battery| match self {
            Self::Podman => attack.places().contains(&Place::Main),
            _ => true,
        };
        BATTERY.iter().filter(here).collect()
    }

    /// The other attacks that run here.
    pub fn structural(&self) -> Vec<Structural> {
        let here = |attack: &Structural| match (self, attack.needs) {
            (Self::Podman, needs) => needs == Needs::Podman,
            (Self::ContainerdAlone(_), needs) => needs == Needs::Cri,
            (Self::Containerd(_) | Self::Crio(_), needs) => needs != Needs::Podman,
        };
        structural::all().into_iter().filter(here).collect()
    }

    /// Starts it.
    pub fn start(&self) -> Result<Stage> {
        let fixture = match self {
            Self::Containerd(version) => Fixture::containerd(version).plugin().guard(),
            Self::ContainerdAlone(version) => Fixture::containerd(version).without_nri().guard(),
            Self::Crio(version) => Fixture::crio(version).plugin().guard(),
            Self::Podman => {
                let images = [ATTACK, ATTACK_LINKS];
                return Ok(Stage::Podman(Box::new(Podmans {
                    bare: Podman::start(&images, false)?,
                    guarded: Podman::start(&images, true)?,
                })));
            }
        };
        stage::start(fixture).map(|node| Stage::Node(Box::new(node)))
    }
}

/// A fixture that runs.
#[derive(Debug)]
pub enum Stage {
    /// One that serves CRI.
    Node(Box<Node>),
    /// Podman.
    Podman(Box<Podmans>),
}

/// Podman twice, because only the guard tells its sandboxed containers from others.
#[derive(Debug)]
pub struct Podmans {
    /// Without the guard: for controls.
    bare: Podman,
    /// With it: for attacks.
    guarded: Podman,
}

impl Stage {
    /// Runs the named attacks of the battery, and their controls.
    pub fn battery(&self, names: &[&str]) -> Result<Results> {
        Ok(match self {
            Self::Node(node) => Results {
                control: cells::run(node, BASELINE, names)?,
                sandboxed: cells::run(node, SANDBOXED, names)?,
            },
            Self::Podman(podmans) => Results {
                control: cells::run_podman(&podmans.bare, names)?,
                sandboxed: cells::run_podman(&podmans.guarded, names)?,
            },
        })
    }

    /// Runs one of the other attacks.
    pub fn run(&self, attack: &Structural) -> Result<()> {
        match (self, attack.run) {
            (Self::Node(node), Run::Node(run)) => run(node),
            (Self::Podman(podmans), Run::Podman(run)) => run(&podmans.bare, &podmans.guarded),
            _ => bail!("this attack is not for this fixture"),
        }
    }

    /// Keeps the logs, and says where.
    pub fn save_logs(&self) -> String {
        match self {
            Self::Node(node) => node.save_logs(),
            Self::Podman(_) => "Podman keeps no logs".to_owned(),
        }
    }

    /// Takes everything away; says what did not go by itself.
    pub fn finish(self) -> Leftovers {
        match self {
            Self::Node(node) => node.finish(),
            Self::Podman(podmans) => {
                let mut leftovers = podmans.bare.finish();
                leftovers.extend(podmans.guarded.finish());
                leftovers
            }
        }
    }
}

/// What came out of the battery on one fixture.
#[derive(Debug)]
pub struct Results {
    control: Cells,
    sandboxed: Cells,
}

impl Results {
    /// Checks one attack in all its cells; says in which it was tried.
    pub fn check(&self, kind: &Kind, attack: &Battery) -> Result<String> {
        let mut wrong = Vec::new();
        let mut tried = Vec::new();
        for place in attack.places() {
            if *kind == Kind::Podman && *place != Place::Main {
                continue;
            }
            if let Some(why) = self.control.absent(*place) {
                tried.push(format!("not in {place}: {why}"));
                continue;
            }
            tried.push(place.to_string());
            for road in Road::ALL {
                let sandboxed = self.sandboxed.of(*place, road, attack.name);
                let control = self.control.of(*place, road, attack.name);
                if let Err(what) = judge(attack.promise(*place), &sandboxed, &control) {
                    wrong.push(format!("{place}, {road}: {what}"));
                }
            }
        }
        ensure!(wrong.is_empty(), "{}", wrong.join("; "));
        Ok(tried.join(", "))
    }
}
