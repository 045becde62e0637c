//! Where the places of a plan lie in this container, before anything is opened.
//!
//! Pure. Values of the container become paths here only if they are absolute and have no `..`. They are made
//! normal: as such a path is opened without following links, it is the kernel's path as well.

use std::borrow::Cow;
use std::ffi::{CStr, CString};

use kubefence_launch_plan::{Place, Variable};

use crate::sys::c_string;

/// The name under which a command line gives the directories that a bare `$ENTRYPOINT` is looked for in.
pub(crate) const ENTRYPOINT_PATH: &str = "PATH";

/// What an environment says of the variables of a plan, as far as it names places.
#[derive(Default)]
pub(crate) struct Environment([Option<Vec<u8>>; Variable::ALL.len()]);

impl Environment {
    /// Reads the variables from `env`.
    pub(crate) fn of(env: &[&CStr]) -> Self {
        let mut values = Self::default();
        for named in Variable::ALL.into_iter().filter(|v| v.is_in_environment()) {
            values.0[named as usize] = variable(env, named.name()).and_then(normal);
        }
        values
    }

    /// The value of `variable`, made normal, if it is set and usable.
    pub(crate) fn value(&self, variable: Variable) -> Option<&[u8]> {
        self.0[variable as usize].as_deref()
    }
}

/// What the container decided.
#[derive(Default)]
pub(crate) struct Surroundings {
    /// Its environment.
    pub(crate) environment: Environment,
    /// The normal path of its working directory, or `.` for that of this process.
    pub(crate) workdir: Option<Vec<u8>>,
    /// Its program, as found.
    pub(crate) program: Option<CString>,
    /// The kernel's path of that program, if it could be opened.
    pub(crate) program_path: Option<Vec<u8>>,
    /// Whether no link led to it.
    pub(crate) is_program_direct: bool,
}

/// A place as the way to it from a directory that the container named.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Anchored<'a> {
    /// The normal path of that directory (for `$ENTRYPOINT`, the file as found); a relative one starts in the
    /// working directory.
    pub(crate) base: &'a [u8],
    /// The normal relative path from there, perhaps empty.
    pub(crate) below: Cow<'a, str>,
}

impl Anchored<'_> {
    /// The path of the place.
    pub(crate) fn path(&self) -> CString {
        if self.below.is_empty() {
            c_string(self.base)
        } else {
            c_string(beneath(self.base, self.below.as_bytes()))
        }
    }
}

/// The value of a variable in an environment: that of its first occurrence, as getenv(3) has it.
pub(crate) fn variable<'a>(env: &[&'a CStr], name: &str) -> Option<&'a [u8]> {
    env.iter().find_map(|entry| {
        let rest = entry.to_bytes().strip_prefix(name.as_bytes())?;
        rest.strip_prefix(b"=")
    })
}

impl Surroundings {
    /// The path to open for `place`; a relative one starts in the working directory. `None` means that
    /// there is no such place here.
    pub(crate) fn path_to(&self, place: &Place) -> Option<CString> {
        match place {
            Place::Absolute(path) => Some(c_string(path.as_str())),
            Place::Below(variable, suffix) => Some(self.anchor(*variable, suffix)?.path()),
        }
    }

    /// The kernel's path of the directory that the program lies in.
    pub(crate) fn program_directory(&self) -> Option<&[u8]> {
        let path = self.program_path.as_deref()?;
        let slash = path.iter().rposition(|b| *b == b'/')?;
        path.starts_with(b"/").then(|| &path[..slash.max(1)])
    }

    /// Where the path `suffix` below `variable` starts. `None` means that there is no such place here.
    pub(crate) fn anchor<'s>(
        &'s self,
        variable: Variable,
        suffix: &'s str,
    ) -> Option<Anchored<'s>> {
        let at = |base| {
            let below = Cow::Borrowed(suffix);
            Some(Anchored { base, below })
        };
        match variable {
            Variable::Workdir => at(self.workdir.as_deref()?),
            Variable::Entrypoint if suffix.is_empty() => at(self.program.as_deref()?.to_bytes()),
            Variable::Entrypoint => None,
            Variable::EntrypointDir => at(self.program_directory()?),
            named => match self.environment.value(named) {
                Some(value) => at(value),
                None => Some(Anchored {
                    below: join(named.below_home()?, suffix).into(),
                    base: self.environment.value(Variable::Home)?,
                }),
            },
        }
    }
}

/// The relative path `suffix`, perhaps empty, below `base`.
pub(crate) fn join(base: &str, suffix: &str) -> String {
    match suffix {
        "" => base.to_owned(),
        suffix => format!("{base}/{suffix}"),
    }
}

/// The path `below` a directory of normal path `base`.
pub(crate) fn beneath(base: &[u8], below: &[u8]) -> Vec<u8> {
    let base = base.strip_suffix(b"/").unwrap_or(base);
    [base, b"/", below].concat()
}

/// The normal path of a value that names a place: absolute, and without `..`. What is left out of it are
/// empty components and `.`.
pub(crate) fn normal(value: &[u8]) -> Option<Vec<u8>> {
    let mut normal = Vec::with_capacity(value.len());
    for component in value.strip_prefix(b"/")?.split(|b| *b == b'/') {
        match component {
            b".." => return None,
            b"" | b"." => {}
            name => {
                normal.push(b'/');
                normal.extend_from_slice(name);
            }
        }
    }
    if normal.is_empty() {
        normal.push(b'/');
    }
    Some(normal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surroundings(env: &[&CStr], program_path: Option<&str>) -> Surroundings {
        Surroundings {
            environment: Environment::of(env),
            workdir: Some(b".".to_vec()),
            program: Some(c"./run".to_owned()),
            program_path: program_path.map(|p| p.as_bytes().to_vec()),
            is_program_direct: true,
        }
    }

    fn path(s: &Surroundings, place: &str) -> Option<String> {
        let path = s.path_to(&Place::parse(place).unwrap())?;
        Some(path.into_string().unwrap())
    }

    #[test]
    fn places_become_paths() {
        let s = surroundings(&[c"HOME=/home/u", c"TMPDIR=/scratch/"], Some("/app/run"));
        for (place, expected) in [
            ("/usr", "/usr"),
            ("$HOME", "/home/u"),
            ("$HOME/.cache", "/home/u/.cache"),
            ("$TMPDIR", "/scratch"),
            ("$WORKDIR", "."),
            ("$WORKDIR/a/b", "./a/b"),
            ("$ENTRYPOINT", "./run"),
            ("$ENTRYPOINT_DIR", "/app"),
            ("$ENTRYPOINT_DIR/x", "/app/x"),
        ] {
            assert_eq!(path(&s, place).as_deref(), Some(expected), "{place}");
        }
        let at_root = surroundings(&[], Some("/run"));
        assert_eq!(path(&at_root, "$ENTRYPOINT_DIR").as_deref(), Some("/"));
    }

    #[test]
    fn what_xdg_does_not_name_lies_below_home() {
        let set = surroundings(
            &[c"HOME=/h", c"XDG_CONFIG_HOME=/cfg", c"XDG_RUNTIME_DIR=/rt"],
            None,
        );
        let unusable = surroundings(
            &[c"HOME=/h", c"XDG_CONFIG_HOME=../x", c"XDG_RUNTIME_DIR="],
            None,
        );
        let homeless = surroundings(&[], None);
        for (place, when_set, otherwise) in [
            ("$XDG_CONFIG_HOME/git", "/cfg/git", Some("/h/.config/git")),
            ("$XDG_CONFIG_HOME", "/cfg", Some("/h/.config")),
            ("$XDG_DATA_HOME", "/h/.local/share", Some("/h/.local/share")),
            (
                "$XDG_STATE_HOME/x",
                "/h/.local/state/x",
                Some("/h/.local/state/x"),
            ),
            ("$XDG_CACHE_HOME", "/h/.cache", Some("/h/.cache")),
            ("$XDG_RUNTIME_DIR/bus", "/rt/bus", None),
        ] {
            assert_eq!(path(&set, place).as_deref(), Some(when_set), "{place}");
            assert_eq!(path(&unusable, place).as_deref(), otherwise, "{place}");
            assert_eq!(path(&homeless, place), None, "{place}");
        }
        // What is found through the home starts there.
        let anchored = unusable.anchor(Variable::XdgConfigHome, "git").unwrap();
        assert_eq!(
            (anchored.base, &*anchored.below),
            (&b"/h"[..], ".config/git")
        );
    }

    #[test]
    fn what_is_not_known_is_no_place() {
        let unknown = Surroundings::default();
        for variable in Variable::ALL {
            let place = format!("${}", variable.name());
            assert_eq!(path(&unknown, &place), None, "{place}");
        }
        let given = Surroundings {
            workdir: Some(b"/w".to_vec()),
            ..Surroundings::default()
        };
        assert_eq!(path(&given, "$WORKDIR").as_deref(), Some("/w"));
        assert_eq!(path(&given, "$WORKDIR/x").as_deref(), Some("/w/x"));
    }

    #[test]
    fn values_that_name_no_place_yield_none() {
        for home in [
            c"HOME=",
            c"HOME=home",
            c"HOME=./x",
            c"HOME=..",
            c"HOME=/..",
            c"HOME=/home/../etc",
            c"HOME=/home/u/..",
        ] {
            let s = surroundings(&[home], None);
            assert_eq!(path(&s, "$HOME/x"), None, "{home:?}");
        }
        let s = surroundings(&[], None);
        for place in ["$HOME", "$HOME/x", "$ENTRYPOINT_DIR", "$ENTRYPOINT/x"] {
            assert_eq!(path(&s, place), None, "{place}");
        }
    }

    #[test]
    fn values_are_made_normal() {
        for (home, expected, below) in [
            (c"HOME=/a//b/./c/.", "/a/b/c", "/a/b/c/x"),
            (c"HOME=//a///", "/a", "/a/x"),
            (c"HOME=/", "/", "/x"),
            (c"HOME=/./", "/", "/x"),
            // Dots inside a name are a part of it.
            (c"HOME=/a/..b/.c/...", "/a/..b/.c/...", "/a/..b/.c/.../x"),
        ] {
            let s = surroundings(&[home], None);
            assert_eq!(path(&s, "$HOME").as_deref(), Some(expected), "{home:?}");
            assert_eq!(path(&s, "$HOME/x").as_deref(), Some(below), "{home:?}");
        }
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
