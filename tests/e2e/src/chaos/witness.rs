//! Whether a container is confined, told from inside.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};

use crate::daemon::BASELINE;
use crate::images::BUSYBOX;
use crate::node::Node;
use crate::pod::{Container, ContainerRequest, Pod};
use crate::wait;

const LIMIT: Duration = Duration::from_secs(30);
/// Older than what the guard spares.
const OLD: Duration = Duration::from_secs(3600);

/// Where a container finds the directory in which nobody confined can write.
const VOLUME: &str = "/srv/bare";
/// Where the first process puts what it found.
const FOUND: &str = "tmp/first";

/// What the questions told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Finding {
    /// Everything that must fail failed, and a file that may be written was.
    Confined,
    /// Something that must fail did not.
    Bare,
    /// Neither; what was printed instead.
    Unclear(String),
}

/// Asks containers, and keeps what bare ones leave.
#[derive(Debug)]
pub(super) struct Witness {
    volume: PathBuf,
}

impl Witness {
    /// Makes the directory on the host that every container gets as a volume.
    pub(super) fn on(node: &Node) -> Result<Self> {
        let volume = node.scratch().join("bare");
        fs::create_dir(&volume).context("cannot make the directory for bare containers")?;
        Ok(Self { volume })
    }

    /// The container `name`, whose first process puts the questions and then waits to be ended.
    pub(super) fn container<'p>(&self, pod: &'p Pod<'_>, name: &str) -> ContainerRequest<'p> {
        let questions = questions(name).join(" ");
        let script = format!("{questions} > /{FOUND}; exec /app/tool trap 0");
        pod.container(BUSYBOX, &["/bin/sh", "-c", &script])
            .mount(&self.volume.to_string_lossy(), VOLUME)
            .name(name)
    }

    /// What the first process of a running container found.
    pub(super) fn first(&self, container: &Container<'_>) -> Result<Finding> {
        let path = container.rootfs().join(FOUND);
        let text = wait::until("the first process", LIMIT, || {
            let text = fs::read_to_string(&path).unwrap_or_default();
            Ok((text.lines().count() == FORBIDDEN + 1).then_some(text))
        })?;
        Ok(judge(&text))
    }

    /// What another process finds that joins the container.
    pub(super) fn joined(&self, container: &Container<'_>, name: &str) -> Result<Finding> {
        let questions = questions(&joined_as(name));
        let questions: Vec<&str> = questions.iter().map(String::as_str).collect();
        container.exec(&questions).map(|text| judge(&text))
    }

    /// Asks a container of the plain handler, which must not be denied anything.
    pub(super) fn control(&self, node: &Node) -> Result<()> {
        let pod = node.pod("control").handler(BASELINE).run()?;
        let name = "control";
        let container = self.container(&pod, name).start()?;
        let found = [self.first(&container)?, self.joined(&container, name)?];
        ensure!(
            found == [Finding::Bare, Finding::Bare],
            "a container of the handler {BASELINE} is denied something: {found:?}"
        );
        ensure!(
            self.bare()? == BTreeSet::from([name.to_owned(), joined_as(name)]),
            "a bare container left no file on the host"
        );
        for name in self.bare()? {
            fs::remove_file(self.volume.join(name)).context("cannot forget the control")?;
        }
        pod.remove()
    }

    /// Lets the records of creations that were cut short grow old, and one more container come and go: its guard
    /// sweeps them. While they are young, it cannot know that nobody is about to create their containers.
    pub(super) fn sweep(&self, node: &Node) -> Result<()> {
        let long_ago = SystemTime::now() - OLD;
        let directory = node.guard()?.records().to_owned();
        for file in fs::read_dir(&directory).context("cannot list the guard's records")? {
            let file = File::open(file?.path()).context("cannot open a record of the guard")?;
            file.set_modified(long_ago)
                .context("cannot make a record older")?;
        }
        let pod = node.pod("sweep").run()?;
        self.container(&pod, "sweep").start()?.remove()?;
        pod.remove()
    }

    /// What all bare processes signed with, the present and the past.
    pub(super) fn bare(&self) -> Result<BTreeSet<String>> {
        let entries = fs::read_dir(&self.volume).context("cannot see what bare containers left")?;
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        names.collect()
    }
}

/// How many of the questions must be answered with a denial; the one that must not comes last.
const FORBIDDEN: usize = 3;

fn questions(name: &str) -> Vec<String> {
    let (read, write) = ("read", "write");
    let volume = format!("{VOLUME}/{name}");
    ["/app/tool", read, "/etc/shadow", write, "/etc/chaos"]
        .into_iter()
        .chain([write, &volume, write, "/tmp/alive"])
        .map(str::to_owned)
        .collect()
}

/// How an exec signs; the first process takes the container's own name.
pub(super) fn joined_as(name: &str) -> String {
    format!("{name}-exec")
}

/// Anything that went through is bare, whatever else is there.
fn judge(text: &str) -> Finding {
    let answers: Vec<&str> = text
        .lines()
        .map(|line| line.rsplit(": ").next().unwrap_or_default())
        .collect();
    let forbidden = &answers[..answers.len().min(FORBIDDEN)];
    if forbidden.contains(&"ok") {
        Finding::Bare
    } else if forbidden == ["EACCES"; FORBIDDEN] && answers[FORBIDDEN..] == ["ok"] {
        Finding::Confined
    } else {
        Finding::Unclear(text.trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(answers: [&str; 4]) -> String {
        let lines = answers.map(|answer| format!("verb /path: {answer}\n"));
        lines.concat()
    }

    #[test]
    fn only_denials_and_one_success_are_confined() {
        let text = answers(["EACCES", "EACCES", "EACCES", "ok"]);
        assert_eq!(judge(&text), Finding::Confined);
    }

    #[test]
    fn one_forbidden_success_is_bare() {
        for bare in 0..FORBIDDEN {
            let mut given = ["EACCES", "EACCES", "EACCES", "ok"];
            given[bare] = "ok";
            assert_eq!(judge(&answers(given)), Finding::Bare, "{given:?}");
        }
        assert_eq!(judge("read /etc/shadow: ok\n"), Finding::Bare);
    }

    #[test]
    fn another_denial_or_a_dead_container_proves_nothing() {
        for given in [
            ["ENOENT", "EACCES", "EACCES", "ok"],
            ["EACCES", "EROFS", "EACCES", "ok"],
            ["EACCES", "EACCES", "EACCES", "EACCES"],
        ] {
            let text = answers(given);
            assert!(matches!(judge(&text), Finding::Unclear(_)), "{given:?}");
        }
        assert_eq!(judge(""), Finding::Unclear(String::new()));
    }
}
