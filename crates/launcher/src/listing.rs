//! What directories hold, so that places which do not exist need not be looked up one by one.
//!
//! Only ever used to pass something over: what may exist is opened and judged as ever.

use std::cell::RefCell;
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;

/// Most names that are worth reading.
const MOST: usize = 500;

/// The names in a directory; `None` if it cannot be listed, or holds too much for that to be worth it.
struct Listing(Option<Vec<OsString>>);

impl Listing {
    /// Lists `dir`. One that does not exist holds nothing.
    fn of(dir: &[u8]) -> Self {
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
    fn may_hold(&self, path: &[u8]) -> bool {
        let first = path.split(|b| *b == b'/').next().unwrap_or_default();
        let holds = |names: &Vec<OsString>| names.iter().any(|name| name.as_bytes() == first);
        self.0.as_ref().is_none_or(holds)
    }
}

/// The directories that were listed so far, each once.
#[derive(Default)]
pub(crate) struct Listings(RefCell<Vec<(Vec<u8>, Listing)>>);

impl Listings {
    /// Lists `dir`, because many places below it are about to be asked for.
    pub(crate) fn list(&self, dir: &[u8]) {
        let mut known = self.0.borrow_mut();
        if !known.iter().any(|(known, _)| known == dir) {
            known.push((dir.to_vec(), Listing::of(dir)));
        }
    }

    /// Whether there may be something at the absolute `path`.
    pub(crate) fn may_hold(&self, path: &[u8]) -> bool {
        if self.rule_out(path) {
            return false;
        }
        let slash = path.iter().rposition(|b| *b == b'/').unwrap_or(0);
        self.list(&path[..slash.max(1)]);
        !self.rule_out(path)
    }

    fn rule_out(&self, path: &[u8]) -> bool {
        let known = self.0.borrow();
        let mut known = known.iter();
        known.any(|(dir, listing)| below(path, dir).is_some_and(|rest| !listing.may_hold(rest)))
    }
}

/// What leads from `dir` to `path`, if that lies below it.
pub(crate) fn below<'a>(path: &'a [u8], dir: &[u8]) -> Option<&'a [u8]> {
    let dir = dir.strip_suffix(b"/").unwrap_or(dir);
    path.strip_prefix(dir)?.strip_prefix(b"/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_surely_absent_is_passed_over() {
        let listing = Listing(Some(vec![".ssh".into(), ".config".into()]));
        for (path, expected) in [
            (&b".ssh"[..], true),
            (b".config/op", true),
            (b".aws", false),
            (b".sshx", false),
        ] {
            assert_eq!(listing.may_hold(path), expected, "{path:?}");
            assert!(Listing(None).may_hold(path), "{path:?}");
        }
    }

    #[test]
    fn directories_are_listed_unless_that_fails() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("here"), "").unwrap();
        let listing = Listing::of(dir.path().as_os_str().as_bytes());
        assert!(listing.may_hold(b"here/x") && !listing.may_hold(b"there"));
        for absent in ["/nonexistent", "/dev/null"] {
            assert!(!Listing::of(absent.as_bytes()).may_hold(b"x"), "{absent}");
        }
        for i in 0..MOST {
            std::fs::write(dir.path().join(i.to_string()), "").unwrap();
        }
        assert!(Listing::of(dir.path().as_os_str().as_bytes()).may_hold(b"there"));
    }

    #[test]
    fn what_lies_in_an_absent_directory_is_absent() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("a")).unwrap();
        std::fs::write(dir.path().join("a/x"), "").unwrap();
        let listings = Listings::default();
        for (path, expected) in [
            ("b", false),
            ("b/c/d", false),
            ("a/x", true),
            ("a/y", false),
        ] {
            let path = dir.path().join(path);
            let path = path.as_os_str().as_bytes();
            assert_eq!(listings.may_hold(path), expected, "{path:?}");
        }
        assert_eq!(listings.0.borrow().len(), 2);
        assert!(listings.may_hold(b"/proc/self") && !listings.may_hold(b"/nonexistent"));
    }

    #[test]
    fn below_is_strict() {
        assert_eq!(below(b"/a/b", b"/a"), Some(&b"b"[..]));
        assert_eq!(below(b"/a/b", b"/"), Some(&b"a/b"[..]));
        for (path, dir) in [("/a", "/a"), ("/ab", "/a"), ("/a", "/a/b")] {
            assert_eq!(below(path.as_bytes(), dir.as_bytes()), None, "{path} {dir}");
        }
    }
}
