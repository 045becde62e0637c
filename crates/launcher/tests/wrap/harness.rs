//! A node with a launcher and plans, and how to run things on it.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use kubefence_launch_plan::{
    Create, FORMAT, FsRight, FsRights, Handled, LaunchPlan, NetRight, PathRule, Place, PortRule,
    ProfileName, Scope, Volumes,
};
use tempfile::TempDir;

pub(crate) const PROFILE: &str = "test";

pub(crate) const READ: FsRights = FsRights::of(&[FsRight::ReadFile, FsRight::ReadDir]);
pub(crate) const RX: FsRights =
    FsRights::of(&[FsRight::ReadFile, FsRight::ReadDir, FsRight::Execute]);
pub(crate) const RW_FILE: FsRights = FsRights::of(&[FsRight::ReadFile, FsRight::WriteFile]);

/// Everything but the creation of devices.
pub(crate) fn all_rights() -> FsRights {
    let devices = [FsRight::MakeChar, FsRight::MakeBlock];
    FsRight::ALL
        .iter()
        .copied()
        .filter(|r| !devices.contains(r))
        .collect()
}

/// A plan that handles everything and grants what programs of this machine need to start.
pub(crate) fn plan() -> LaunchPlan {
    let plan = LaunchPlan {
        format: FORMAT,
        profile: ProfileName::parse(PROFILE).unwrap(),
        min_abi: 1,
        log_denials: true,
        handled: Handled::every_fs_right(),
        rules: Vec::new(),
        ports: Vec::new(),
        deny: Vec::new(),
        volumes: Volumes::None,
        seccomp: Vec::new(),
    };
    let system = [
        "/usr",
        "/bin",
        "/lib",
        "/lib64",
        "/nono/profiles",
        "/nono/plans",
    ];
    let plan = system
        .iter()
        .fold(plan, |plan, path| plan.optional(path, RX));
    plan.optional("/proc", READ).optional("/dev/null", RW_FILE)
}

pub(crate) trait PlanExt: Sized {
    fn rule(self, path: &str, rights: FsRights, optional: bool) -> Self;
    fn require(self, path: &str, rights: FsRights) -> Self {
        self.rule(path, rights, false)
    }
    fn optional(self, path: &str, rights: FsRights) -> Self {
        self.rule(path, rights, true)
    }
    /// An optional directory that is made.
    fn create(self, path: &str, rights: FsRights) -> Self;
    fn deny(self, path: &str) -> Self;
    fn handle(self, net: &[NetRight], scopes: &[Scope]) -> Self;
    fn port(self, port: u16, rights: &[NetRight]) -> Self;
}

impl PlanExt for LaunchPlan {
    fn rule(mut self, path: &str, rights: FsRights, optional: bool) -> Self {
        self.rules.push(PathRule {
            path: Place::parse(path).unwrap(),
            rights,
            optional,
            create: None,
            origin: "test rule".into(),
        });
        self
    }

    fn create(self, path: &str, rights: FsRights) -> Self {
        let mut plan = self.optional(path, rights);
        plan.rules.last_mut().unwrap().create = Some(Create::Directory);
        plan
    }

    fn deny(mut self, path: &str) -> Self {
        self.deny.push(Place::parse(path).unwrap());
        self
    }

    fn handle(mut self, net: &[NetRight], scopes: &[Scope]) -> Self {
        let empty = |abi| Handled {
            abi,
            fs: FsRights::EMPTY,
            net: net.iter().copied().filter(|r| r.since() == abi).collect(),
            scopes: scopes
                .iter()
                .copied()
                .filter(|s| s.since() == abi)
                .collect(),
        };
        self.handled.extend([4, 6].map(empty));
        self.handled.sort_by_key(|h| h.abi);
        self
    }

    fn port(mut self, port: u16, rights: &[NetRight]) -> Self {
        self.ports.push(PortRule {
            port,
            rights: rights.to_vec(),
            origin: "test rule".into(),
        });
        self
    }
}

/// The binary under test.
pub(crate) fn binary() -> PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    let find = || {
        let built = env!("CARGO_BIN_EXE_nono").into();
        let path = std::env::var_os("NONO_UNDER_TEST").map_or(built, PathBuf::from);
        assert!(
            !has_interpreter(&fs::read(&path).unwrap()),
            "{} is dynamic: build with -C target-feature=+crt-static --target TRIPLE, and name the binary \
             in NONO_UNDER_TEST",
            path.display()
        );
        path
    };
    BINARY.get_or_init(find).clone()
}

/// Whether a 64-bit ELF file has a program header of type PT_INTERP.
fn has_interpreter(elf: &[u8]) -> bool {
    let number = |at: usize, len: usize| {
        let mut bytes = [0; 8];
        bytes[..len].copy_from_slice(&elf[at..at + len]);
        usize::try_from(u64::from_le_bytes(bytes)).unwrap()
    };
    let (table, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    (0..count).any(|i| number(table + i * size, 4) == 3)
}

/// A directory that everybody can enter.
pub(crate) fn scratch() -> TempDir {
    // SAFETY: has no preconditions.
    assert_eq!(unsafe { libc::geteuid() }, 0, "these tests need root");
    let dir = tempfile::Builder::new()
        .prefix("nono-")
        .tempdir_in("/tmp")
        .unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

/// A directory laid out as the one that is mounted at /nono, and a directory for the workload.
pub(crate) struct Node {
    scratch: TempDir,
}

impl Node {
    /// A node with `plan` as profile `test`.
    pub(crate) fn new(plan: &LaunchPlan) -> Self {
        let node = Self { scratch: scratch() };
        install(&node.nono_dir(), plan);
        fs::create_dir(node.work()).unwrap();
        node
    }

    /// A node whose plan is made once its directories are known.
    pub(crate) fn with(make: impl FnOnce(&str) -> LaunchPlan) -> Self {
        let node = Self::new(&plan());
        install(&node.nono_dir(), &make(node.work().to_str().unwrap()));
        node
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    pub(crate) fn nono_dir(&self) -> PathBuf {
        self.path("nono")
    }

    pub(crate) fn nono(&self) -> PathBuf {
        self.nono_dir().join("nono")
    }

    pub(crate) fn plan_file(&self) -> PathBuf {
        self.nono_dir().join("profiles/test.json")
    }

    /// The workload's own directory.
    pub(crate) fn work(&self) -> PathBuf {
        self.path("work")
    }

    /// `nono wrap --profile test -- argv…`, in the workload's directory.
    pub(crate) fn wrap<S: AsRef<OsStr>>(&self, argv: &[S]) -> Command {
        let mut command = Command::new(self.nono());
        command
            .args(["wrap", "--profile", PROFILE, "--"])
            .args(argv);
        command.current_dir(self.work());
        command
    }

    /// The same without a sandbox.
    pub(crate) fn bare<S: AsRef<OsStr>>(&self, argv: &[S]) -> Command {
        let mut command = Command::new(argv[0].as_ref());
        command.args(&argv[1..]).current_dir(self.work());
        command
    }

    pub(crate) fn wrap_sh(&self, script: &str) -> Command {
        self.wrap(&["/bin/sh", "-c", script])
    }

    pub(crate) fn bare_sh(&self, script: &str) -> Command {
        self.bare(&["/bin/sh", "-c", script])
    }
}

/// Copies a program. A child that another test forks meanwhile would keep a descriptor of ours open for
/// writing, and executing the copy would fail with ETXTBSY; so another process writes it.
pub(crate) fn copy_program(from: impl AsRef<Path>, to: impl AsRef<Path>) {
    let status = Command::new("cp")
        .arg(from.as_ref())
        .arg(to.as_ref())
        .status();
    assert!(status.unwrap().success(), "cp {}", from.as_ref().display());
}

/// Writes a script or another file for execve.
pub(crate) fn write_program(path: &Path, text: &str, mode: u32) {
    let draft = path.with_added_extension("draft");
    fs::write(&draft, text).unwrap();
    copy_program(&draft, path);
    fs::remove_file(&draft).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Writes a launcher directory: the binary, and `plan` as profile `test`.
pub(crate) fn install(dir: &Path, plan: &LaunchPlan) {
    fs::create_dir_all(dir.join("profiles")).unwrap();
    fs::create_dir_all(dir.join("plans")).unwrap();
    if !dir.join("nono").exists() {
        copy_program(binary(), dir.join("nono"));
    }
    let encoded = plan.encode().unwrap();
    let name = format!("../plans/{}.json", encoded.digest);
    let link = dir.join("profiles/test.json");
    fs::write(dir.join("profiles").join(&name), encoded.bytes).unwrap();
    let _ = fs::remove_file(&link);
    std::os::unix::fs::symlink(name, link).unwrap();
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Outcome {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap().trim_end()
    }

    /// Asserts success, and silence on stderr.
    #[track_caller]
    pub(crate) fn succeeded(self) -> Self {
        assert!(self.code == Some(0) && self.stderr.is_empty(), "{self:?}");
        self
    }

    /// Asserts that the workload (not the launcher) failed.
    #[track_caller]
    pub(crate) fn denied(self) -> Self {
        let ours = self.stderr.starts_with("nono:");
        assert!(
            self.code != Some(0) && self.code.is_some() && !ours,
            "{self:?}"
        );
        self
    }

    /// Asserts that the launcher ended with `code`, and that its one line holds all of `parts`.
    #[track_caller]
    pub(crate) fn refused(self, code: i32, parts: &[&str]) -> Self {
        let one_line = self.stderr.ends_with('\n') && self.stderr.lines().count() == 1;
        let named = parts.iter().all(|part| self.stderr.contains(part));
        let ours = self.stderr.starts_with("nono: ") && self.stdout.is_empty();
        assert!(
            self.code == Some(code) && one_line && named && ours,
            "{parts:?}: {self:?}"
        );
        self
    }
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Outcome {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    Outcome {
        code: output.status.code(),
        signal: output.status.signal(),
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs a shell script as root in a mount namespace of its own.
pub(crate) fn run_in_mount_namespace(script: &str, args: &[&str]) -> Outcome {
    run(&mut in_mount_namespace(script, args))
}

/// The command that does so.
pub(crate) fn in_mount_namespace(script: &str, args: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command.args([
        "--mount",
        "--propagation",
        "private",
        "/bin/sh",
        "-ec",
        script,
        "sh",
    ]);
    command.args(args).current_dir("/");
    command
}
