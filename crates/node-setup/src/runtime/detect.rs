//! Which container runtime a node has.

use std::io;
use std::path::{Path, PathBuf};

use toml_edit::DocumentMut;

use super::containerd::{self, Place};
use super::edit::{EditError, FileError, parse};
use super::{Choice, Detected, Kind, Version, Wanted, crio};
use crate::host::Host;

/// Why the runtime of a node is not known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DetectError {
    /// There is none.
    #[error(
        "there is no {sought} on this node: install it, or put it into one of the usual directories of programs"
    )]
    None {
        /// What was looked for.
        sought: &'static str,
    },
    /// There are several, and all of them or none seem to run.
    #[error("this node has containerd and CRI-O: say with --runtime which one runs pods")]
    Several,
    /// A program does not answer.
    #[error("cannot run {program}")]
    Run {
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A program refuses.
    #[error("{command} failed: {said}")]
    Refused {
        /// What was run.
        command: String,
        /// The last thing it said.
        said: String,
    },
    /// A program's version cannot be read.
    #[error("{program} --version does not tell a version: {said:?}")]
    Unversioned {
        /// The program.
        program: PathBuf,
        /// What it said.
        said: String,
    },
    /// The runtime is too old.
    #[error("{program} is version {version}: upgrade it to {}.{} or later", oldest.major, oldest.minor)]
    TooOld {
        /// The program.
        program: PathBuf,
        /// Its version.
        version: Version,
        /// The first one that is supported.
        oldest: Version,
    },
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is no text.
    #[error("{path} is not UTF-8: mend it first")]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// A configuration file cannot be understood.
    #[error(transparent)]
    File(#[from] FileError),
    /// What the program says of its configuration cannot be understood.
    #[error("the configuration that {program} prints cannot be read")]
    Dump {
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        source: EditError,
    },
    /// The configuration's schema is too old.
    #[error("{config} has configuration version 1: write it as version 2 or later")]
    OldSchema {
        /// The file.
        config: PathBuf,
    },
    /// The configuration's schema is not known.
    #[error(
        "{config} has configuration version {schema}: versions up to {newest} are known; upgrade kubefence"
    )]
    NewSchema {
        /// The file.
        config: PathBuf,
        /// Its version.
        schema: u32,
        /// The newest that is known.
        newest: u32,
    },
    /// A part of containerd that is needed is switched off.
    #[error("{config} has {plugin} in disabled_plugins: take it out")]
    Disabled {
        /// The file.
        config: PathBuf,
        /// The plugin.
        plugin: String,
    },
    /// k3s or RKE2 has not rendered its configuration yet.
    #[error("{config} does not exist: start {} once, then install again", .distribution)]
    NotRendered {
        /// The file.
        config: PathBuf,
        /// Whose it is.
        distribution: &'static str,
    },
}

/// Finds out which runtime the node has.
pub fn detect(host: &dyn Host, wanted: &Wanted) -> Result<Detected, DetectError> {
    match wanted.runtime {
        Choice::Containerd => from_containerd(host, wanted),
        Choice::Crio => match crio::program(host) {
            Some(program) => crio::detect(host, &program, wanted),
            None => Err(DetectError::None { sought: "CRI-O" }),
        },
        Choice::Auto => automatic(host, wanted),
    }
}

fn automatic(host: &dyn Host, wanted: &Wanted) -> Result<Detected, DetectError> {
    // A file that was named tells what it is for.
    let extension = wanted.config.as_ref().and_then(|path| path.extension());
    let may_be = |expected: &str| extension.is_none_or(|extension| extension == expected);
    let mut places = match &wanted.config {
        Some(config) => containerd::stated(host, config).into_iter().collect(),
        None => containerd::candidates(host),
    };
    places.retain(|_| may_be("toml"));
    let crio = crio::program(host).filter(|_| may_be("conf"));
    let runs = |socket: &Path| matches!(host.resolve(socket), Ok(Some(_)));
    let containerd_runs = places.iter().any(|place| runs(&place.socket));
    match (places.is_empty(), crio) {
        (true, None) => Err(DetectError::None {
            sought: "containerd or CRI-O",
        }),
        (false, None) => from_containerd(host, wanted),
        (true, Some(crio)) => crio::detect(host, &crio, wanted),
        (false, Some(crio)) => match (
            containerd_runs,
            crio::SOCKETS.iter().any(|s| runs(Path::new(s))),
        ) {
            (true, false) => from_containerd(host, wanted),
            (false, true) => crio::detect(host, &crio, wanted),
            _ => Err(DetectError::Several),
        },
    }
}

fn from_containerd(host: &dyn Host, wanted: &Wanted) -> Result<Detected, DetectError> {
    let runs = |place: &Place| matches!(host.resolve(&place.socket), Ok(Some(_)));
    let place = match &wanted.config {
        Some(config) => containerd::stated(host, config),
        None => {
            let places = containerd::candidates(host);
            let running = places.iter().find(|place| runs(place)).cloned();
            running.or_else(|| places.into_iter().next())
        }
    };
    let place = place.ok_or(DetectError::None {
        sought: "containerd",
    })?;
    let distribution = match place.kind {
        Kind::K3s => Some("k3s"),
        Kind::Rke2 => Some("RKE2"),
        Kind::Containerd | Kind::Crio => None,
    };
    if let Some(distribution) = distribution
        && read_text(host, &place.config)?.is_none()
    {
        return Err(DetectError::NotRendered {
            config: place.config,
            distribution,
        });
    }
    containerd::detect(host, &place, wanted)
}

/// A file's text, if there is such a file.
pub(super) fn read_text(host: &dyn Host, path: &Path) -> Result<Option<String>, DetectError> {
    let bytes = host.read(path).map_err(|source| DetectError::Read {
        path: path.to_owned(),
        source,
    })?;
    let text = bytes.map(String::from_utf8).transpose();
    text.map_err(|_| DetectError::NotText {
        path: path.to_owned(),
    })
}

/// What a program answers on standard output.
pub(super) fn ask(
    host: &dyn Host,
    program: &Path,
    arguments: &[&str],
) -> Result<String, DetectError> {
    let output = host
        .run(program, arguments)
        .map_err(|source| DetectError::Run {
            program: program.to_owned(),
            source,
        })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rev().find(|line| !line.trim().is_empty());
    Err(DetectError::Refused {
        command: format!("{} {}", program.display(), arguments.join(" ")),
        said: last.unwrap_or("it said nothing").trim().to_owned(),
    })
}

/// The version of a program, which must not be older than `oldest`.
pub(super) fn version_of(
    host: &dyn Host,
    program: &Path,
    oldest: Version,
) -> Result<Version, DetectError> {
    let said = ask(host, program, &["--version"])?;
    match Version::find(&said) {
        Some(version) if version < oldest => Err(DetectError::TooOld {
            program: program.to_owned(),
            version,
            oldest,
        }),
        Some(version) => Ok(version),
        None => Err(DetectError::Unversioned {
            program: program.to_owned(),
            said: said.trim().to_owned(),
        }),
    }
}

/// Reads what a program prints of its configuration.
pub(super) fn parse_printed(program: &Path, text: &str) -> Result<DocumentMut, DetectError> {
    parse(text).map_err(|source| DetectError::Dump {
        program: program.to_owned(),
        source,
    })
}

/// A program and its arguments.
pub(super) fn command(program: &Path, arguments: &[&str]) -> Vec<String> {
    let program = program.to_string_lossy().into_owned();
    let arguments = arguments.iter().map(|argument| (*argument).to_owned());
    [program].into_iter().chain(arguments).collect()
}
