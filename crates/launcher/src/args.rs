//! The command line.
//!
//! Pure. Options end at `--` or at the first argument that is no option, so nothing that belongs to
//! the workload is ever read as an option of the launcher.

use std::ffi::CStr;

use kubefence_launch_plan::{InvalidProfileName, ProfileName};

use crate::report::Shown;

/// What `nono --help` prints.
pub(crate) const HELP: &str = "\
usage: nono wrap --profile NAME [--preserve-fds N] [--] COMMAND [ARGUMENT...]
       nono --version | --help

Applies the plan profiles/NAME.json beside this program with Landlock, then executes COMMAND.

  --profile NAME      the profile that the node compiled to a plan
  --preserve-fds N    hand descriptors 3 to 2+N to COMMAND too; the others from 3 on are closed

exit status: 125 the sandbox could not be set up, 126 COMMAND cannot be executed, 127 COMMAND was
not found; otherwise that of COMMAND
";

/// The highest `--preserve-fds`: descriptor numbers are non-negative C ints.
const MAX_PRESERVED: u32 = i32::MAX as u32 - 3;

/// What the caller asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request<'a> {
    /// Print the usage.
    Help,
    /// Print the version.
    Version,
    /// Run a workload.
    Wrap(Wrap<'a>),
}

/// A workload to run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrap<'a> {
    /// The profile to apply.
    pub(crate) profile: ProfileName,
    /// How many descriptors from 3 on the workload keeps.
    pub(crate) preserved: u32,
    /// The workload's own arguments; the first is the command.
    pub(crate) argv: &'a [&'static CStr],
}

/// A command line that asks for nothing the launcher can do.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum UsageError {
    #[error("no subcommand: use `nono wrap --profile NAME -- COMMAND`")]
    NoSubcommand,
    #[error("unknown subcommand {0}: use `nono wrap --profile NAME -- COMMAND`")]
    UnknownSubcommand(Shown),
    #[error("unknown option {0} of wrap: put `--` in front of the command, or see `nono --help`")]
    UnknownOption(Shown),
    #[error("option {0} needs a value: see `nono --help`")]
    NoValue(&'static str),
    #[error("option {0} is given twice: give it once")]
    Twice(&'static str),
    #[error("no profile: name one with --profile NAME")]
    NoProfile,
    #[error("option --profile")]
    Profile(#[source] InvalidProfileName),
    #[error("option --preserve-fds: {0} is not a number from 0 to {MAX_PRESERVED}")]
    Preserved(Shown),
    #[error("no command to run: name one after `--`")]
    NoCommand,
    #[error("the command is an empty string: name the program to run after `--`")]
    EmptyCommand,
}

/// Reads the command line, the launcher's own name first.
pub(crate) fn parse<'a>(argv: &'a [&'static CStr]) -> Result<Request<'a>, UsageError> {
    let first = argv.get(1).ok_or(UsageError::NoSubcommand)?;
    match first.to_bytes() {
        b"--help" | b"-h" | b"help" => Ok(Request::Help),
        b"--version" | b"-V" => Ok(Request::Version),
        b"wrap" => parse_wrap(&argv[2..]),
        other => Err(UsageError::UnknownSubcommand(Shown::new(other))),
    }
}

fn parse_wrap<'a>(mut rest: &'a [&'static CStr]) -> Result<Request<'a>, UsageError> {
    let (mut profile, mut preserved) = (None, None);
    while let [first, tail @ ..] = rest {
        let (option, inline) = split_option(first.to_bytes());
        let name = match option {
            b"--" => {
                rest = tail;
                break;
            }
            b"--help" | b"-h" => return Ok(Request::Help),
            b"--profile" => "--profile",
            b"--preserve-fds" => "--preserve-fds",
            [b'-', _, ..] => return Err(UsageError::UnknownOption(Shown::new(option))),
            _ => break,
        };
        let (value, tail) = match (inline, tail) {
            (Some(value), tail) => (value, tail),
            (None, [value, tail @ ..]) => (value.to_bytes(), tail),
            (None, []) => return Err(UsageError::NoValue(name)),
        };
        let twice = match name {
            "--profile" => profile.replace(parse_profile(value)?).is_some(),
            _ => preserved.replace(parse_preserved(value)?).is_some(),
        };
        if twice {
            return Err(UsageError::Twice(name));
        }
        rest = tail;
    }
    let profile = profile.ok_or(UsageError::NoProfile)?;
    match rest.first() {
        None => Err(UsageError::NoCommand),
        Some(command) if command.is_empty() => Err(UsageError::EmptyCommand),
        Some(_) => Ok(Request::Wrap(Wrap {
            profile,
            preserved: preserved.unwrap_or(0),
            argv: rest,
        })),
    }
}

fn split_option(argument: &[u8]) -> (&[u8], Option<&[u8]>) {
    match argument.iter().position(|b| *b == b'=') {
        Some(at) if argument.starts_with(b"--") => (&argument[..at], Some(&argument[at + 1..])),
        _ => (argument, None),
    }
}

fn parse_profile(value: &[u8]) -> Result<ProfileName, UsageError> {
    ProfileName::parse(&String::from_utf8_lossy(value)).map_err(UsageError::Profile)
}

fn parse_preserved(value: &[u8]) -> Result<u32, UsageError> {
    std::str::from_utf8(value)
        .ok()
        .filter(|text| text.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|text| text.parse().ok())
        .filter(|n| *n <= MAX_PRESERVED)
        .ok_or_else(|| UsageError::Preserved(Shown::new(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrap<'a>(argv: &'a [&'static CStr]) -> Result<Wrap<'a>, UsageError> {
        match parse(argv)? {
            Request::Wrap(wrap) => Ok(wrap),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn options_end_where_the_workload_begins() {
        let cases: [(&[&CStr], u32, &[&CStr]); 5] = [
            (
                &[c"nono", c"wrap", c"--profile", c"p", c"--", c"a"],
                0,
                &[c"a"],
            ),
            (
                &[c"", c"wrap", c"--profile=p", c"a", c"--profile", c"q"],
                0,
                &[c"a", c"--profile", c"q"],
            ),
            (
                &[
                    c"n",
                    c"wrap",
                    c"--preserve-fds",
                    c"2",
                    c"--profile",
                    c"p",
                    c"--",
                    c"--",
                    c"-x",
                ],
                2,
                &[c"--", c"-x"],
            ),
            (
                &[c"n", c"wrap", c"--profile", c"p", c"--preserve-fds=0", c"-"],
                0,
                &[c"-"],
            ),
            (
                &[c"n", c"wrap", c"--profile", c"p", c"--", c"a=b", c"\xff"],
                0,
                &[c"a=b", c"\xff"],
            ),
        ];
        for (argv, preserved, command) in cases {
            let wrap = wrap(argv).unwrap();
            assert_eq!(wrap.profile.as_str(), "p");
            assert_eq!(
                (wrap.preserved, wrap.argv),
                (preserved, command),
                "{argv:?}"
            );
        }
    }

    #[test]
    fn what_asks_for_nothing_is_refused() {
        let cases: [(&[&CStr], &str); 13] = [
            (&[], "no subcommand"),
            (&[c"nono"], "no subcommand"),
            (&[c"nono", c"run\n"], "unknown subcommand \"run\\n\""),
            (&[c"n", c"wrap"], "no profile"),
            (&[c"n", c"wrap", c"--", c"a"], "no profile"),
            (&[c"n", c"wrap", c"--profile"], "needs a value"),
            (&[c"n", c"wrap", c"--profile", c"p"], "no command"),
            (&[c"n", c"wrap", c"--profile", c"p", c"--"], "no command"),
            (
                &[c"n", c"wrap", c"--profile", c"p", c"--", c""],
                "empty string",
            ),
            (
                &[c"n", c"wrap", c"--profile=p", c"--profile=p", c"a"],
                "twice",
            ),
            (
                &[c"n", c"wrap", c"--allow", c"/", c"a"],
                "unknown option \"--allow\"",
            ),
            (&[c"n", c"wrap", c"--preserve-fds=-1", c"a"], "not a number"),
            (
                &[c"n", c"wrap", c"--profile", c"../x", c"a"],
                "option --profile",
            ),
        ];
        for (argv, expected) in cases {
            let error = parse(argv).unwrap_err().to_string();
            assert!(error.contains(expected), "{argv:?}: {error}");
        }
    }

    #[test]
    fn preserved_descriptors_stay_in_range() {
        assert_eq!(parse_preserved(b"2147483644"), Ok(MAX_PRESERVED));
        for bad in [
            &b""[..],
            b"+1",
            b" 1",
            b"2147483645",
            b"99999999999",
            b"1\xff",
        ] {
            assert!(parse_preserved(bad).is_err(), "{bad:?}");
        }
    }
}
