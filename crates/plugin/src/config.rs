//! Configuration: a TOML file, read once at start-up into typed values.

mod allowed;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use kubefence_injection::LauncherDir;
use kubefence_node_files::records;
use kubefence_profile::{CatalogError, ProfileName, SeccompProfile};
use serde::Deserialize;

pub use self::allowed::AllowedProfiles;

/// Exit code for a configuration that cannot be used (sysexits.h).
pub const EX_CONFIG: u8 = 78;

/// Where the configuration lies unless the command line says otherwise.
pub const DEFAULT_PATH: &str = "/etc/nri/conf.d/10-nono-nri.toml";

/// What the plugin was told to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Handlers whose containers are sandboxed. Never empty.
    pub runtime_classes: BTreeSet<String>,
    /// Profile of pods that do not name one. Allowed for every handler.
    pub default_profile: ProfileName,
    /// The profiles that pods can choose.
    pub allowed_profiles: AllowedProfiles,
    /// Directory with the operator's own profiles.
    pub profile_dir: Option<PathBuf>,
    /// The seccomp filter that is added to every profile.
    pub seccomp_profile: Option<SeccompProfile>,
    /// Host directory with the launcher.
    pub launcher_dir: LauncherDir,
    /// What the launcher is.
    pub launcher: LauncherKind,
    /// The runtime's NRI socket; `None` means the usual place.
    pub socket_path: Option<PathBuf>,
    /// Directory for one metadata file per sandboxed container.
    pub state_dir: PathBuf,
    /// Those of the handlers whose OCI runtime is the guard.
    pub guarded_classes: BTreeSet<String>,
    /// Where the guard keeps its records.
    pub guard_state_dir: PathBuf,
}

/// Which program stands at `nono_bin_path`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LauncherKind {
    /// This project's launcher: profiles are compiled on the host and mounted with it.
    #[default]
    Kubefence,
    /// Upstream nono: it resolves profile names itself, so any well-formed name is passed on.
    Upstream,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read configuration {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Not TOML, an unknown key, or a value of the wrong type; the source says where.
    #[error("configuration {path}: {message}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, column, key and what is allowed.
        message: String,
    },
    /// A value that makes no sense.
    #[error("configuration {path}: {key} = {value}: {allowed}")]
    Value {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// Its value, as TOML.
        value: String,
        /// What would be right.
        allowed: String,
    },
    /// Not the configuration's fault: what it refers to cannot be read.
    #[error("the built-in profiles are damaged")]
    BuiltIn(#[from] CatalogError),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawConfig {
    runtime_classes: Vec<String>,
    default_profile: String,
    allowed_profiles: BTreeMap<String, Vec<String>>,
    profile_dir: String,
    seccomp_profile: String,
    nono_bin_path: String,
    launcher: LauncherKind,
    socket_path: String,
    state_dir: String,
    guarded_classes: Vec<String>,
    guard_state_dir: String,
}

impl Default for RawConfig {
    fn default() -> Self {
        Self {
            runtime_classes: vec!["nono-runc".to_owned()],
            default_profile: "default".to_owned(),
            allowed_profiles: BTreeMap::new(),
            profile_dir: String::new(),
            seccomp_profile: String::new(),
            nono_bin_path: "/opt/nono-nri/nono".to_owned(),
            launcher: LauncherKind::default(),
            socket_path: String::new(),
            state_dir: "/var/run/nono-nri".to_owned(),
            guarded_classes: Vec::new(),
            guard_state_dir: records::DEFAULT_DIR.to_owned(),
        }
    }
}

impl Config {
    /// Loads the file at `path`, or the one at [`DEFAULT_PATH`] if there is one, or the defaults.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let explicit = path.is_some();
        let path = path.unwrap_or(Path::new(DEFAULT_PATH));
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(path, &text),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && !explicit => {
                Self::parse(path, "")
            }
            Err(source) => Err(ConfigError::Read {
                path: path.to_owned(),
                source,
            }),
        }
    }

    /// The configured handlers, for people.
    pub fn handlers(&self) -> String {
        let handlers: Vec<&str> = self.runtime_classes.iter().map(String::as_str).collect();
        handlers.join(", ")
    }

    /// The handlers without the guard, for people.
    pub fn unguarded_handlers(&self) -> String {
        let handlers = self.runtime_classes.difference(&self.guarded_classes);
        handlers.map(String::as_str).collect::<Vec<_>>().join(", ")
    }

    /// Reads configuration text; `path` is for messages.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let raw: RawConfig = toml::from_str(text).map_err(|error| ConfigError::Syntax {
            path: path.to_owned(),
            message: describe(text, &error),
        })?;
        raw.check(path)
    }
}

impl RawConfig {
    fn check(self, path: &Path) -> Result<Config, ConfigError> {
        let bad = |key: &str, value: &str, allowed: String| {
            bad_value(path, key, format!("{value:?}"), allowed)
        };
        let absolute = |key: &str, value: &str| match value.strip_prefix('/') {
            Some(_) => Ok(PathBuf::from(value)),
            None => Err(bad(key, value, "must be an absolute path".to_owned())),
        };
        let unless_empty = |key: &str, value: &str| match value {
            "" => Ok(None),
            value => absolute(key, value).map(Some),
        };
        self.check_handlers(path)?;
        self.check_launcher(path)?;
        let default_profile = ProfileName::parse(&self.default_profile)
            .map_err(|e| bad("default_profile", &self.default_profile, e.to_string()))?;
        let launcher_dir = self.launcher_dir(path)?;
        let seccomp_profile = match self.seccomp_profile.as_str() {
            "" => None,
            name => Some(
                name.parse::<SeccompProfile>()
                    .map_err(|e| bad("seccomp_profile", name, e.to_string()))?,
            ),
        };
        let config = Config {
            profile_dir: unless_empty("profile_dir", &self.profile_dir)?,
            socket_path: unless_empty("socket_path", &self.socket_path)?,
            state_dir: absolute("state_dir", &self.state_dir)?,
            guard_state_dir: absolute("guard_state_dir", &self.guard_state_dir)?,
            guarded_classes: self.guarded_classes.into_iter().collect(),
            allowed_profiles: AllowedProfiles::parse(path, self.allowed_profiles)?,
            runtime_classes: self.runtime_classes.into_iter().collect(),
            default_profile,
            seccomp_profile,
            launcher_dir,
            launcher: self.launcher,
        };
        allowed::check(path, &config)?;
        Ok(config)
    }

    fn check_handlers(&self, path: &Path) -> Result<(), ConfigError> {
        const KEY: &str = "runtime_classes";
        let handlers = &self.runtime_classes;
        let bad = |key: &str, value: String, allowed: &str| {
            Err(bad_value(path, key, value, allowed.to_owned()))
        };
        if handlers.is_empty() {
            let allowed = "must name at least one runtime handler, such as [\"nono-runc\"]";
            return bad(KEY, "[]".to_owned(), allowed);
        }
        if let Some(empty) = handlers.iter().find(|handler| handler.trim().is_empty()) {
            let allowed = "is no handler name; the runtime's default handler cannot be sandboxed";
            return bad(KEY, format!("{empty:?}"), allowed);
        }
        let mut guarded = self.guarded_classes.iter();
        match guarded.find(|handler| !handlers.contains(handler)) {
            None => Ok(()),
            Some(unknown) => {
                let allowed = format!("must be one of {KEY} ({})", handlers.join(", "));
                bad("guarded_classes", format!("{unknown:?}"), &allowed)
            }
        }
    }

    fn launcher_dir(&self, path: &Path) -> Result<LauncherDir, ConfigError> {
        LauncherDir::of_launcher(Path::new(&self.nono_bin_path)).map_err(|e| {
            let allowed = format!("{e}; expected something like \"/opt/nono-nri/nono\"");
            let value = format!("{:?}", self.nono_bin_path);
            bad_value(path, "nono_bin_path", value, allowed)
        })
    }

    /// Upstream nono finds profiles by itself, and gets no plan to which something could be added.
    fn check_launcher(&self, path: &Path) -> Result<(), ConfigError> {
        if self.launcher != LauncherKind::Upstream {
            return Ok(());
        }
        let unused = [
            ("profile_dir", &self.profile_dir),
            ("seccomp_profile", &self.seccomp_profile),
        ];
        match unused.into_iter().find(|(_, value)| !value.is_empty()) {
            None => Ok(()),
            Some((key, value)) => {
                let allowed = "must stay empty with launcher = \"upstream\", which does not use it";
                Err(bad_value(
                    path,
                    key,
                    format!("{value:?}"),
                    allowed.to_owned(),
                ))
            }
        }
    }
}

fn bad_value(path: &Path, key: &str, value: String, allowed: String) -> ConfigError {
    ConfigError::Value {
        path: path.to_owned(),
        key: key.to_owned(),
        value,
        allowed,
    }
}

/// One line: position, the offending line's text, and what is wrong with it.
fn describe(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().replace('\n', " ");
    let Some(span) = error.span() else {
        return message;
    };
    let before = &text[..span.start.min(text.len())];
    let line = before.matches('\n').count() + 1;
    let column = before.len() - before.rfind('\n').map_or(0, |i| i + 1) + 1;
    let found = text.lines().nth(line - 1).unwrap_or_default().trim();
    format!("line {line}, column {column}: {message} (in `{found}`)")
}

#[cfg(test)]
mod tests;
