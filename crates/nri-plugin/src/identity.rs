//! A plugin's name and index, checked as runtimes check them.

/// Why a plugin cannot be called that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidIdentity {
    /// The name is empty or has a character that runtimes refuse.
    #[error(
        "plugin name {0:?} is not valid: use one or more of a-z, A-Z, 0-9, `-`, `_`, `.` and `+`"
    )]
    Name(String),
    /// The index does not consist of two digits.
    #[error("plugin index {0:?} is not valid: use two digits, 00 to 99")]
    Index(String),
}

/// A valid name and index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) name: String,
    pub(crate) index: String,
}

impl Identity {
    pub(crate) fn new(name: String, index: String) -> Result<Self, InvalidIdentity> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
        if name.is_empty() || !name.chars().all(allowed) {
            return Err(InvalidIdentity::Name(name));
        }
        if index.len() != 2 || !index.bytes().all(|b| b.is_ascii_digit()) {
            return Err(InvalidIdentity::Index(index));
        }
        Ok(Self { name, index })
    }
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.index, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, index: &str) -> Result<Identity, InvalidIdentity> {
        Identity::new(name.into(), index.into())
    }

    #[test]
    fn accepts_what_runtimes_accept() {
        assert_eq!(check("nono-nri", "10").unwrap().to_string(), "10-nono-nri");
        for name in ["", "a b", "a/b", "ä"] {
            assert!(matches!(check(name, "10"), Err(InvalidIdentity::Name(_))));
        }
        for index in ["", "1", "100", "a1", "١٢"] {
            assert!(matches!(check("a", index), Err(InvalidIdentity::Index(_))));
        }
    }
}
