//! The command line of `kubefence node`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueEnum};
use kubefence_node_setup::guard_config::OnUnwrapped;
use kubefence_node_setup::install::{
    USUAL_BIN_DIR, USUAL_HANDLER, USUAL_NONO_DIR, USUAL_STATE_DIR,
};
use kubefence_node_setup::restart::Restart;
use kubefence_node_setup::runtime::Choice;
use kubefence_profile::{ProfileName, SeccompProfile};

#[derive(Debug, Args)]
pub(crate) struct NodeArgs {
    #[command(subcommand)]
    pub(super) command: NodeCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum NodeCommand {
    /// Install launcher and guard, and register the guard's handlers with the container runtime
    Install(Box<InstallArgs>),
    /// Undo an installation: files that nobody has changed since become what they were
    Uninstall(UninstallArgs),
    /// Tell how an installation is. Exit code 0: as installed, 1: not as installed, 3: nothing is installed,
    /// 4: it cannot be found out
    Status(StatusArgs),
    /// Do nothing until SIGTERM: what remains of a pod whose work is done
    #[command(hide = true)]
    Idle,
    /// Run a program with another root directory
    #[command(name = super::ENTER, hide = true)]
    RunInRoot(EnterArgs),
}

/// Where the node is.
#[derive(Debug, Args)]
pub(super) struct PlaceArgs {
    /// Where the node's file system is mounted; all other paths are the node's own
    #[arg(long, default_value = "/", value_name = "DIR")]
    pub(super) root: PathBuf,
    /// Where the manifest of the installation and backups are kept
    #[arg(long, default_value = USUAL_STATE_DIR, value_name = "DIR", value_parser = absolute)]
    pub(super) state_dir: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// How the runtime is restarted.
#[derive(Debug, Args)]
pub(super) struct RestartArgs {
    /// How the container runtime is restarted if its configuration changes: auto is by systemd
    #[arg(long, value_enum, value_name = "HOW")]
    restart: Option<How>,
    /// The command for --restart command: program and arguments, quoted as for a shell; it has to return after the old
    /// process has ended
    #[arg(long, value_name = "COMMAND")]
    restart_command: Option<String>,
    /// The same as --restart none
    #[arg(long, conflicts_with_all = ["restart", "restart_command"])]
    no_restart: bool,
    /// How many seconds a restart may take, and again the first answer after it
    #[arg(long, default_value_t = 120, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum How {
    Auto,
    None,
    Command,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum RuntimeArg {
    Auto,
    Containerd,
    Crio,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Unwrapped {
    Wrap,
    Refuse,
}

#[derive(Debug, Args)]
pub(super) struct InstallArgs {
    #[command(flatten)]
    pub(super) place: PlaceArgs,
    /// The directory of nono, nono-runc and kubefence that are installed, not below --root. Without it /usr/bin; where they
    /// are not there either, those that the node has already
    #[arg(long, value_name = "DIR")]
    pub(super) source: Option<PathBuf>,
    /// The container runtime of the node
    #[arg(long, value_enum, default_value = "auto")]
    pub(super) runtime: RuntimeArg,
    /// A handler to register; several are possible
    #[arg(long = "handler", default_value = USUAL_HANDLER, value_name = "NAME", value_parser = handler)]
    pub(super) handlers: Vec<String>,
    /// The profile of containers that name none
    #[arg(long, default_value = "default", value_name = "PROFILE", value_parser = profile)]
    pub(super) default_profile: ProfileName,
    /// A profile that containers can choose, several are possible; without any, all built-in ones
    #[arg(long = "allowed-profile", value_name = "PROFILE", value_parser = profile)]
    pub(super) allowed_profiles: Vec<ProfileName>,
    /// What becomes of containers that the plugin has not wrapped
    #[arg(long, value_enum, default_value = "wrap")]
    pub(super) on_unwrapped: Unwrapped,
    /// Add this seccomp filter to all plans, as seccomp_profile of the plugin does: runtime-default or restricted
    #[arg(long, value_name = "FILTER")]
    pub(super) seccomp_profile: Option<SeccompProfile>,
    /// Where the launcher and the plans go, which containers mount
    #[arg(long, default_value = USUAL_NONO_DIR, value_name = "DIR", value_parser = absolute)]
    pub(super) nono_dir: PathBuf,
    /// Where the guard goes
    #[arg(long, default_value = USUAL_BIN_DIR, value_name = "DIR", value_parser = absolute)]
    pub(super) bin_dir: PathBuf,
    /// The container runtime's main configuration file, if it is not the usual one
    #[arg(long, value_name = "PATH", value_parser = absolute)]
    pub(super) runtime_config: Option<PathBuf>,
    /// The container runtime's CRI socket, if it is not the configured one
    #[arg(long, value_name = "PATH", value_parser = absolute)]
    pub(super) runtime_socket: Option<PathBuf>,
    #[command(flatten)]
    pub(super) restart: RestartArgs,
    /// Show what would be changed, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct UninstallArgs {
    #[command(flatten)]
    pub(super) place: PlaceArgs,
    /// The container runtime's CRI socket, if it is not the one of the installation
    #[arg(long, value_name = "PATH", value_parser = absolute)]
    pub(super) runtime_socket: Option<PathBuf>,
    #[command(flatten)]
    pub(super) restart: RestartArgs,
    /// Go on although pods of the handlers exist, or the container runtime does not tell: such pods cannot be ended in
    /// order any more
    #[arg(long)]
    pub(super) force: bool,
    /// Show what would be changed, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    pub(super) place: PlaceArgs,
}

#[derive(Debug, Args)]
pub(super) struct EnterArgs {
    /// The new root directory
    pub(super) root: PathBuf,
    /// The program in it
    pub(super) program: OsString,
    /// Its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(super) args: Vec<OsString>,
}

impl RestartArgs {
    /// What was said, if anything was.
    pub(super) fn choice(&self) -> anyhow::Result<Option<Restart>> {
        let how = match (self.restart, &self.restart_command) {
            (Some(How::Command), None) => {
                bail!(
                    "--restart command needs --restart-command, the command that restarts the container runtime"
                )
            }
            (Some(How::Auto | How::None), Some(_)) => {
                bail!("--restart-command goes with --restart command only")
            }
            (None, None) if self.no_restart => Restart::None,
            (None, None) => return Ok(None),
            (Some(How::Auto), None) => Restart::Auto,
            (Some(How::None), None) => Restart::None,
            (_, Some(command)) => Restart::Command(words(command)?),
        };
        Ok(Some(how))
    }

    pub(super) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }
}

fn words(command: &str) -> anyhow::Result<Vec<String>> {
    let words = shlex::split(command);
    let words = words
        .with_context(|| format!("--restart-command {command:?} has a quote that is not closed"))?;
    match words.first() {
        Some(program) if program.starts_with('/') => Ok(words),
        _ => bail!(
            "--restart-command {command:?} does not begin with the absolute path of a program"
        ),
    }
}

impl From<RuntimeArg> for Choice {
    fn from(arg: RuntimeArg) -> Self {
        match arg {
            RuntimeArg::Auto => Self::Auto,
            RuntimeArg::Containerd => Self::Containerd,
            RuntimeArg::Crio => Self::Crio,
        }
    }
}

impl From<Unwrapped> for OnUnwrapped {
    fn from(arg: Unwrapped) -> Self {
        match arg {
            Unwrapped::Wrap => Self::Wrap,
            Unwrapped::Refuse => Self::Refuse,
        }
    }
}

/// A path on the node.
fn absolute(text: &str) -> Result<PathBuf, &'static str> {
    let climbs = text.split('/').any(|component| component == "..");
    match text.starts_with('/') && !climbs && text != "/" {
        true => Ok(PathBuf::from(text.trim_end_matches('/'))),
        false => Err("an absolute path below / without `..` is expected"),
    }
}

fn profile(text: &str) -> Result<ProfileName, String> {
    ProfileName::parse(text).map_err(|error| error.to_string())
}

/// A RuntimeClass's handler is a DNS label.
fn handler(text: &str) -> Result<String, &'static str> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_label = text.chars().all(plain) && !text.starts_with('-') && !text.ends_with('-');
    match is_label && (1..=63).contains(&text.len()) {
        true => Ok(text.to_owned()),
        false => Err(
            "1 to 63 lower-case letters, digits and hyphens are expected, without a hyphen at either end",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(restart: Option<How>, command: Option<&str>) -> anyhow::Result<Option<Restart>> {
        let args = RestartArgs {
            restart,
            restart_command: command.map(str::to_owned),
            no_restart: false,
            timeout: 1,
        };
        args.choice()
    }

    #[test]
    fn a_restart_command_is_split_as_a_shell_does() {
        let expected = ["/bin/sh", "-c", "echo containerd > /run/restart"].map(str::to_owned);
        for how in [None, Some(How::Command)] {
            let parsed = choice(how, Some("/bin/sh -c 'echo containerd > /run/restart'")).unwrap();
            assert_eq!(parsed, Some(Restart::Command(expected.to_vec())), "{how:?}");
        }
    }

    #[test]
    fn contradictions_are_refused() {
        for (how, command) in [
            (Some(How::Command), None),
            (Some(How::None), Some("/bin/true")),
            (Some(How::Auto), Some("/bin/true")),
            (None, Some("true")),
            (None, Some("")),
            (None, Some("/bin/sh 'open")),
        ] {
            assert!(choice(how, command).is_err(), "{how:?} {command:?}");
        }
        assert_eq!(choice(None, None).unwrap(), None);
        assert_eq!(choice(Some(How::None), None).unwrap(), Some(Restart::None));
    }

    #[test]
    fn paths_of_the_node_are_absolute() {
        assert_eq!(
            absolute("/opt/nono-nri/").unwrap(),
            PathBuf::from("/opt/nono-nri")
        );
        for path in ["", "/", "opt", "/opt/../etc"] {
            assert!(absolute(path).is_err(), "{path}");
        }
    }

    #[test]
    fn handlers_are_dns_labels() {
        assert!(handler("nono-runc").is_ok());
        for name in ["", "Nono", "-a", "a-", "a.b", "a\"]\n", &"a".repeat(64)] {
            assert!(handler(name).is_err(), "{name}");
        }
    }
}
