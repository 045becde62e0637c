//! Finding the program: what execvp(3) would execute, found before the sandbox closes.
//!
//! The search cannot be left to the kernel's answers to execve, because the program file itself is
//! granted (`$ENTRYPOINT`), so it must be known first.

use std::ffi::{CStr, CString};

use crate::errno::Errno;
use crate::place_source::{beneath, variable};
use crate::report::{NOT_EXECUTABLE, NOT_FOUND, Shown};
use crate::sys::{self, At, c_string};

/// Where to search when `PATH` is not set, as execvp(3) does.
const DEFAULT_PATH: &[u8] = b"/bin:/usr/bin";

/// The shell that executes what the kernel does not recognise, as execvp(3) does.
const SHELL: &CStr = c"/bin/sh";

/// Why the command cannot be run.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum CommandError {
    #[error("command {0} not found: check its path in the image")]
    NoFile(Shown),
    #[error("command {0} not found in PATH: check the image and its PATH")]
    NotInPath(Shown),
    #[error("command {0} cannot be executed: check its type and mode in the image")]
    NotExecutable(Shown, #[source] Errno),
    #[error(
        "command {0} cannot be executed: the profile does not allow to execute it, its interpreter or its loader"
    )]
    NotGranted(Shown, #[source] Errno),
    #[error(
        "command {0} cannot be executed: its interpreter or loader does not exist in the image"
    )]
    NoInterpreter(Shown),
    #[error(
        "command {0} is no program, and /bin/sh cannot run it as a script: check its format and architecture"
    )]
    NoShell(Shown, #[source] Errno),
}

impl CommandError {
    /// The exit code for it: 127 when there is no such command, else 126.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::NoFile(_) | Self::NotInPath(_) => NOT_FOUND,
            _ => NOT_EXECUTABLE,
        }
    }
}

/// The path of the program that `command` names.
pub(crate) fn find(command: &CStr, env: &[&CStr]) -> Result<CString, CommandError> {
    search(command, variable(env, "PATH"), executable)
}

/// The path of the program that `command` named in a process with that `PATH` and that working directory, if it is
/// there. Without a working directory, nothing is found by a relative path.
pub(crate) fn find_for(
    command: &CStr,
    path: Option<&[u8]>,
    workdir: Option<&[u8]>,
) -> Option<CString> {
    let locate = |path: &CStr| match (path.to_bytes(), workdir) {
        ([b'/', ..], _) => Ok(path.to_owned()),
        (path, Some(workdir)) => Ok(c_string(beneath(workdir, path))),
        (_, None) => Err(Errno(libc::ENOENT)),
    };
    let found = search(command, path, |path| executable(&locate(path)?)).ok()?;
    locate(&found).ok()
}

/// Whether execve would take `path`.
fn executable(path: &CStr) -> Result<(), Errno> {
    let status = sys::status(At::Cwd, path)?;
    if status.mode & libc::S_IFMT == libc::S_IFDIR {
        return Err(Errno(libc::EISDIR));
    }
    if status.mode & libc::S_IFMT != libc::S_IFREG {
        return Err(Errno(libc::EACCES));
    }
    sys::may_execute(path)
}

fn search(
    command: &CStr,
    path: Option<&[u8]>,
    executable: impl Fn(&CStr) -> Result<(), Errno>,
) -> Result<CString, CommandError> {
    let name = command.to_bytes();
    if !name.contains(&b'/') {
        return search_path(name, path.unwrap_or(DEFAULT_PATH), executable);
    }
    match executable(command) {
        Ok(()) => Ok(command.to_owned()),
        Err(Errno(libc::ENOENT | libc::ENOTDIR)) => Err(CommandError::NoFile(Shown::new(name))),
        Err(errno) => Err(CommandError::NotExecutable(Shown::new(name), errno)),
    }
}

fn search_path(
    name: &[u8],
    path: &[u8],
    executable: impl Fn(&CStr) -> Result<(), Errno>,
) -> Result<CString, CommandError> {
    let mut refused = None;
    for directory in path.split(|b| *b == b':') {
        let directory = if directory.is_empty() {
            b"."
        } else {
            directory
        };
        let candidate = c_string([directory, b"/", name].concat());
        let shown = || Shown::new(candidate.to_bytes());
        match executable(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(Errno(libc::EACCES | libc::EISDIR)) => {
                refused.get_or_insert_with(shown);
            }
            Err(errno) if passed_over(errno) => {}
            Err(errno) => return Err(CommandError::NotExecutable(shown(), errno)),
        }
    }
    Err(match refused {
        Some(candidate) => CommandError::NotExecutable(candidate, Errno(libc::EACCES)),
        None => CommandError::NotInPath(Shown::new(name)),
    })
}

/// What execvp passes over, and a component of `PATH` that is no usable path at all.
fn passed_over(Errno(number): Errno) -> bool {
    matches!(
        number,
        libc::ENOENT
            | libc::ENOTDIR
            | libc::ESTALE
            | libc::ENODEV
            | libc::ETIMEDOUT
            | libc::ENAMETOOLONG
            | libc::ELOOP
    )
}

/// Becomes `program`. Returns only when that fails.
pub(crate) fn execute(program: &CStr, argv: &[&CStr], env: &[&CStr]) -> CommandError {
    let shown = || Shown::new(program.to_bytes());
    match sys::execute(program, argv, env) {
        Errno(libc::ENOEXEC) => {
            let rest = argv.iter().skip(1).copied();
            let script: Vec<&CStr> = [SHELL, program].into_iter().chain(rest).collect();
            CommandError::NoShell(shown(), sys::execute(SHELL, &script, env))
        }
        Errno(libc::ENOENT) => CommandError::NoInterpreter(shown()),
        errno @ Errno(libc::EACCES) => CommandError::NotGranted(shown(), errno),
        errno => CommandError::NotExecutable(shown(), errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file system of three directories: one program, one that is not executable, one strange error.
    fn fake(path: &CStr) -> Result<(), Errno> {
        Err(Errno(match path.to_bytes() {
            b"/bin/sh" | b"./here" | b"/a/both" | b"/a/sh" => return Ok(()),
            b"/no/both" | b"/no/data" | b"./data" => libc::EACCES,
            b"/bin/dir" => libc::EISDIR,
            b"/io/sh" => libc::EIO,
            b"/file/sh" => libc::ENOTDIR,
            _ => libc::ENOENT,
        }))
    }

    #[test]
    fn the_program_of_another_process_is_looked_for_from_its_directory() {
        let found = |command, path: Option<&str>, workdir: Option<&str>| {
            let (path, workdir) = (path.map(str::as_bytes), workdir.map(str::as_bytes));
            find_for(command, path, workdir).map(|found| found.into_string().unwrap())
        };
        for (command, path, workdir, expected) in [
            (c"/bin/sh", None, None, Some("/bin/sh")),
            (c"sh", None, None, Some("/bin/sh")),
            (c"sh", Some("/none:/usr/bin"), None, Some("/usr/bin/sh")),
            (c"sh", Some("bin"), Some("/usr"), Some("/usr/bin/sh")),
            (c"sh", Some(""), Some("/bin"), Some("/bin/./sh")),
            (c"bin/sh", None, Some("/usr"), Some("/usr/bin/sh")),
            (c"./bin/sh", None, Some("/"), Some("/./bin/sh")),
            (c"sh", Some("bin"), None, None),
            (c"sh", Some("bin:/bin"), None, Some("/bin/sh")),
            (c"bin/sh", None, None, None),
            (c"sh", Some("/none"), Some("/bin"), None),
            (c"", None, Some("/bin"), None),
        ] {
            let found = found(command, path, workdir);
            assert_eq!(found.as_deref(), expected, "{command:?} {path:?}");
        }
    }

    #[test]
    fn the_search_is_that_of_execvp() {
        let cases: [(&CStr, Option<&str>, Result<&CStr, u8>); 17] = [
            (c"sh", None, Ok(c"/bin/sh")),
            (c"sh", Some("/a:/bin"), Ok(c"/a/sh")),
            (c"sh", Some("/none:/file:/bin"), Ok(c"/bin/sh")),
            (c"here", Some(""), Ok(c"./here")),
            (c"here", Some("/bin:"), Ok(c"./here")),
            (c"here", Some(":/bin"), Ok(c"./here")),
            (c"here", Some("/a::/bin"), Ok(c"./here")),
            (c"here", Some("/bin"), Err(127)),
            (c"both", Some("/no:/a"), Ok(c"/a/both")),
            (c"data", Some("/no:/a"), Err(126)),
            (c"dir", None, Err(126)),
            (c"sh", Some("/io:/bin"), Err(126)),
            (c"/bin/sh", Some(""), Ok(c"/bin/sh")),
            (c"./here", Some("/bin"), Ok(c"./here")),
            (c"./data", None, Err(126)),
            (c"/none", None, Err(127)),
            (c"/file/sh", None, Err(127)),
        ];
        for (command, path, expected) in cases {
            let found = search(command, path.map(str::as_bytes), fake);
            let found = found.as_deref().map_err(CommandError::exit_code);
            assert_eq!(found, expected, "{command:?} in {path:?}");
        }
    }
}
