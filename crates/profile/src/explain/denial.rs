//! Why nothing allows an operation, for people.

use kubefence_launch_plan::{FsRight, Volumes, judge};

use super::rules::Rule;
use super::{Operation, note};
use crate::resolve::{Denial, ResolvedProfile};

/// What keeps a rule from standing for sure.
pub(super) fn unless(denial: &Denial) -> String {
    format!(
        "dropped at launch where {} exists, which {} denies ({})",
        denial.place, denial.origin, denial.at
    )
}

/// Says why nothing allows an operation on `path`, which may lie in a denied place.
pub(super) fn say_why(
    profile: &ResolvedProfile,
    rules: &[Rule],
    path: &str,
    denial: Option<&Denial>,
    notes: &mut Vec<String>,
) {
    if let Some(Denial { place, origin, at }) = denial {
        let text = format!("{origin} denies {place} ({at}), and denial wins over every grant");
        return note(notes, text);
    }
    dropped(profile, notes);
    for rule in rules.iter().filter(|rule| rule.covers(path)) {
        let why = match rule.refusal() {
            None => continue,
            Some(judge::Refusal::TooBroad) => "it holds too much",
            Some(judge::Refusal::System) => "it lies in, or above, a system directory",
            Some(_) => "it is no place to grant",
        };
        let named = rule.named();
        note(
            notes,
            format!(
                "{} of {} earns nothing here: {why}",
                named.place, named.origin
            ),
        );
    }
    // What the container chooses can open no system directory.
    if judge::untrusted(path.as_bytes()).is_err() {
        return;
    }
    for rule in rules.iter().filter(|rule| rule.is_unknown()) {
        let named = rule.named();
        note(
            notes,
            format!(
                "{} of {} would matter, but its value is not known here",
                named.place, named.origin
            ),
        );
    }
}

fn dropped(profile: &ResolvedProfile, notes: &mut Vec<String>) {
    for dropped in &profile.dropped {
        let (grant, denial) = (&dropped.grant, &dropped.denial);
        let text = format!(
            "{} of {} ({}) is dropped, because {} denies {} ({})",
            grant.place, grant.origin, grant.at, denial.origin, denial.place, denial.at
        );
        note(notes, text);
    }
}

/// Whether it would be allowed on a volume of the pod.
pub(super) fn volumes_may_allow(
    profile: &ResolvedProfile,
    operation: Operation,
    path: &str,
) -> bool {
    let reads = [FsRight::ReadFile, FsRight::ReadDir, FsRight::Execute];
    let (on_path, on_directory) = operation.needs();
    let mut rights = on_path.iter().chain(on_directory);
    match (profile.volumes, judge::volume(path.as_bytes())) {
        (Volumes::None, _) | (_, Err(_)) => false,
        (Volumes::AsMounted, Ok(Volumes::AsMounted)) => operation != Operation::Ioctl,
        _ => rights.all(|right| reads.contains(right)),
    }
}
