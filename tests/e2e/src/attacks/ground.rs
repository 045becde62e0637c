//! What the attacks on a container's make-up share: the same probe in the same container, with and without the sandbox,
//! as its first process and by exec.

use std::cell::OnceCell;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::daemon::{BASELINE, SANDBOXED};
use crate::node::Node;
use crate::pod::{Container, ContainerRequest, Pod};

/// The annotation that names a profile.
pub(super) const PROFILE: &str = "nono.sh/profile";
/// A label that kubelets give every container. CRI-O makes annotations of labels, after all others, and knows a
/// container's name only by this one.
pub(super) const NAME_LABEL: &str = "io.kubernetes.container.name";
/// Longer than any of these containers takes.
pub(super) const LIMIT: Duration = Duration::from_secs(20);

const TOOL: &str = "/app/tool";
const READY: &str = "trap: ready\n";

/// Two pods that differ in their handler only: in one nothing is sandboxed.
#[derive(Debug)]
pub(super) struct Pods<'n> {
    bare: OnceCell<Pod<'n>>,
    sandboxed: OnceCell<Pod<'n>>,
    node: &'n Node,
    annotations: Vec<(String, String)>,
}

impl<'n> Pods<'n> {
    /// Without annotations.
    pub(super) fn plain(node: &'n Node) -> Self {
        Self::annotated(node, &[])
    }

    /// That ask for a profile.
    pub(super) fn under(node: &'n Node, profile: &str) -> Self {
        Self::annotated(node, &[(PROFILE, profile)])
    }

    /// With annotations, which the containers get as well.
    pub(super) fn annotated(node: &'n Node, annotations: &[(&str, &str)]) -> Self {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Self {
            bare: OnceCell::new(),
            sandboxed: OnceCell::new(),
            node,
            annotations: annotations.iter().map(owned).collect(),
        }
    }

    /// Runs the pod when it is first needed.
    fn pod(&self, place: In) -> Result<&Pod<'n>> {
        let (cell, handler) = match place {
            In::Bare => (&self.bare, BASELINE),
            In::Sandbox => (&self.sandboxed, SANDBOXED),
        };
        if let Some(pod) = cell.get() {
            return Ok(pod);
        }
        let request = self.node.pod("trial").handler(handler);
        let annotations = self.annotations.iter();
        let request = annotations.fold(request, |pod, (key, value)| pod.annotation(key, value));
        let pod = request.run()?;
        Ok(cell.get_or_init(|| pod))
    }

    /// A container in either of them.
    pub(super) fn trial<'p>(&'p self, image: &'p str) -> Trial<'p, 'n> {
        Trial {
            pods: self,
            image,
            env: Vec::new(),
            working_dir: None,
            mounts: Vec::new(),
        }
    }
}

/// Which of the two pods.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum In {
    /// Where nothing is sandboxed.
    Bare,
    /// Where everything is.
    Sandbox,
}

/// A container, to be tried in both pods.
#[derive(Clone, Debug)]
pub(super) struct Trial<'p, 'n> {
    pods: &'p Pods<'n>,
    image: &'p str,
    env: Vec<(&'p str, &'p str)>,
    working_dir: Option<&'p str>,
    mounts: Vec<(String, &'p str)>,
}

impl<'p> Trial<'p, '_> {
    /// Sets variables.
    pub(super) fn env(mut self, variables: &[(&'p str, &'p str)]) -> Self {
        self.env.extend(variables);
        self
    }

    /// Starts there.
    pub(super) fn working_dir(mut self, path: &'p str) -> Self {
        self.working_dir = Some(path);
        self
    }

    /// Mounts a volume with the file `file` in it.
    pub(super) fn volume(mut self, destination: &'p str) -> Result<Self> {
        let source = self.pods.node.scratch().join("attacked/volume");
        fs::create_dir_all(&source).context("cannot make a volume")?;
        fs::write(source.join("file"), "flag:volume\n")?;
        let source = source.to_string_lossy().into_owned();
        self.mounts.push((source, destination));
        Ok(self)
    }

    /// Runs `inside` with the started container.
    pub(super) fn with<T>(
        &self,
        place: In,
        command: &[&str],
        inside: impl FnOnce(&Container<'_>) -> Result<T>,
    ) -> Result<T> {
        let container = self.request(place, command)?.start()?;
        let outcome = inside(&container);
        container.remove()?;
        outcome
    }

    fn request(&self, place: In, command: &[&str]) -> Result<ContainerRequest<'p>> {
        let pod = self.pods.pod(place)?;
        let mut request = pod.container(self.image, command).env(&self.env);
        for (key, value) in &self.pods.annotations {
            request = request.annotation(key, value);
        }
        request = request.annotation(NAME_LABEL, "main");
        for (source, destination) in &self.mounts {
            request = request.mount(source, destination);
        }
        Ok(match self.working_dir {
            Some(path) => request.working_dir(path),
            None => request,
        })
    }

    /// Tries the verbs of the probe: without the sandbox all must succeed, within none, both ways in.
    pub(super) fn denies(&self, verbs: &[&str]) -> Result<()> {
        self.allows(verbs)?;
        self.holds(verbs)
    }

    /// The control: without the sandbox all verbs succeed.
    pub(super) fn allows(&self, verbs: &[&str]) -> Result<()> {
        self.gives(In::Bare, verbs, "ok").context("control")
    }

    /// Within the sandbox no verb succeeds.
    pub(super) fn holds(&self, verbs: &[&str]) -> Result<()> {
        self.gives(In::Sandbox, verbs, "EACCES")
    }

    /// Checks that all verbs have the same result, as the first process and by exec.
    pub(super) fn gives(&self, place: In, verbs: &[&str], result: &str) -> Result<()> {
        let command = [&[TOOL], verbs, &["trap", "0"]].concat();
        let expected: String = verbs
            .chunks(2)
            .map(|verb| format!("{}: {result}\n", verb.join(" ")))
            .collect();
        self.with(place, &command, |container| {
            container.wait_for_output(READY.trim(), LIMIT)?;
            let first = container.output()?;
            same("PID 1", first.trim_end_matches(READY), &expected)?;
            let exec = container.exec(&[&[TOOL], verbs].concat())?;
            same("an exec", &(exec + "\n"), &expected)
        })
    }

    /// The message with which the sandboxed container is refused; without the sandbox it starts.
    pub(super) fn refused(&self) -> Result<String> {
        self.with(In::Bare, &["sleep", "300"], |_| Ok(()))
            .context("control")?;
        self.refusal()
    }

    /// The message with which the sandboxed container is refused, at its creation or its start.
    pub(super) fn refusal(&self) -> Result<String> {
        let outcome = match self.request(In::Sandbox, &["sleep", "300"])?.create() {
            Ok(container) => {
                let outcome = container.start();
                container.remove()?;
                outcome
            }
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => bail!("the container was started, it should have been refused"),
            // The runtime's client quotes the message once more.
            Err(error) => Ok(format!("{error:#}")
                .replace("\\\"", "\"")
                .replace("\\\\", "\\")),
        }
    }
}

/// Checks that a message says all of it.
pub(super) fn says(message: &str, parts: &[&str]) -> Result<()> {
    for part in parts {
        ensure!(
            message.contains(part),
            "no {part:?} in the refusal: {message}"
        );
    }
    Ok(())
}

fn same(who: &str, got: &str, expected: &str) -> Result<()> {
    ensure!(
        got == expected,
        "{who} printed {got:?} instead of {expected:?}"
    );
    Ok(())
}
