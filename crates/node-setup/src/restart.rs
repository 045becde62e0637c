//! Restarting the container runtime.
//!
//! containerd reads its configuration only when it starts, and so does CRI-O what concerns NRI. Containers go on
//! running meanwhile.

mod systemd;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::root::Root;

pub use self::systemd::SystemdError;

/// How the runtime is restarted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Restart {
    /// By systemd.
    #[default]
    Auto,
    /// Not at all: somebody else does it.
    None,
    /// By a command of the node: program and arguments.
    Command(Vec<String>),
}

/// Why the runtime was not restarted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestartError {
    /// systemd does not do it.
    #[error(transparent)]
    Systemd(#[from] SystemdError),
    /// The command cannot be run.
    #[error(
        "cannot run the restart command {program}: --restart-command names a program of the node"
    )]
    Start {
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The command failed.
    #[error("the restart command {program} failed ({status}): {message}")]
    Failed {
        /// The program.
        program: PathBuf,
        /// Its exit status.
        status: std::process::ExitStatus,
        /// The end of what it said.
        message: String,
    },
    /// There is no command.
    #[error(
        "the restart command is empty: --restart-command names a program of the node and its arguments"
    )]
    Empty,
}

impl RestartError {
    /// Whether the runtime may have been stopped all the same.
    pub fn may_have_stopped(&self) -> bool {
        match self {
            Self::Systemd(error) => matches!(
                error,
                SystemdError::Failed { .. } | SystemdError::TimedOut(_)
            ),
            Self::Start { source, .. } => source.kind() == io::ErrorKind::TimedOut,
            Self::Failed { .. } => true,
            Self::Empty => false,
        }
    }
}

impl Restart {
    /// What would be restarted, in words; `None` if nothing would be.
    pub fn describe(&self, units: &[String]) -> Option<String> {
        match self {
            Self::None => None,
            Self::Auto => Some(format!("the first active unit of {}", units.join(", "))),
            Self::Command(words) => Some(format!("by {}", words.join(" "))),
        }
    }

    /// Restarts the runtime; returns what was done, in words, or `None` if it is not to be done here.
    ///
    /// # Errors
    ///
    /// Fails if the runtime was not restarted within `limit`.
    pub fn perform(
        &self,
        root: &Root,
        units: &[String],
        limit: Duration,
    ) -> Result<Option<String>, RestartError> {
        match self {
            Self::None => Ok(None),
            Self::Auto => Ok(Some(systemd::restart(root, units, limit)?)),
            Self::Command(words) => command(root, words, limit).map(Some),
        }
    }
}

fn command(root: &Root, words: &[String], limit: Duration) -> Result<String, RestartError> {
    let (program, args) = words.split_first().ok_or(RestartError::Empty)?;
    let program = Path::new(program);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let fail = |source| RestartError::Start {
        program: program.to_owned(),
        source,
    };
    let output = root.run_within(program, &args, limit).map_err(fail)?;
    if output.status.success() {
        return Ok(words.join(" "));
    }
    Err(RestartError::Failed {
        program: program.to_owned(),
        status: output.status,
        message: last_words(&output.stderr),
    })
}

/// The end of what a program said.
pub(crate) fn last_words(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let tail = &lines[lines.len().saturating_sub(3)..];
    match tail.is_empty() {
        true => "it said nothing".to_owned(),
        false => tail.join("; "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::Entrance;

    fn own() -> Root {
        Root::open(Path::new("/"), Entrance::through("/nonexistent", &[])).unwrap()
    }

    fn by(words: &[&str]) -> Result<Option<String>, RestartError> {
        let words = words.iter().map(|&word| word.to_owned()).collect();
        Restart::Command(words).perform(&own(), &[], Duration::from_secs(10))
    }

    #[test]
    fn a_command_succeeds_or_says_why_not() {
        let done = by(&["/bin/sh", "-c", "exit 0"]).unwrap();
        assert_eq!(done.as_deref(), Some("/bin/sh -c exit 0"));
        let error = by(&["/bin/sh", "-c", "echo the reason >&2; exit 3"]).unwrap_err();
        assert!(error.may_have_stopped());
        let message = error.to_string();
        assert!(
            message.contains("exit status: 3") && message.ends_with(": the reason"),
            "{message}"
        );
    }

    #[test]
    fn commands_that_cannot_be_run_are_named() {
        let error = by(&["/nowhere/systemctl"]).unwrap_err();
        assert!(!error.may_have_stopped());
        let message = error.to_string();
        assert!(message.contains("/nowhere/systemctl"), "{message}");
        assert!(matches!(by(&[]), Err(RestartError::Empty)));
    }

    #[test]
    fn nobody_is_asked_to_restart_what_others_restart() {
        let done = Restart::None.perform(&own(), &[], Duration::from_secs(1));
        assert_eq!(done.unwrap(), None);
    }
}
