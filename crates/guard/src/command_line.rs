//! The command line: what the guard is asked to do.
//!
//! Three runtimes read the same command line by three different rules: runc takes `-name` for `--name` and moves flags in
//! front of the arguments, crun completes abbreviated names and takes clustered short ones, youki finds flags behind the
//! container's ID. If the guard read a line otherwise than the runtime does, it would judge one bundle or process and the
//! runtime would start another. So for `create`, `run` and `exec` only a canonical form is taken, which all of them read
//! alike or reject: flags in full (`--name VALUE`, `--name=VALUE`) or as one letter with the value behind it, then the ID, then
//! the command of `exec`. The forms that containerd's shim and conmon send are all of this kind.
//!
//! For commands that start nothing only the global flags are read, and only as far as it takes to tell the command: `kill` and
//! `delete` have to work whatever else is wrong.
//!
//! Pure: nothing here looks at a file, and nothing here says what is done about an invocation.

mod error;
mod flags;
#[cfg(test)]
mod tests;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

pub(crate) use self::error::UsageError;
use self::flags::Given;

/// Commands that start no process of a workload: the real runtime gets them as they are.
const PASSED_ON: &[&str] = &[
    "start",
    "kill",
    "state",
    "list",
    "ps",
    "events",
    "pause",
    "resume",
    "update",
    "checkpoint",
    "features",
    "spec",
    "version",
    "help",
];

/// What a runtime prints and then exits, whichever of these it knows.
const GLOBAL_HELP: &[&str] = &["--help", "-h", "--version", "-v"];
const COMMAND_HELP: &[&str] = &["--help", "-h"];

/// The longest container ID, in bytes.
const LONGEST_ID: usize = 1024;

/// What the guard is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Invocation {
    /// Nothing that starts a process: becomes the real runtime, arguments untouched.
    PassOn,
    /// `create` or `run`: a container is made from a bundle.
    Create(Create),
    /// `exec`: a process is started in a container.
    Exec(Exec),
    /// `delete`: a container goes, and the guard's record with it.
    Delete(Delete),
}

/// Flags before the command that the guard itself acts on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Global {
    /// `--root`: where the runtime keeps its state; as given, so it may be relative.
    pub(crate) root: Option<PathBuf>,
    /// `--log`: the file whose last error the container runtime reports.
    pub(crate) log: Option<PathBuf>,
    /// `--log-format`: how lines in that file look.
    pub(crate) log_format: LogFormat,
}

/// How the lines of a log file look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// `key=value` pairs, the default of all runtimes.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// `create` or `run`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Create {
    /// Flags before the command.
    pub(crate) global: Global,
    /// The bundle's directory; `.` if the command line names none.
    pub(crate) bundle: PathBuf,
    /// The container's ID.
    pub(crate) id: String,
    /// How many descriptors above standard error the workload gets.
    pub(crate) preserve_fds: u32,
    /// Which of the two it is.
    pub(crate) command: CreateKind,
}

/// Which command makes the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CreateKind {
    /// `create`: the workload waits for `start`.
    Create,
    /// `run`: the workload starts at once.
    Run,
}

/// `exec`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exec {
    /// Flags before the command.
    pub(crate) global: Global,
    /// The container's ID.
    pub(crate) id: String,
    /// How many descriptors above standard error the process gets.
    pub(crate) preserve_fds: u32,
    /// Where the process is described.
    pub(crate) form: ExecForm,
}

/// Where the process of an `exec` is described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ExecForm {
    /// `--process FILE`: a whole OCI process object.
    File {
        /// The file, as given, so it may be relative.
        path: PathBuf,
    },
    /// The command stands behind the ID.
    Argv {
        /// Index in argv of the command's first word; there is always one.
        command: usize,
    },
}

/// `delete`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Delete {
    /// Flags before the command.
    pub(crate) global: Global,
    /// The container's ID. `None` if it cannot be told: then the runtime deletes what it understands, and the record stays
    /// until stale ones are swept.
    pub(crate) id: Option<String>,
}

/// Reads a command line; `argv[0]` is the program.
pub(crate) fn parse(argv: &[OsString]) -> Result<Invocation, UsageError> {
    let globals = flags::read(argv, 1, flags::GLOBAL, "global");
    if let Some(stop) = globals.stop {
        let asks = is_only(&argv[globals.rest..], GLOBAL_HELP);
        return if asks {
            Ok(Invocation::PassOn)
        } else {
            Err(stop)
        };
    }
    let Some(command) = argv.get(globals.rest) else {
        return Ok(Invocation::PassOn);
    };
    let at = globals.rest + 1;
    let named = command.to_str();
    match named {
        Some("delete") => Ok(Invocation::Delete(delete(&argv[at..], &globals))),
        Some(name) if PASSED_ON.contains(&name) => Ok(Invocation::PassOn),
        Some("create" | "run" | "exec") if is_only(&argv[at..], COMMAND_HELP) => {
            Ok(Invocation::PassOn)
        }
        Some("create") => create(argv, at, CreateKind::Create, globals).map(Invocation::Create),
        Some("run") => create(argv, at, CreateKind::Run, globals).map(Invocation::Create),
        Some("exec") => exec(argv, at, globals).map(Invocation::Exec),
        _ => Err(UsageError::Command {
            command: lossy(command),
            passed_on: PASSED_ON.join(", "),
        }),
    }
}

/// The global flags as far as they can be read, so that a refusal reaches the log even if the rest of the line is wrong.
pub(crate) fn global(argv: &[OsString]) -> Global {
    Global::of(&flags::read(argv, 1, flags::GLOBAL, "global"))
}

impl Global {
    /// Where a flag is repeated, runtimes that accept that take the last.
    fn of(given: &Given<'_>) -> Self {
        Self {
            root: given.last("root").map(PathBuf::from),
            log: given.last("log").and_then(log_file),
            log_format: match given.last("log-format") {
                Some(format) if format == "json" => LogFormat::Json,
                _ => LogFormat::Text,
            },
        }
    }
}

impl CreateKind {
    fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Run => "run",
        }
    }
}

fn create(
    argv: &[OsString],
    at: usize,
    kind: CreateKind,
    globals: Given<'_>,
) -> Result<Create, UsageError> {
    let globals = globals.sound()?;
    globals.text("root")?;
    let table = match kind {
        CreateKind::Create => flags::CREATE,
        CreateKind::Run => flags::RUN,
    };
    let given = flags::read(argv, at, table, kind.name()).sound()?;
    let (id, behind) = id(kind.name(), &argv[given.rest..])?;
    if let Some(word) = behind.first() {
        return Err(UsageError::Behind {
            command: kind.name(),
            id,
            word: lossy(word),
        });
    }
    Ok(Create {
        global: Global::of(&globals),
        bundle: PathBuf::from(given.text("bundle")?.unwrap_or(".")),
        id,
        preserve_fds: preserve_fds(&given)?,
        command: kind,
    })
}

fn exec(argv: &[OsString], at: usize, globals: Given<'_>) -> Result<Exec, UsageError> {
    let globals = globals.sound()?;
    globals.text("root")?;
    let given = flags::read(argv, at, flags::EXEC, "exec").sound()?;
    let (id, words) = id("exec", &argv[given.rest..])?;
    let form = match (given.text("process")?, words.first()) {
        (Some(path), None) => ExecForm::File {
            path: PathBuf::from(path),
        },
        (Some(_), Some(word)) => return Err(UsageError::TwoProcesses { word: lossy(word) }),
        (None, None) => return Err(UsageError::NoProcess { id }),
        // youki still looks for flags of its own here, and takes `--` for the end of them.
        (None, Some(word)) if word.is_empty() || word.as_bytes().starts_with(b"-") => {
            return Err(UsageError::Program { word: lossy(word) });
        }
        (None, Some(_)) => ExecForm::Argv {
            command: given.rest + 1,
        },
    };
    Ok(Exec {
        global: Global::of(&globals),
        id,
        preserve_fds: preserve_fds(&given)?,
        form,
    })
}

/// Never fails: what is unclear is for the runtime to say.
fn delete(words: &[OsString], globals: &Given<'_>) -> Delete {
    let mut ids = words
        .iter()
        .filter(|word| *word != "--force" && *word != "-f");
    let id = match (ids.next(), ids.next(), &globals.fault) {
        // A root that is given twice may not be the one that the runtime looks in.
        (Some(word), None, None) => checked_id(word),
        _ => None,
    };
    Delete {
        global: Global::of(globals),
        id,
    }
}

/// The container's ID, and what stands behind it.
fn id<'a>(
    command: &'static str,
    words: &'a [OsString],
) -> Result<(String, &'a [OsString]), UsageError> {
    let Some((word, behind)) = words.split_first() else {
        return Err(UsageError::NoId { command });
    };
    match checked_id(word) {
        Some(id) => Ok((id, behind)),
        None => Err(UsageError::Id {
            command,
            id: lossy(word),
        }),
    }
}

/// runc's rule for IDs, which become file names; and none that could be taken for a flag.
fn checked_id(word: &OsStr) -> Option<String> {
    let id = word.to_str()?;
    let named = id
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"_+.-".contains(&b));
    let usable =
        named && !matches!(id, "" | "." | "..") && !id.starts_with('-') && id.len() <= LONGEST_ID;
    usable.then(|| id.to_owned())
}

/// runc reads `010` as eight and `0x10` as sixteen, crun as ten and nothing: only plain decimal numbers are the same in all.
fn preserve_fds(given: &Given<'_>) -> Result<u32, UsageError> {
    let Some(value) = given.text("preserve-fds")? else {
        return Ok(0);
    };
    let plain =
        value.bytes().all(|b| b.is_ascii_digit()) && (value == "0" || !value.starts_with('0'));
    match value.parse::<i32>() {
        Ok(count) if plain => Ok(count.unsigned_abs()),
        _ => Err(UsageError::PreserveFds {
            value: value.to_owned(),
        }),
    }
}

/// crun also logs to other places than files, and marks files with a prefix.
fn log_file(value: &OsStr) -> Option<PathBuf> {
    let bytes = value.as_bytes();
    if bytes.is_empty() || bytes.starts_with(b"journald:") || bytes.starts_with(b"syslog:") {
        return None;
    }
    let path = bytes.strip_prefix(b"file:").unwrap_or(bytes);
    Some(PathBuf::from(OsString::from_vec(path.to_vec())))
}

fn is_only(words: &[OsString], which: &[&str]) -> bool {
    matches!(words, [word] if which.iter().any(|help| word == help))
}

fn lossy(word: &OsStr) -> String {
    word.to_string_lossy().into_owned()
}
