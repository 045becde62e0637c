//! The way through: what was asked for, and becoming the real runtime to do it.

use std::convert::Infallible;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use crate::command_line::{self, Invocation};
use crate::config::{Config, runtime_of_last_resort};
use crate::sys::{self, Start};
use crate::{create, delete, exec, report};

/// The exit code of a refusal, and the one with which OCI runtimes report errors.
const REFUSED: u8 = 1;

/// Does what the command line asks for; returns the exit code if the process is still this one.
pub(crate) fn run(start: &Start) -> u8 {
    match serve(start) {
        Ok(code) => code,
        Err(error) => {
            report::refusal(&command_line::global(&start.argv), &error);
            REFUSED
        }
    }
}

fn serve(start: &Start) -> anyhow::Result<u8> {
    let invocation = command_line::parse(&start.argv)?;
    let config = Config::load();
    let never = match invocation {
        Invocation::PassOn => become_runtime(&runtime(config)?, &start.argv, start)?,
        Invocation::Delete(request) => match config {
            Ok(config) => return delete::run(&config, &request, start),
            Err(_) => become_runtime(&runtime(config)?, &start.argv, start)?,
        },
        Invocation::Create(request) => {
            let config = config.context("containers cannot be created")?;
            create::prepare(&config, &request, start)
                .with_context(|| format!("container {:?} is not created", request.id))?;
            become_runtime(&config.runtime, &start.argv, start)?
        }
        Invocation::Exec(request) => {
            let config = config.context("nothing can be executed in containers")?;
            let argv = exec::prepare(&config, &request, &start.argv)
                .with_context(|| format!("nothing is executed in container {:?}", request.id))?;
            become_runtime(&config.runtime, &argv, start)?
        }
    };
    match never {}
}

/// The runtime for what must work with a broken configuration, too.
fn runtime(config: Result<Config, impl Into<anyhow::Error>>) -> anyhow::Result<PathBuf> {
    match config {
        Ok(config) => Ok(config.runtime),
        Err(error) => runtime_of_last_resort().ok_or_else(|| {
            error
                .into()
                .context("there is no OCI runtime to go on with")
        }),
    }
}

/// Becomes the real runtime.
fn become_runtime(runtime: &Path, argv: &[OsString], start: &Start) -> anyhow::Result<Infallible> {
    let argv: Vec<OsString> = [runtime.into()]
        .into_iter()
        .chain(argv.iter().skip(1).cloned())
        .collect();
    let error = sys::execute(runtime, &argv, &start.env);
    Err(anyhow!(error).context(format!("cannot execute the OCI runtime {runtime:?}")))
}
