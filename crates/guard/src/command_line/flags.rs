//! Flags: which ones the guard lets through, and how they are read.
//!
//! A flag is in a table if at least one runtime knows it, and if those that do not know it reject it rather than take it for
//! another: so its name is no abbreviation of a different flag, and every runtime agrees whether a value follows.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;

use super::UsageError;
use super::lossy;

/// A flag that the guard knows.
#[derive(Debug)]
pub(super) struct Flag {
    long: &'static str,
    short: Option<u8>,
    takes: Takes,
}

/// What belongs to a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Nothing,
    Value,
    /// A value, and the flag may be repeated.
    Values,
    Refused(Forbidden),
}

/// Why a flag that runtimes know is not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forbidden {
    /// `--no-pivot`.
    Chroot,
    /// crun's `--config`.
    OtherConfig,
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Chroot => "a container whose root was changed by chroot can leave it",
            Self::OtherConfig => {
                "nono-runc judges the bundle's config.json, and this names another file"
            }
        })
    }
}

/// Flags before the command: those of runc, crun and youki.
pub(super) const GLOBAL: &[Flag] = &[
    switch("debug"),
    value("log"),
    value("log-format"),
    value("log-level"),
    value("root"),
    value("rootless"),
    switch("systemd-cgroup"),
    // crun
    value("cgroup-manager"),
    // runc up to 1.3 takes it and ignores it
    value("criu"),
    // youki
    switch("systemd-log"),
];

/// Flags of `create`.
pub(super) const CREATE: &[Flag] = &[
    value("bundle").or(b'b'),
    value("console-socket"),
    value("pidfd-socket"),
    value("pid-file"),
    switch("no-new-keyring"),
    value("preserve-fds"),
    // crun takes it and ignores it
    switch("no-subreaper"),
    refused("no-pivot", Forbidden::Chroot),
    refused("config", Forbidden::OtherConfig).or(b'f'),
];

/// Flags of `run`.
pub(super) const RUN: &[Flag] = &[
    value("bundle").or(b'b'),
    value("console-socket"),
    value("pidfd-socket"),
    switch("detach").or(b'd'),
    switch("keep"),
    value("pid-file"),
    switch("no-subreaper"),
    switch("no-new-keyring"),
    value("preserve-fds"),
    refused("no-pivot", Forbidden::Chroot),
    refused("config", Forbidden::OtherConfig).or(b'f'),
];

/// Flags of `exec`.
pub(super) const EXEC: &[Flag] = &[
    value("console-socket"),
    value("pidfd-socket"),
    value("cwd"),
    values("env").or(b'e'),
    switch("tty").or(b't'),
    value("user").or(b'u'),
    values("additional-gids").or(b'g'),
    value("process").or(b'p'),
    switch("detach").or(b'd'),
    value("pid-file"),
    value("process-label"),
    value("apparmor"),
    switch("no-new-privs"),
    values("cap").or(b'c'),
    value("preserve-fds"),
    values("cgroup"),
    switch("ignore-paused"),
];

const fn flag(long: &'static str, takes: Takes) -> Flag {
    Flag {
        long,
        short: None,
        takes,
    }
}

const fn switch(long: &'static str) -> Flag {
    flag(long, Takes::Nothing)
}

const fn value(long: &'static str) -> Flag {
    flag(long, Takes::Value)
}

const fn values(long: &'static str) -> Flag {
    flag(long, Takes::Values)
}

const fn refused(long: &'static str, why: Forbidden) -> Flag {
    flag(long, Takes::Refused(why))
}

impl Flag {
    const fn or(self, short: u8) -> Self {
        Self {
            short: Some(short),
            ..self
        }
    }
}

/// Flags as they were given.
#[derive(Debug)]
pub(super) struct Given<'a> {
    /// Where the flags end: the index of the first word that is none, or of the one at which reading stopped.
    pub(super) rest: usize,
    /// Why reading stopped: from here on the runtime may read the line otherwise than the guard.
    pub(super) stop: Option<UsageError>,
    /// What some runtime rejects or reads otherwise, although none finds the end of the flags elsewhere.
    pub(super) fault: Option<UsageError>,
    scope: &'static str,
    flags: Vec<(&'static Flag, &'a OsStr)>,
}

/// Reads the flags that begin at `argv[start]`. `scope` is the command, or `global`.
pub(super) fn read<'a>(
    argv: &'a [OsString],
    start: usize,
    table: &'static [Flag],
    scope: &'static str,
) -> Given<'a> {
    let mut given = Given {
        rest: start,
        stop: None,
        fault: None,
        scope,
        flags: Vec::new(),
    };
    while let Some(word) = argv
        .get(given.rest)
        .filter(|word| word.as_bytes().starts_with(b"-"))
    {
        match given.take(word, argv.get(given.rest + 1), table) {
            Ok(words) => given.rest += words,
            Err(stop) => {
                given.stop = Some(stop);
                break;
            }
        }
    }
    given
}

impl<'a> Given<'a> {
    /// Takes one flag, and says how many words it is. An error means that this cannot be told.
    fn take(
        &mut self,
        word: &'a OsStr,
        next: Option<&'a OsString>,
        table: &'static [Flag],
    ) -> Result<usize, UsageError> {
        let scope = self.scope;
        let (flag, joined) = find(word, table).ok_or_else(|| UsageError::Flag {
            scope,
            flag: lossy(word),
            known: known(table),
        })?;
        let (value, words) = match (flag.takes, joined, next) {
            (Takes::Refused(why), ..) => {
                return Err(UsageError::Forbidden {
                    scope,
                    flag: lossy(word),
                    why,
                });
            }
            (Takes::Nothing, None, _) => (OsStr::new(""), 1),
            (_, Some(value), _) => (value, 1),
            (_, None, Some(value)) => (value.as_os_str(), 2),
            (_, None, None) => {
                return Err(UsageError::NoValue {
                    scope,
                    flag: flag.long,
                });
            }
        };
        let fault = self.judge(flag, value, joined.is_some());
        self.fault = self.fault.take().or(fault);
        self.flags.push((flag, value));
        Ok(words)
    }

    fn judge(&self, flag: &'static Flag, value: &OsStr, joined: bool) -> Option<UsageError> {
        let scope = self.scope;
        if flag.takes == Takes::Nothing {
            if joined {
                return Some(UsageError::Switch {
                    scope,
                    flag: flag.long,
                    value: lossy(value),
                });
            }
        } else if value.is_empty() || value.as_bytes().starts_with(b"-") {
            return Some(UsageError::Value {
                scope,
                flag: flag.long,
                value: lossy(value),
            });
        }
        let repeated = flag.takes != Takes::Values && self.last(flag.long).is_some();
        repeated.then_some(UsageError::Repeated {
            scope,
            flag: flag.long,
        })
    }

    /// The same flags, if every runtime reads them as they were read here.
    pub(super) fn sound(self) -> Result<Self, UsageError> {
        match self {
            Self {
                fault: Some(error), ..
            }
            | Self {
                stop: Some(error), ..
            } => Err(error),
            sound => Ok(sound),
        }
    }

    /// The value of a flag, the last if there are several; empty for a switch.
    pub(super) fn last(&self, long: &str) -> Option<&'a OsStr> {
        self.flags
            .iter()
            .rev()
            .find(|(flag, _)| flag.long == long)
            .map(|(_, value)| *value)
    }

    /// The same for a value that the guard understands, which must be UTF-8 because records hold it as JSON.
    pub(super) fn text(&self, long: &'static str) -> Result<Option<&'a str>, UsageError> {
        let Some(value) = self.last(long) else {
            return Ok(None);
        };
        let not_utf8 = || UsageError::NotUtf8 {
            scope: self.scope,
            flag: long,
            value: lossy(value),
        };
        value.to_str().map(Some).ok_or_else(not_utf8)
    }
}

/// The flag that a word is, and the value that is joined to it by `=`.
fn find<'a>(word: &'a OsStr, table: &'static [Flag]) -> Option<(&'static Flag, Option<&'a OsStr>)> {
    match word.as_bytes() {
        [b'-', b'-', long @ ..] => {
            let end = long.iter().position(|byte| *byte == b'=');
            let name = &long[..end.unwrap_or(long.len())];
            let flag = table.iter().find(|flag| flag.long.as_bytes() == name)?;
            Some((flag, end.map(|end| OsStr::from_bytes(&long[end + 1..]))))
        }
        // Anything longer is a name with one dash to runc, and letters or a letter with its value to the others.
        [b'-', short] => table
            .iter()
            .find(|flag| flag.short == Some(*short))
            .map(|flag| (flag, None)),
        _ => None,
    }
}

/// The names that a table lets through, as a message lists them.
fn known(table: &[Flag]) -> String {
    let names = table
        .iter()
        .filter(|flag| !matches!(flag.takes, Takes::Refused(_)))
        .map(|flag| match flag.short {
            Some(short) => format!("--{} (-{})", flag.long, short as char),
            None => format!("--{}", flag.long),
        });
    names.collect::<Vec<_>>().join(", ")
}
