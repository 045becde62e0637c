//! What is to be said about a profile file.

use std::fmt;

use crate::document::Location;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file can be used; something in it has no effect.
    Warning,
    /// The file cannot be used.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// One complaint about a file. Printed as `file:line:column: severity: message`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {severity}: {message}")]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Where.
    pub at: Location,
    /// What is wrong, and what to do about it.
    pub message: String,
}

impl Diagnostic {
    pub(crate) fn error(at: Location, message: String) -> Self {
        Self {
            severity: Severity::Error,
            at,
            message,
        }
    }

    pub(crate) fn warning(at: Location, message: String) -> Self {
        Self {
            severity: Severity::Warning,
            at,
            message,
        }
    }
}
