//! What a node is made of, piece by piece.

use std::fmt;

use crate::daemon::DaemonOptions;

/// A container runtime and its version, one of those that tools/versions.toml pins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Runtime<'a> {
    /// containerd with its CRI plugin.
    Containerd(&'a str),
    /// CRI-O.
    Crio(&'a str),
}

/// A node to be started. The plainest one is a container runtime alone.
#[derive(Clone, Copy, Debug)]
pub struct Fixture<'a> {
    pub(crate) runtime: Runtime<'a>,
    pub(crate) images: &'a [&'a str],
    pub(crate) plugin: bool,
    pub(crate) guard: bool,
    pub(crate) introduced: bool,
    pub(crate) nri: bool,
    pub(crate) daemon: DaemonOptions,
}

impl<'a> Fixture<'a> {
    /// containerd, with NRI listening and nobody connected.
    pub fn containerd(version: &'a str) -> Self {
        Self::of(Runtime::Containerd(version))
    }

    /// CRI-O, with NRI listening and nobody connected.
    pub fn crio(version: &'a str) -> Self {
        Self::of(Runtime::Crio(version))
    }

    fn of(runtime: Runtime<'a>) -> Self {
        Self {
            runtime,
            images: &[],
            plugin: false,
            guard: false,
            introduced: true,
            nri: true,
            daemon: DaemonOptions::default(),
        }
    }

    /// Test images that the runtime knows.
    pub fn images(mut self, images: &'a [&'a str]) -> Self {
        self.images = images;
        self
    }

    /// Installs and attaches the plugin.
    pub fn plugin(mut self) -> Self {
        self.plugin = true;
        self
    }

    /// Puts the guard between the sandboxed handler and the OCI runtime.
    pub fn guard(mut self) -> Self {
        self.guard = true;
        self
    }

    /// Leaves the guard out of the plugin's configuration.
    pub fn plugin_unaware_of_guard(mut self) -> Self {
        self.introduced = false;
        self
    }

    /// Switches NRI off.
    pub fn without_nri(mut self) -> Self {
        self.nri = false;
        self
    }

    /// Enables NRI's default validator, without globally required plugins.
    pub fn validator(mut self) -> Self {
        self.daemon.validator = true;
        self
    }
}

/// Like `containerd 2.3.7, NRI, plugin, guard`.
impl fmt::Display for Fixture<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.runtime {
            Runtime::Containerd(version) => write!(f, "containerd {version}")?,
            Runtime::Crio(version) => write!(f, "CRI-O {version}")?,
        }
        let parts = [
            (!self.nri, "no NRI"),
            (self.plugin, "plugin"),
            (self.guard, "guard"),
        ];
        let present = parts.into_iter().filter(|(present, _)| *present);
        present
            .into_iter()
            .try_for_each(|(_, name)| write!(f, ", {name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixture_says_what_it_is_made_of() {
        let full = Fixture::containerd("2.3.7").plugin().guard();
        assert_eq!(full.to_string(), "containerd 2.3.7, plugin, guard");
        let alone = Fixture::crio("1.36.3").guard().without_nri();
        assert_eq!(alone.to_string(), "CRI-O 1.36.3, no NRI, guard");
    }
}
