//! Is what was planned in force?

use std::path::PathBuf;

use super::edit::{EditError, parse};

use super::{Detected, Kind, Wanted, containerd, crio};

/// What is not as it was planned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfirmError {
    /// The configuration that the runtime prints cannot be read.
    #[error("the configuration that {program} prints cannot be read")]
    Output {
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        source: EditError,
    },
    /// A handler is not there.
    #[error(
        "the runtime does not know the handler {handler:?}: another file hides it; look for one that is read after {config}"
    )]
    Missing {
        /// The handler.
        handler: String,
        /// The main configuration file.
        config: PathBuf,
    },
    /// A handler has another OCI runtime.
    #[error(
        "the handler {handler:?} runs {found:?}, not the guard {guard}: another file overrides it; look for one that is read after {config}"
    )]
    Unguarded {
        /// The handler.
        handler: String,
        /// What it runs.
        found: String,
        /// What it should.
        guard: PathBuf,
        /// The main configuration file.
        config: PathBuf,
    },
    /// NRI is off.
    #[error("NRI is off: another file overrides it; look for one that is read after {config}")]
    NoNri {
        /// The main configuration file.
        config: PathBuf,
    },
}

/// Checks what the runtime prints of its configuration (`output` of [`Detected::dump`]): are the handlers there, with the
/// guard in front, and is NRI on?
pub fn confirm(output: &str, detected: &Detected, wanted: &Wanted) -> Result<(), ConfirmError> {
    let is_crio = detected.kind == Kind::Crio;
    let text = match is_crio {
        true => crio::stated(output),
        false => output.to_owned(),
    };
    let parsed = parse(&text).map_err(|source| ConfirmError::Output {
        program: detected.program.clone(),
        source,
    })?;
    let config = || detected.config.clone();
    let (known, keys, nri) = match is_crio {
        true => crio::in_force(parsed.as_item()),
        false => containerd::in_force(parsed.as_item(), detected.version),
    };
    for name in &wanted.handlers {
        let handler = known.iter().find(|handler| handler.name == *name);
        let handler = handler.ok_or_else(|| ConfirmError::Missing {
            handler: name.clone(),
            config: config(),
        })?;
        if !handler.runs(keys, &wanted.guard) {
            return Err(ConfirmError::Unguarded {
                handler: name.clone(),
                found: handler.text(keys.program).to_owned(),
                guard: wanted.guard.clone(),
                config: config(),
            });
        }
    }
    match nri {
        true => Ok(()),
        false => Err(ConfirmError::NoNri { config: config() }),
    }
}
