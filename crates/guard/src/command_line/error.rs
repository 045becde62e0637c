//! Why a command line is refused.

use super::flags::Forbidden;

/// Why the guard does not act on a command line, and does not let it through either.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum UsageError {
    /// The command could start a process in a way that the guard does not know.
    #[error(
        "command {command:?} is not let through: nono-runc acts on create, run, exec and delete, and passes on {passed_on}"
    )]
    Command {
        /// The command.
        command: String,
        /// The commands that are passed on.
        passed_on: String,
    },

    /// A flag that is unknown, abbreviated, clustered, spelled with one dash; or `--`.
    #[error(
        "{scope} flag {flag:?} is not let through: nono-runc takes {known}, spelled in full (as --name VALUE or --name=VALUE) \
         or as the single letter, before the container's ID"
    )]
    Flag {
        /// The command, or `global` for flags before it.
        scope: &'static str,
        /// The argument.
        flag: String,
        /// The flags that are let through.
        known: String,
    },

    /// A flag with which the runtime would start something else than was judged.
    #[error("{scope} flag {flag:?} is not let through: {why}; drop it")]
    Forbidden {
        /// The command, or `global` for flags before it.
        scope: &'static str,
        /// The argument.
        flag: String,
        /// What the runtime would do.
        why: Forbidden,
    },

    /// A flag with nothing behind it.
    #[error("{scope} flag --{flag} has no value: give one as --{flag} VALUE")]
    NoValue {
        /// The command, or `global` for flags before it.
        scope: &'static str,
        /// The flag's name.
        flag: &'static str,
    },

    /// A value that is empty or could be taken for a flag.
    #[error(
        "{scope} flag --{flag} has the value {value:?}: nono-runc takes values that are not empty and do not begin with a dash"
    )]
    Value {
        /// The command, or `global` for flags before it.
        scope: &'static str,
        /// The flag's name.
        flag: &'static str,
        /// The value.
        value: String,
    },

    /// A value for a flag that is given or not.
    #[error(
        "{scope} flag --{flag} has the value {value:?}, which only some runtimes read: give --{flag} alone, or leave it out"
    )]
    Switch {
        /// The command, or `global` for flags before it.
        scope: &'static str,
        /// The flag's name.
        flag: &'static str,
        /// The value.
        value: String,
    },

    /// Runtimes differ in which one counts.
    #[error("{scope} flag --{flag} is given more than once: give it once")]
    Repeated {
        /// The command, or `global` for flags before it.
        scope: &'static str,
        /// The flag's name.
        flag: &'static str,
    },

    /// The value is one that the guard keeps or acts on.
    #[error(
        "{scope} flag --{flag} has the value {value:?}, which is not UTF-8: nono-runc takes only UTF-8 there"
    )]
    NotUtf8 {
        /// The command, or `global` for flags before it.
        scope: &'static str,
        /// The flag's name.
        flag: &'static str,
        /// The value, what is not UTF-8 replaced.
        value: String,
    },

    /// Runtimes read other numbers differently.
    #[error(
        "--preserve-fds has the value {value:?}: nono-runc takes a plain decimal number, at most 2147483647"
    )]
    PreserveFds {
        /// The value.
        value: String,
    },

    /// Nothing but flags.
    #[error("{command} names no container: nono-runc takes one ID, behind the flags")]
    NoId {
        /// The command.
        command: &'static str,
    },

    /// No runtime would take it for a file name, or one would take it for something else.
    #[error(
        "{command} names container {id:?}: nono-runc takes IDs of 1 to 1024 letters, digits and _+.-, not beginning with a \
         dash, and neither . nor .."
    )]
    Id {
        /// The command.
        command: &'static str,
        /// The ID.
        id: String,
    },

    /// Flags behind the ID, or more than one ID.
    #[error(
        "{command} has {word:?} behind the container's ID {id:?}: nono-runc takes flags only before it, and one ID"
    )]
    Behind {
        /// The command.
        command: &'static str,
        /// The container's ID.
        id: String,
        /// What stands behind it.
        word: String,
    },

    /// A file and a command.
    #[error("exec has both --process and the command {word:?}: nono-runc takes one or the other")]
    TwoProcesses {
        /// The first word behind the ID.
        word: String,
    },

    /// Neither a file nor a command.
    #[error(
        "exec into container {id:?} names nothing to start: give --process FILE, or a command behind the ID"
    )]
    NoProcess {
        /// The container's ID.
        id: String,
    },

    /// A command that could be taken for a flag.
    #[error(
        "exec has {word:?} behind the container's ID: nono-runc takes a command there that is not empty and does not begin \
         with a dash"
    )]
    Program {
        /// The first word behind the ID.
        word: String,
    },
}
