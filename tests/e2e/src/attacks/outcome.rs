//! What an attack says of itself, and what that means beside its control.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result};

/// How one attack ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It reached its goal.
    Won,
    /// Something stopped it.
    Held(String),
    /// The kernel or the container cannot do it, sandbox or not.
    NotHere(String),
    /// The attack itself went wrong, and proves nothing.
    Broken(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Won => f.write_str("won"),
            Self::Held(how) => write!(f, "held {how}"),
            Self::NotHere(why) => write!(f, "n/a {why}"),
            Self::Broken(what) => write!(f, "broken {what}"),
        }
    }
}

/// The outcomes of one run of the attack program.
#[derive(Clone, Debug, Default)]
pub struct Outcomes {
    victims: usize,
    by_name: BTreeMap<String, Outcome>,
}

impl Outcomes {
    /// Adds what the attack program printed; other lines are not its own.
    pub fn with(mut self, output: &str) -> Result<Self> {
        for line in output.lines() {
            let Some((name, rest)) = line.split_once(": ") else {
                continue;
            };
            let (word, detail) = rest.split_once(' ').unwrap_or((rest, ""));
            let outcome = match word {
                "won" => Outcome::Won,
                "held" => Outcome::Held(detail.to_owned()),
                "n/a" => Outcome::NotHere(detail.to_owned()),
                "broken" => Outcome::Broken(detail.to_owned()),
                _ if name == "victims" => {
                    self.victims = word.parse().context("the number of victims")?;
                    continue;
                }
                _ => continue,
            };
            self.insert(name, outcome);
        }
        Ok(self)
    }

    /// How many processes of other domains the attacker saw.
    pub fn victims(&self) -> usize {
        self.victims
    }

    /// Adds what somebody else has found out.
    pub fn insert(&mut self, name: &str, outcome: Outcome) {
        self.by_name.insert(name.to_owned(), outcome);
    }

    /// Takes all of `other`.
    pub fn extend(&mut self, other: Self) {
        self.victims = self.victims.max(other.victims);
        self.by_name.extend(other.by_name);
    }

    /// The outcome of one attack, if it said anything.
    pub fn of(&self, name: &str) -> Option<Outcome> {
        self.by_name.get(name).cloned()
    }
}

/// The ways in which something is denied. Whatever else goes wrong, nobody has stopped.
const DENIALS: [&str; 6] = [
    "EACCES",
    "EPERM",
    "EXDEV",
    "nothing in /etc",
    "the user stays",
    "no capability is gained",
];

/// What is promised of one attack in one place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Promise {
    /// It wins without the sandbox, and not within.
    Stopped,
    /// Within, it does not win; without, it may be impossible there.
    Impossible,
    /// It wins in both: documented as not stopped.
    Open,
}

/// An error, in words, if `sandboxed` and its `control` break the promise.
pub fn judge(promise: Promise, sandboxed: &Outcome, control: &Outcome) -> Result<(), String> {
    use Outcome::{Broken, Held, NotHere, Won};
    match (promise, sandboxed, control) {
        (_, _, Broken(_)) | (Promise::Stopped | Promise::Open, _, Held(_) | NotHere(_)) => {
            Err(format!("its control does not win: {control}"))
        }
        (_, Broken(what), _) => Err(format!("it is broken: {what}")),
        (Promise::Stopped, NotHere(why), Won) => {
            Err(format!("it says n/a ({why}), its control wins"))
        }
        (Promise::Stopped, Held(how), Won) if !DENIALS.contains(&how.as_str()) => {
            Err(format!("it failed, but nothing denied it: {how}"))
        }
        (Promise::Open, Held(_) | NotHere(_), Won) => Err(format!(
            "it is documented as not stopped, but says: {sandboxed}"
        )),
        (Promise::Stopped | Promise::Impossible, Won, _) => Err("it won".to_owned()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
