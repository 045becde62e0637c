//! The recipe of a launch, in order.

use std::convert::Infallible;
use std::ffi::CStr;

use crate::args::{self, HELP, Request, UsageError, Wrap};
use crate::command::{self, CommandError};
use crate::deny::{Denials, DenyError};
use crate::errno::Errno;
use crate::mounts;
use crate::place_source::Surroundings;
use crate::places::{PlaceError, Places};
use crate::plan_file::{self, PlanFileError};
use crate::procfs::{ProcFs, ProcFsError};
use crate::report::{self, FAILED, Shown};
use crate::ruleset::{self, Sandbox, SandboxError};
use crate::seccomp::{self, SeccompError, Witness};
use crate::sys::{self, Start};
use crate::variables;
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
    #[error(
        "the mount for {0} lies elsewhere: a link on a volume led it away, or its mount point was removed; repair the volume, or mount it elsewhere"
    )]
    Elsewhere(Shown),
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

/// Checks that something is mounted at each of `paths`. A mount follows the links of its way, and those on a volume
/// may be a confined process's.
fn check_mounted(proc: &ProcFs, paths: &[&CStr]) -> Result<(), LaunchError> {
    if paths.is_empty() {
        return Ok(());
    }
    match mounts::missing(&proc.mountinfo()?, paths) {
        Some(path) => Err(LaunchError::Elsewhere(Shown::new(path.to_bytes()))),
        None => Ok(()),
    }
}

/// Restricts this process and becomes the workload.
fn wrap(request: &Wrap, env: &[&CStr]) -> Result<Infallible, LaunchError> {
    let proc = ProcFs::open()?;
    check_mounted(&proc, &request.mounted)?;
    workdir::check()?;
    let own = plan_file::own_directory(&proc)?;
    let plan = plan_file::read(&own, &request.profile, request.plan)?;
    let mut plan = plan.for_user(sys::effective_user());
    let abi = ruleset::accepted_abi(&plan)?;
    let program = command::find(request.argv[0], env)?;
    let of_process = variables::of_process(&proc, &program, env)?;
    let given = variables::given(&proc, &request.variables)?;
    // Nobody can give what is denied away: the home of this process stays one.
    let all: Vec<&Surroundings> = given.iter().chain([&of_process]).collect();
    let denials = Denials::new(&proc, &plan.deny, &plan.rules, &all)?;
    let surroundings = given.unwrap_or(of_process);
    denials.prune(&mut plan.rules)?;

    let witness = Witness::new(&proc, &plan.seccomp)?;
    let places = Places::new(&proc, &plan, plan.handled_fs(abi), surroundings, denials);
    let mut sandbox = Sandbox::new(&plan, abi, own.dir)?;
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
    seccomp::install(&plan.seccomp, witness)?;

    sys::close_on_exec_from(3 + request.preserved).map_err(LaunchError::Descriptors)?;
    Err(command::execute(&program, request.argv, env).into())
}
