//! A guard with its configuration, launcher, plans, bundles, and a runtime that records.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use kubefence_node_files::plans;
use kubefence_profile::{Catalog, CompileOptions, EncodedPlan, ProfileName};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Writes its arguments, one a line, its ignored signals and, for exec, the process it was given; ends with the
/// status in `status`. Like the real ones it has a directory per container, which delete removes.
const RUNTIME: &str = r#"#!/bin/sh
here=$(dirname "$0")
for argument; do printf '%s\n' "$argument"; done > "$here/argv"
grep SigIgn /proc/$$/status > "$here/signals"
env > "$here/env"
case " $* " in
*" delete "*) rmdir "$here/root/$(basename "$(eval echo \${$#})")" ;;
esac
exit $(cat "$here/status")
"#;

/// Everything on a node that the guard deals with.
pub(crate) struct Node {
    dir: TempDir,
}

/// What the guard and the runtime behind it did.
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stderr: String,
    /// What the runtime was asked to do; `None` if it was not asked at all.
    pub(crate) argv: Option<Vec<String>>,
}

impl Outcome {
    /// The arguments of the runtime, which must have been asked.
    pub(crate) fn passed(&self) -> &[String] {
        self.argv
            .as_deref()
            .unwrap_or_else(|| panic!("refused: {}", self.stderr))
    }

    /// The reason why the runtime was not asked.
    pub(crate) fn refused(&self) -> &str {
        assert_eq!(self.argv, None, "it was passed on");
        assert_eq!(self.code, Some(1), "{}", self.stderr);
        &self.stderr
    }
}

impl Node {
    /// A node whose guard is called by containerd.
    pub(crate) fn new() -> Self {
        let node = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        for path in ["bin", "opt/nono-nri", "root", "bundle/rootfs/etc"] {
            fs::create_dir_all(node.path(path)).unwrap();
        }
        fs::copy(env!("CARGO_BIN_EXE_nono-runc"), node.path("bin/nono-runc")).unwrap();
        node.script("runc", RUNTIME);
        node.script("opt/nono-nri/nono", "");
        fs::write(node.path("status"), "0").unwrap();
        fs::write(
            node.path("bundle/rootfs/etc/passwd"),
            "root:x:0:0::/root:/bin/sh\n",
        )
        .unwrap();
        node.configure("");
        node.publish();
        node
    }

    fn script(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    }

    fn publish(&self) {
        let catalog = Catalog::built_in().unwrap();
        let plans: Vec<(ProfileName, EncodedPlan)> = catalog
            .iter()
            .filter_map(|profile| {
                let plan = profile.compile(&CompileOptions::default()).ok()?;
                Some((profile.name.clone(), plan.encode().unwrap()))
            })
            .collect();
        plans::publish(plans.iter().map(|(n, p)| (n, p)), &self.launcher_dir()).unwrap();
    }

    /// A path on the node.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// The directory that is mounted at /nono.
    pub(crate) fn launcher_dir(&self) -> PathBuf {
        self.path("opt/nono-nri")
    }

    /// The digest of a profile's plan.
    pub(crate) fn digest(&self, profile: &str) -> String {
        let link = self.launcher_dir().join(format!("profiles/{profile}.json"));
        let target = fs::read_link(link).unwrap();
        target.file_stem().unwrap().to_str().unwrap().to_owned()
    }

    /// Writes the configuration, with `extra` at its end.
    pub(crate) fn configure(&self, extra: &str) {
        let path = |path: &str| self.path(path).display().to_string();
        let text = format!(
            "runtime = {:?}\ncalled_by = \"containerd\"\nnono_bin_path = {:?}\nstate_dir = {:?}\n{extra}\n",
            path("runc"),
            path("opt/nono-nri/nono"),
            path("guard")
        );
        self.configure_all(&text);
    }

    /// Writes the whole configuration.
    pub(crate) fn configure_all(&self, text: &str) {
        fs::write(self.path("bin/nono-runc.toml"), text).unwrap();
    }

    /// The number of records.
    pub(crate) fn records(&self) -> usize {
        let entries = fs::read_dir(self.path("guard"))
            .into_iter()
            .flatten()
            .flatten();
        let names = entries.map(|entry| entry.file_name());
        names
            .filter(|name| name.as_encoded_bytes().ends_with(b".json"))
            .count()
    }

    /// Runs the guard, `--root` first.
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        let root = self.path("root");
        let root = root.to_str().unwrap();
        let arguments: Vec<&str> = ["--root", root].iter().chain(arguments).copied().collect();
        self.run_plain(&arguments)
    }

    /// Runs the guard.
    pub(crate) fn run_plain(&self, arguments: &[&str]) -> Outcome {
        self.run_with(Command::new(self.path("bin/nono-runc")).args(arguments))
    }

    pub(crate) fn run_with(&self, command: &mut Command) -> Outcome {
        let _ = fs::remove_file(self.path("argv"));
        let Output { status, stderr, .. } = command.output().unwrap();
        let argv = fs::read_to_string(self.path("argv")).ok();
        Outcome {
            code: status.code(),
            stderr: String::from_utf8(stderr).unwrap(),
            argv: argv.map(|text| text.lines().map(str::to_owned).collect()),
        }
    }

    /// Writes the bundle's spec.
    pub(crate) fn spec(&self, spec: &Value) {
        fs::write(self.path("bundle/config.json"), spec.to_string()).unwrap();
    }

    /// The bundle's spec as it is now.
    pub(crate) fn spec_now(&self) -> Value {
        let text = fs::read(self.path("bundle/config.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    /// Creates the container `id` from the bundle.
    pub(crate) fn create(&self, id: &str) -> Outcome {
        let bundle = self.path("bundle");
        let outcome = self.run(&["create", "--bundle", bundle.to_str().unwrap(), id]);
        if outcome.argv.is_some() {
            fs::create_dir(self.path("root").join(id)).unwrap();
        }
        outcome
    }

    /// A bare container's spec.
    pub(crate) fn bare(&self) -> Value {
        json!({
            "ociVersion": "1.2.0",
            "process": {
                "user": { "uid": 0, "gid": 0 },
                "args": ["sh", "-c", "true"],
                "env": ["PATH=/usr/bin:/bin", "A=b"],
                "cwd": "/srv",
            },
            "root": { "path": self.path("bundle/rootfs") },
            "mounts": [
                { "destination": "/proc", "type": "proc", "source": "proc" },
                { "destination": "/data", "type": "bind", "source": "/x", "options": ["rbind"] },
            ],
            "annotations": { "io.kubernetes.cri.sandbox-id": "pod" },
            "linux": { "namespaces": [{ "type": "pid" }, { "type": "mount" }] },
        })
    }

    /// The launcher's mount as it must be.
    pub(crate) fn launcher_mount(&self) -> Value {
        json!({
            "destination": "/nono",
            "type": "bind",
            "source": self.launcher_dir(),
            "options": ["bind", "ro", "rprivate", "nosuid", "nodev"],
        })
    }

    /// The same container, wrapped in `profile` by the plugin, its mounts in the runtime's order.
    pub(crate) fn wrapped(&self, profile: &str) -> Value {
        let mut spec = self.bare();
        spec["process"]["args"] = json!([
            "/nono/nono",
            "wrap",
            "--profile",
            profile,
            "--",
            "sh",
            "-c",
            "true"
        ]);
        spec["process"]["env"] = json!([
            "A=b",
            format!("NONO_PROFILE={profile}"),
            "PATH=/nono:/usr/bin:/bin"
        ]);
        spec["mounts"]
            .as_array_mut()
            .unwrap()
            .insert(0, self.launcher_mount());
        spec
    }

    /// The arguments that wrap `command` when it joins a container that was made from [`Node::bare`].
    pub(crate) fn expected(&self, profile: &str, command: &[&str]) -> Vec<String> {
        self.expected_with(profile, &[], command)
    }

    /// The arguments that wrap `command` with these further options in front of it.
    pub(crate) fn expected_with(
        &self,
        profile: &str,
        options: &[&str],
        command: &[&str],
    ) -> Vec<String> {
        let digest = self.digest(profile);
        let ours = [
            "/nono/nono",
            "wrap",
            "--profile",
            profile,
            "--plan",
            &digest,
            "--var",
            "HOME=/root",
            "--var",
            "WORKDIR=/srv",
            "--var",
            "ENTRYPOINT=sh",
            "--var",
            "PATH=/nono:/usr/bin:/bin",
        ];
        let all = [&ours[..], options, &["--"], command].concat();
        all.into_iter().map(str::to_owned).collect()
    }
}

/// The strings of an array.
pub(crate) fn strings(value: &Value) -> Vec<String> {
    let values = value.as_array().unwrap().iter();
    values.map(|v| v.as_str().unwrap().to_owned()).collect()
}

/// Whether a path exists.
pub(crate) fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}
