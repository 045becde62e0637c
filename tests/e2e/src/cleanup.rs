//! Taking a node away, whatever state it is in, and saying what would not go.
//!
//! Only what provably belongs to the node is touched: processes that we spawned, shims and monitors that carry our
//! scratch directory on their command line, members of our cgroup, mounts and files below our scratch directory.
//! Nodes are also registered in a list, so that an interrupt takes them away as well.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::subprocess::Background;
use crate::wait;

const PATIENCE: Duration = Duration::from_secs(10);
const CGROUPS: &str = "/sys/fs/cgroup";

/// How the programs are called that watch over containers, or work on them.
const MONITORS: [&str; 6] = [
    "containerd-shim",
    "conmon",
    "crun",
    "nono-runc",
    "podman",
    "runc",
];

static NODES: Mutex<Vec<Arc<Territory>>> = Mutex::new(Vec::new());

/// What one node may leave on the machine.
#[derive(Debug)]
pub struct Territory {
    scratch: PathBuf,
    cgroup: String,
    processes: Mutex<Vec<Background>>,
}

/// Things that were still there after an orderly stop, in words. Empty is the aim.
pub type Leftovers = Vec<String>;

impl Territory {
    /// Claims a scratch directory and a cgroup name.
    pub fn claim(scratch: &Path, cgroup: &str) -> Arc<Self> {
        let territory = Arc::new(Self {
            scratch: scratch.to_owned(),
            cgroup: cgroup.to_owned(),
            processes: Mutex::new(Vec::new()),
        });
        nodes().push(Arc::clone(&territory));
        territory
    }

    /// Starts a process; the last one started is the first one ended.
    pub fn spawn(&self, name: &str, command: &mut Command, log: &Path) -> Result<Background> {
        let process = Background::spawn(name, command, log)?;
        self.processes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(process.clone());
        Ok(process)
    }

    /// The scratch directory.
    pub fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// Ends everything by force if need be. Safe to call twice.
    pub fn clear(&self) -> Leftovers {
        let mut processes = self
            .processes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        while let Some(process) = processes.pop() {
            let _ = process.stop(PATIENCE);
        }
        // Shims end by themselves a moment after their last container.
        let _ = wait::until("shims", Duration::from_secs(3), || {
            Ok(self.strays().is_empty().then_some(()))
        });
        let mut leftovers: Leftovers = self.strays().into_iter().map(|(_, name)| name).collect();
        self.kill_strays();
        leftovers.extend(self.unmount_all());
        leftovers.extend(self.remove_cgroups());
        if let Err(error) = remove_tree(&self.scratch) {
            leftovers.push(format!("{error:#}"));
        }
        nodes().retain(|node| node.scratch != self.scratch);
        leftovers
    }

    fn strays(&self) -> Vec<(Pid, String)> {
        let mut found: Vec<(Pid, String)> = processes_mentioning(&self.scratch.to_string_lossy());
        for directory in self.cgroups() {
            members(&directory, &mut found);
        }
        found
    }

    fn kill_strays(&self) {
        let _ = wait::until("killed processes", PATIENCE, || {
            let strays = self.strays();
            for (pid, _) in &strays {
                let _ = kill_process(*pid, Signal::KILL);
            }
            Ok(strays.is_empty().then_some(()))
        });
    }

    fn unmount_all(&self) -> Leftovers {
        unmount_below(&self.scratch)
            .iter()
            .map(|path| format!("mount {}", path.display()))
            .collect()
    }

    /// Mounts below the scratch directory.
    pub fn mounts(&self) -> Vec<PathBuf> {
        mounts_below(&self.scratch)
    }

    /// Where the node writes its logs.
    pub fn logs(&self) -> PathBuf {
        self.scratch.join("logs")
    }

    /// A name for the node.
    pub fn label(&self) -> &str {
        &self.cgroup
    }

    /// The cgroup directories of our pods, in every hierarchy.
    fn cgroups(&self) -> Vec<PathBuf> {
        let hierarchies = fs::read_dir(CGROUPS).into_iter().flatten().flatten();
        let v1 = hierarchies.map(|entry| entry.path().join(&self.cgroup));
        let v2 = Path::new(CGROUPS).join(&self.cgroup);
        v1.chain([v2]).filter(|path| path.is_dir()).collect()
    }

    /// Removes a cgroup of ours that has become empty, in every hierarchy; whether it is gone.
    pub fn remove_empty(&self, name: &str) -> bool {
        let ours = self.cgroups().into_iter().map(|path| path.join(name));
        let mut present = ours.filter(|path| path.is_dir());
        present.all(|path| fs::remove_dir(path).is_ok())
    }

    fn remove_cgroups(&self) -> Leftovers {
        let mut leftovers = Vec::new();
        for directory in self.cgroups() {
            for pod in subdirectories(&directory) {
                leftovers.push(format!("cgroup {}", pod.display()));
                remove_cgroup(&pod);
            }
            remove_cgroup(&directory);
        }
        leftovers
    }
}

/// Unmounts everything below a directory, deepest first; returns what was mounted.
pub fn unmount_below(directory: &Path) -> Vec<PathBuf> {
    let mut mounts = mounts_below(directory);
    mounts.sort_by_key(|path| std::cmp::Reverse(path.as_os_str().len()));
    for path in &mounts {
        let _ = unmount(path, UnmountFlags::DETACH);
    }
    mounts
}

fn mounts_below(directory: &Path) -> Vec<PathBuf> {
    let table = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let points = table
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .map(PathBuf::from);
    points.filter(|path| path.starts_with(directory)).collect()
}

/// Clears every registered node when the user interrupts the program.
pub fn on_interrupt() -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("cannot catch interrupts")?;
    thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            eprintln!("interrupted, cleaning up");
            let registered: Vec<_> = nodes().clone();
            for node in registered {
                node.clear();
            }
            exit(128 + signal);
        }
    });
    Ok(())
}

fn nodes() -> std::sync::MutexGuard<'static, Vec<Arc<Territory>>> {
    NODES.lock().unwrap_or_else(PoisonError::into_inner)
}

fn processes_mentioning(scratch: &str) -> Vec<(Pid, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(parse_pid) else {
            continue;
        };
        let cmdline = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let cmdline = String::from_utf8_lossy(&cmdline);
        let arguments: Vec<&str> = cmdline.split('\0').collect();
        if belongs_to(&arguments, scratch) {
            found.push((pid, format!("process {}", arguments.join(" ").trim())));
        }
    }
    found
}

/// Whether a command line is one of what runtimes leave running, and names something below our directory.
fn belongs_to(arguments: &[&str], scratch: &str) -> bool {
    let program = arguments.first().map(Path::new).and_then(Path::file_name);
    let program = program.unwrap_or_default().to_string_lossy();
    let below = |argument: &&str| {
        argument.match_indices(scratch).any(|(at, _)| {
            let rest = &argument[at + scratch.len()..];
            rest.is_empty() || rest.starts_with('/')
        })
    };
    MONITORS.iter().any(|name| program.starts_with(name)) && arguments.iter().any(below)
}

fn members(cgroup: &Path, found: &mut Vec<(Pid, String)>) {
    let text = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    for pid in text.lines().filter_map(parse_pid) {
        let name =
            fs::read_to_string(format!("/proc/{}/comm", pid.as_raw_nonzero())).unwrap_or_default();
        if !found.iter().any(|(known, _)| *known == pid) {
            found.push((pid, format!("container process {}", name.trim())));
        }
    }
    for child in subdirectories(cgroup) {
        members(&child, found);
    }
}

fn parse_pid(text: &str) -> Option<Pid> {
    text.parse().ok().and_then(Pid::from_raw)
}

fn subdirectories(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect()
}

/// Cgroups go from the leaves up; their files cannot be removed.
fn remove_cgroup(directory: &Path) {
    for child in subdirectories(directory) {
        remove_cgroup(&child);
    }
    let _ = fs::remove_dir(directory);
}

fn remove_tree(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "/tmp/kf-a";

    #[test]
    fn a_monitor_is_ours_by_a_path_below_our_directory() {
        let ours: [&[&str]; 3] = [
            &["/usr/bin/conmon", "-r", "/tmp/kf-a/opt/nono-runc"],
            &["containerd-shim-runc-v2", "-address", "/tmp/kf-a"],
            &["/x/runc", "--log=/tmp/kf-a/log", "create"],
        ];
        for arguments in ours {
            assert!(belongs_to(arguments, OURS), "{arguments:?}");
        }
    }

    #[test]
    fn neighbours_and_other_programs_are_left_alone() {
        let others: [&[&str]; 4] = [
            &["/usr/bin/conmon", "-r", "/tmp/kf-ab/opt/nono-runc"],
            &["/usr/bin/conmon", "-r", "/usr/bin/runc"],
            &["tail", "-f", "/tmp/kf-a/logs/plugin.log"],
            &[""],
        ];
        for arguments in others {
            assert!(!belongs_to(arguments, OURS), "{arguments:?}");
        }
    }
}
