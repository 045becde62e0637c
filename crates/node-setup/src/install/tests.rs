//! Whole installations on a containerd of paper: its program is a script, its socket is answered by a test server.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use kubefence_profile::ProfileName;
use tempfile::TempDir;

use super::*;
use crate::cri::tests::{Server, ready};
use crate::guard_config::OnUnwrapped;
use crate::manifest::Store;
use crate::root::Entrance;
use crate::status::Status;
use crate::uninstall::{UninstallOptions, uninstall};

/// Called with the node's root directory, a program and its arguments.
const SCRIPT: &str = r#"
root=$1
shift
case "$*" in
*--version) echo "containerd github.com/containerd/containerd/v2 v2.2.9 abc" ;;
*dump)
    if grep -q nono-runc "$root/etc/containerd/config.toml"; then
        sed 's/default_validator.enable = false/default_validator.enable = true/' "$root/effective.toml"
        sed -n '/nono-runc\]/,$p' "$root/etc/containerd/config.toml"
    else
        cat "$root/effective.toml"
    fi
    ;;
/restart)
    echo >> "$root/restarts"
    exit "$(cat "$root/outcome")"
    ;;
esac
"#;
const STATE: &str = "/var/lib/kubefence";
const GUARD_CONFIG: &str = "opt/kubefence/bin/nono-runc.toml";

struct Node {
    dir: TempDir,
    root: Root,
    servers: Vec<Server>,
}

impl Node {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("enter.sh");
        let script = script.to_str().unwrap();
        let entrance = Entrance::through("/bin/sh", &[script]);
        let root = Root::open(dir.path(), entrance).unwrap();
        let mut node = Self {
            dir,
            root,
            servers: Vec::new(),
        };
        let effective = include_str!("../../tests/fixtures/containerd-2.2-empty/effective.toml");
        for (path, text) in [
            ("enter.sh", SCRIPT),
            ("effective.toml", effective),
            ("outcome", "0"),
            ("restarts", ""),
            ("etc/containerd/config.toml", ""),
            ("usr/bin/containerd", ""),
            ("usr/bin/runc", ""),
            ("source/nono", "launcher"),
            ("source/nono-runc", "guard"),
            ("source/kubefence", "kubefence"),
        ] {
            node.write(path, text);
            let executable = fs::Permissions::from_mode(0o755);
            fs::set_permissions(node.path(path), executable).unwrap();
        }
        fs::create_dir_all(node.path("var/lib")).unwrap();
        node.answer(&[], &[]);
        node
    }

    /// Has the runtime answer so from now on.
    fn answer(&mut self, pods: &[(&str, &str)], handlers: &[&str]) {
        let server = Server::start(ready(pods, handlers));
        let socket = self.path("cri.sock");
        fs::rename(server.root.dir().join("cri.sock"), socket).unwrap();
        self.servers.push(server);
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        fs::write(self.path(path), text).unwrap();
    }

    fn restarts(&self) -> usize {
        fs::read_to_string(self.path("restarts"))
            .unwrap()
            .lines()
            .count()
    }

    fn options(&self) -> InstallOptions {
        InstallOptions {
            source: Source::Given(self.path("source")),
            handlers: vec![USUAL_HANDLER.to_owned()],
            profiles: ProfileChoice {
                default: ProfileName::parse("default").unwrap(),
                allowed: Vec::new(),
                on_unwrapped: OnUnwrapped::Wrap,
            },
            seccomp: None,
            nono_dir: USUAL_NONO_DIR.into(),
            bin_dir: USUAL_BIN_DIR.into(),
            state_dir: STATE.into(),
            runtime: Choice::Containerd,
            runtime_config: None,
            runtime_socket: Some("/cri.sock".into()),
            restart: Restart::Command(vec!["/restart".to_owned()]),
            timeout: Duration::from_secs(5),
        }
    }

    fn install(&self, options: &InstallOptions) -> Result<InstallReport, InstallError> {
        install(&self.root, options, &mut |_| {})
    }

    fn uninstall(&self) {
        let options = UninstallOptions {
            state_dir: STATE.into(),
            restart: None,
            runtime_socket: None,
            timeout: Duration::from_secs(5),
            force: false,
        };
        uninstall(&self.root, &options, &mut |_| {}).unwrap();
    }

    fn manifest(&self) -> Manifest {
        let store = Store::new(&self.root, Path::new(STATE));
        store.load().unwrap().unwrap()
    }
}

#[test]
fn once_installed_there_is_nothing_to_do() {
    let node = Node::new();
    assert!(node.install(&node.options()).unwrap().changed);
    assert!(!node.install(&node.options()).unwrap().changed);
    assert_eq!(node.restarts(), 1);
    node.uninstall();
    assert!(!node.path("opt/nono-nri").exists() && !node.path("opt/kubefence").exists());
    assert_eq!(
        fs::read(node.path("etc/containerd/config.toml")).unwrap(),
        b""
    );
}

#[test]
fn what_the_runtime_did_not_come_back_with_is_not_tried_again() {
    let node = Node::new();
    node.write("outcome", "1");
    let error = node.install(&node.options()).unwrap_err();
    assert!(matches!(error, InstallError::RolledBack { .. }), "{error}");
    assert_eq!(
        fs::read(node.path("etc/containerd/config.toml")).unwrap(),
        b""
    );
    assert_eq!(node.restarts(), 2, "with the new and with the old");
    node.write("outcome", "0");
    let error = node.install(&node.options()).unwrap_err();
    assert!(matches!(error, InstallError::RejectedBefore), "{error}");
    assert_eq!(node.restarts(), 2);
    let patient = InstallOptions {
        timeout: Duration::from_secs(6),
        ..node.options()
    };
    assert!(node.install(&patient).unwrap().changed, "control");
    assert_eq!(node.manifest().rejected, None);
}

#[test]
fn a_restart_that_was_never_made_is_not_made_up_for() {
    let node = Node::new();
    let by_systemd = InstallOptions {
        restart: Restart::Auto,
        ..node.options()
    };
    let error = node.install(&by_systemd).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the container runtime's configuration was put back"
    );
    assert_eq!(node.manifest().rejected, None);
    let again = node.install(&by_systemd).unwrap_err();
    assert!(matches!(again, InstallError::RolledBack { .. }), "{again}");
    assert!(node.install(&node.options()).unwrap().changed, "control");
}

#[test]
fn a_restart_that_others_make_is_seen_by_its_handlers() {
    let mut node = Node::new();
    node.answer(&[], &["runc"]);
    let by_others = InstallOptions {
        restart: Restart::None,
        ..node.options()
    };
    node.install(&by_others).unwrap();
    let pending = |node: &Node| {
        let status = Status::of(&node.root, Path::new(STATE)).unwrap().unwrap();
        status.restart_pending
    };
    node.install(&by_others).unwrap();
    assert!(node.manifest().restart_pending && pending(&node), "control");
    node.answer(&[], &["runc", USUAL_HANDLER]);
    assert!(!pending(&node));
    assert!(!node.install(&by_others).unwrap().changed);
    assert!(!node.manifest().restart_pending);
}

#[test]
fn handlers_that_were_dropped_are_remembered_for_uninstalling_only() {
    let mut node = Node::new();
    let mut two = node.options();
    two.handlers.push("other".to_owned());
    node.install(&two).unwrap();
    node.install(&node.options()).unwrap();
    assert_eq!(node.manifest().handlers, [USUAL_HANDLER]);
    assert_eq!(node.manifest().former_handlers, ["other"]);
    node.answer(&[], &["runc", USUAL_HANDLER]);
    let status = Status::of(&node.root, Path::new(STATE)).unwrap().unwrap();
    assert_eq!(status.flaws(), Vec::<String>::new());
}

#[test]
fn the_runtime_of_containers_that_exist_is_not_exchanged() {
    let mut node = Node::new();
    node.install(&node.options()).unwrap();
    let text = fs::read_to_string(node.path(GUARD_CONFIG)).unwrap();
    let other = text.replace("/usr/bin/runc", "/usr/bin/crun");
    assert_ne!(text, other);
    node.write(GUARD_CONFIG, &other);
    node.answer(&[("a", USUAL_HANDLER)], &[]);
    let error = node.install(&node.options()).unwrap_err();
    assert!(matches!(error, InstallError::GuardInUse { .. }), "{error}");
    assert_eq!(fs::read_to_string(node.path(GUARD_CONFIG)).unwrap(), other);
    fs::remove_file(node.path("cri.sock")).unwrap();
    let error = node.install(&node.options()).unwrap_err();
    assert!(matches!(error, InstallError::GuardInUse { .. }), "{error}");
    node.answer(&[("a", "runc")], &[]);
    node.install(&node.options()).expect("control");
    assert_eq!(fs::read_to_string(node.path(GUARD_CONFIG)).unwrap(), text);
}

#[test]
fn what_is_left_of_an_installation_without_manifest_goes_with_the_next() {
    for is_ours in [true, false] {
        let node = Node::new();
        node.install(&node.options()).unwrap();
        fs::remove_dir_all(node.path("var/lib/kubefence")).unwrap();
        if !is_ours {
            node.write(
                GUARD_CONFIG,
                "# by hand\nruntime = \"/usr/bin/runc\"\ncalled_by = \"containerd\"\n",
            );
        }
        node.install(&node.options()).unwrap();
        node.uninstall();
        assert!(!node.path("opt/nono-nri/nono").exists());
        assert!(!node.path("opt/nono-nri/plans").exists());
        assert_eq!(
            node.path(GUARD_CONFIG).exists(),
            !is_ours,
            "by hand: comes back"
        );
    }
}

#[test]
fn a_profile_of_somebody_else_stops_everything_before_anything_is_changed() {
    let node = Node::new();
    node.write("opt/nono-nri/profiles/default.json", "theirs");
    let error = node.install(&node.options()).unwrap_err().to_string();
    assert!(error.contains("profiles/default.json is a file"), "{error}");
    assert!(!node.path("opt/nono-nri/nono").exists());
    assert!(!node.path("var/lib/kubefence").exists());
    fs::remove_file(node.path("opt/nono-nri/profiles/default.json")).unwrap();
    node.install(&node.options()).expect("control");
}

#[test]
fn what_an_interrupted_run_left_goes_before_the_next() {
    let node = Node::new();
    node.install(&node.options()).unwrap();
    let left = node.path("etc/containerd/.config.toml.kubefence-new");
    fs::write(&left, "half").unwrap();
    node.install(&node.options()).unwrap();
    assert!(!left.exists());
}

#[test]
fn without_programs_in_the_usual_place_the_installed_ones_are_meant() {
    let node = Node::new();
    let usual = |path: &str| InstallOptions {
        source: Source::Usual(node.path(path)),
        ..node.options()
    };
    let error = node.install(&usual("nowhere")).unwrap_err();
    assert!(matches!(error, InstallError::Source { .. }), "{error}");
    node.install(&usual("source")).unwrap();
    assert!(!node.install(&usual("nowhere")).unwrap().changed);
    node.write("source/nono", "newer");
    assert!(node.install(&usual("source")).unwrap().changed, "control");
}
