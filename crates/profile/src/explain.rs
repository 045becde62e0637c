//! Why a profile allows something, or does not: the question that people ask when a program fails.
//!
//! The answer is worked out from names alone. What only the container's file system tells (links, mounts,
//! whether a denied place exists) is said in words.

mod denial;
mod ports;
mod rules;

use std::fmt;

use kubefence_launch_plan::{FsRight, Place, judge};

pub use self::ports::{PortExplanation, PortOperation};
use self::rules::{Rule, Standing, rules};
use crate::document::Location;
use crate::resolve::{Denial, ResolvedProfile};

/// What a program does to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Open a file for reading.
    Read,
    /// List a directory.
    List,
    /// Execute a file.
    Exec,
    /// Open an existing file for writing.
    Write,
    /// Truncate a file.
    Truncate,
    /// Create a file and write to it.
    Create,
    /// Create a directory.
    Mkdir,
    /// Remove a file.
    Delete,
    /// Remove an empty directory.
    Rmdir,
    /// Rename a file within its directory.
    Rename,
    /// Create a symbolic link.
    Symlink,
    /// Create a named pipe.
    Mkfifo,
    /// Bind a unix socket.
    Socket,
    /// Control a device.
    Ioctl,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 14] = [
        Self::Read,
        Self::List,
        Self::Exec,
        Self::Write,
        Self::Truncate,
        Self::Create,
        Self::Mkdir,
        Self::Delete,
        Self::Rmdir,
        Self::Rename,
        Self::Symlink,
        Self::Mkfifo,
        Self::Socket,
        Self::Ioctl,
    ];

    /// The operation as the command line spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::List => "list",
            Self::Exec => "exec",
            Self::Write => "write",
            Self::Truncate => "truncate",
            Self::Create => "create",
            Self::Mkdir => "mkdir",
            Self::Delete => "delete",
            Self::Rmdir => "rmdir",
            Self::Rename => "rename",
            Self::Symlink => "symlink",
            Self::Mkfifo => "mkfifo",
            Self::Socket => "socket",
            Self::Ioctl => "ioctl",
        }
    }

    /// The rights it needs on the path itself, and those on the directory that the path lies in.
    fn needs(self) -> (&'static [FsRight], &'static [FsRight]) {
        match self {
            Self::Read => (&[FsRight::ReadFile], &[]),
            Self::List => (&[FsRight::ReadDir], &[]),
            Self::Exec => (&[FsRight::Execute], &[]),
            Self::Write => (&[FsRight::WriteFile], &[]),
            Self::Truncate => (&[FsRight::Truncate], &[]),
            Self::Create => (&[FsRight::WriteFile], &[FsRight::MakeReg]),
            Self::Mkdir => (&[], &[FsRight::MakeDir]),
            Self::Delete => (&[], &[FsRight::RemoveFile]),
            Self::Rmdir => (&[], &[FsRight::RemoveDir]),
            Self::Rename => (&[], &[FsRight::RemoveFile, FsRight::MakeReg]),
            Self::Symlink => (&[], &[FsRight::MakeSym]),
            Self::Mkfifo => (&[], &[FsRight::MakeFifo]),
            Self::Socket => (&[], &[FsRight::MakeSock]),
            Self::Ioctl => (&[FsRight::IoctlDev], &[]),
        }
    }

    /// The key of a profile that grants the least and still enough; `None` if no key does.
    fn smallest_key(self) -> Option<(&'static str, On)> {
        Some(match self {
            Self::Read | Self::Exec => ("read_file", On::Path),
            Self::List => ("read", On::Path),
            Self::Write | Self::Truncate => ("write_file", On::Path),
            Self::Ioctl => return None,
            _ => ("write", On::Directory),
        })
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which of two places a rule would have to name.
enum On {
    Path,
    Directory,
}

/// What is known of the container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// `HOME`.
    pub home: Option<String>,
    /// The working directory.
    pub workdir: Option<String>,
    /// `TMPDIR`.
    pub tmpdir: Option<String>,
    /// The user ID.
    pub uid: Option<u32>,
}

/// The outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is allowed.
    Allowed,
    /// The container decides: whether a place that the profile denies exists where a rule would open it up, or
    /// whether the path lies on a volume.
    Depends,
    /// It is denied.
    Denied,
}

/// What a profile says to an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The outcome.
    pub verdict: Verdict,
    /// The path, without `~` and variables.
    pub path: String,
    /// One for each right that is needed.
    pub rights: Vec<RightExplained>,
    /// What else matters, a sentence each.
    pub notes: Vec<String>,
    /// What to write into a profile so that it would be allowed, if that can be said; as JSON.
    pub remedy: Option<String>,
}

/// One right that an operation needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RightExplained {
    /// The right.
    pub right: FsRight,
    /// Where it is needed.
    pub on: String,
    /// The rule that grants it, if one does.
    pub granted_by: Option<RuleNamed>,
}

/// A rule, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleNamed {
    /// The place that it names.
    pub place: String,
    /// The group or key that asks for it.
    pub origin: String,
    /// Where that stands; `None` for rules that every plan has.
    pub at: Option<Location>,
}

/// A path that cannot be asked about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no absolute path (a path below ~ or a variable needs its value: --home, --workdir)"
)]
pub struct UnknownPath(String);

impl ResolvedProfile {
    /// Explains what this profile says to `operation` on `path`.
    pub fn explain(
        &self,
        path: &str,
        operation: Operation,
        container: &Surroundings,
    ) -> Result<Explanation, UnknownPath> {
        let path = rules::absolute(path, container).ok_or_else(|| UnknownPath(path.to_owned()))?;
        let rules = rules(self, container);
        let mut notes = Vec::new();
        let rights = needed(operation, &path, &rules, &mut notes);
        let denial = self.denial_of(&path, container);
        let mut verdict = match denial {
            Some(_) => Verdict::Denied,
            None => rights
                .iter()
                .fold(Verdict::Allowed, |verdict, right| worse(verdict, right)),
        };
        let mut remedy = None;
        if verdict == Verdict::Denied {
            notes.clear();
            denial::say_why(self, &rules, &path, denial, &mut notes);
            if denial.is_none() && denial::volumes_may_allow(self, operation, &path) {
                verdict = Verdict::Depends;
                notes.push("filesystem.volumes allows it on a volume of the pod".to_owned());
            } else if denial.is_none() {
                remedy = self.remedy(operation, &path, container);
            }
        }
        let rights = rights.into_iter().map(|(right, _)| right).collect();
        Ok(Explanation {
            verdict,
            path,
            rights,
            notes,
            remedy,
        })
    }

    /// The smallest statement that would allow it, if one can that is not dropped.
    fn remedy(&self, operation: Operation, path: &str, container: &Surroundings) -> Option<String> {
        let (key, on) = operation.smallest_key()?;
        let path = match on {
            On::Path => path,
            On::Directory => parent(path),
        };
        let opens_denied = |denial: &Denial| {
            let place = rules::resolved(&denial.place, container);
            place.is_some_and(|place| judge::related(path.as_bytes(), place.as_bytes()))
        };
        if self.denials.iter().any(opens_denied) {
            return None;
        }
        let path = rules::with_variable(path, container);
        Place::parse(&path).ok()?;
        Some(format!("\"filesystem\": {{ \"{key}\": [{path:?}] }}"))
    }

    /// The denial that `path` lies in.
    fn denial_of(&self, path: &str, container: &Surroundings) -> Option<&Denial> {
        self.denials.iter().find(|denial| {
            let place = rules::resolved(&denial.place, container);
            place.is_some_and(|place| judge::at_or_below(path.as_bytes(), place.as_bytes()))
        })
    }
}

fn note(notes: &mut Vec<String>, text: String) {
    if !notes.contains(&text) {
        notes.push(text);
    }
}

/// The rule that grants `right` at or above `path`, the most certain one first.
fn best<'a>(rules: &'a [Rule], right: FsRight, path: &str) -> Option<&'a Rule> {
    let grants = |rule: &&Rule| rule.grants(right, path);
    let certain = |rule: &&Rule| matches!(rule.standing, Standing::Stands);
    let found = rules.iter().filter(grants).find(certain);
    found.or_else(|| rules.iter().find(grants))
}

/// The rights that `operation` needs, each with the standing of the rule that grants it.
fn needed<'a>(
    operation: Operation,
    path: &str,
    rules: &'a [Rule],
    notes: &mut Vec<String>,
) -> Vec<(RightExplained, Option<&'a Standing>)> {
    let (on_path, on_directory) = operation.needs();
    let directory = parent(path);
    let needed = (on_path.iter().map(|right| (*right, path)))
        .chain(on_directory.iter().map(|right| (*right, directory)));
    let explained = needed.map(|(right, on)| {
        let found = best(rules, right, on);
        if let Some(Standing::Unless(denial)) = found.map(|rule| &rule.standing) {
            note(notes, denial::unless(denial));
        }
        let explained = RightExplained {
            right,
            on: on.to_owned(),
            granted_by: found.map(Rule::named),
        };
        (explained, found.map(|rule| &rule.standing))
    });
    explained.collect()
}

fn worse(so_far: Verdict, right: &(RightExplained, Option<&Standing>)) -> Verdict {
    match (so_far, right.1) {
        (Verdict::Denied, _) | (_, None) => Verdict::Denied,
        (Verdict::Depends, _) | (_, Some(Standing::Unless(_))) => Verdict::Depends,
        _ => Verdict::Allowed,
    }
}

fn parent(path: &str) -> &str {
    match path.rfind('/') {
        Some(0) | None => "/",
        Some(slash) => &path[..slash],
    }
}

#[cfg(test)]
mod tests;
