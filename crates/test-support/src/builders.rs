//! Short ways to describe pods and containers.

use nri_plugin::api::{Container, ContainerState, Mount, PodSandbox, User};

/// Builds a [`PodSandbox`].
#[derive(Debug, Clone)]
#[must_use]
pub struct PodBuilder(PodSandbox);

impl PodBuilder {
    /// A pod in namespace `default`, with IDs derived from its name.
    pub fn new(name: &str) -> Self {
        Self(PodSandbox {
            id: format!("sandbox-{name}"),
            name: name.to_owned(),
            uid: format!("uid-{name}"),
            namespace: "default".to_owned(),
            ..PodSandbox::default()
        })
    }

    /// Sets the namespace.
    pub fn namespace(mut self, namespace: &str) -> Self {
        namespace.clone_into(&mut self.0.namespace);
        self
    }

    /// Sets the runtime handler.
    pub fn runtime_handler(mut self, handler: &str) -> Self {
        handler.clone_into(&mut self.0.runtime_handler);
        self
    }

    /// Adds an annotation.
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.0.annotations.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Adds a label.
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.0.labels.insert(key.to_owned(), value.to_owned());
        self
    }

    /// The pod.
    pub fn build(self) -> PodSandbox {
        self.0
    }
}

/// Builds a [`Container`].
#[derive(Debug, Clone)]
#[must_use]
pub struct ContainerBuilder(Container);

impl ContainerBuilder {
    /// A container of `pod` that runs `sleep 1`, with an ID derived from both names.
    pub fn new(pod: &PodSandbox, name: &str) -> Self {
        Self(Container {
            id: format!("{}-{name}", pod.name),
            pod_sandbox_id: pod.id.clone(),
            name: name.to_owned(),
            state: ContainerState::Created as i32,
            args: vec!["sleep".to_owned(), "1".to_owned()],
            ..Container::default()
        })
    }

    /// Sets the ID.
    pub fn id(mut self, id: &str) -> Self {
        id.clone_into(&mut self.0.id);
        self
    }

    /// Sets the command line.
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.0.args = args.into_iter().map(Into::into).collect();
        self
    }

    /// Adds an environment variable.
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.0.env.push(format!("{key}={value}"));
        self
    }

    /// Adds a bind mount.
    pub fn bind_mount(mut self, source: &str, destination: &str, options: &[&str]) -> Self {
        self.0.mounts.push(Mount {
            destination: destination.to_owned(),
            r#type: "bind".to_owned(),
            source: source.to_owned(),
            options: options.iter().map(|option| (*option).to_owned()).collect(),
        });
        self
    }

    /// Adds an annotation.
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.0.annotations.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Sets the state.
    pub fn state(mut self, state: ContainerState) -> Self {
        self.0.state = state as i32;
        self
    }

    /// Sets user and group.
    pub fn user(mut self, uid: u32, gid: u32) -> Self {
        self.0.user = Some(User {
            uid,
            gid,
            additional_gids: Vec::new(),
        });
        self
    }

    /// The container.
    pub fn build(self) -> Container {
        self.0
    }
}
