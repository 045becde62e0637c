//! The recipe of a launch, in order.

use std::convert::Infallible;
use std::ffi::CStr;

use crate::args::{self, HELP, Request, UsageError, Wrap};
use crate::command::{self, CommandError};
use crate::deny::{Denials, DenyError};
use crate::errno::Errno;
use crate::place_source::{Environment, Surroundings};
use crate::places::{PlaceError, Places};
use crate::plan_file::{self, PlanFileError};
use crate::procfs::{ProcFs, ProcFsError};
use crate::report::{self, FAILED};
use crate::ruleset::{self, Sandbox, SandboxError};
use crate::seccomp::{self, SeccompError, Witness};
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
    Denied(#[from] DenyError),
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
    let mut plan = plan_file::read(&proc, &request.profile)?.for_user(sys::effective_user());
    let abi = ruleset::accepted_abi(&plan)?;
    let program = command::find(request.argv[0], env)?;
    let surroundings = surroundings(&proc, &program, env)?;
    let denials = Denials::new(&proc, &plan.deny, &plan.rules, &surroundings)?;
    denials.prune(&mut plan.rules)?;

    let witness = Witness::new(&proc, &plan.seccomp)?;
    let places = Places::new(&proc, &plan, plan.handled_fs(abi), surroundings, denials);
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
    seccomp::install(&plan.seccomp, witness)?;

    sys::close_on_exec_from(3 + request.preserved).map_err(LaunchError::Descriptors)?;
    Err(command::execute(&program, request.argv, env).into())
}

/// What the container decided, with the kernel's path of the program if it can be opened as a place.
fn surroundings<'a>(
    proc: &ProcFs,
    program: &'a CStr,
    env: &[&CStr],
) -> Result<Surroundings<'a>, ProcFsError> {
    let opened = |resolve| sys::open(At::Cwd, program, libc::O_PATH, resolve);
    let direct = opened(libc::RESOLVE_NO_SYMLINKS);
    let is_program_direct = direct.is_ok();
    let program_path = match direct.or_else(|_| opened(libc::RESOLVE_NO_MAGICLINKS)) {
        Ok(file) => proc.name_of(&file)?,
        Err(_) => None,
    };
    Ok(Surroundings {
        environment: Environment::of(env),
        program,
        program_path,
        is_program_direct,
    })
}
