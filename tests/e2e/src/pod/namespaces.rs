//! Which namespaces a pod and its containers get, in CRI's terms.

use serde_json::{Value, json};

/// CRI's `NamespaceMode`.
const POD: u8 = 0;
const CONTAINER: u8 = 1;
const NODE: u8 = 2;
const TARGET: u8 = 3;

/// The host's ID of user 0 in a pod with a user namespace.
pub const FIRST_MAPPED_USER: u32 = 0x10_0000;
/// How many users and groups such a pod has, as kubelets give it.
const MAPPED_USERS: u32 = 0x1_0000;

/// The host's network and a PID namespace per container, unless something else is asked for.
#[derive(Clone, Debug)]
pub(super) struct Namespaces {
    pid: u8,
    target: Option<String>,
    /// Whether the pod has a user namespace.
    pub(super) users: bool,
}

impl Default for Namespaces {
    fn default() -> Self {
        Self {
            pid: CONTAINER,
            target: None,
            users: false,
        }
    }
}

impl Namespaces {
    pub(super) fn share_pid(&mut self) {
        self.pid = POD;
    }

    pub(super) fn host_pid(&mut self) {
        self.pid = NODE;
    }

    /// The PID namespace of another container of the same pod.
    pub(super) fn pid_of(&mut self, container: &str) {
        self.pid = TARGET;
        self.target = Some(container.to_owned());
    }

    /// CRI's `NamespaceOption`.
    pub(super) fn to_json(&self) -> Value {
        // A user namespace cannot own the host's network.
        let network = if self.users { POD } else { NODE };
        let mut options = json!({ "network": network, "pid": self.pid, "ipc": POD });
        if let Some(target) = &self.target {
            options["target_id"] = json!(target);
        }
        if self.users {
            let mapping = json!([{ "container_id": 0, "host_id": FIRST_MAPPED_USER, "length": MAPPED_USERS }]);
            options["userns_options"] = json!({ "mode": POD, "uids": mapping, "gids": mapping });
        }
        options
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_namespace_brings_a_network_of_its_own() {
        let mut namespaces = Namespaces::default();
        assert_eq!(
            namespaces.to_json(),
            json!({ "network": NODE, "pid": CONTAINER, "ipc": POD })
        );
        namespaces.users = true;
        let options = namespaces.to_json();
        assert_eq!(options["network"], POD);
        assert_eq!(
            options["userns_options"]["uids"][0]["host_id"],
            FIRST_MAPPED_USER
        );
    }

    #[test]
    fn a_target_is_named() {
        let mut namespaces = Namespaces::default();
        namespaces.pid_of("abc");
        let options = namespaces.to_json();
        assert_eq!(
            (&options["pid"], &options["target_id"]),
            (&json!(TARGET), &json!("abc"))
        );
    }
}
