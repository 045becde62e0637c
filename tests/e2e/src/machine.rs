//! A machine of its own, as far as files and processes go, with a container runtime where distributions have it.
//!
//! `/etc`, `/opt`, `/run`, `/usr/local` and `/var/lib` are private directories in namespaces of their own, so that what
//! is installed there has its real name and touches nothing of the machine that runs the tests. A small supervisor starts the
//! runtime again whenever it ends. With the supervisor everything ends: it is the first process of a PID namespace.

mod engine;
mod pods;
mod tree;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::cleanup::{Leftovers, Territory};
use crate::cri::Cri;
use crate::images;
use crate::install::open_to_all;
use crate::node::Runtime;
use crate::repository;
use crate::scratch::Scratch;
use crate::subprocess::{self, Background};
use crate::wait;

use self::engine::Engine;
pub use self::pods::MachinePod;
pub use self::tree::Tree;

const LIMIT: Duration = Duration::from_secs(120);
const START_LIMIT: Duration = Duration::from_secs(30);

/// Private directories: their place, and what they are called in the scratch directory.
const PRIVATE: [(&str, &str); 5] = [
    ("/etc", "etc"),
    ("/opt", "opt"),
    ("/run", "run"),
    ("/usr/local", "usr-local"),
    ("/var/lib", "var-lib"),
];

/// What ends the runtime and returns when it has ended.
pub const RESTART: &str = "/usr/local/sbin/restart-runtime";
/// While this exists, the runtime does not start with a handler of kubefence's.
pub const SABOTAGE: &str = "/run/e2e/sabotage";
/// containerd's main configuration file.
pub const CONFIG: &str = "/etc/containerd/config.toml";

const SUPERVISOR: &str = r#"set -eu
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mount --make-rprivate /
@BINDS@
mount --rbind / @HOME@/host
mount --make-rprivate @HOME@/host
mkdir -p /run/e2e
while :; do
    if [ -e /run/e2e/sabotage ] && grep -qr nono-runc /etc/@NAME@; then
        sleep 0.1
        continue
    fi
    @NAME@ >> @HOME@/logs/@NAME@.log 2>&1 &
    echo $! > /run/e2e/new
    mv /run/e2e/new /run/e2e/pid
    echo started >> /run/e2e/starts
    wait $! || true
    sleep 0.1
done
"#;

const RESTARTER: &str = r#"#!/bin/sh
old=$(cat /run/e2e/pid)
kill "$old" 2> /dev/null
while kill -0 "$old" 2> /dev/null; do sleep 0.05; done
"#;

/// A machine; dropping it takes everything away.
#[derive(Debug)]
pub struct Machine {
    scratch: Scratch,
    territory: Arc<Territory>,
    process: Background,
    init: u32,
    cri: Cri,
    pods: AtomicU32,
}

impl Machine {
    /// Starts a container runtime with its default configuration, as far as this machine lets it run with that; `edit`
    /// changes it further.
    pub fn start(runtime: Runtime<'_>, edit: impl FnOnce(String) -> String) -> Result<Self> {
        let engine = Engine(runtime);
        let scratch = Scratch::create()?;
        open_to_all(scratch.path())?;
        let territory = Territory::claim(scratch.path(), &scratch.label());
        let ready = lay_out(&scratch, engine, edit);
        let ready = ready.and_then(|()| boot(&scratch, &territory, engine));
        let (process, init, cri) = ready.inspect_err(|_| {
            territory.clear();
        })?;
        let machine = Self {
            scratch,
            territory,
            process,
            init,
            cri,
            pods: AtomicU32::new(0),
        };
        for image in [images::PAUSE, images::BUSYBOX] {
            engine.import(&machine.scratch, image, |command| machine.shell(command))?;
            machine.cri.wait_for_image(&images::reference(image))?;
        }
        Ok(machine)
    }

    /// The kubelet's interface.
    pub fn cri(&self) -> &Cri {
        &self.cri
    }

    /// Where a file of the machine is for this process.
    pub fn outside(&self, path: &str) -> PathBuf {
        let (place, name) = PRIVATE
            .iter()
            .find(|(place, _)| Path::new(path).starts_with(place))
            .unwrap_or(&("/", "host"));
        let below = Path::new(path).strip_prefix(place).unwrap_or(Path::new(""));
        self.scratch.join(name).join(below)
    }

    /// A file's text; an error if it cannot be read.
    pub fn read(&self, path: &str) -> Result<String> {
        fs::read_to_string(self.outside(path)).with_context(|| format!("cannot read {path}"))
    }

    /// Writes a file, and the directories above it.
    pub fn write(&self, path: &str, text: &str) -> Result<()> {
        let outside = self.outside(path);
        fs::create_dir_all(outside.parent().context("no directory")?)?;
        fs::write(&outside, text).with_context(|| format!("cannot write {path}"))
    }

    /// Everything that an installation may change.
    pub fn tree(&self) -> Result<Tree> {
        Tree::of(&PRIVATE.map(|(place, _)| (place, self.outside(place))))
    }

    /// How often the runtime was started.
    pub fn starts(&self) -> Result<usize> {
        Ok(self.read("/run/e2e/starts")?.lines().count())
    }

    /// Runs a shell command on the machine.
    pub fn shell(&self, command: &str) -> Result<String> {
        let output = self.inside(&["/bin/sh", "-c", command])?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "{command}: {}: {said}",
            output.status
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// `kubefence node ARGUMENTS`, with the machine's file system mounted elsewhere, as in a container.
    pub fn node(&self, arguments: &[&str]) -> Result<Output> {
        let root = self.scratch.join("host");
        let program = self.scratch.join("source/kubefence");
        let (root, program) = (root.to_string_lossy(), program.to_string_lossy());
        let (verb, rest) = arguments.split_first().context("no command")?;
        let mut all = vec![&*program, "node", verb, "--root", &root];
        all.extend(rest);
        self.inside(&all)
    }

    /// The directory of the programs to install.
    pub fn source(&self) -> String {
        self.scratch.join("source").to_string_lossy().into_owned()
    }

    /// Where the machine's file system is mounted on the machine, as in a container.
    pub fn host(&self) -> String {
        self.scratch.join("host").to_string_lossy().into_owned()
    }

    /// The options of an installation whose runtime gets this many seconds to come back.
    pub fn install_options(&self, seconds: &str) -> Vec<String> {
        let source = self.source();
        let words = [
            "install",
            "--source",
            &source,
            "--restart-command",
            RESTART,
            "--timeout",
            seconds,
        ];
        words.map(str::to_owned).to_vec()
    }

    /// Installs, and fails if that fails.
    pub fn install(&self, more: &[&str]) -> Result<String> {
        let options = self.install_options("30");
        let options = options
            .iter()
            .map(String::as_str)
            .chain(more.iter().copied());
        succeeded(self.node(&options.collect::<Vec<_>>())?)
    }

    /// Uninstalls, and fails if that fails.
    pub fn uninstall(&self, more: &[&str]) -> Result<String> {
        let options = [&["uninstall", "--timeout", "30"], more].concat();
        succeeded(self.node(&options)?)
    }

    fn inside(&self, command: &[&str]) -> Result<Output> {
        let target = format!("--target={}", self.init);
        let mut all = vec![&*target, "--mount", "--pid", "--"];
        all.extend(command);
        subprocess::output(Path::new("nsenter"), &all, LIMIT)
    }

    /// Removes all pods, then ends everything; says what did not go by itself.
    pub fn finish(self) -> Leftovers {
        let mut leftovers = Leftovers::new();
        if let Err(error) = self.cri.remove_all_pods() {
            leftovers.push(format!("pods: {error:#}"));
        }
        self.end();
        leftovers.extend(self.territory.clear());
        leftovers
    }

    fn end(&self) {
        let first = i32::try_from(self.init).ok().and_then(Pid::from_raw);
        if let Some(first) = first {
            let _ = kill_process(first, Signal::KILL);
        }
        let _ = self.process.kill();
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if self.scratch.path().exists() {
            let _ = self.cri.remove_all_pods();
            self.end();
            self.territory.clear();
        }
    }
}

/// What a command printed, with what it said if it failed.
pub fn succeeded(output: Output) -> Result<String> {
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {said}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn lay_out(
    scratch: &Scratch,
    engine: Engine<'_>,
    edit: impl FnOnce(String) -> String,
) -> Result<()> {
    for name in ["host", "logs", "opt", "pods", "run", "source", "var-lib"] {
        fs::create_dir_all(scratch.join(name)).context("cannot lay out the machine")?;
    }
    fs::create_dir_all(scratch.join("usr-local/bin"))?;
    fs::create_dir_all(scratch.join("usr-local/sbin"))?;
    let etc = scratch.join("etc");
    let copy = [
        "--archive",
        "--no-target-directory",
        "/etc",
        &etc.to_string_lossy(),
    ];
    subprocess::text(Path::new("cp"), &copy, LIMIT)?;
    for name in ["cni", "containerd", "crio", "nri"] {
        let _ = fs::remove_dir_all(etc.join(name));
    }
    for program in [
        repository::launcher_binary()?,
        repository::guard_binary()?,
        repository::command_binary()?,
    ] {
        let name = program.file_name().context("no name")?;
        fs::copy(&program, scratch.join("source").join(name)).context("cannot copy a program")?;
    }
    engine.install(scratch)?;
    let restarter = scratch.join("usr-local/sbin/restart-runtime");
    fs::write(&restarter, RESTARTER)?;
    fs::set_permissions(&restarter, fs::Permissions::from_mode(0o755))?;
    engine.configure(scratch, edit)
}

fn boot(
    scratch: &Scratch,
    territory: &Arc<Territory>,
    engine: Engine<'_>,
) -> Result<(Background, u32, Cri)> {
    let home = scratch.path().to_string_lossy();
    let binds: String = PRIVATE
        .iter()
        .map(|(place, name)| format!("mount --bind {home}/{name} {place}\n"))
        .collect();
    let script = SUPERVISOR
        .replace("@BINDS@", &binds)
        .replace("@NAME@", engine.name())
        .replace("@HOME@", &home);
    let mut command = Command::new("unshare");
    command
        .args([
            "--mount",
            "--pid",
            "--fork",
            "--kill-child=KILL",
            "--mount-proc",
        ])
        .args(["/bin/sh", "-c", &script]);
    engine.keep_apart(scratch, &mut command);
    let log = scratch.join("logs/supervisor.log");
    let process = territory.spawn("the machine", &mut command, &log)?;
    let started = scratch.join("run/e2e/starts");
    wait::until("the machine's start", START_LIMIT, || {
        process.check_alive()?;
        Ok(started.exists().then_some(()))
    })?;
    let children = format!("/proc/{0}/task/{0}/children", process.pid());
    let children =
        fs::read_to_string(&children).with_context(|| format!("cannot read {children}"))?;
    let init = children
        .trim()
        .parse()
        .context("the machine has no first process")?;
    let socket = scratch.join("run").join(engine.socket());
    let cri = Cri::connect(scratch.path(), &socket)?;
    Ok((process, init, cri))
}
