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
    /// `$XDG_CONFIG_HOME`: the environment variable, or `$HOME/.config`.
    XdgConfigHome,
    /// `$XDG_DATA_HOME`: the environment variable, or `$HOME/.local/share`.
    XdgDataHome,
    /// `$XDG_STATE_HOME`: the environment variable, or `$HOME/.local/state`.
    XdgStateHome,
    /// `$XDG_CACHE_HOME`: the environment variable, or `$HOME/.cache`.
    XdgCacheHome,
    /// `$XDG_RUNTIME_DIR`: the environment variable; unset means that there is no such place.
    XdgRuntimeDir,
}

impl Variable {
    /// Every variable.
    pub const ALL: [Self; 10] = [
        Self::Home,
        Self::Workdir,
        Self::Tmpdir,
        Self::Entrypoint,
        Self::EntrypointDir,
        Self::XdgConfigHome,
        Self::XdgDataHome,
        Self::XdgStateHome,
        Self::XdgCacheHome,
        Self::XdgRuntimeDir,
    ];

    /// The variable as plans spell it, without the `$`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Home => "HOME",
            Self::Workdir => "WORKDIR",
            Self::Tmpdir => "TMPDIR",
            Self::Entrypoint => "ENTRYPOINT",
            Self::EntrypointDir => "ENTRYPOINT_DIR",
            Self::XdgConfigHome => "XDG_CONFIG_HOME",
            Self::XdgDataHome => "XDG_DATA_HOME",
            Self::XdgStateHome => "XDG_STATE_HOME",
            Self::XdgCacheHome => "XDG_CACHE_HOME",
            Self::XdgRuntimeDir => "XDG_RUNTIME_DIR",
        }
    }

    /// Whether it is the environment variable of the same name.
    pub fn is_in_environment(self) -> bool {
        !matches!(self, Self::Workdir | Self::Entrypoint | Self::EntrypointDir)
    }

    /// Where below `$HOME` the place lies when the environment variable is unset or unusable (XDG Base
    /// Directory Specification); `None` for variables without such a rule.
    pub fn below_home(self) -> Option<&'static str> {
        match self {
            Self::XdgConfigHome => Some(".config"),
            Self::XdgDataHome => Some(".local/share"),
            Self::XdgStateHome => Some(".local/state"),
            Self::XdgCacheHome => Some(".cache"),
            _ => None,
        }
    }
}

/// A place in the container's file system.
///
/// Written as text: `/usr`, `$WORKDIR`, `$HOME/.local/bin`, `/run/user/$UID`. The component `$UID` stands
/// for the user ID of the launcher, see [`Place::for_user`].
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
                .ok_or_else(|| invalid(UNKNOWN_VARIABLE))?;
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

    /// Whether the place depends on the user ID.
    pub fn has_uid(&self) -> bool {
        let (Self::Absolute(path) | Self::Below(_, path)) = self;
        path.contains('$') && path.split('/').any(|component| component == UID)
    }

    /// The place with `uid` in place of every component `$UID`.
    pub fn for_user(&self, uid: u32) -> Self {
        let uid = uid.to_string();
        let with_uid = |path: &str| {
            let components = path.split('/').map(|c| if c == UID { &uid } else { c });
            components.collect::<Vec<_>>().join("/")
        };
        match self {
            Self::Absolute(path) => Self::Absolute(with_uid(path)),
            Self::Below(variable, suffix) => Self::Below(*variable, with_uid(suffix)),
        }
    }
}

const UNKNOWN_VARIABLE: &str = "unknown variable (HOME, WORKDIR, TMPDIR, ENTRYPOINT, ENTRYPOINT_DIR, \
    XDG_CONFIG_HOME, XDG_DATA_HOME, XDG_STATE_HOME, XDG_CACHE_HOME, XDG_RUNTIME_DIR)";

/// The component that stands for the user ID.
const UID: &str = "$UID";

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
            "$XDG_CONFIG_HOME/git",
        ] {
            assert_eq!(Place::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn the_user_id_is_a_whole_component() {
        for (text, expected) in [
            ("/run/user/$UID/bus", "/run/user/7/bus"),
            ("$HOME/$UID", "$HOME/7"),
            ("/a/$UIDs", "/a/$UIDs"),
        ] {
            let place = Place::parse(text).unwrap();
            assert_eq!(place.has_uid(), expected != text, "{text}");
            assert_eq!(place.for_user(7).to_string(), expected);
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
