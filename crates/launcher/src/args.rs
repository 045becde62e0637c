//! The command line.
//!
//! Pure. Options end at `--` or at the first argument that is no option, so nothing that belongs to
//! the workload is ever read as an option of the launcher.

use std::ffi::CStr;

use kubefence_launch_plan::{InvalidProfileName, ProfileName, Variable};

use crate::place_source::{ENTRYPOINT_PATH, normal};
use crate::report::Shown;

/// What `nono --help` prints.
pub(crate) const HELP: &str = "\
usage: nono wrap --profile NAME [--plan SHA256] [--var NAME=VALUE]... [--mounted PATH]...
            [--preserve-fds N] [--] COMMAND [ARGUMENT...]
       nono --version | --help

Applies the plan profiles/NAME.json beside this program with Landlock, then executes COMMAND.

  --profile NAME      the profile that the node compiled to a plan
  --plan SHA256       apply plans/SHA256.json instead, which must be a plan of that profile
  --var NAME=VALUE    what the variable $NAME of the plan means: HOME, TMPDIR, WORKDIR, ENTRYPOINT, an
                      XDG directory, or PATH to find ENTRYPOINT. With one, the environment, the
                      working directory and COMMAND mean nothing to the plan
  --mounted PATH      refuse to run unless something is mounted at this absolute path without links
  --preserve-fds N    hand descriptors 3 to 2+N to COMMAND too; the others from 3 on are closed

exit status: 125 the sandbox could not be set up, 126 COMMAND cannot be executed, 127 COMMAND was
not found; otherwise that of COMMAND
";

/// The highest `--preserve-fds`: descriptor numbers are non-negative C ints.
const MAX_PRESERVED: u32 = i32::MAX as u32 - 3;

/// Most `--mounted`.
const MAX_MOUNTED: usize = 4096;

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
    /// The digest of the plan to apply, if it is not the one that the profile's name leads to.
    pub(crate) plan: Option<&'static str>,
    /// What the variables of the plan mean, `NAME=VALUE` each. Empty: what this process says.
    pub(crate) variables: Vec<&'static CStr>,
    /// Normal paths at which something is mounted.
    pub(crate) mounted: Vec<&'static CStr>,
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
    #[error("option --plan: {0} is no digest of a plan: 64 lower-case hexadecimal digits")]
    Plan(Shown),
    #[error("option --var: {0} is not NAME=VALUE")]
    Assignment(Shown),
    #[error("option --var: {0} is no variable that can be given: see `nono --help`")]
    Variable(Shown),
    #[error("option --var: {0} is given twice: give it once")]
    VariableTwice(Shown),
    #[error("option --mounted: {0} is not an absolute path without empty parts, `.` and `..`")]
    Mounted(Shown),
    #[error("option --mounted is given more than {MAX_MOUNTED} times: mount less")]
    TooManyMounted,
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
    let mut options = Options::default();
    while let [first, tail @ ..] = rest {
        let (option, inline) = split_option(first);
        let name = match option {
            b"--" => {
                rest = tail;
                break;
            }
            b"--help" | b"-h" => return Ok(Request::Help),
            [b'-', _, ..] => {
                let known = Options::NAMES.into_iter().find(|n| n.as_bytes() == option);
                known.ok_or_else(|| UsageError::UnknownOption(Shown::new(option)))?
            }
            _ => break,
        };
        let (value, tail) = match (inline, tail) {
            (Some(value), tail) => (value, tail),
            (None, [value, tail @ ..]) => (*value, tail),
            (None, []) => return Err(UsageError::NoValue(name)),
        };
        options.take(name, value)?;
        rest = tail;
    }
    let profile = options.profile.ok_or(UsageError::NoProfile)?;
    match rest.first() {
        None => Err(UsageError::NoCommand),
        Some(command) if command.is_empty() => Err(UsageError::EmptyCommand),
        Some(_) => Ok(Request::Wrap(Wrap {
            profile,
            plan: options.plan,
            variables: options.variables,
            mounted: options.mounted,
            preserved: options.preserved.unwrap_or(0),
            argv: rest,
        })),
    }
}

/// The options of wrap, as far as they were read.
#[derive(Default)]
struct Options {
    profile: Option<ProfileName>,
    plan: Option<&'static str>,
    variables: Vec<&'static CStr>,
    mounted: Vec<&'static CStr>,
    preserved: Option<u32>,
}

impl Options {
    const NAMES: [&'static str; 5] = [
        "--profile",
        "--plan",
        "--var",
        "--mounted",
        "--preserve-fds",
    ];

    /// Takes the option `name`, one of [`Self::NAMES`].
    fn take(&mut self, name: &'static str, value: &'static CStr) -> Result<(), UsageError> {
        let bytes = value.to_bytes();
        let is_again = match name {
            "--profile" => self.profile.replace(parse_profile(bytes)?).is_some(),
            "--plan" => self.plan.replace(parse_plan(bytes)?).is_some(),
            "--var" => return self.take_variable(value),
            "--mounted" => return self.take_mounted(value),
            _ => self.preserved.replace(parse_preserved(bytes)?).is_some(),
        };
        match is_again {
            true => Err(UsageError::Twice(name)),
            false => Ok(()),
        }
    }

    fn take_variable(&mut self, assignment: &'static CStr) -> Result<(), UsageError> {
        let shown = || Shown::new(assignment.to_bytes());
        let name = name_of(assignment).ok_or_else(|| UsageError::Assignment(shown()))?;
        if !is_variable(name) {
            return Err(UsageError::Variable(Shown::new(name)));
        }
        let is_same = |known: &&CStr| name_of(known) == Some(name);
        if self.variables.iter().any(is_same) {
            return Err(UsageError::VariableTwice(Shown::new(name)));
        }
        self.variables.push(assignment);
        Ok(())
    }

    fn take_mounted(&mut self, path: &'static CStr) -> Result<(), UsageError> {
        if self.mounted.len() == MAX_MOUNTED {
            return Err(UsageError::TooManyMounted);
        }
        let bytes = path.to_bytes();
        if normal(bytes).as_deref() != Some(bytes) {
            return Err(UsageError::Mounted(Shown::new(bytes)));
        }
        self.mounted.push(path);
        Ok(())
    }
}

fn name_of(assignment: &CStr) -> Option<&[u8]> {
    let bytes = assignment.to_bytes();
    let end = bytes.iter().position(|b| *b == b'=')?;
    Some(&bytes[..end])
}

/// Whether a variable of that name can be given. `$ENTRYPOINT_DIR` follows from `$ENTRYPOINT`.
fn is_variable(name: &[u8]) -> bool {
    let mut variables = Variable::ALL.into_iter();
    name == ENTRYPOINT_PATH.as_bytes()
        || variables.any(|v| v != Variable::EntrypointDir && v.name().as_bytes() == name)
}

/// An option and the value behind its `=`, if it has one.
fn split_option(argument: &'static CStr) -> (&'static [u8], Option<&'static CStr>) {
    let bytes = argument.to_bytes();
    let at = bytes.iter().position(|b| *b == b'=');
    match at.filter(|_| bytes.starts_with(b"--")) {
        Some(at) => {
            let value = &argument.to_bytes_with_nul()[at + 1..];
            (&bytes[..at], CStr::from_bytes_with_nul(value).ok())
        }
        None => (bytes, None),
    }
}

fn parse_profile(value: &[u8]) -> Result<ProfileName, UsageError> {
    ProfileName::parse(&String::from_utf8_lossy(value)).map_err(UsageError::Profile)
}

/// Checks that `value` is a single safe path component. What the file holds is the node's own word.
fn parse_plan(value: &'static [u8]) -> Result<&'static str, UsageError> {
    let is_digit = |b: &u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    let digest = std::str::from_utf8(value).ok();
    digest
        .filter(|digest| digest.len() == 64 && digest.as_bytes().iter().all(is_digit))
        .ok_or_else(|| UsageError::Plan(Shown::new(value)))
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
        let cases: [(&[&'static CStr], u32, &[&CStr]); 5] = [
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
        let cases: [(&[&'static CStr], &str); 15] = [
            (&[c"n", c"wrap", c"--var"], "needs a value"),
            (&[c"n", c"wrap", c"--plan=x", c"a"], "option --plan: \"x\""),
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
    fn the_plan_and_its_variables_can_be_given() {
        let argv = [
            c"n",
            c"wrap",
            c"--plan",
            c"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            c"--var",
            c"HOME=/a=b",
            c"--profile=p",
            c"--var=PATH=",
            c"--var",
            c"ENTRYPOINT=\xff",
            c"--",
            c"--var",
        ];
        let wrap = wrap(&argv).unwrap();
        assert_eq!(wrap.plan.map(str::as_bytes), Some(argv[3].to_bytes()));
        assert_eq!(wrap.variables, [c"HOME=/a=b", c"PATH=", c"ENTRYPOINT=\xff"]);
        assert_eq!(wrap.argv, [c"--var"]);
        let plain = [c"n", c"wrap", c"--profile", c"p", c"a"];
        let plain = self::wrap(&plain).unwrap();
        assert_eq!((plain.plan, plain.variables), (None, vec![]));
    }

    #[test]
    fn a_plan_is_named_by_its_digest_alone() {
        let good = "0123456789abcdef".repeat(4);
        let bad = [
            "",
            &good[1..],
            &format!("{good}0"),
            &good.to_uppercase(),
            &good.replace('0', "g"),
            &good.replacen('0', "/", 1),
            &format!("../plans/{}", &good[9..]),
            &format!("{}.json", &good[5..]),
            &format!(" {}", &good[1..]),
        ];
        for plan in bad {
            let plan: &'static str = plan.to_owned().leak();
            let error = parse_plan(plan.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("no digest of a plan"), "{plan}: {error}");
        }
        let good: &'static str = good.leak();
        assert_eq!(parse_plan(good.as_bytes()), Ok(good));
    }

    #[test]
    fn variables_are_those_of_plans_and_each_is_given_once() {
        let read = |assignments: &[&'static CStr]| {
            let mut options = Options::default();
            assignments
                .iter()
                .try_for_each(|assignment| options.take("--var", assignment))
        };
        for variable in Variable::ALL {
            let given: &'static str = format!("{}=/x\0", variable.name()).leak();
            let given = CStr::from_bytes_with_nul(given.as_bytes()).unwrap();
            assert_eq!(
                read(&[given]).is_ok(),
                variable != Variable::EntrypointDir,
                "{given:?}"
            );
        }
        let cases: [(&[&'static CStr], &str); 7] = [
            (&[c"HOME"], "not NAME=VALUE"),
            (&[c""], "not NAME=VALUE"),
            (&[c"=/x"], "no variable"),
            (&[c"home=/x"], "\"home\" is no variable"),
            (&[c"$HOME=/x"], "no variable"),
            (&[c"LD_PRELOAD=/x"], "\"LD_PRELOAD\" is no variable"),
            (
                &[c"HOME=/x", c"PATH=/y", c"HOME=/x"],
                "\"HOME\" is given twice",
            ),
        ];
        for (assignments, expected) in cases {
            let error = read(assignments).unwrap_err().to_string();
            assert!(error.contains(expected), "{assignments:?}: {error}");
        }
    }

    #[test]
    fn mounts_are_named_by_normal_paths() {
        let argv = [
            c"n",
            c"wrap",
            c"--mounted",
            c"/data",
            c"--preserve-fds=1",
            c"--mounted=/a=b \xff",
            c"--profile",
            c"p",
            c"--mounted",
            c"/data",
            c"--",
            c"--mounted",
        ];
        let wrap = wrap(&argv).unwrap();
        assert_eq!(wrap.mounted, [c"/data", c"/a=b \xff", c"/data"]);
        assert_eq!((wrap.preserved, wrap.argv), (1, &[c"--mounted"][..]));
        for bad in [
            c"", c"data", c"./data", c"/data/", c"//data", c"/a/../b", c"/a/./b",
        ] {
            let error = Options::default().take("--mounted", bad).unwrap_err();
            assert!(
                error.to_string().contains("not an absolute path"),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn mounts_are_not_without_end() {
        let mut options = Options::default();
        for _ in 0..4096 {
            options.take("--mounted", c"/data").unwrap();
        }
        let error = options.take("--mounted", c"/data").unwrap_err().to_string();
        assert!(error.contains("more than 4096 times"), "{error}");
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
