//! What could undo a sandbox besides the command and the mounts, of which the wrap contract speaks: hooks, device
//! nodes, and annotations that the OCI runtime or the guard acts on.
//!
//! Not here: what only makes a container's own life harder, such as environment, limits and seccomp filters. The
//! launcher takes nothing from its environment, and ends the launch if the sandbox is not in force.

use std::collections::HashMap;

use kubefence_injection::{CONTAINER_ANNOTATION_PREFIX, POD_ANNOTATION, may_cover_launcher};
use nri_plugin::api::{Container, ContainerAdjustment, Hooks, LinuxDevice};

/// Annotations by which the container runtimes say what a container is. The guard believes them.
const IDENTITY: [&str; 6] = [
    "io.kubernetes.cri.container-type",
    "io.kubernetes.cri.sandbox-id",
    "io.kubernetes.cri.container-name",
    "io.kubernetes.cri-o.ContainerType",
    "io.kubernetes.cri-o.SandboxID",
    "io.kubernetes.container.name",
];

/// Annotations with which OCI runtimes (crun, youki) put something else in the place of the command: a WebAssembly
/// engine, or a virtual machine.
const OTHER_STARTS: [&str; 2] = ["run.oci.handler", "module.wasm.image/variant"];

/// Something that could undo a sandbox.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Undermined {
    /// A program of the image would run before the launcher.
    #[error(
        "its startContainer hook {0:?} would run inside the container before the sandbox is there: use another kind of \
         hook"
    )]
    Hook(String),
    /// Runtimes may mount device nodes over what is there.
    #[error("its device node at {0:?} could cover the sandbox launcher: give it another path")]
    Device(String),
    /// The launcher might not be what starts.
    #[error(
        "its annotation {0:?} lets the OCI runtime start something else than the sandbox launcher: remove it"
    )]
    OtherStart(&'static str),
    /// The guard would judge it by what another plugin says.
    #[error(
        "another plugin changes its annotation {0:?}, which tells what it is and which profile it gets: remove the \
         change from that plugin"
    )]
    Annotation(String),
}

/// Checks what the runtime says of `container`.
pub(crate) fn check_container(container: &Container) -> Result<(), Undermined> {
    let devices = container.linux.as_ref().map(|linux| &linux.devices);
    check_hooks(container.hooks.as_ref())?;
    check_devices(devices.into_iter().flatten())?;
    check_start(&container.annotations)
}

/// Checks what all plugins together changed.
pub(crate) fn check_adjustment(adjust: &ContainerAdjustment) -> Result<(), Undermined> {
    let devices = adjust.linux.as_ref().map(|linux| &linux.devices);
    check_hooks(adjust.hooks.as_ref())?;
    check_devices(devices.into_iter().flatten())?;
    check_start(&adjust.annotations)?;
    let mut keys = adjust.annotations.keys();
    match keys.find(|key| tells_what_it_is(key.strip_prefix('-').unwrap_or(key))) {
        None => Ok(()),
        Some(key) => Err(Undermined::Annotation(key.clone())),
    }
}

fn check_hooks(hooks: Option<&Hooks>) -> Result<(), Undermined> {
    match hooks.and_then(|hooks| hooks.start_container.first()) {
        None => Ok(()),
        Some(hook) => Err(Undermined::Hook(hook.path.clone())),
    }
}

/// Where a user namespace forbids to make device nodes, runtimes bind-mount the host's over the path instead.
fn check_devices<'a>(mut devices: impl Iterator<Item = &'a LinuxDevice>) -> Result<(), Undermined> {
    // A path with a dash in front is one that is removed.
    let is_added = |device: &&LinuxDevice| !device.path.starts_with('-') && !device.path.is_empty();
    match devices.find(|device| is_added(device) && may_cover_launcher(&device.path)) {
        None => Ok(()),
        Some(device) => Err(Undermined::Device(device.path.clone())),
    }
}

fn check_start(annotations: &HashMap<String, String>) -> Result<(), Undermined> {
    let mut keys = OTHER_STARTS.into_iter();
    match keys.find(|key| annotations.contains_key(*key)) {
        None => Ok(()),
        Some(key) => Err(Undermined::OtherStart(key)),
    }
}

fn tells_what_it_is(key: &str) -> bool {
    key == POD_ANNOTATION || key.starts_with(CONTAINER_ANNOTATION_PREFIX) || IDENTITY.contains(&key)
}
