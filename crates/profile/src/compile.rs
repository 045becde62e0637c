//! Compilation: a resolved profile becomes a launch plan.

use std::collections::{HashMap, HashSet};

use kubefence_launch_plan::{
    Abi, Arch, FORMAT, FsRight, FsRights, Handled, InvalidPlan, LAUNCHER, LaunchPlan, MOUNT_POINT,
    NetRight, PLANS_DIR, PROFILES_DIR, PathRule, Place, PortRule, Scope, SeccompFilter, judge,
};
use kubefence_seccomp::{NetworkRules, Profile as SeccompProfile, network_filter, runtime_filter};

use crate::document::Location;
use crate::resolve::{Grant, ResolvedProfile};
use crate::source::OnMissing;
use crate::{Access, document::Located};

/// What the node adds to every profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompileOptions {
    /// The additional seccomp filter of every container; `None` means that only the pod's own counts.
    pub seccomp: Option<SeccompProfile>,
    /// The architecture that containers run on; `None` where seccomp filters cannot be compiled for it.
    pub arch: Option<Arch>,
}

impl Default for CompileOptions {
    /// No additional filter, and the architecture that this program was built for.
    fn default() -> Self {
        Self {
            seccomp: None,
            arch: Arch::own(),
        }
    }
}

/// Why a profile cannot be enforced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// It asks for what `wrap` cannot do.
    #[error("profile {profile:?} cannot run under wrap because of {key} ({at}): {reason}")]
    Unenforceable {
        /// The profile.
        profile: String,
        /// The key that asks for it.
        key: &'static str,
        /// Where the key stands.
        at: Location,
        /// Why not, and what to do.
        reason: &'static str,
    },
    /// It needs a seccomp filter, and there is none for the architecture.
    #[error(
        "profile {profile:?} needs a seccomp filter, which exists for x86_64 and aarch64 only: choose one that restricts no ports, and leave seccomp_profile empty"
    )]
    NoSeccomp {
        /// The profile.
        profile: String,
    },
    /// A seccomp filter cannot be compiled.
    #[error("profile {profile:?}: the seccomp filter cannot be compiled: {reason}")]
    Seccomp {
        /// The profile.
        profile: String,
        /// Why.
        reason: String,
    },
    /// The plan would contradict itself.
    #[error("profile {profile:?} gives no valid plan")]
    Invalid {
        /// The profile.
        profile: String,
        /// How.
        #[source]
        source: InvalidPlan,
    },
}

impl ResolvedProfile {
    /// The plan that enforces this profile. The same profile and options always yield the same plan.
    pub fn compile(&self, options: &CompileOptions) -> Result<LaunchPlan, CompileError> {
        if let Some(missing) = self.unenforceable.first() {
            return Err(CompileError::Unenforceable {
                profile: self.name.to_string(),
                key: missing.key,
                at: missing.at.clone(),
                reason: missing.reason,
            });
        }
        let mut rules = Rules::new();
        for grant in &self.grants {
            rules.add(grant);
        }
        let handled = self.handled();
        let plan = LaunchPlan {
            format: FORMAT,
            profile: self.name.clone(),
            min_abi: self.min_abi(&handled),
            log_denials: self.landlock.log_denials,
            handled,
            rules: rules.rules,
            ports: self.ports(),
            deny: self.deny(),
            volumes: self.volumes,
            seccomp: self.seccomp(options)?,
        };
        plan.encode().map_err(|source| CompileError::Invalid {
            profile: self.name.to_string(),
            source,
        })?;
        Ok(plan)
    }

    /// Every file system right, and what the profile restricts of the network and of signals and sockets.
    fn handled(&self) -> Vec<Handled> {
        let mut handled = Handled::every_fs_right();
        let mut add = |abi: Abi, net: Vec<NetRight>, scopes: Vec<Scope>| {
            if !net.is_empty() || !scopes.is_empty() {
                let fs = FsRights::EMPTY;
                handled.push(Handled {
                    abi,
                    fs,
                    net,
                    scopes,
                });
            }
        };
        let listen = self.network.listen.iter().map(|_| NetRight::BindTcp);
        let connect = self.network.connect.iter().map(|_| NetRight::ConnectTcp);
        add(
            NetRight::BindTcp.since(),
            listen.chain(connect).collect(),
            Vec::new(),
        );
        let sockets = self.isolate_sockets.then_some(Scope::AbstractUnixSocket);
        let signals = self.isolate_signals.then_some(Scope::Signal);
        let scopes = sockets.into_iter().chain(signals).collect();
        add(Scope::Signal.since(), Vec::new(), scopes);
        handled.sort_by_key(|handled| handled.abi);
        handled
    }

    /// The oldest ABI on which everything is enforced that the profile asks for by name. File system rights
    /// of later ABIs do not count: they are asked for by every profile, and denied wherever they can be.
    fn min_abi(&self, handled: &[Handled]) -> Abi {
        let named = handled
            .iter()
            .filter(|h| !h.net.is_empty() || !h.scopes.is_empty());
        let needed = named.map(|h| h.abi).max().unwrap_or(1);
        match self.landlock.on_missing {
            OnMissing::Refuse => self.landlock.min_abi.max(needed),
            OnMissing::Report => self.landlock.min_abi,
        }
    }

    /// The node's filter, and the one that closes the ways round Landlock's TCP rules.
    fn seccomp(&self, options: &CompileOptions) -> Result<Vec<SeccompFilter>, CompileError> {
        let profile = || self.name.to_string();
        let failed = |error: kubefence_seccomp::CompileError| CompileError::Seccomp {
            profile: profile(),
            reason: error.to_string(),
        };
        let lists = [&self.network.connect, &self.network.listen];
        let tcp = lists.into_iter().flatten().any(|ports| !ports.is_empty());
        let network = match self.network.block {
            true => Some(NetworkRules::Block { tcp }),
            false => (lists != [&None, &None]).then_some(NetworkRules::TcpPorts),
        };
        let mut filters = Vec::new();
        if options.seccomp.is_none() && network.is_none() {
            return Ok(filters);
        }
        let arch = options
            .arch
            .ok_or_else(|| CompileError::NoSeccomp { profile: profile() })?;
        if let Some(seccomp) = options.seccomp {
            filters.push(runtime_filter(seccomp, arch).map_err(failed)?);
        }
        if let Some(network) = network {
            filters.push(network_filter(network, arch).map_err(failed)?);
        }
        Ok(filters)
    }

    fn ports(&self) -> Vec<PortRule> {
        let mut rules: Vec<PortRule> = Vec::new();
        let mut add = |ports: &Option<Vec<Located<u16>>>, right: NetRight, origin: &str| {
            for port in ports.iter().flatten() {
                rules.push(PortRule {
                    port: port.value,
                    rights: vec![right],
                    origin: origin.to_owned(),
                });
            }
        };
        add(
            &self.network.connect,
            NetRight::ConnectTcp,
            "network.connect_port",
        );
        add(
            &self.network.listen,
            NetRight::BindTcp,
            "network.listen_port",
        );
        rules
    }

    fn deny(&self) -> Vec<Place> {
        let mut known = HashSet::new();
        let places = self.denials.iter().map(|denial| &denial.place);
        places
            .filter(|place| known.insert(*place))
            .cloned()
            .collect()
    }
}

/// A sandboxed process may wrap its children again, so the launcher and the plans stay readable.
/// The mount point itself is never granted: the canary beside the launcher must stay closed.
pub(crate) fn launcher_rules() -> Vec<PathRule> {
    let program = FsRights::of(&[FsRight::Execute, FsRight::ReadFile]);
    let below = |name| format!("{MOUNT_POINT}/{name}");
    let rules = [
        (LAUNCHER.to_owned(), program),
        (below(PLANS_DIR), Access::ReadData.rights()),
        (below(PROFILES_DIR), Access::ReadData.rights()),
    ];
    let rule = |(path, rights): (String, FsRights)| PathRule {
        path: Place::parse(&path).expect("constant paths are normal"),
        rights,
        optional: true,
        create: None,
        origin: "launcher".to_owned(),
    };
    rules.into_iter().map(rule).collect()
}

/// Rules under construction.
struct Rules {
    rules: Vec<PathRule>,
    /// Where the rule for a place stands. A rule for a file stays apart from one for a directory: the
    /// launcher applies it only where a file stands.
    known: HashMap<(Place, bool), usize>,
}

impl Rules {
    fn new() -> Self {
        Self {
            rules: launcher_rules(),
            known: HashMap::new(),
        }
    }

    /// Adds a rule, or widens the one that stands for the same place.
    fn add(&mut self, grant: &Grant) {
        let rights = grant.access.rights();
        let is_for_file = judge::FILE_RIGHTS.contains_all(rights);
        let at = *self
            .known
            .entry((grant.place.clone(), is_for_file))
            .or_insert(self.rules.len());
        match self.rules.get_mut(at) {
            Some(rule) => {
                rule.rights = rule.rights.union(rights);
                rule.create = rule.create.or(grant.access.create());
                if !rule.origin.split(", ").any(|origin| origin == grant.origin) {
                    rule.origin = format!("{}, {}", rule.origin, grant.origin);
                }
            }
            None => self.rules.push(PathRule {
                path: grant.place.clone(),
                rights,
                // Images differ: a path that an image lacks needs no rule.
                optional: true,
                create: grant.access.create(),
                origin: grant.origin.clone(),
            }),
        }
    }
}

#[cfg(test)]
mod tests;
