//! Resolution: a profile, its bases and its groups become one flat list of grants and denials.

use std::str::FromStr as _;

use kubefence_launch_plan::{Abi, Place, ProfileName, Volumes};

use crate::Access;
use crate::conflict;
use crate::diagnostic::Diagnostic;
use crate::document::{Located, Location};
use crate::groups::{Group, Groups};
use crate::inherit::{Sources, flatten};
use crate::path::PathText;
use crate::source::{OnMissing, ProfileSource, Statements};
use crate::suggest::did_you_mean;

/// A profile with nothing left to look up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedProfile {
    /// The profile's name.
    pub name: ProfileName,
    /// Where it begins.
    pub at: Location,
    /// One sentence for people.
    pub description: String,
    /// The profiles that it builds on.
    pub bases: Vec<ProfileName>,
    /// The groups that it takes, in order.
    pub groups: Vec<String>,
    /// What it allows, in the order in which it was said.
    pub grants: Vec<Grant>,
    /// What it would allow if a denial did not forbid it.
    pub dropped: Vec<Dropped>,
    /// What nothing may open up.
    pub denials: Vec<Denial>,
    /// The pod's own volumes.
    pub volumes: Volumes,
    /// What it says of the network.
    pub network: Network,
    /// Whether signals end at the sandbox.
    pub isolate_signals: bool,
    /// Whether abstract unix sockets end at the sandbox.
    pub isolate_sockets: bool,
    /// What it asks of Landlock.
    pub landlock: Landlock,
    /// What it asks for and `wrap` cannot enforce: with any of these it cannot run.
    pub unenforceable: Vec<Unenforceable>,
}

/// One thing that a profile allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Where.
    pub place: Place,
    /// What.
    pub access: Access,
    /// Who asked for it: `group NAME` or a key of the profile.
    pub origin: String,
    /// Where that stands.
    pub at: Location,
}

/// A place that nothing may open up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// Where.
    pub place: Place,
    /// Who asked for it: `group NAME` or a key of the profile.
    pub origin: String,
    /// Where that stands.
    pub at: Location,
}

/// A grant that a denial forbids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// The grant.
    pub grant: Grant,
    /// The denial that lies in it, or that it lies in.
    pub denial: Denial,
}

/// What a profile says of the network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// Whether everything but the listed TCP ports and unix sockets is denied.
    pub block: bool,
    /// The remote TCP ports that can be connected to; `None` means all.
    pub connect: Option<Vec<Located<u16>>>,
    /// The local TCP ports that can be bound; `None` means all.
    pub listen: Option<Vec<Located<u16>>>,
}

/// What a profile asks of Landlock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Landlock {
    /// The oldest Landlock ABI on which the profile may run.
    pub min_abi: Abi,
    /// Whether denials are audited (ABI 7).
    pub log_denials: bool,
    /// What happens where the kernel is too old for a part of it.
    pub on_missing: OnMissing,
}

/// Something that a profile asks for and `wrap` cannot enforce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unenforceable {
    /// The key.
    pub key: &'static str,
    /// Where it stands.
    pub at: Location,
    /// Why not, and what to do.
    pub reason: &'static str,
}

/// Resolves `source`.
pub(crate) fn resolve(
    source: &ProfileSource,
    sources: &dyn Sources,
    groups: &Groups,
) -> Result<ResolvedProfile, Vec<Diagnostic>> {
    let (statements, bases) = flatten(source, sources).map_err(|error| vec![error])?;
    let taken = take_groups(&statements, groups)?;
    let mut grants: Vec<Grant> = Vec::new();
    let mut denials: Vec<Denial> = Vec::new();
    for (_, group) in &taken {
        grants.extend(group.grants.iter().cloned());
        denials.extend(group.denials.iter().cloned());
    }
    grants.extend(own_grants(&statements)?);
    denials.extend(own_denials(&statements)?);
    let (grants, dropped) = conflict::settle(grants, &denials);
    Ok(ResolvedProfile {
        name: source.name.clone(),
        at: source.at.clone(),
        description: source.description.clone(),
        bases,
        groups: taken.into_iter().map(|(name, _)| name).collect(),
        grants,
        dropped,
        denials,
        volumes: statements.volumes.unwrap_or_default(),
        network: network(&statements),
        isolate_signals: is_on(&statements.isolate_signals),
        isolate_sockets: is_on(&statements.isolate_sockets),
        landlock: Landlock {
            min_abi: statements.min_abi.unwrap_or(1),
            log_denials: statements.log_denials.unwrap_or(true),
            on_missing: statements.on_missing.unwrap_or_default(),
        },
        unenforceable: unenforceable(&statements),
    })
}

/// The groups that are included and not excluded.
fn take_groups<'a>(
    statements: &Statements,
    groups: &'a Groups,
) -> Result<Vec<(String, &'a Group)>, Vec<Diagnostic>> {
    let mut errors = Vec::new();
    for name in &statements.exclude {
        match groups.get(&name.value) {
            None => errors.push(unknown_group(name, groups)),
            Some(group) if !group.denials.is_empty() => {
                let message = format!(
                    "group {:?} protects secrets and cannot be excluded",
                    name.value
                );
                errors.push(Diagnostic::error(name.at.clone(), message));
            }
            Some(_) => {}
        }
    }
    let mut taken = Vec::new();
    for name in &statements.include {
        if statements
            .exclude
            .iter()
            .any(|other| other.value == name.value)
        {
            continue;
        }
        match groups.get(&name.value) {
            Some(group) => taken.push((name.value.clone(), group)),
            None => errors.push(unknown_group(name, groups)),
        }
    }
    if errors.is_empty() {
        Ok(taken)
    } else {
        Err(errors)
    }
}

fn unknown_group(name: &Located<String>, groups: &Groups) -> Diagnostic {
    let known = groups.keys().map(String::as_str);
    let hint = match did_you_mean(&name.value, known.clone()) {
        Some(group) => format!("did you mean {group:?}?"),
        None => format!("groups: {}", known.collect::<Vec<_>>().join(", ")),
    };
    let message = format!("group {:?} does not exist; {hint}", name.value);
    Diagnostic::error(name.at.clone(), message)
}

fn own_grants(statements: &Statements) -> Result<Vec<Grant>, Vec<Diagnostic>> {
    let mut grants = Vec::new();
    for stated in &statements.grants {
        grants.push(Grant {
            place: place(&stated.path)?,
            access: stated.access,
            origin: stated.key.to_owned(),
            at: stated.path.at.clone(),
        });
    }
    if let Some(Located {
        value: Some(access),
        at,
    }) = &statements.workdir
    {
        grants.push(Grant {
            place: Place::parse("$WORKDIR").expect("a variable alone is a place"),
            access: *access,
            origin: "workdir.access".to_owned(),
            at: at.clone(),
        });
    }
    Ok(grants)
}

fn own_denials(statements: &Statements) -> Result<Vec<Denial>, Vec<Diagnostic>> {
    let denial = |path: &Located<String>| {
        Ok(Denial {
            place: place(path)?,
            origin: "filesystem.deny".to_owned(),
            at: path.at.clone(),
        })
    };
    statements.deny.iter().map(denial).collect()
}

/// The reader has checked the path already.
fn place(path: &Located<String>) -> Result<Place, Vec<Diagnostic>> {
    match PathText::from_str(&path.value) {
        Ok(PathText(place)) => Ok(place),
        Err(error) => Err(vec![Diagnostic::error(path.at.clone(), error.to_string())]),
    }
}

fn network(statements: &Statements) -> Network {
    let block = is_on(&statements.block);
    let ports = |ports: &[Located<u16>]| (block || !ports.is_empty()).then(|| ports.to_vec());
    Network {
        block,
        connect: ports(&statements.connect_ports),
        listen: ports(&statements.listen_ports),
    }
}

fn is_on(flag: &Option<Located<bool>>) -> bool {
    flag.as_ref().is_some_and(|flag| flag.value)
}

fn unenforceable(statements: &Statements) -> Vec<Unenforceable> {
    let stated = statements.unenforceable.iter();
    let stated = stated.filter_map(|(key, reason)| {
        let reason = reason.as_ref()?;
        Some(Unenforceable {
            key,
            at: reason.at.clone(),
            reason: reason.value,
        })
    });
    stated.collect()
}

#[cfg(test)]
mod tests;
