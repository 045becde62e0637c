//! What a directory holds, so that places which do not exist need not be looked up one by one.
//!
//! Only ever used to pass something over: what may exist is opened and judged as ever.

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;

/// Most names that are worth reading.
const MOST: usize = 500;

/// The names in a directory; `None` if it cannot be listed, or holds too much for that to be worth it.
pub(crate) struct Listing(Option<Vec<OsString>>);

impl Listing {
    /// Lists `dir`. One that does not exist holds nothing.
    pub(crate) fn of(dir: &[u8]) -> Self {
        let entries = match std::fs::read_dir(OsStr::from_bytes(dir)) {
            Ok(entries) => entries,
            Err(error) => {
                let absent = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory);
                return Self(absent.then(Vec::new));
            }
        };
        let names: std::io::Result<Vec<_>> = entries
            .take(MOST)
            .map(|entry| Ok(entry?.file_name()))
            .collect();
        Self(names.ok().filter(|names| names.len() < MOST))
    }

    /// Whether the directory may hold something at the relative `path`.
    pub(crate) fn may_hold(&self, path: &str) -> bool {
        let first = path.split('/').next().unwrap_or_default();
        let holds = |names: &Vec<OsString>| names.iter().any(|name| name == first);
        self.0.as_ref().is_none_or(holds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_surely_absent_is_passed_over() {
        let listing = Listing(Some(vec![".ssh".into(), ".config".into()]));
        for (path, expected) in [
            (".ssh", true),
            (".config/op", true),
            (".aws", false),
            (".sshx", false),
        ] {
            assert_eq!(listing.may_hold(path), expected, "{path}");
            assert!(Listing(None).may_hold(path), "{path}");
        }
    }

    #[test]
    fn directories_are_listed_unless_that_fails() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("here"), "").unwrap();
        let listing = Listing::of(dir.path().as_os_str().as_bytes());
        assert!(listing.may_hold("here/x") && !listing.may_hold("there"));
        for absent in ["/nonexistent", "/dev/null"] {
            assert!(!Listing::of(absent.as_bytes()).may_hold("x"), "{absent}");
        }
        for i in 0..MOST {
            std::fs::write(dir.path().join(i.to_string()), "").unwrap();
        }
        assert!(Listing::of(dir.path().as_os_str().as_bytes()).may_hold("there"));
    }
}
