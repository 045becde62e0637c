//! One metadata file per sandboxed container, for operators and other tools:
//! `<state_dir>/<podUID>/<containerID>/metadata.json`.
//!
//! Nothing is decided from these files, so losing them costs no confinement. Only what was written here
//! is ever removed: a directory with anything else in it stays.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// What is recorded of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// The container's ID.
    pub container_id: String,
    /// The pod's name.
    pub pod: String,
    /// The pod's namespace.
    pub namespace: String,
    /// The profile it runs under.
    pub profile: String,
    /// When it was recorded (RFC 3339, UTC).
    pub timestamp: String,
    /// Digest of its launch plan, if the host compiled it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub plan: Option<String>,
}

/// The file that holds a record, and its name while it is being written.
const RECORD: &str = "metadata.json";
const TEMPORARY: &str = ".metadata.json";

/// The pod UID and container ID that a record belongs to.
pub type Key = (String, String);

/// The directory of all records.
#[derive(Clone, Debug)]
pub struct StateDir {
    root: PathBuf,
}

impl StateDir {
    /// Records under `root`, which is created when it is first needed.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Writes the record of a container, atomically.
    pub fn record(&self, key: &Key, metadata: &Metadata) -> io::Result<()> {
        let dir = self.dir(key)?;
        DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        let temporary = dir.join(TEMPORARY);
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(&serde_json::to_vec(metadata)?)?;
        fs::rename(temporary, dir.join(RECORD))
    }

    /// Whether there is a record of a container.
    pub fn has(&self, key: &Key) -> bool {
        self.dir(key).is_ok_and(|dir| dir.join(RECORD).exists())
    }

    /// Removes the record of a container, and its pod's directory with the last one.
    pub fn remove(&self, key: &Key) -> io::Result<()> {
        let dir = self.dir(key)?;
        for file in [RECORD, TEMPORARY] {
            match fs::remove_file(dir.join(file)) {
                Err(e)
                    if !matches!(
                        e.kind(),
                        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                    ) =>
                {
                    return Err(e);
                }
                _ => {}
            }
        }
        // Both fail while something else is in there, which is fine.
        let _ = fs::remove_dir(&dir);
        let _ = fs::remove_dir(self.root.join(&key.0));
        Ok(())
    }

    /// Removes the records of all containers that are not in `live`, and returns how many. What a process left that
    /// was killed while it wrote or removed one goes, too.
    pub fn retain(&self, live: &HashSet<Key>) -> io::Result<usize> {
        let mut removed = 0;
        for pod in names(&self.root)? {
            for container in names(&self.root.join(&pod))? {
                let key = (pod.clone(), container);
                if !live.contains(&key) && self.dir(&key).is_ok() {
                    removed += usize::from(self.has(&key));
                    self.remove(&key)?;
                }
            }
            let _ = fs::remove_dir(self.root.join(&pod));
        }
        Ok(removed)
    }

    /// The record of a container whose pod the runtime no longer knows.
    pub fn find(&self, container_id: &str) -> io::Result<Option<Key>> {
        let mut keys = names(&self.root)?
            .into_iter()
            .map(|pod| (pod, container_id.to_owned()));
        Ok(keys.find(|key| self.has(key)))
    }

    /// Both parts come from the runtime; neither may lead out of the directory.
    fn dir(&self, (pod, container): &Key) -> io::Result<PathBuf> {
        for part in [pod, container] {
            if part.is_empty() || part.starts_with('.') || part.contains('/') {
                let message = format!("{part:?} cannot name a state directory");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
        }
        Ok(self.root.join(pod).join(container))
    }
}

fn names(dir: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir()
            && let Ok(name) = entry.file_name().into_string()
        {
            names.push(name);
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn key(pod: &str, container: &str) -> Key {
        (pod.to_owned(), container.to_owned())
    }

    fn metadata() -> Metadata {
        Metadata {
            container_id: "c1".into(),
            pod: "web".into(),
            namespace: "prod".into(),
            profile: "default".into(),
            timestamp: "2026-01-01T00:00:00Z".into(),
            plan: None,
        }
    }

    #[test]
    fn a_record_has_the_documented_shape_and_modes() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(dir.path().join("nono-nri"));
        state.record(&key("uid", "c1"), &metadata()).unwrap();
        let path = dir.path().join("nono-nri/uid/c1/metadata.json");
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(
            text,
            r#"{"container_id":"c1","pod":"web","namespace":"prod","profile":"default","timestamp":"2026-01-01T00:00:00Z"}"#
        );
        for (path, mode) in [
            ("nono-nri", 0o700),
            ("nono-nri/uid", 0o700),
            ("nono-nri/uid/c1", 0o700),
            ("nono-nri/uid/c1/metadata.json", 0o600),
        ] {
            let found = fs::metadata(dir.path().join(path))
                .unwrap()
                .permissions()
                .mode()
                & 0o777;
            assert_eq!(found, mode, "{path}");
        }
    }

    #[test]
    fn a_pods_directory_goes_with_its_last_container() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(dir.path().to_owned());
        for container in ["c1", "c2"] {
            state.record(&key("uid", container), &metadata()).unwrap();
        }
        state.remove(&key("uid", "c1")).unwrap();
        assert!(state.has(&key("uid", "c2")) && !state.has(&key("uid", "c1")));
        state.remove(&key("uid", "c2")).unwrap();
        assert!(!dir.path().join("uid").exists());
        state.remove(&key("uid", "c2")).unwrap();
    }

    #[test]
    fn only_live_records_are_retained() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(dir.path().to_owned());
        for (pod, container) in [("u1", "a"), ("u1", "b"), ("u2", "c")] {
            state.record(&key(pod, container), &metadata()).unwrap();
        }
        assert_eq!(state.retain(&HashSet::from([key("u1", "a")])).unwrap(), 2);
        assert!(state.has(&key("u1", "a")));
        assert_eq!(names(dir.path()).unwrap(), ["u1"]);
    }

    #[test]
    fn what_a_killed_process_left_goes() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(dir.path().to_owned());
        for left in ["u1/a", "u2"] {
            fs::create_dir_all(dir.path().join(left)).unwrap();
        }
        fs::create_dir_all(dir.path().join("u3/b")).unwrap();
        fs::write(dir.path().join("u3/b").join(TEMPORARY), "{").unwrap();
        assert_eq!(state.retain(&HashSet::new()).unwrap(), 0);
        assert!(names(dir.path()).unwrap().is_empty());
    }

    #[test]
    fn what_others_put_there_stays() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(dir.path().to_owned());
        for file in ["etcd/member/wal", "u1/a/other", "file"] {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "precious").unwrap();
        }
        state.record(&key("u1", "a"), &metadata()).unwrap();
        assert_eq!(state.retain(&HashSet::new()).unwrap(), 1);
        state.remove(&key("etcd", "member")).unwrap();
        for file in ["etcd/member/wal", "u1/a/other", "file"] {
            assert!(dir.path().join(file).exists(), "{file} is gone");
        }
        assert!(!state.has(&key("u1", "a")));
    }

    #[test]
    fn a_record_is_found_without_its_pod() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(dir.path().to_owned());
        state.record(&key("u1", "a"), &metadata()).unwrap();
        assert_eq!(state.find("a").unwrap(), Some(key("u1", "a")));
        assert_eq!(state.find("b").unwrap(), None);
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(dir.path().join("state"));
        for (pod, container) in [
            ("..", "x"),
            ("", "x"),
            ("a/b", "x"),
            ("u", ".."),
            ("u", "a/../../b"),
        ] {
            assert!(state.record(&key(pod, container), &metadata()).is_err());
            assert!(state.remove(&key(pod, container)).is_err());
        }
        assert!(!dir.path().join("state").exists());
    }
}
