//! A container with volumes: a root directory with busybox and the launcher, and what is mounted there.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use kubefence_launch_plan::{LaunchPlan, Volumes};
use tempfile::TempDir;

use crate::harness::*;

/// A service-account token, as far as its shape goes.
pub(crate) const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW0ifQ.c2lnbmF0dXJl";

/// The home of the image's user.
pub(crate) const HOME: &str = "HOME=/home/u";

pub(crate) const EVERY: [Volumes; 3] = [Volumes::None, Volumes::Read, Volumes::AsMounted];

/// A plan that says so of volumes, and denies what the built-in profiles deny, as far as it is used here.
pub(crate) fn with(volumes: Volumes) -> LaunchPlan {
    LaunchPlan { volumes, ..plan() }
        .deny("$HOME/.ssh")
        .deny("/run/secrets")
        .deny("/var/run/secrets")
}

pub(crate) struct Pod {
    dir: TempDir,
    mounts: String,
    env: Vec<String>,
    user: u32,
    workdir: String,
}

impl Pod {
    /// A container that runs as root in `/` with no environment.
    pub(crate) fn new(plan: &LaunchPlan) -> Self {
        let dir = scratch();
        let root = dir.path().join("root");
        install(&root.join("nono"), plan);
        for name in ["bin", "proc", "etc/config", "data", "home/u", "app"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        copy_program("/bin/busybox", root.join("bin/busybox"));
        fs::write(root.join("etc/shadow"), "secret").unwrap();
        Self {
            dir,
            mounts: String::new(),
            env: Vec::new(),
            user: 0,
            workdir: "/".into(),
        }
    }

    pub(crate) fn install(&self, plan: &LaunchPlan) {
        install(&self.path("/nono"), plan);
    }

    /// The host's path of a path in the container.
    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.dir
            .path()
            .join("root")
            .join(inside.trim_start_matches('/'))
    }

    /// A directory of the host with these files (path and content), to be mounted.
    pub(crate) fn volume(&self, name: &str, files: &[(&str, &str)]) -> PathBuf {
        let volume = self.dir.path().join(name);
        fs::create_dir_all(&volume).unwrap();
        for (path, text) in files {
            write(&volume.join(path), text);
        }
        volume
    }

    pub(crate) fn with_env(mut self, env: &[&str]) -> Self {
        self.env = env.iter().map(|entry| (*entry).to_owned()).collect();
        self
    }

    pub(crate) fn with_user(mut self, user: u32) -> Self {
        self.user = user;
        self
    }

    pub(crate) fn with_workdir(mut self, workdir: &str) -> Self {
        workdir.clone_into(&mut self.workdir);
        self
    }

    /// Runs `commands` once the root is there, as the runtime; `$root` and `$dir` (where volumes lie) are set.
    pub(crate) fn with_set_up(mut self, commands: &str) -> Self {
        self.mounts += commands;
        self.mounts += "\n";
        self
    }

    /// Mounts the directory or file `volume` of the host at `at`.
    pub(crate) fn with_mount(self, volume: &str, at: &str) -> Self {
        self.with_set_up(&format!(
            "if [ -d $dir/{volume} ]; then mkdir -p $root{at}; else mkdir -p $(dirname $root{at}); touch $root{at}; fi
             mount --bind $dir/{volume} $root{at}"
        ))
    }

    /// The same, read-only.
    pub(crate) fn with_read_only(self, volume: &str, at: &str) -> Self {
        self.with_mount(volume, at)
            .with_set_up(&format!("mount -o remount,bind,ro $root{at}"))
    }

    /// Mounts a tmpfs at `at` with these files.
    pub(crate) fn with_tmpfs(self, at: &str, files: &[(&str, &str)]) -> Self {
        let mut script = format!("mkdir -p $root{at}; mount -t tmpfs none $root{at}\n");
        for (path, text) in files {
            let path = format!("$root{at}/{path}");
            script += &format!("mkdir -p $(dirname {path}); printf '%s' '{text}' > {path}\n");
        }
        self.with_set_up(&script)
    }

    /// What the shell of the container makes of `script`, in the sandbox.
    pub(crate) fn wrap(&self, script: &str) -> Outcome {
        self.wrap_with(&[], script)
    }

    /// The same with more options for the launcher.
    pub(crate) fn wrap_with(&self, options: &[&str], script: &str) -> Outcome {
        run(&mut self.wrapped(options, script))
    }

    /// The command that does so.
    pub(crate) fn wrapped(&self, options: &[&str], script: &str) -> Command {
        let wrap = ["/nono/nono", "wrap", "--profile", PROFILE];
        let shell = ["--", "/bin/busybox", "sh", "-c", script];
        self.command(&[&wrap, options, &shell].concat())
    }

    /// The same without a sandbox.
    pub(crate) fn bare(&self, script: &str) -> Outcome {
        run(&mut self.command(&["/bin/busybox", "sh", "-c", script]))
    }

    fn command(&self, argv: &[&str]) -> Command {
        let quoted: Vec<String> = self.env.iter().map(|entry| format!("'{entry}'")).collect();
        let script = format!(
            "dir=$1 root=$1/root user=$2; shift 2
             mount --bind $root $root; mount -t proc proc $root/proc
             {}
             cd $root{}; exec env -i PATH=/bin {} perl -e \
             'chroot(shift); $) = $( = shift; $< = $> = $(; exec(@ARGV)' $root $user \"$@\"",
            self.mounts,
            self.workdir,
            quoted.join(" ")
        );
        let user = self.user.to_string();
        let args = [&[self.dir.path().to_str().unwrap(), &user][..], argv].concat();
        in_mount_namespace(&script, &args)
    }

    /// Asserts that `script` works without the sandbox and, if `allowed`, in it.
    #[track_caller]
    pub(crate) fn check(&self, script: &str, allowed: bool) {
        self.bare(script).succeeded();
        let outcome = self.wrap(script);
        match allowed {
            true => outcome.succeeded(),
            false => outcome.denied(),
        };
    }
}

/// Writes a file that everybody can read, with the directories above it.
pub(crate) fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Gives a tree to a user.
pub(crate) fn give(path: &Path, user: u32) {
    let status = Command::new("chown")
        .arg("-R")
        .arg(user.to_string())
        .arg(path)
        .status();
    assert!(status.unwrap().success());
}

/// Permission bits.
pub(crate) fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}
