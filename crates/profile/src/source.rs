//! A profile as its file states it, before anything is looked up.

use std::collections::{BTreeMap, HashSet};
use std::hash::Hash;

use kubefence_launch_plan::{Abi, ProfileName, Volumes};

use crate::access::Access;
use crate::document::{Located, Location};

/// A profile as its file states it. Lists keep the order of the file; `None` means not stated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileSource {
    /// The name that pods use.
    pub name: ProfileName,
    /// Where it begins.
    pub at: Location,
    /// One sentence for people.
    pub description: String,
    /// Profiles that it builds on.
    pub extends: Vec<Located<String>>,
    /// What it says itself.
    pub statements: Statements,
}

/// What a profile says: everything that is inherited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statements {
    /// Shared groups it takes.
    pub include: Vec<Located<String>>,
    /// Groups it does not take.
    pub exclude: Vec<Located<String>>,
    /// Paths, with the access and the key that asks for it.
    pub grants: Vec<Stated>,
    /// Places that nothing may open up.
    pub deny: Vec<Located<String>>,
    /// The pod's own volumes.
    pub volumes: Option<Volumes>,
    /// Access to the working directory; the inner `None` is the access `none`.
    pub workdir: Option<Located<Option<Access>>>,
    /// Whether the network is denied.
    pub block: Option<Located<bool>>,
    /// Remote TCP ports.
    pub connect_ports: Vec<Located<u16>>,
    /// Local TCP ports.
    pub listen_ports: Vec<Located<u16>>,
    /// Whether signals end at the sandbox.
    pub isolate_signals: Option<Located<bool>>,
    /// Whether abstract unix sockets end at the sandbox.
    pub isolate_sockets: Option<Located<bool>>,
    /// The oldest Landlock ABI on which the profile may run.
    pub min_abi: Option<Abi>,
    /// Whether denials are audited.
    pub log_denials: Option<bool>,
    /// What happens where the kernel is too old.
    pub on_missing: Option<OnMissing>,
    /// What it asks for and `wrap` cannot enforce, by key; `None` takes back what a base asked for.
    pub unenforceable: BTreeMap<&'static str, Option<Located<&'static str>>>,
}

/// A path that a profile names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stated {
    /// The path as written.
    pub path: Located<String>,
    /// The access to it.
    pub access: Access,
    /// The key that it stands under.
    pub key: &'static str,
}

/// What happens where the kernel is too old for a part of a profile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnMissing {
    /// Containers are refused.
    #[default]
    Refuse,
    /// Containers run without that part, and the plugin reports it.
    Report,
}

impl Statements {
    /// Puts what `child` says over what `self` says: lists are appended without what is there already,
    /// and what is said once is replaced.
    pub(crate) fn overlay(&mut self, child: Self) {
        append(&mut self.include, child.include, |item| item.value.clone());
        append(&mut self.exclude, child.exclude, |item| item.value.clone());
        append(&mut self.grants, child.grants, |item| {
            (item.path.value.clone(), item.access)
        });
        append(&mut self.deny, child.deny, |item| item.value.clone());
        append(&mut self.connect_ports, child.connect_ports, |item| {
            item.value
        });
        append(&mut self.listen_ports, child.listen_ports, |item| {
            item.value
        });
        replace(&mut self.volumes, child.volumes);
        replace(&mut self.workdir, child.workdir);
        replace(&mut self.block, child.block);
        replace(&mut self.isolate_signals, child.isolate_signals);
        replace(&mut self.isolate_sockets, child.isolate_sockets);
        replace(&mut self.min_abi, child.min_abi);
        replace(&mut self.log_denials, child.log_denials);
        replace(&mut self.on_missing, child.on_missing);
        self.unenforceable.extend(child.unenforceable);
    }
}

fn append<T, K: Eq + Hash>(base: &mut Vec<T>, more: Vec<T>, identity: impl Fn(&T) -> K) {
    let mut known: HashSet<K> = base.iter().map(&identity).collect();
    base.extend(more.into_iter().filter(|item| known.insert(identity(item))));
}

fn replace<T>(base: &mut Option<T>, stated: Option<T>) {
    if stated.is_some() {
        *base = stated;
    }
}
