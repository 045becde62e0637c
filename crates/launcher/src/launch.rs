//! The recipe of a launch, in order.

use std::convert::Infallible;
use std::ffi::CStr;

use crate::args::{self, HELP, Request, UsageError, Wrap};
use crate::command::{self, CommandError};
use crate::errno::Errno;
use crate::place_source::{Environment, Surroundings};
use crate::places::{PlaceError, Places};
use crate::plan_file::{self, PlanFileError};
use crate::procfs::{ProcFs, ProcFsError};
use crate::report::{self, FAILED};
use crate::ruleset::{self, Sandbox, SandboxError};
use crate::seccomp::{self, SeccompError};
use crate::sys::{self, At, Start};
use crate::workdir::{self, WorkdirError};

/// Why the workload does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
enum LaunchError {
    #[error(transparent)]
    Usage(#[from] UsageError),
    #[error(transparent)]
    ProcFs(#[from] ProcFsError),
    #[error(transparent)]
    Workdir(#[from] WorkdirError),
    #[error(transparent)]
    Plan(#[from] PlanFileError),
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error(transparent)]
    Place(#[from] PlaceError),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error(transparent)]
    Seccomp(#[from] SeccompError),
    #[error("close_range failed: allow it in the pod's seccomp profile")]
    Descriptors(#[source] Errno),
    #[error("cannot write to stdout")]
    Stdout(#[source] Errno),
}

impl LaunchError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Command(error) => error.exit_code(),
            _ => FAILED,
        }
    }
}

/// Does what the command line asks for; returns the exit code if the process is still this one.
pub(crate) fn run(start: &Start) -> u8 {
    match serve(start) {
        Ok(()) => 0,
        Err(error) => {
            report::complain(&error);
            error.exit_code()
        }
    }
}

fn serve(start: &Start) -> Result<(), LaunchError> {
    match args::parse(&start.argv)? {
        Request::Help => print(HELP),
        Request::Version => print(concat!(
            "nono ",
            env!("CARGO_PKG_VERSION"),
            " (kubefence)\n"
        )),
        Request::Wrap(request) => match wrap(&request, &start.env)? {},
    }
}

fn print(text: &str) -> Result<(), LaunchError> {
    sys::write_all(libc::STDOUT_FILENO, text.as_bytes()).map_err(LaunchError::Stdout)
}

/// Restricts this process and becomes the workload.
fn wrap(request: &Wrap, env: &[&CStr]) -> Result<Infallible, LaunchError> {
    let proc = ProcFs::open()?;
    workdir::check()?;
    let plan = plan_file::read(&proc, &request.profile)?.for_user(sys::effective_user());
    let abi = ruleset::accepted_abi(&plan)?;
    let program = command::find(request.argv[0], env)?;
    let surroundings = Surroundings {
        environment: Environment::of(env),
        program: &program,
        program_path: program_path(&proc, &program)?,
    };

    let places = Places::new(&proc, &plan, plan.handled_fs(abi), surroundings)?;
    let mut sandbox = Sandbox::new(&plan, abi)?;
    for rule in &plan.rules {
        if let Some(grant) = places.grant(rule)? {
            sandbox = sandbox.allow(grant, || format!("{} ({})", rule.path, rule.origin))?;
        }
    }
    for (path, grant) in places.on_volumes()? {
        sandbox = sandbox.allow(grant, || format!("the volume {path}"))?;
    }
    for rule in &plan.ports {
        sandbox = sandbox.allow_port(rule)?;
    }
    sandbox.restrict()?;
    ruleset::confirm()?;
    seccomp::install(&plan.seccomp)?;

    sys::close_on_exec_from(3 + request.preserved).map_err(LaunchError::Descriptors)?;
    Err(command::execute(&program, request.argv, env).into())
}

/// The kernel's path of the program, if it can be opened as a place.
fn program_path(proc: &ProcFs, program: &CStr) -> Result<Option<Vec<u8>>, ProcFsError> {
    match sys::open(At::Cwd, program, libc::O_PATH, libc::RESOLVE_NO_MAGICLINKS) {
        Ok(file) => proc.path_of(&file).map(Some),
        Err(_) => Ok(None),
    }
}
