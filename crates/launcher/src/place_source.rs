//! Where the places of a plan lie in this container, before anything is opened.
//!
//! Pure. Values of the container become paths here only if they are absolute and have no `..`; what
//! such a path really leads to is judged after it was opened.

use std::ffi::{CStr, CString};

use kubefence_launch_plan::{Place, Variable};

use crate::sys::c_string;

/// What the container decided.
pub(crate) struct Surroundings<'a> {
    /// `HOME`, if set.
    pub(crate) home: Option<&'a [u8]>,
    /// `TMPDIR`, if set.
    pub(crate) tmpdir: Option<&'a [u8]>,
    /// The program that is about to be executed, as found.
    pub(crate) program: &'a CStr,
    /// The kernel's path of that program, if it could be opened.
    pub(crate) program_path: Option<Vec<u8>>,
}

/// The value of a variable in an environment: that of its first occurrence, as getenv(3) has it.
pub(crate) fn variable<'a>(env: &[&'a CStr], name: &str) -> Option<&'a [u8]> {
    env.iter().find_map(|entry| {
        let rest = entry.to_bytes().strip_prefix(name.as_bytes())?;
        rest.strip_prefix(b"=")
    })
}

impl Surroundings<'_> {
    /// The path to open for `place`; a relative one starts in the working directory. `None` means that
    /// there is no such place here.
    pub(crate) fn path_to(&self, place: &Place) -> Option<CString> {
        let (variable, suffix) = match place {
            Place::Absolute(path) => return Some(c_string(path.as_str())),
            Place::Below(variable, suffix) => (variable, suffix.as_bytes()),
        };
        match variable {
            Variable::Home => usable(self.home?).map(|base| below(base, suffix)),
            Variable::Tmpdir => usable(self.tmpdir?).map(|base| below(base, suffix)),
            Variable::Workdir => Some(below(b".", suffix)),
            Variable::Entrypoint => suffix.is_empty().then(|| self.program.to_owned()),
            Variable::EntrypointDir => {
                let path = self.program_path.as_deref()?;
                let slash = path.iter().rposition(|b| *b == b'/')?;
                usable(&path[..slash.max(1)]).map(|base| below(base, suffix))
            }
            Variable::XdgConfigHome
            | Variable::XdgDataHome
            | Variable::XdgStateHome
            | Variable::XdgCacheHome
            | Variable::XdgRuntimeDir => None,
        }
    }
}

/// A value that names a place: absolute, and without `..`.
pub(crate) fn usable(value: &[u8]) -> Option<&[u8]> {
    let climbs = value.split(|b| *b == b'/').any(|c| c == b"..");
    (value.starts_with(b"/") && !climbs).then_some(value)
}

fn below(base: &[u8], suffix: &[u8]) -> CString {
    if suffix.is_empty() {
        c_string(base)
    } else {
        c_string([base, b"/", suffix].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surroundings<'a>(home: Option<&'a str>, program_path: Option<&str>) -> Surroundings<'a> {
        Surroundings {
            home: home.map(str::as_bytes),
            tmpdir: Some(b"/scratch/"),
            program: c"./run",
            program_path: program_path.map(|p| p.as_bytes().to_vec()),
        }
    }

    fn path(s: &Surroundings, place: &str) -> Option<String> {
        let path = s.path_to(&Place::parse(place).unwrap())?;
        Some(path.into_string().unwrap())
    }

    #[test]
    fn places_become_paths() {
        let s = surroundings(Some("/home/u"), Some("/app/run"));
        for (place, expected) in [
            ("/usr", "/usr"),
            ("$HOME", "/home/u"),
            ("$HOME/.cache", "/home/u/.cache"),
            ("$TMPDIR", "/scratch/"),
            ("$WORKDIR", "."),
            ("$WORKDIR/a/b", "./a/b"),
            ("$ENTRYPOINT", "./run"),
            ("$ENTRYPOINT_DIR", "/app"),
            ("$ENTRYPOINT_DIR/x", "/app/x"),
        ] {
            assert_eq!(path(&s, place).as_deref(), Some(expected), "{place}");
        }
        let at_root = surroundings(None, Some("/run"));
        assert_eq!(path(&at_root, "$ENTRYPOINT_DIR").as_deref(), Some("/"));
    }

    #[test]
    fn values_that_name_no_place_yield_none() {
        for home in ["", "home", "./x", "..", "/..", "/home/../etc", "/home/u/.."] {
            assert_eq!(
                path(&surroundings(Some(home), None), "$HOME/x"),
                None,
                "{home}"
            );
        }
        let s = surroundings(None, None);
        for place in ["$HOME", "$HOME/x", "$ENTRYPOINT_DIR", "$ENTRYPOINT/x"] {
            assert_eq!(path(&s, place), None, "{place}");
        }
        // Two dots inside a name climb nowhere.
        assert!(path(&surroundings(Some("/a/..b"), None), "$HOME").is_some());
    }

    #[test]
    fn the_first_of_two_equal_variables_counts() {
        let env = [
            c"HOMER=/x",
            c"HOME=/a",
            c"HOME=/b",
            c"EMPTY=",
            c"noequals",
            c"",
        ];
        assert_eq!(variable(&env, "HOME"), Some(&b"/a"[..]));
        assert_eq!(variable(&env, "EMPTY"), Some(&b""[..]));
        for name in ["noequals", "HOM", "ABSENT"] {
            assert_eq!(variable(&env, name), None, "{name}");
        }
    }
}
