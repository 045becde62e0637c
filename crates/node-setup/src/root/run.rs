//! Running the node's own programs, with the node's file system as theirs.
//!
//! Nothing is run between fork and exec: for a root that is not this process's own, the program starts itself again
//! with arguments that have it call [`enter`].

use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind, Read};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::Root;

/// How long a program may take to answer a question.
pub(super) const LIMIT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(10);

/// `PATH` of the node's programs.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A command that takes a directory, a program and its arguments, and hands them to [`enter`].
#[derive(Clone, Debug)]
pub struct Entrance {
    program: PathBuf,
    args: Vec<OsString>,
}

impl Entrance {
    /// `program ARGS… DIR PROGRAM ARGS…` calls [`enter`].
    pub fn through(program: impl Into<PathBuf>, args: &[&str]) -> Self {
        Self {
            program: program.into(),
            args: args.iter().map(OsString::from).collect(),
        }
    }

    pub(super) fn run(
        &self,
        root: &Root,
        program: &Path,
        args: &[&str],
        limit: Duration,
    ) -> io::Result<Output> {
        let mut command = if root.is_own() {
            Command::new(program)
        } else {
            let mut command = Command::new(&self.program);
            command.args(&self.args).arg(root.dir()).arg(program);
            command
        };
        // What the container's environment says does not concern the node.
        command.args(args).env_clear().env("PATH", PATH);
        command.current_dir("/");
        finish(&mut command, limit)
    }
}

/// Makes `dir` the root directory of this process and becomes `program`. Returns only if that fails.
pub fn enter(dir: &Path, program: &OsStr, args: &[OsString]) -> io::Error {
    let entered = rustix::process::chroot(dir).and_then(|()| rustix::process::chdir("/"));
    match entered {
        Ok(()) => Command::new(program).args(args).exec(),
        Err(error) => error.into(),
    }
}

/// Runs a command to its end, and ends it when it takes too long.
fn finish(command: &mut Command, limit: Duration) -> io::Result<Output> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let stdout = collect(child.stdout.take());
    let stderr = collect(child.stderr.take());
    let deadline = Instant::now() + limit;
    let status = loop {
        match child.try_wait()? {
            Some(status) => break status,
            None if Instant::now() >= deadline => return Err(give_up(&mut child, limit)),
            None => thread::sleep(PAUSE),
        }
    };
    Ok(Output {
        status,
        stdout: outcome(stdout, deadline)?,
        stderr: outcome(stderr, deadline)?,
    })
}

fn give_up(child: &mut Child, limit: Duration) -> io::Error {
    let _ = child.kill();
    let _ = child.wait();
    io::Error::new(
        ErrorKind::TimedOut,
        format!("it did not end within {} seconds", limit.as_secs()),
    )
}

fn collect(stream: Option<impl Read + Send + 'static>) -> JoinHandle<io::Result<Vec<u8>>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            stream.read_to_end(&mut bytes)?;
        }
        Ok(bytes)
    })
}

/// What was collected. A service that the command left behind may hold the stream open for ever.
fn outcome(thread: JoinHandle<io::Result<Vec<u8>>>, deadline: Instant) -> io::Result<Vec<u8>> {
    let patience = deadline.min(Instant::now() + Duration::from_secs(2));
    while !thread.is_finished() {
        if Instant::now() >= patience {
            return Ok(Vec::new());
        }
        thread::sleep(PAUSE);
    }
    thread
        .join()
        .unwrap_or_else(|_| Err(io::Error::other("its output could not be read")))
}
