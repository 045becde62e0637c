//! The attacks that run inside a container: what each tries, where it can win, and what stops it.

use super::outcome::Promise;
use super::place::Place;

mod catalogue;

pub use self::catalogue::BATTERY;

/// One attack of the battery.
#[derive(Clone, Copy, Debug)]
pub struct Battery {
    /// Its name, in the attack program too.
    pub name: &'static str,
    /// What it tries.
    pub tries: &'static str,
    /// What stops it.
    pub stopped_by: &'static str,
    /// Where it runs.
    pub reach: Reach,
    /// Where not even the control is expected to win.
    pub impossible: &'static [Place],
    /// Where it wins in the sandbox too, as the documents say.
    pub open: &'static [Place],
}

/// Where an attack runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reach {
    /// In all roles, and in all kinds of pods but the special ones.
    Everywhere,
    /// A hostile module of the image, everywhere; it leaves a file of this name in /etc and /tmp.
    Module(&'static str),
    /// The hostile loader of the image, which leaves such a file too.
    Loader(&'static str),
    /// Only in these places.
    Only(&'static [Place]),
}

/// The places of [`Reach::Everywhere`].
const EVERYWHERE: [Place; 6] = [
    Place::Init,
    Place::Main,
    Place::Sidecar,
    Place::Ephemeral,
    Place::UserNamespace,
    Place::Privileged,
];

impl Battery {
    const fn everywhere(name: &'static str, tries: &'static str, stopped_by: &'static str) -> Self {
        Self {
            name,
            tries,
            stopped_by,
            reach: Reach::Everywhere,
            impossible: &[],
            open: &[],
        }
    }

    const fn module(
        name: &'static str,
        file: &'static str,
        tries: &'static str,
        stopped_by: &'static str,
    ) -> Self {
        let mut attack = Self::everywhere(name, tries, stopped_by);
        attack.reach = Reach::Module(file);
        attack
    }

    const fn loader(
        name: &'static str,
        file: &'static str,
        tries: &'static str,
        stopped_by: &'static str,
    ) -> Self {
        let mut attack = Self::everywhere(name, tries, stopped_by);
        attack.reach = Reach::Loader(file);
        attack
    }

    const fn only(mut self, places: &'static [Place]) -> Self {
        self.reach = Reach::Only(places);
        self
    }

    const fn impossible(mut self, places: &'static [Place]) -> Self {
        self.impossible = places;
        self
    }

    const fn open(mut self, places: &'static [Place]) -> Self {
        self.open = places;
        self
    }

    /// Where it runs.
    pub fn places(&self) -> &'static [Place] {
        match self.reach {
            Reach::Everywhere | Reach::Module(_) => &EVERYWHERE,
            Reach::Loader(_) => &[Place::Main],
            Reach::Only(places) => places,
        }
    }

    /// What is promised there.
    pub fn promise(&self, place: Place) -> Promise {
        if self.open.contains(&place) {
            Promise::Open
        } else if self.impossible.contains(&place) {
            Promise::Impossible
        } else {
            Promise::Stopped
        }
    }
}
