//! A bundle as containerd writes it for a container of a small pod.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::{Value, json};

const BUSYBOX: &str = "/bin/busybox";

/// What containerd gives containers that ask for nothing.
const CAPABILITIES: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

/// What a kubelet mounts besides the file systems of every container.
const FILES: [&str; 4] = [
    "/etc/hosts",
    "/etc/hostname",
    "/etc/resolv.conf",
    "/dev/termination-log",
];
const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// The bundle's directory.
#[derive(Debug)]
pub(super) struct Stage {
    bundle: PathBuf,
}

impl Stage {
    /// Lays out in `directory` a root filesystem with busybox, and what is mounted into it.
    pub(super) fn new(directory: &Path) -> anyhow::Result<Self> {
        let stage = Self {
            bundle: directory.join("bundle"),
        };
        let root = stage.bundle.join("rootfs");
        for directory in ["bin", "dev", "etc", "proc", "run", "sys", "tmp", "var"] {
            fs::create_dir_all(root.join(directory))?;
        }
        symlink("/run", root.join("var/run"))?;
        fs::copy(BUSYBOX, root.join("bin/busybox"))
            .with_context(|| format!("there is no {BUSYBOX}: run `make setup`"))?;
        fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n")?;
        fs::create_dir_all(stage.bundle.join("volumes/token"))?;
        fs::write(stage.bundle.join("volumes/file"), "127.0.0.1 localhost\n")?;
        Ok(stage)
    }

    /// The bundle.
    pub(super) fn path(&self) -> &Path {
        &self.bundle
    }

    /// Writes config.json as it is before anybody changes it.
    pub(super) fn write_spec(&self) -> anyhow::Result<()> {
        let path = self.bundle.join("config.json");
        fs::write(&path, self.spec().to_string()).context("cannot write config.json")
    }

    /// The process of an exec, as containerd's shim describes it.
    pub(super) fn process(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string(&process(&[BUSYBOX, "true"]))?)
    }

    fn spec(&self) -> Value {
        let namespaces = ["pid", "ipc", "uts", "mount"].map(|kind| json!({ "type": kind }));
        json!({
            "ociVersion": "1.2.1",
            "process": process(&[BUSYBOX, "sleep", "1000"]),
            "root": { "path": "rootfs" },
            "mounts": self.mounts(),
            "annotations": annotations(),
            "linux": {
                "resources": {
                    "devices": [{ "allow": false, "access": "rwm" }],
                    "memory": {},
                    "cpu": { "shares": 2, "period": 100_000 },
                },
                "namespaces": namespaces,
                "maskedPaths": ["/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/sys/firmware"],
                "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
            },
        })
    }

    fn mounts(&self) -> Vec<Value> {
        let mut mounts = vec![
            mount("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
            mount(
                "/dev",
                "tmpfs",
                "tmpfs",
                &["nosuid", "strictatime", "mode=755", "size=65536k"],
            ),
            mount(
                "/dev/pts",
                "devpts",
                "devpts",
                &[
                    "nosuid",
                    "noexec",
                    "newinstance",
                    "ptmxmode=0666",
                    "mode=0620",
                    "gid=5",
                ],
            ),
            mount(
                "/dev/mqueue",
                "mqueue",
                "mqueue",
                &["nosuid", "noexec", "nodev"],
            ),
            mount(
                "/sys",
                "sysfs",
                "sysfs",
                &["nosuid", "noexec", "nodev", "ro"],
            ),
            mount(
                "/sys/fs/cgroup",
                "cgroup",
                "cgroup",
                &["nosuid", "noexec", "nodev", "relatime", "ro"],
            ),
            mount(
                "/dev/shm",
                "tmpfs",
                "shm",
                &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"],
            ),
        ];
        let volumes = self.bundle.join("volumes");
        let bind = |destination, source: &str| {
            let source = volumes.join(source);
            mount(
                destination,
                "bind",
                &source.to_string_lossy(),
                &["rbind", "rprivate", "rw"],
            )
        };
        mounts.extend(FILES.map(|destination| bind(destination, "file")));
        mounts.push(bind(TOKEN, "token"));
        mounts
    }
}

fn mount(destination: &str, kind: &str, source: &str, options: &[&str]) -> Value {
    json!({ "destination": destination, "type": kind, "source": source, "options": options })
}

/// A process with the variables that a kubelet gives containers in a namespace with ten services.
fn process(args: &[&str]) -> Value {
    let mut env = vec![
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
        "HOSTNAME=bench".to_owned(),
        "KUBERNETES_SERVICE_HOST=10.0.0.1".to_owned(),
    ];
    for service in 0..10 {
        for (name, value) in [
            ("SERVICE_HOST", "10.0.0.7"),
            ("SERVICE_PORT", "443"),
            ("PORT", "tcp://10.0.0.7:443"),
        ] {
            env.push(format!("APPLICATION_{service}_{name}={value}"));
        }
    }
    json!({
        "user": { "uid": 0, "gid": 0 },
        "args": args,
        "env": env,
        "cwd": "/",
        "capabilities": {
            "bounding": CAPABILITIES,
            "effective": CAPABILITIES,
            "permitted": CAPABILITIES,
        },
        "noNewPrivileges": true,
    })
}

fn annotations() -> Value {
    let sandbox = "5f2c".repeat(16);
    json!({
        "io.kubernetes.cri.container-name": "app",
        "io.kubernetes.cri.container-type": "container",
        "io.kubernetes.cri.image-name": "registry.example/team/app:1.2.3",
        "io.kubernetes.cri.sandbox-id": sandbox,
        "io.kubernetes.cri.sandbox-name": "bench",
        "io.kubernetes.cri.sandbox-namespace": "bench",
        "io.kubernetes.cri.sandbox-uid": "2a3f9c4e-5f67-4c0b-9d57-3a7d54f1b0c2",
        "nono.sh/profile": "default",
    })
}
