//! Profile names.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest profile name, in bytes.
const MAX_LEN: usize = 64;

/// The name of a profile: `^[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}$`.
///
/// A valid name is a single safe path component, so it can be joined to a directory as it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProfileName(String);

/// A string that is no profile name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{value:?} is not a profile name: 1 to 64 letters, digits, `-` or `_`, the first a letter or digit"
)]
pub struct InvalidProfileName {
    value: String,
}

impl ProfileName {
    /// Checks `value` against the name rule.
    pub fn parse(value: &str) -> Result<Self, InvalidProfileName> {
        let bytes = value.as_bytes();
        let first_is_alphanumeric = bytes.first().is_some_and(u8::is_ascii_alphanumeric);
        let rest_is_plain = bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        if first_is_alphanumeric && rest_is_plain && bytes.len() <= MAX_LEN {
            Ok(Self(value.to_owned()))
        } else {
            Err(InvalidProfileName {
                value: value.to_owned(),
            })
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ProfileName {
    type Error = InvalidProfileName;

    fn try_from(value: String) -> Result<Self, Self::Error> {
        Self::parse(&value)
    }
}

impl From<ProfileName> for String {
    fn from(name: ProfileName) -> Self {
        name.0
    }
}

impl fmt::Display for ProfileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_the_annotation_contract_accepts() {
        for name in ["default", "claude-code", "a", "0_-", &"x".repeat(64)] {
            assert_eq!(ProfileName::parse(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn rejects_everything_else() {
        let long = "x".repeat(65);
        for name in [
            "", "-a", "_a", "a.b", "../etc", "a/b", "ä", "a\n", "a\0", " a", &long,
        ] {
            assert!(ProfileName::parse(name).is_err(), "{name:?} was accepted");
        }
    }
}
