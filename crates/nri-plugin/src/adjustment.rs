//! A builder for container adjustments.

use crate::api::{
    CdiDevice, ContainerAdjustment, Hooks, KeyValue, LinuxContainerAdjustment, Mount, PosixRlimit,
};
use crate::handler::Requires;

/// What a plugin wants changed in a container that is being created; empty by default.
///
/// ```
/// use nri_plugin::Adjustment;
///
/// let adjustment = Adjustment::new()
///     .args(["/wrap", "--", "sleep", "1"])
///     .env("WRAPPED", "yes")
///     .annotation("example.org/wrapped", "yes");
/// assert_eq!(adjustment.message().args[0], "/wrap");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use]
pub struct Adjustment {
    message: ContainerAdjustment,
    dispensable: Requires,
}

impl Adjustment {
    /// An adjustment that changes nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces the command line. Creation fails if another plugin replaced it already.
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.message.args = args.into_iter().map(Into::into).collect();
        self
    }

    /// Replaces the command line, even if another plugin replaced it already.
    pub fn override_args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        let marker = std::iter::once(String::new());
        self.message.args = marker.chain(args.into_iter().map(Into::into)).collect();
        self
    }

    /// Sets an environment variable. It does not take effect if the key occurs twice in the container's spec,
    /// so nothing that matters for security may rest on it.
    pub fn env(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.message.env.push(KeyValue {
            key: key.into(),
            value: value.into(),
        });
        self
    }

    /// Removes an environment variable; runtimes ignore this for variables of the original spec.
    pub fn remove_env(self, key: &str) -> Self {
        self.env(format!("-{key}"), "")
    }

    /// Adds a mount, replacing one that has the same destination, compared as a raw string.
    pub fn mount(mut self, mount: Mount) -> Self {
        self.message.mounts.push(mount);
        self
    }

    /// Removes the mount at `destination`.
    pub fn remove_mount(self, destination: &str) -> Self {
        self.mount(Mount {
            destination: format!("-{destination}"),
            ..Mount::default()
        })
    }

    /// Sets an annotation of the container's OCI spec.
    pub fn annotation(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.message.annotations.insert(key.into(), value.into());
        self
    }

    /// Removes an annotation of the container's OCI spec.
    pub fn remove_annotation(self, key: &str) -> Self {
        self.annotation(format!("-{key}"), "")
    }

    /// Sets a POSIX resource limit.
    pub fn rlimit(mut self, kind: impl Into<String>, soft: u64, hard: u64) -> Self {
        self.message.rlimits.push(PosixRlimit {
            r#type: kind.into(),
            hard,
            soft,
        });
        self
    }

    /// Injects a CDI device by its fully qualified name.
    pub fn cdi_device(mut self, name: impl Into<String>) -> Self {
        self.message
            .cdi_devices
            .push(CdiDevice { name: name.into() });
        self
    }

    /// Sets the OCI hooks to add.
    pub fn hooks(mut self, hooks: Hooks) -> Self {
        self.message.hooks = Some(hooks);
        self
    }

    /// Edits the Linux-specific part.
    pub fn linux(mut self, edit: impl FnOnce(&mut LinuxContainerAdjustment)) -> Self {
        edit(self.message.linux.get_or_insert_default());
        self
    }

    /// Lets the runtime drop these parts of the adjustment although the plugin
    /// [requires](crate::PluginRunner::requires) them: for a container of which something else takes care then.
    pub fn may_lose(mut self, parts: Requires) -> Self {
        self.dispensable = parts;
        self
    }

    /// What of the plugin's requirements does not hold for this adjustment.
    pub(crate) fn dispensable(&self) -> Requires {
        self.dispensable
    }

    /// The adjustment as the message that is sent.
    pub fn message(&self) -> &ContainerAdjustment {
        &self.message
    }

    /// Turns the adjustment into the message that is sent.
    pub fn into_message(self) -> ContainerAdjustment {
        self.message
    }

    /// Whether the adjustment changes nothing.
    pub fn is_empty(&self) -> bool {
        self.message == ContainerAdjustment::default()
    }
}

impl From<ContainerAdjustment> for Adjustment {
    fn from(message: ContainerAdjustment) -> Self {
        Self {
            message,
            dispensable: Requires::NONE,
        }
    }
}

impl From<Adjustment> for ContainerAdjustment {
    fn from(adjustment: Adjustment) -> Self {
        adjustment.message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_override_starts_with_the_marker() {
        let message = Adjustment::new().override_args(["a", "b"]).into_message();
        assert_eq!(message.args, ["", "a", "b"]);
        let message = Adjustment::new().args(["a", "b"]).into_message();
        assert_eq!(message.args, ["a", "b"]);
    }

    #[test]
    fn removals_are_marked_with_a_dash() {
        let message = Adjustment::new()
            .remove_env("K")
            .remove_mount("/m")
            .remove_annotation("a")
            .into_message();
        assert_eq!(message.env[0].key, "-K");
        assert_eq!(message.mounts[0].destination, "-/m");
        assert!(message.annotations.contains_key("-a"));
    }

    #[test]
    fn only_the_default_is_empty() {
        assert!(Adjustment::new().is_empty());
        assert!(
            !Adjustment::new()
                .linux(|l| l.cgroups_path = "/x".into())
                .is_empty()
        );
    }
}
