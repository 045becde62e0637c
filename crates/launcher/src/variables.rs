//! What the variables of a plan mean in this launch.
//!
//! Either this process says it: its environment, its working directory, its program. Or the command line says it,
//! so that a process which joins a container has the places of the container's first one, wherever its own
//! environment leads.
//!
//! Invariant: with a word from the command line, nothing is taken from this process.

use std::ffi::{CStr, CString};

use kubefence_launch_plan::Variable;

use crate::command;
use crate::place_source::{ENTRYPOINT_PATH, Environment, Surroundings, normal, variable};
use crate::procfs::{ProcFs, ProcFsError};
use crate::sys::{self, At};

/// What this process says, which is about to execute `program`.
pub(crate) fn of_process(
    proc: &ProcFs,
    program: &CStr,
    env: &[&CStr],
) -> Result<Surroundings, ProcFsError> {
    let surroundings = Surroundings {
        environment: Environment::of(env),
        workdir: Some(b".".to_vec()),
        ..Surroundings::default()
    };
    with_program(proc, surroundings, Some(program.to_owned()))
}

/// What the command line says with `assignments`, if with any. What these do not name is not there.
pub(crate) fn given(
    proc: &ProcFs,
    assignments: &[&CStr],
) -> Result<Option<Surroundings>, ProcFsError> {
    if assignments.is_empty() {
        return Ok(None);
    }
    let value = |name: &str| variable(assignments, name);
    let workdir = value(Variable::Workdir.name()).and_then(normal);
    let start = workdir.as_deref().filter(|path| is_direct(path));
    let program = value(Variable::Entrypoint.name()).and_then(|command| {
        command::find_for(&sys::c_string(command), value(ENTRYPOINT_PATH), start)
    });
    let surroundings = Surroundings {
        environment: Environment::of(assignments),
        workdir,
        ..Surroundings::default()
    };
    with_program(proc, surroundings, program).map(Some)
}

/// Whether no link leads to the directory `path`.
fn is_direct(path: &[u8]) -> bool {
    let flags = libc::O_PATH | libc::O_DIRECTORY;
    let resolve = libc::RESOLVE_NO_SYMLINKS;
    sys::open(At::Cwd, &sys::c_string(path), flags, resolve).is_ok()
}

/// Adds `program`, with the kernel's path of it if it can be opened as a place.
fn with_program(
    proc: &ProcFs,
    surroundings: Surroundings,
    program: Option<CString>,
) -> Result<Surroundings, ProcFsError> {
    let Some(program) = program else {
        return Ok(surroundings);
    };
    let opened = |resolve| sys::open(At::Cwd, &program, libc::O_PATH, resolve);
    let direct = opened(libc::RESOLVE_NO_SYMLINKS);
    let is_program_direct = direct.is_ok();
    let program_path = match direct.or_else(|_| opened(libc::RESOLVE_NO_MAGICLINKS)) {
        Ok(file) => proc.name_of(&file)?,
        Err(_) => None,
    };
    Ok(Surroundings {
        program: Some(program),
        program_path,
        is_program_direct,
        ..surroundings
    })
}
