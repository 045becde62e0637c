//! The rules of a profile as they would stand in a container of which some things are known.

use kubefence_launch_plan::{FsRight, FsRights, PathRule, Place, Variable, judge};

use super::{RuleNamed, Surroundings};
use crate::compile::launcher_rules;
use crate::document::Location;
use crate::resolve::{Denial, Grant, ResolvedProfile};

/// One rule, with its variable replaced.
pub(super) struct Rule {
    place: Place,
    /// The path, if the variable's value is known.
    path: Option<String>,
    rights: FsRights,
    origin: String,
    at: Option<Location>,
    pub(super) standing: Standing,
}

/// Whether a rule takes effect.
pub(super) enum Standing {
    /// It does.
    Stands,
    /// It does unless this denied place exists.
    Unless(Denial),
    /// It does not: the container chose a place that is not the container's to open.
    Refused(judge::Refusal),
    /// It cannot be said, because the value of its variable is not known.
    Unknown,
}

impl Rule {
    /// Whether it grants `right` on `path`, possibly only if no denied place exists.
    pub(super) fn grants(&self, right: FsRight, path: &str) -> bool {
        let stands = matches!(self.standing, Standing::Stands | Standing::Unless(_));
        stands && self.rights.contains(right) && self.covers(path)
    }

    /// Whether its value is not known.
    pub(super) fn is_unknown(&self) -> bool {
        matches!(self.standing, Standing::Unknown)
    }

    /// Why it earns nothing, if so.
    pub(super) fn refusal(&self) -> Option<judge::Refusal> {
        match self.standing {
            Standing::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    pub(super) fn covers(&self, path: &str) -> bool {
        let base = self.path.as_deref();
        base.is_some_and(|base| match judge::FILE_RIGHTS.contains_all(self.rights) {
            true => path == base,
            false => judge::at_or_below(path.as_bytes(), base.as_bytes()),
        })
    }

    pub(super) fn named(&self) -> RuleNamed {
        RuleNamed {
            place: self.place.to_string(),
            origin: self.origin.clone(),
            at: self.at.clone(),
        }
    }
}

/// The rules of `profile` in `container`.
pub(super) fn rules(profile: &ResolvedProfile, container: &Surroundings) -> Vec<Rule> {
    let launcher = launcher_rules().into_iter().map(of_launcher);
    let granted = profile.grants.iter();
    let granted = granted.map(|grant| of_grant(grant, profile, container));
    launcher.chain(granted).collect()
}

fn of_launcher(rule: PathRule) -> Rule {
    Rule {
        path: Some(rule.path.to_string()),
        place: rule.path,
        rights: rule.rights,
        origin: rule.origin,
        at: None,
        standing: Standing::Stands,
    }
}

fn of_grant(grant: &Grant, profile: &ResolvedProfile, container: &Surroundings) -> Rule {
    let path = resolved(&grant.place, container);
    let standing = match (&grant.place, &path) {
        (_, None) => Standing::Unknown,
        (place, Some(path)) => match (place, judge::untrusted(path.as_bytes())) {
            (Place::Below(..), Err(refusal)) => Standing::Refused(refusal),
            _ => match denied(path, profile, container) {
                Some(denial) => Standing::Unless(denial.clone()),
                None => Standing::Stands,
            },
        },
    };
    Rule {
        place: grant.place.clone(),
        path,
        rights: grant.access.rights(),
        origin: grant.origin.clone(),
        at: Some(grant.at.clone()),
        standing,
    }
}

/// The denial that keeps a place from being granted, if what it names exists.
fn denied<'a>(
    path: &str,
    profile: &'a ResolvedProfile,
    container: &Surroundings,
) -> Option<&'a Denial> {
    profile.denials.iter().find(|denial| {
        let place = resolved(&denial.place, container);
        place.is_some_and(|place| judge::related(path.as_bytes(), place.as_bytes()))
    })
}

/// The path of `place`, if all of its variables are known.
pub(super) fn resolved(place: &Place, container: &Surroundings) -> Option<String> {
    let place = match (place.has_uid(), container.uid) {
        (false, _) => place.clone(),
        (true, uid) => place.for_user(uid?),
    };
    let (variable, suffix) = match place {
        Place::Absolute(path) => return Some(path),
        Place::Below(variable, suffix) => (variable, suffix),
    };
    let base = match variable {
        Variable::Home => container.home.clone()?,
        Variable::Workdir => container.workdir.clone()?,
        Variable::Tmpdir => container.tmpdir.clone()?,
        xdg => format!("{}/{}", container.home.as_deref()?, xdg.below_home()?),
    };
    let base = base.trim_end_matches('/');
    match suffix.as_str() {
        "" if base.is_empty() => Some("/".to_owned()),
        "" => Some(base.to_owned()),
        suffix => Some(format!("{base}/{suffix}")),
    }
}

/// `path` without `~` and variables; `None` if it is not absolute then, or climbs.
pub(super) fn absolute(path: &str, container: &Surroundings) -> Option<String> {
    if path == "/" {
        return Some(path.to_owned());
    }
    let place = path.parse::<crate::path::PathText>().ok()?.0;
    resolved(&place, container)
}

/// `path` as a profile should spell it: below the home as `$HOME/…`.
pub(super) fn with_variable(path: &str, container: &Surroundings) -> String {
    let below_home = container.home.as_deref().and_then(|home| {
        let rest = path.strip_prefix(home.trim_end_matches('/'))?;
        (rest.is_empty() || rest.starts_with('/')).then_some(rest)
    });
    below_home.map_or_else(|| path.to_owned(), |rest| format!("$HOME{rest}"))
}
