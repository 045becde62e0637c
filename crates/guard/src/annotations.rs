//! What the annotations of a container tell: whether it is a pod's sandbox, and which profile it asks for.
//!
//! Pure. The author of a pod can forge annotations on some runtimes. Whoever forges the sandbox's ID would have to know
//! the ID that the runtime is about to invent; every other forgery only chooses among the allowed profiles.

use std::collections::HashMap;

use kubefence_injection::{ProfileChoice, choose_profile};
use kubefence_profile::{Catalog, ProfileName};

use crate::config::{Caller, Config};

/// Annotations, by key.
pub(crate) type Annotations = HashMap<String, String>;

/// Annotations with which OCI runtimes (crun, youki) put something else in the place of the container's command: a
/// WebAssembly engine, or a virtual machine.
const OTHER_STARTS: [&str; 2] = ["run.oci.handler", "module.wasm.image/variant"];

/// The annotation that makes the OCI runtime start something else than the container's command, if there is one.
pub(crate) fn other_start(annotations: &Annotations) -> Option<&'static str> {
    let mut keys = OTHER_STARTS.into_iter();
    keys.find(|key| annotations.contains_key(*key))
}

/// It asks for a profile that is not for it.
#[derive(Debug, thiserror::Error)]
#[error(
    "profile {:?} is not allowed (allowed are: {allowed}): correct the pod's nono.sh annotation, or allowed_profiles in \
     nono-runc.toml",
    .profile.as_str()
)]
pub(crate) struct NotAllowed {
    profile: ProfileName,
    allowed: String,
}

impl Caller {
    /// The annotation with the ID of the pod's sandbox. Podman has no sandboxes but ordinary containers.
    fn sandbox_id(self) -> Option<&'static str> {
        match self {
            Self::Containerd => Some("io.kubernetes.cri.sandbox-id"),
            Self::CriO => Some("io.kubernetes.cri-o.SandboxID"),
            Self::Podman => None,
        }
    }

    /// The annotation with the container's name in its pod.
    fn container_name(self) -> &'static str {
        match self {
            Self::Containerd => "io.kubernetes.cri.container-name",
            Self::CriO => "io.kubernetes.container.name",
            Self::Podman => "io.podman.annotations.container-name",
        }
    }
}

/// Whether the container `id` is the sandbox of a pod.
pub(crate) fn is_sandbox(caller: Caller, annotations: &Annotations, id: &str) -> bool {
    caller
        .sandbox_id()
        .and_then(|key| annotations.get(key))
        .is_some_and(|sandbox| sandbox == id)
}

/// The profile of a container.
pub(crate) fn profile(
    config: &Config,
    annotations: &Annotations,
) -> Result<ProfileName, NotAllowed> {
    let name = annotations.get(config.called_by.container_name());
    let name = name.map(String::as_str).unwrap_or_default();
    let ProfileChoice { profile, .. } = choose_profile(annotations, name, &config.default_profile);
    let (is_allowed, allowed) = match &config.allowed_profiles {
        Some(listed) => (listed.contains(&profile), list(listed)),
        // An image can state annotations there, and must not choose.
        None if config.called_by == Caller::Podman => {
            let default = &config.default_profile;
            (profile == *default, default.to_string())
        }
        None => (
            Catalog::is_built_in(&profile),
            "the built-in ones".to_owned(),
        ),
    };
    match is_allowed {
        true => Ok(profile),
        false => Err(NotAllowed { profile, allowed }),
    }
}

fn list(names: &[ProfileName]) -> String {
    let names: Vec<&str> = names.iter().map(ProfileName::as_str).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests;
