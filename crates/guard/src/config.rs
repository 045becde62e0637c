//! Configuration: `nono-runc.toml` beside the program.
//!
//! The program is started with a container runtime's arguments, so the file can only be found by where the program
//! lies. Without a usable one nothing is started in containers; what exists can still be ended, with the
//! runtime that the file names as far as that can be read.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use kubefence_injection::LauncherDir;
use kubefence_node_files::records::DEFAULT_DIR;
use kubefence_profile::ProfileName;
use serde::Deserialize;

/// The file's name.
const NAME: &str = "nono-runc.toml";

/// Where the OCI runtime is looked for when the configuration does not tell: to end containers, never to start any.
const USUAL_RUNTIMES: [&str; 5] = [
    "/usr/bin/runc",
    "/usr/sbin/runc",
    "/usr/local/sbin/runc",
    "/usr/local/bin/runc",
    "/usr/bin/crun",
];

/// What the guard was told to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    /// The OCI runtime that does the work.
    pub(crate) runtime: PathBuf,
    /// Where it keeps containers when it is not told.
    pub(crate) runtime_root: PathBuf,
    /// Who calls: whose annotations tell what a container is.
    pub(crate) called_by: Caller,
    /// Host directory with the launcher, profiles and plans.
    pub(crate) launcher_dir: LauncherDir,
    /// Profile of containers that do not name one.
    pub(crate) default_profile: ProfileName,
    /// The profiles that containers can choose; `None` means the built-in ones, and for Podman, with which images can
    /// state annotations, the default one alone.
    pub(crate) allowed_profiles: Option<Vec<ProfileName>>,
    /// What becomes of containers that arrive without their sandbox.
    pub(crate) on_unwrapped: OnUnwrapped,
    /// Directory of the records.
    pub(crate) state_dir: PathBuf,
    /// What the launcher is.
    pub(crate) launcher: Launcher,
}

/// A container runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Caller {
    Containerd,
    CriO,
    Podman,
}

/// What becomes of containers that arrive without their sandbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnUnwrapped {
    /// They get it.
    #[default]
    Wrap,
    /// They are refused: somebody else should have wrapped them.
    Refuse,
}

/// Which program stands at `nono_bin_path`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Launcher {
    /// This project's: it takes the plan and the variables of a container from its arguments.
    #[default]
    Kubefence,
    /// Upstream nono: it is given a profile's name, and nothing else.
    Upstream,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("cannot find out where this program lies")]
    Here(#[source] io::Error),
    #[error("cannot read configuration {path}: put it beside the program")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("configuration {0} can be written by others than root: make it root's, mode 0644")]
    Untrusted(PathBuf),
    #[error("configuration {path}: {message}")]
    Syntax { path: PathBuf, message: String },
    #[error("configuration {path}: {key} = {value:?}: {allowed}")]
    Value {
        path: PathBuf,
        key: &'static str,
        value: String,
        allowed: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    runtime: PathBuf,
    runtime_root: Option<PathBuf>,
    called_by: Caller,
    #[serde(default = "usual_launcher")]
    nono_bin_path: PathBuf,
    #[serde(default = "usual_profile")]
    default_profile: String,
    allowed_profiles: Option<Vec<String>>,
    #[serde(default)]
    on_unwrapped: OnUnwrapped,
    #[serde(default = "usual_state_dir")]
    state_dir: PathBuf,
    #[serde(default)]
    launcher: Launcher,
}

fn usual_launcher() -> PathBuf {
    "/opt/nono-nri/nono".into()
}

fn usual_profile() -> String {
    "default".to_owned()
}

fn usual_state_dir() -> PathBuf {
    DEFAULT_DIR.into()
}

impl Config {
    /// Loads the file beside the program.
    pub(crate) fn load() -> Result<Self, ConfigError> {
        let path = beside_program()?;
        let fail = |source| ConfigError::Read {
            path: path.clone(),
            source,
        };
        let text = fs::read_to_string(&path).map_err(fail)?;
        let metadata = fs::metadata(&path).map_err(fail)?;
        if metadata.uid() != 0 || metadata.mode() & 0o022 != 0 {
            return Err(ConfigError::Untrusted(path));
        }
        let config = Self::parse(&path, &text)?;
        if is_this_program(&config.runtime) {
            let value = config.runtime.to_string_lossy().into_owned();
            let allowed = "must be the real OCI runtime, not the guard".to_owned();
            return Err(bad(&path, "runtime", value, allowed));
        }
        Ok(config)
    }

    /// Reads `text`; `path` is for messages.
    fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let raw: RawConfig = toml::from_str(text).map_err(|error| ConfigError::Syntax {
            path: path.to_owned(),
            message: describe(text, &error),
        })?;
        let name = |key: &'static str, value: &str| {
            ProfileName::parse(value)
                .map_err(|error| bad(path, key, value.to_owned(), error.to_string()))
        };
        let absolute = |key: &'static str, value: PathBuf| match value.is_absolute() {
            true => Ok(value),
            false => {
                let value = value.to_string_lossy().into_owned();
                Err(bad(path, key, value, "must be an absolute path".to_owned()))
            }
        };
        let launcher_dir = LauncherDir::of_launcher(&raw.nono_bin_path).map_err(|error| {
            let value = raw.nono_bin_path.to_string_lossy().into_owned();
            bad(path, "nono_bin_path", value, error.to_string())
        })?;
        let allowed = raw.allowed_profiles.map(|names| {
            let names = names.iter().map(|value| name("allowed_profiles", value));
            names.collect::<Result<Vec<_>, _>>()
        });
        let runtime = absolute("runtime", raw.runtime)?;
        let runtime_root = match raw.runtime_root {
            Some(root) => absolute("runtime_root", root)?,
            None => usual_root(&runtime).ok_or_else(|| {
                let value = runtime.to_string_lossy().into_owned();
                let allowed = "is called neither runc nor crun nor youki: say with runtime_root where it keeps containers \
                               by default";
                bad(path, "runtime", value, allowed.to_owned())
            })?,
        };
        let config = Self {
            runtime,
            runtime_root,
            called_by: raw.called_by,
            launcher_dir,
            default_profile: name("default_profile", &raw.default_profile)?,
            allowed_profiles: allowed.transpose()?,
            on_unwrapped: raw.on_unwrapped,
            state_dir: absolute("state_dir", raw.state_dir)?,
            launcher: raw.launcher,
        };
        config.check_default(path)?;
        Ok(config)
    }

    fn check_default(&self, path: &Path) -> Result<(), ConfigError> {
        match &self.allowed_profiles {
            Some(listed) if !listed.contains(&self.default_profile) => {
                let value = self.default_profile.to_string();
                let allowed = "must be listed in allowed_profiles, too".to_owned();
                Err(bad(path, "default_profile", value, allowed))
            }
            _ => Ok(()),
        }
    }
}

/// Where an OCI runtime keeps containers unless it is told.
fn usual_root(runtime: &Path) -> Option<PathBuf> {
    match runtime.file_name()?.to_str()? {
        name @ ("runc" | "crun" | "youki") => Some(Path::new("/run").join(name)),
        _ => None,
    }
}

/// The OCI runtime to end containers with when there is no usable configuration.
pub(crate) fn runtime_of_last_resort() -> Option<PathBuf> {
    let text = beside_program().ok().and_then(|path| fs::read(path).ok());
    let text = String::from_utf8_lossy(&text.unwrap_or_default()).into_owned();
    let usual = USUAL_RUNTIMES.iter().map(PathBuf::from);
    stated_runtime(&text)
        .into_iter()
        .chain(usual)
        .find(|path| path.is_file() && !is_this_program(path))
}

/// The value of `runtime` in a file that is broken elsewhere.
fn stated_runtime(text: &str) -> Option<PathBuf> {
    let line = text.lines().find_map(|line| {
        let (key, _) = line.split_once('=')?;
        (key.trim() == "runtime").then_some(line)
    })?;
    let table: toml::Table = toml::from_str(line).ok()?;
    let path = PathBuf::from(table.get("runtime")?.as_str()?);
    path.is_absolute().then_some(path)
}

fn beside_program() -> Result<PathBuf, ConfigError> {
    // If the program was replaced since it started, the kernel says so in the last component only.
    let program = fs::read_link("/proc/self/exe").map_err(ConfigError::Here)?;
    Ok(program.with_file_name(NAME))
}

fn is_this_program(path: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).ok().map(|m| (m.dev(), m.ino()));
    let this = identity(Path::new("/proc/self/exe"));
    this.is_some() && identity(path) == this
}

fn bad(path: &Path, key: &'static str, value: String, allowed: String) -> ConfigError {
    ConfigError::Value {
        path: path.to_owned(),
        key,
        value,
        allowed,
    }
}

/// One line: where, and what is wrong.
fn describe(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().replace('\n', " ");
    let Some(span) = error.span() else {
        return message;
    };
    let line = text[..span.start.min(text.len())].matches('\n').count() + 1;
    let found = text.lines().nth(line - 1).unwrap_or_default().trim();
    format!("line {line}: {message} (in `{found}`)")
}

#[cfg(test)]
mod tests;
