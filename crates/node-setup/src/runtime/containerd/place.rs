//! Where containerd may be found on a node, and whose it is there.

use std::path::{Path, PathBuf};

use crate::host::Host;
use crate::runtime::Kind;

/// A containerd that a node may have.
#[derive(Clone, Debug)]
pub(in crate::runtime) struct Place {
    pub(in crate::runtime) kind: Kind,
    pub(in crate::runtime) program: PathBuf,
    pub(in crate::runtime) config: PathBuf,
    /// What exists only while this containerd runs.
    pub(in crate::runtime) socket: PathBuf,
    pub(in crate::runtime) units: &'static [&'static str],
}

const CONFIG: &str = "/etc/containerd/config.toml";
const RANCHER_SOCKET: &str = "/run/k3s/containerd/containerd.sock";

/// Where k3s and RKE2 put the configuration that they render, below their data directory.
const RENDERED: &str = "agent/etc/containerd/config.toml";

struct Distribution {
    kind: Kind,
    data: &'static str,
    /// The directory of its programs, below its data directory: a link that follows upgrades.
    programs: &'static str,
    units: &'static [&'static str],
}

const DISTRIBUTIONS: [Distribution; 2] = [
    Distribution {
        kind: Kind::K3s,
        data: "/var/lib/rancher/k3s",
        programs: "data/current/bin",
        units: &["k3s.service", "k3s-agent.service"],
    },
    Distribution {
        kind: Kind::Rke2,
        data: "/var/lib/rancher/rke2",
        programs: "bin",
        units: &["rke2-server.service", "rke2-agent.service"],
    },
];

/// The containerds of a node. A distribution's own comes first: who has k3s may also have another containerd, for
/// Docker, and pods do not run there.
pub(in crate::runtime) fn candidates(host: &dyn Host) -> Vec<Place> {
    let rancher = DISTRIBUTIONS.iter();
    let rancher = rancher.filter_map(|one| rancher_place(host, one, Path::new(one.data)));
    rancher
        .chain(plain_place(host, Path::new(CONFIG)))
        .collect()
}

/// The containerd whose main configuration file is the one that was named.
pub(in crate::runtime) fn stated(host: &dyn Host, config: &Path) -> Option<Place> {
    let data = config.to_str().and_then(|path| path.strip_suffix(RENDERED));
    let rancher = data.and_then(|data| {
        let mut kinds = DISTRIBUTIONS.iter();
        kinds.find_map(|one| rancher_place(host, one, Path::new(data)))
    });
    rancher.or_else(|| plain_place(host, config))
}

fn rancher_place(host: &dyn Host, one: &Distribution, data: &Path) -> Option<Place> {
    let program = data.join(one.programs).join("containerd");
    Some(Place {
        kind: one.kind,
        program: host.find_program(program.to_str()?)?,
        config: data.join(RENDERED),
        socket: PathBuf::from(RANCHER_SOCKET),
        units: one.units,
    })
}

fn plain_place(host: &dyn Host, config: &Path) -> Option<Place> {
    Some(Place {
        kind: Kind::Containerd,
        program: host.find_program("containerd")?,
        config: config.to_owned(),
        socket: PathBuf::from(super::SOCKET),
        units: &["containerd.service"],
    })
}
