//! How an operation ended.

use std::fmt;

use serde::{Deserialize, Serialize};

/// `ok`, or the name of an errno.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Outcome(String);

/// What a sandbox does with an operation that works without it.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// It works as without a sandbox.
    Allowed,
    /// It fails.
    Denied,
}

impl Outcome {
    /// An outcome as the probe prints it.
    pub(crate) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Whether the operation worked.
    pub(crate) fn succeeded(&self) -> bool {
        self.0 == "ok"
    }

    /// Allowed or denied; `None` if the operation failed in a way in which Landlock denies nothing.
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        match self.0.as_str() {
            "ok" => Some(Verdict::Allowed),
            // EXDEV: a move between directories; EPERM: a signal, an abstract socket.
            "EACCES" | "EPERM" | "EXDEV" => Some(Verdict::Denied),
            _ => None,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
        })
    }
}
