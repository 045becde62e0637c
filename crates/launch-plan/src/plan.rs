//! The plan document: its shape, its validity rules, its encoding.

use serde::{Deserialize, Serialize};

use crate::{Abi, FsRight, FsRights, NetRight, Place, ProfileName, Scope, SeccompFilter};

/// The format version that this build writes.
pub const FORMAT: u32 = 1;

/// The oldest format version that this build reads: the previous one, once there is one.
pub const OLDEST_FORMAT: u32 = if FORMAT > 1 { FORMAT - 1 } else { FORMAT };

/// Longest encoded plan, in bytes. The built-in ones have less than 32 KiB.
pub const MAX_PLAN_SIZE: usize = 1 << 20;

/// What one launch enforces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaunchPlan {
    /// Format version of the document.
    pub format: u32,
    /// The profile that the plan was compiled from.
    pub profile: ProfileName,
    /// The launch is refused on a kernel with an older Landlock ABI than this (at least 1).
    pub min_abi: Abi,
    /// Whether denials are audited after the workload's own execve (ABI 7; ignored below).
    pub log_denials: bool,
    /// What is denied unless a rule allows it, by the ABI that introduced the right.
    pub handled: Vec<Handled>,
    /// What is allowed on files and directories.
    #[serde(with = "crate::grouped")]
    pub rules: Vec<PathRule>,
    /// What is allowed on TCP ports.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PortRule>,
    /// Places that no variable-derived rule may open up: such a rule is dropped when one of these
    /// exists at or below it, or when it lies in one of these. A launch is refused where the image leads
    /// one below `/run` or `/var/run` elsewhere.
    pub deny: Vec<Place>,
    /// What is allowed on volumes: what the pod mounts besides the image.
    #[serde(default, skip_serializing_if = "Volumes::is_none")]
    pub volumes: Volumes,
    /// Seccomp filters, installed after Landlock in this order; the kernel takes the strictest answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seccomp: Vec<SeccompFilter>,
}

/// What a plan allows on the volumes of the pod. Volumes that hold service-account tokens, or a place that
/// the plan denies, are never allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Volumes {
    /// Nothing, except where a rule for an absolute path covers one.
    #[default]
    None,
    /// Read and execute.
    Read,
    /// Read and execute, and write where the pod mounts the volume writable.
    AsMounted,
}

impl Volumes {
    fn is_none(&self) -> bool {
        *self == Self::None
    }
}

/// What the launcher makes if a rule's place does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Create {
    /// A directory of mode 0700, with the directories above it up to the variable.
    Directory,
    /// An empty file of mode 0600, with the directories above it up to the variable.
    File,
}

/// Rights that a kernel of the given ABI or later enforces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Handled {
    /// The Landlock ABI that introduced them.
    pub abi: Abi,
    /// File system rights.
    #[serde(default, skip_serializing_if = "FsRights::is_empty_ref")]
    pub fs: FsRights,
    /// TCP rights.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub net: Vec<NetRight>,
    /// Scopes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<Scope>,
}

impl Handled {
    /// Every file system right, by the ABI that introduced it.
    pub fn every_fs_right() -> Vec<Self> {
        let mut rights = FsRight::ALL.to_vec();
        rights.sort_by_key(|right| right.since());
        let by_abi = rights.chunk_by(|a, b| a.since() == b.since());
        let handled = by_abi.map(|rights| Self {
            abi: rights[0].since(),
            fs: rights.iter().copied().collect(),
            net: Vec::new(),
            scopes: Vec::new(),
        });
        handled.collect()
    }
}

/// Rights on a file, or on a directory and all below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathRule {
    /// The file or directory.
    pub path: Place,
    /// What is allowed there. On a file, the rights that apply to directories only are left out.
    pub rights: FsRights,
    /// Whether the launch goes on when the path does not exist or cannot be reached.
    pub optional: bool,
    /// What is made there, before restriction, if nothing is. Only places below a variable can be made.
    pub create: Option<Create>,
    /// What asked for the rule: a group or a section of a profile. For people.
    pub origin: String,
}

/// Rights on one TCP port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortRule {
    /// The port.
    pub port: u16,
    /// What is allowed on it.
    pub rights: Vec<NetRight>,
    /// What asked for the rule. For people.
    pub origin: String,
}

/// Why bytes are no plan that this build can apply.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Not JSON, or not of the plan's shape.
    #[error("not a launch plan")]
    Syntax(#[from] serde_json::Error),
    /// Written by a build that is too far away from this one.
    #[error(
        "plan format {found} is not readable here (this build reads {OLDEST_FORMAT} to {FORMAT}): install launcher and plugin of the same release"
    )]
    Format {
        /// The version that the document states.
        found: u32,
    },
    /// Well-formed, but it contradicts itself.
    #[error(transparent)]
    Invalid(#[from] InvalidPlan),
}

/// How a plan contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPlan {
    /// Below 1, every kernel would do.
    #[error("min_abi {0} is below 1, which would allow a launch without Landlock")]
    MinAbi(Abi),
    /// The list must ascend, each ABI at most once.
    #[error("handled rights for ABI {0} do not stand in ascending order of ABI")]
    HandledOrder(Abi),
    /// A right under the wrong ABI would be dropped on kernels that have it.
    #[error("right {right} belongs to ABI {since}, not to {abi}")]
    WrongAbi {
        /// Name of the right.
        right: &'static str,
        /// ABI that introduced it.
        since: Abi,
        /// ABI that the plan names.
        abi: Abi,
    },
    /// What is not handled is allowed everywhere.
    #[error("the plan does not handle {0}, which would be allowed everywhere")]
    Unhandled(&'static str),
    /// A device node reaches the host's disks and memory.
    #[error("rule for {target} grants {right}: no rule may create device nodes")]
    DeviceNode {
        /// Path of the rule.
        target: String,
        /// Name of the right.
        right: &'static str,
    },
    /// A rule grants what is not denied in the first place.
    #[error("rule for {target} grants {right}, which the plan does not handle")]
    NotHandled {
        /// Path or port of the rule.
        target: String,
        /// Name of the right.
        right: &'static str,
    },
    /// A rule that allows nothing.
    #[error("rule for {0} grants nothing")]
    EmptyRule(String),
    /// The launcher would not read it.
    #[error("the plan has {0} bytes, more than {MAX_PLAN_SIZE}: name fewer places")]
    TooBig(usize),
    /// The launcher would make a place that the host named.
    #[error("rule for {0} makes what is not below a variable")]
    Create(String),
}

#[derive(Deserialize)]
struct FormatOnly {
    format: u32,
}

impl LaunchPlan {
    /// Reads and validates a plan.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let plan: Self = serde_json::from_slice(bytes).map_err(|error| {
            // What is unreadable because of its version is to be called so.
            match serde_json::from_slice(bytes) {
                Ok(FormatOnly { format }) if !is_readable(format) => {
                    DecodeError::Format { found: format }
                }
                _ => error.into(),
            }
        })?;
        if !is_readable(plan.format) {
            return Err(DecodeError::Format { found: plan.format });
        }
        plan.validate()?;
        Ok(plan)
    }

    /// The plan for one user, see [`Place::for_user`].
    pub fn for_user(mut self, uid: u32) -> Self {
        let places = self.rules.iter_mut().map(|rule| &mut rule.path);
        for place in places.chain(&mut self.deny).filter(|p| p.has_uid()) {
            *place = place.for_user(uid);
        }
        self
    }

    /// The file system rights that a kernel of `abi` enforces under this plan.
    pub fn handled_fs(&self, abi: Abi) -> FsRights {
        self.handled_up_to(abi)
            .fold(FsRights::EMPTY, |set, h| set.union(h.fs))
    }

    /// The TCP rights that a kernel of `abi` enforces under this plan.
    pub fn handled_net(&self, abi: Abi) -> Vec<NetRight> {
        self.handled_up_to(abi)
            .flat_map(|h| h.net.iter().copied())
            .collect()
    }

    /// The scopes that a kernel of `abi` enforces under this plan.
    pub fn handled_scopes(&self, abi: Abi) -> Vec<Scope> {
        self.handled_up_to(abi)
            .flat_map(|h| h.scopes.iter().copied())
            .collect()
    }

    fn handled_up_to(&self, abi: Abi) -> impl Iterator<Item = &Handled> {
        self.handled.iter().filter(move |h| h.abi <= abi)
    }

    /// Checks what the types cannot express.
    pub fn validate(&self) -> Result<(), InvalidPlan> {
        if self.min_abi < 1 {
            return Err(InvalidPlan::MinAbi(self.min_abi));
        }
        self.validate_handled()?;
        for rule in &self.rules {
            let target = || rule.path.to_string();
            if rule.rights.is_empty() {
                return Err(InvalidPlan::EmptyRule(target()));
            }
            let is_below = matches!(&rule.path, Place::Below(_, suffix) if !suffix.is_empty());
            if rule.create.is_some() && !is_below {
                return Err(InvalidPlan::Create(target()));
            }
            let nodes = FsRights::of(&[FsRight::MakeChar, FsRight::MakeBlock]);
            if let Some(right) = rule.rights.intersection(nodes).iter().next() {
                let (target, right) = (target(), right.name());
                return Err(InvalidPlan::DeviceNode { target, right });
            }
        }
        let net = self.handled_net(Abi::MAX);
        for rule in &self.ports {
            let target = || format!("TCP port {}", rule.port);
            if rule.rights.is_empty() {
                return Err(InvalidPlan::EmptyRule(target()));
            }
            if let Some(right) = rule.rights.iter().find(|r| !net.contains(r)) {
                return Err(not_handled(target(), right.name()));
            }
        }
        Ok(())
    }

    fn validate_handled(&self) -> Result<(), InvalidPlan> {
        if let Some(pair) = self.handled.windows(2).find(|w| w[0].abi >= w[1].abi) {
            return Err(InvalidPlan::HandledOrder(pair[1].abi));
        }
        for handled in &self.handled {
            let named = (handled.fs.iter().map(|r| (r.name(), r.since())))
                .chain(handled.net.iter().map(|r| (r.name(), r.since())))
                .chain(handled.scopes.iter().map(|s| (s.name(), s.since())));
            for (right, since) in named {
                if since != handled.abi {
                    let abi = handled.abi;
                    return Err(InvalidPlan::WrongAbi { right, since, abi });
                }
            }
        }
        let handled = self.handled_fs(Abi::MAX);
        match FsRight::ALL.iter().find(|right| !handled.contains(**right)) {
            Some(right) => Err(InvalidPlan::Unhandled(right.name())),
            None => Ok(()),
        }
    }
}

fn is_readable(format: u32) -> bool {
    (OLDEST_FORMAT..=FORMAT).contains(&format)
}

fn not_handled(target: String, right: &'static str) -> InvalidPlan {
    InvalidPlan::NotHandled { target, right }
}

impl FsRights {
    fn is_empty_ref(&self) -> bool {
        self.is_empty()
    }
}

/// The content address of a plan: the SHA-256 of its encoding, in lower-case hex.
#[cfg(feature = "digest")]
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PlanDigest(String);

/// A string that is no digest of a plan.
#[cfg(feature = "digest")]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no digest of a plan: 64 lower-case hexadecimal digits")]
pub struct InvalidPlanDigest(String);

#[cfg(feature = "digest")]
impl PlanDigest {
    /// Checks that `text` has the form of a digest; a valid one is a single safe path component.
    pub fn parse(text: &str) -> Result<Self, InvalidPlanDigest> {
        let is_digit = |b: &u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        if text.len() == 64 && text.as_bytes().iter().all(is_digit) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidPlanDigest(text.to_owned()))
        }
    }

    /// The digest of an encoded plan.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        use std::fmt::Write as _;

        let mut hex = String::with_capacity(64);
        for byte in sha2::Sha256::digest(bytes) {
            write!(hex, "{byte:02x}").expect("writing to a String cannot fail");
        }
        Self(hex)
    }
}

#[cfg(feature = "digest")]
impl TryFrom<String> for PlanDigest {
    type Error = InvalidPlanDigest;

    fn try_from(value: String) -> Result<Self, Self::Error> {
        Self::parse(&value)
    }
}

#[cfg(feature = "digest")]
impl From<PlanDigest> for String {
    fn from(digest: PlanDigest) -> Self {
        digest.0
    }
}

#[cfg(feature = "digest")]
impl std::fmt::Display for PlanDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A plan as it lies in a file.
#[cfg(feature = "digest")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedPlan {
    /// The file's content.
    pub bytes: Vec<u8>,
    /// The content's address.
    pub digest: PlanDigest,
}

#[cfg(feature = "digest")]
impl LaunchPlan {
    /// Validates and encodes the plan. Equal plans yield equal bytes.
    pub fn encode(&self) -> Result<EncodedPlan, InvalidPlan> {
        self.validate()?;
        let mut bytes = serde_json::to_vec(self).expect("a plan has only string keys");
        bytes.push(b'\n');
        if bytes.len() > MAX_PLAN_SIZE {
            return Err(InvalidPlan::TooBig(bytes.len()));
        }
        let digest = PlanDigest::of(&bytes);
        Ok(EncodedPlan { bytes, digest })
    }
}

#[cfg(test)]
mod tests;
