//! Where a rule points: an absolute path, or a path below something the container decides.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A value that only the launcher knows, because the container decides it.
///
/// Whatever a variable yields is untrusted: the launcher opens it once and judges the path that the
/// kernel resolved before it becomes a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Variable {
    /// `$HOME`: the `HOME` environment variable; unset means that there is no such place.
    Home,
    /// `$WORKDIR`: the working directory that the launcher was started in.
    Workdir,
    /// `$TMPDIR`: the `TMPDIR` environment variable; unset means that there is no such place.
    Tmpdir,
    /// `$ENTRYPOINT`: the program file that the launcher is about to execute.
    Entrypoint,
    /// `$ENTRYPOINT_DIR`: the directory of that file, its own symlinks resolved.
    EntrypointDir,
}

impl Variable {
    const ALL: [Self; 5] = [
        Self::Home,
        Self::Workdir,
        Self::Tmpdir,
        Self::Entrypoint,
        Self::EntrypointDir,
    ];

    /// The variable as plans spell it, without the `$`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Home => "HOME",
            Self::Workdir => "WORKDIR",
            Self::Tmpdir => "TMPDIR",
            Self::Entrypoint => "ENTRYPOINT",
            Self::EntrypointDir => "ENTRYPOINT_DIR",
        }
    }
}

/// A place in the container's file system.
///
/// Written as text: `/usr`, `$WORKDIR`, `$HOME/.local/bin`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Place {
    /// An absolute, normal path: no `.`, no `..`, no empty component, no trailing slash.
    Absolute(String),
    /// A normal relative path (possibly empty) below a variable.
    Below(Variable, String),
}

/// Text that is no [`Place`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a place: {reason}")]
pub struct InvalidPlace {
    text: String,
    reason: &'static str,
}

impl Place {
    /// Parses the textual form.
    pub fn parse(text: &str) -> Result<Self, InvalidPlace> {
        let invalid = |reason| InvalidPlace {
            text: text.to_owned(),
            reason,
        };
        if let Some(rest) = text.strip_prefix('$') {
            let (name, suffix) = rest.split_once('/').unwrap_or((rest, ""));
            let variable = Variable::ALL
                .into_iter()
                .find(|v| v.name() == name)
                .ok_or_else(|| {
                    invalid("unknown variable (HOME, WORKDIR, TMPDIR, ENTRYPOINT, ENTRYPOINT_DIR)")
                })?;
            if rest.contains('/') {
                check_components(suffix).map_err(invalid)?;
            }
            return Ok(Self::Below(variable, suffix.to_owned()));
        }
        let relative = text
            .strip_prefix('/')
            .ok_or_else(|| invalid("must be absolute or begin with a variable"))?;
        check_components(relative).map_err(invalid)?;
        Ok(Self::Absolute(text.to_owned()))
    }
}

fn check_components(relative: &str) -> Result<(), &'static str> {
    if relative.contains('\0') {
        return Err("contains a NUL byte");
    }
    match relative.split('/').find(|c| matches!(*c, "" | "." | "..")) {
        Some(_) => Err("must be normal: no empty, `.` or `..` component, not `/` itself"),
        None => Ok(()),
    }
}

impl TryFrom<String> for Place {
    type Error = InvalidPlace;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        place.to_string()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absolute(path) => f.write_str(path),
            Self::Below(variable, suffix) if suffix.is_empty() => write!(f, "${}", variable.name()),
            Self::Below(variable, suffix) => write!(f, "${}/{suffix}", variable.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips() {
        for text in [
            "/usr",
            "/a b/ü",
            "$HOME",
            "$HOME/.local/bin",
            "$WORKDIR",
            "$ENTRYPOINT_DIR",
        ] {
            assert_eq!(Place::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_not_normal_is_rejected() {
        for text in [
            "",
            "usr",
            "/",
            "//usr",
            "/usr/",
            "/usr/../etc",
            "/./usr",
            "$HOME/",
            "$HOME/../x",
            "$HOME//x",
            "$PATH",
            "$",
            "/a\0b",
        ] {
            assert!(Place::parse(text).is_err(), "{text:?} was accepted");
        }
    }
}
