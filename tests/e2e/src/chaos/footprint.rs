//! What containers leave on a node while they exist, and must not afterwards.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::node::Node;
use crate::wait;

/// Shims end a moment after their last container; the plugin tidies up after it has synchronised.
const LIMIT: Duration = Duration::from_secs(30);
const CGROUPS: &str = "/sys/fs/cgroup";

/// What there is, each thing by its kind and name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Footprint(BTreeSet<String>);

impl Footprint {
    /// What there is now.
    pub(super) fn of(node: &Node) -> Result<Self> {
        let (daemon, cri) = (node.daemon(), node.cri());
        let mut things = BTreeSet::new();
        let mut add = |kind: &str, names: Vec<String>| {
            things.extend(names.iter().map(|name| format!("{kind} {name}")));
        };
        add("container", lines(&cri.call(&["ps", "--all", "--quiet"])?));
        add("pod", lines(&cri.call(&["pods", "--quiet"])?));
        add("bundle", entries(&daemon.bundles())?);
        add("runc's", entries(&daemon.runc_root().join("k8s.io"))?);
        add("plugin's state", tree(&node.plugin()?.state())?);
        add("shim", shims(node)?);
        add("cgroup", in_words(&cgroups(&node.cgroup())?));
        if let Ok(guard) = node.guard() {
            let runc = entries(&daemon.runc_root().join("k8s.io"))?;
            let mut records = entries(guard.records())?;
            records.retain(|name| name.ends_with(".json") && !is_record_of(name, &runc));
            add("stale record", records);
        }
        add("mounts:", vec![node.mounts().to_string()]);
        Ok(Self(things))
    }

    /// Waits until there is nothing that was not there before; says what is left when the time is up.
    pub(super) fn left_after(&self, node: &Node) -> Vec<String> {
        let mut left = Vec::new();
        let _ = wait::until("the node to be as before", LIMIT, || {
            left = match Self::of(node) {
                Ok(now) => now.0.difference(&self.0).cloned().collect(),
                Err(error) => vec![format!("{error:#}")],
            };
            Ok(left.is_empty().then_some(()))
        });
        left
    }
}

/// Removes all pods, as often as it takes: a kubelet does so, too.
pub(super) fn remove_pods(node: &Node) -> Result<()> {
    wait::until("the removal of all pods", LIMIT, || {
        let removed = node.cri().remove_all_pods().is_ok();
        Ok((removed && node.cri().call(&["pods", "--quiet"])?.is_empty()).then_some(()))
    })
}

/// Divides what is left into what is kubefence's to take away, and what is the container runtime's: its shims, the
/// state of its runc, bundles that it hides to remove them, and cgroups, which a kubelet removes with those of the
/// pod.
pub(super) fn divide(left: Vec<String>) -> (Vec<String>, Vec<String>) {
    const THEIRS: [&str; 6] = [
        "bundle .",
        "cgroup ",
        "container process ",
        "process ",
        "runc's ",
        "shim ",
    ];
    let is_theirs = |what: &String| {
        THEIRS.iter().any(|kind| what.starts_with(kind)) && !what.contains("/nono-runc ")
    };
    let (theirs, ours) = left.into_iter().partition(is_theirs);
    (ours, theirs)
}

/// How many containers these are about.
pub(super) fn containers(left: &[String]) -> usize {
    let words = left.iter().flat_map(|what| what.split([' ', '/', '.']));
    words
        .filter(|word| word.len() == 64)
        .collect::<BTreeSet<_>>()
        .len()
}

/// Whether a file is the guard's record of a container that runc has. All others are stale, also half-written ones.
fn is_record_of(name: &str, containers: &[String]) -> bool {
    let id = name
        .strip_suffix(".json")
        .and_then(|name| name.split_once('-'));
    id.is_some_and(|(_, id)| containers.iter().any(|container| container == id))
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

fn in_words(paths: &[PathBuf]) -> Vec<String> {
    let words = paths.iter().map(|path| path.display().to_string());
    words.collect()
}

/// The names in a directory; runtimes make theirs when they first need them.
fn entries(directory: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read {}", directory.display()));
        }
    };
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    names.collect()
}

/// The names in a directory, and in those directories, which may be going just now.
fn tree(directory: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for name in entries(directory)? {
        let below = entries(&directory.join(&name)).unwrap_or_default();
        names.extend(below.iter().map(|inner| format!("{name}/{inner}")));
        names.push(name);
    }
    Ok(names)
}

/// Shims carry the daemon's address on their command line, which lies below our directory.
fn shims(node: &Node) -> Result<Vec<String>> {
    let scratch = format!("{}/", node.scratch().path().display());
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").context("cannot list processes")? {
        let cmdline = fs::read(entry?.path().join("cmdline")).unwrap_or_default();
        let cmdline = String::from_utf8_lossy(&cmdline).replace('\0', " ");
        let program = cmdline.split(' ').next().unwrap_or_default();
        if program.contains("containerd-shim") && cmdline.contains(&scratch) {
            found.push(cmdline.trim().to_owned());
        }
    }
    Ok(found)
}

/// Cgroups below the node's own, in every hierarchy, the deepest first.
fn cgroups(label: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    directories(&Path::new(CGROUPS).join(label), &mut found);
    for hierarchy in fs::read_dir(CGROUPS).context("cannot list cgroups")? {
        directories(&hierarchy?.path().join(label), &mut found);
    }
    Ok(found)
}

fn directories(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            directories(&path, found);
            found.push(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_names_what_lies_one_level_deeper() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("pod/container/deeper")).unwrap();
        let mut names = tree(directory.path()).unwrap();
        names.sort();
        assert_eq!(names, ["pod", "pod/container"]);
    }

    #[test]
    fn records_are_stale_without_their_container() {
        let containers = ["c1".to_owned(), "c2".to_owned()];
        assert!(is_record_of("0123-c1.json", &containers));
        for stale in ["0123-c3.json", "0123-c1.77.tmp", "c1.json"] {
            assert!(!is_record_of(stale, &containers), "{stale}");
        }
    }

    #[test]
    fn what_the_runtime_leaves_is_counted_by_containers() {
        let (one, two) = ("1".repeat(64), "2".repeat(64));
        let left = vec![
            format!("cgroup /sys/fs/cgroup/cpu/kf/{one}"),
            format!("runc's {one}"),
            format!("shim containerd-shim-runc-v2 -id {two}"),
            "mounts: 2".to_owned(),
            format!("stale record 0123-{one}.json"),
        ];
        let (ours, theirs) = divide(left);
        assert_eq!((ours.len(), theirs.len()), (2, 3));
        assert_eq!(containers(&theirs), 2);
    }

    #[test]
    fn a_directory_that_nobody_has_made_yet_is_empty() {
        let directory = tempfile::tempdir().unwrap();
        let names = entries(&directory.path().join("missing")).unwrap();
        assert!(names.is_empty());
    }

    #[test]
    fn cgroups_come_before_those_that_hold_them() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("pod/container")).unwrap();
        let mut found = Vec::new();
        directories(directory.path(), &mut found);
        let pod = directory.path().join("pod");
        assert_eq!(found, [pod.join("container"), pod]);
    }
}
