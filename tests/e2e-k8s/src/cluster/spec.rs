//! The OCI bundle of a container, as the runtime and the guard have left it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

const BUNDLES: &str = "/run/containerd/io.containerd.runtime.v2.task/k8s.io";
/// Where runc keeps what it has created, by ID.
const STATES: &str = "/run/containerd/runc/k8s.io";
const TYPE: &str = "io.kubernetes.cri.container-type";
const POD: &str = "io.kubernetes.cri.sandbox-name";
const LAUNCHER: &str = "/nono/nono";

/// `config.json` of a bundle.
#[derive(Debug)]
pub(crate) struct OciSpec(Value);

impl OciSpec {
    /// Reads that of a running container.
    pub(crate) fn of(container: &str) -> Result<Self> {
        let path = Path::new(BUNDLES).join(container).join("config.json");
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let spec = serde_json::from_slice(&text);
        Ok(Self(spec.with_context(|| {
            format!("{} is no JSON", path.display())
        })?))
    }

    /// The process ID of a container's first process.
    pub(crate) fn pid_of(container: &str) -> Result<u32> {
        let path = Path::new(BUNDLES).join(container).join("init.pid");
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        text.trim()
            .parse()
            .with_context(|| format!("{} is no process ID", path.display()))
    }

    /// Whether the container's own file system cannot be written.
    pub(crate) fn has_read_only_root(&self) -> bool {
        self.0["root"]["readonly"] == true
    }

    /// The command line of the first process.
    pub(crate) fn args(&self) -> Vec<&str> {
        let args = self.0["process"]["args"].as_array();
        let args = args.into_iter().flatten();
        args.filter_map(Value::as_str).collect()
    }

    /// Whether the first process is started through the launcher.
    pub(crate) fn is_wrapped(&self) -> bool {
        let args = self.args();
        args.first() == Some(&LAUNCHER) && args.contains(&"--")
    }

    /// The mount at a place, if there is one.
    pub(crate) fn mount(&self, destination: &str) -> Option<&Value> {
        let mounts = self.0["mounts"].as_array();
        let mut mounts = mounts.into_iter().flatten();
        mounts.find(|mount| mount["destination"] == destination)
    }

    /// The name of its pod.
    pub(crate) fn pod(&self) -> &str {
        self.annotation(POD).unwrap_or_default()
    }

    fn annotation(&self, key: &str) -> Option<&str> {
        self.0["annotations"][key].as_str()
    }
}

/// The OCI configurations of all containers that the OCI runtime has created, pod sandboxes left out.
pub(crate) fn running() -> Result<Vec<OciSpec>> {
    let entries = fs::read_dir(STATES).with_context(|| format!("cannot read {STATES}"))?;
    let mut found = Vec::new();
    for entry in entries {
        let id = entry?.file_name().to_string_lossy().into_owned();
        // A bundle goes whenever its container does.
        if let Ok(spec) = OciSpec::of(&id)
            && spec.annotation(TYPE) == Some("container")
        {
            found.push(spec);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_container_is_wrapped_by_the_launcher_in_its_place_and_nothing_else() {
        let spec = |args: &[&str]| OciSpec(json!({ "process": { "args": args } }));
        assert!(spec(&["/nono/nono", "wrap", "--", "sleep"]).is_wrapped());
        for bare in [
            &["sleep"][..],
            &["nono", "wrap", "--", "sleep"],
            &["sh", "/nono/nono", "--"],
            &["/nono/nono", "--version"],
        ] {
            assert!(!spec(bare).is_wrapped(), "{bare:?}");
        }
    }

    #[test]
    fn mounts_are_found_by_their_destination() {
        let spec =
            OciSpec(json!({ "mounts": [{ "destination": "/a" }, { "destination": "/nono" }] }));
        assert_eq!(
            spec.mount("/nono"),
            Some(&json!({ "destination": "/nono" }))
        );
        assert_eq!(spec.mount("/nono/profiles"), None);
    }
}
