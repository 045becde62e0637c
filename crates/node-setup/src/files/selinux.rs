//! SELinux: what containers mount must carry a label that they may read and execute.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::XattrFlags;
use rustix::io::Errno;

use crate::host::Host;
use crate::root::Root;

/// The label of read-only files of containers.
pub(crate) const LABEL: &str = "system_u:object_r:container_ro_file_t:s0";
const ATTRIBUTE: &str = "security.selinux";
const ENFORCE: &str = "/sys/fs/selinux/enforce";

/// SELinux as far as it matters here.
pub(crate) trait Labels {
    /// Whether the node's kernel enforces its policy.
    fn are_enforced(&self) -> bool;
    /// The label of a file, a directory, or a link itself.
    fn get(&self, path: &Path) -> io::Result<Option<String>>;
    /// Changes it.
    fn set(&self, path: &Path, label: &str) -> io::Result<()>;
}

/// The node's own.
pub(crate) struct Kernel<'a>(pub(crate) &'a Root);

impl Labels for Kernel<'_> {
    fn are_enforced(&self) -> bool {
        let value = self.0.read(Path::new(ENFORCE)).ok().flatten();
        value.is_some_and(|value| value.trim_ascii() == b"1")
    }

    fn get(&self, path: &Path) -> io::Result<Option<String>> {
        let mut buffer = [0; 4096];
        match rustix::fs::lgetxattr(path, ATTRIBUTE, &mut buffer[..]) {
            Ok(length) => {
                let label = String::from_utf8_lossy(&buffer[..length]);
                Ok(Some(label.trim_end_matches('\0').to_owned()))
            }
            Err(Errno::NODATA | Errno::NOTSUP) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn set(&self, path: &Path, label: &str) -> io::Result<()> {
        let value = label.as_bytes();
        Ok(rustix::fs::lsetxattr(
            path,
            ATTRIBUTE,
            value,
            XattrFlags::empty(),
        )?)
    }
}

/// Labels a directory and all that is in it, where SELinux is enforced. Returns what was changed.
///
/// # Errors
///
/// Fails with the first path whose label cannot be changed.
pub(crate) fn label(
    labels: &dyn Labels,
    tree: &Path,
) -> Result<Vec<PathBuf>, (PathBuf, io::Error)> {
    if !labels.are_enforced() {
        return Ok(Vec::new());
    }
    let mut changed = Vec::new();
    let mut queue = vec![tree.to_owned()];
    while let Some(path) = queue.pop() {
        let mut step = || -> io::Result<bool> {
            if fs::symlink_metadata(&path)?.is_dir() {
                for entry in fs::read_dir(&path)? {
                    queue.push(entry?.path());
                }
            }
            let differs = labels.get(&path)?.as_deref() != Some(LABEL);
            if differs {
                labels.set(&path, LABEL)?;
            }
            Ok(differs)
        };
        match step() {
            Ok(true) => changed.push(path),
            Ok(false) => {}
            Err(error) => return Err((path, error)),
        }
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    use super::*;

    struct Fake {
        enforced: bool,
        labels: RefCell<BTreeMap<PathBuf, String>>,
        refuses: bool,
    }

    impl Labels for Fake {
        fn are_enforced(&self) -> bool {
            self.enforced
        }

        fn get(&self, path: &Path) -> io::Result<Option<String>> {
            Ok(self.labels.borrow().get(path).cloned())
        }

        fn set(&self, path: &Path, label: &str) -> io::Result<()> {
            if self.refuses {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            self.labels
                .borrow_mut()
                .insert(path.to_owned(), label.to_owned());
            Ok(())
        }
    }

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("plans")).unwrap();
        fs::write(dir.path().join("nono"), "").unwrap();
        std::os::unix::fs::symlink("nowhere", dir.path().join("plans/link")).unwrap();
        dir
    }

    fn fake(enforced: bool, refuses: bool) -> Fake {
        Fake {
            enforced,
            labels: RefCell::default(),
            refuses,
        }
    }

    #[test]
    fn everything_is_labelled_once() {
        let (dir, fake) = (tree(), fake(true, false));
        assert_eq!(label(&fake, dir.path()).unwrap().len(), 4);
        let labels = fake.labels.borrow().clone();
        for name in ["", "nono", "plans", "plans/link"] {
            assert_eq!(labels[&dir.path().join(name)], LABEL, "{name}");
        }
        assert_eq!(label(&fake, dir.path()).unwrap(), Vec::<PathBuf>::new());
    }

    #[test]
    fn nothing_is_labelled_where_selinux_is_not_enforced() {
        let (dir, fake) = (tree(), fake(false, false));
        assert_eq!(label(&fake, dir.path()).unwrap(), Vec::<PathBuf>::new());
        assert!(fake.labels.borrow().is_empty());
    }

    #[test]
    fn a_refused_label_is_an_error_that_names_the_path() {
        let (dir, fake) = (tree(), fake(true, true));
        let (path, _) = label(&fake, dir.path()).unwrap_err();
        assert_eq!(path, dir.path());
    }

    #[test]
    fn the_kernel_is_asked_below_the_root() {
        let dir = tempfile::tempdir().unwrap();
        let entrance = crate::root::Entrance::through("/nonexistent", &[]);
        let root = Root::open(dir.path(), entrance).unwrap();
        assert!(!Kernel(&root).are_enforced(), "control: no SELinux");
        fs::create_dir_all(dir.path().join("sys/fs/selinux")).unwrap();
        for (value, enforced) in [("0", false), ("1", true), ("1\n", true)] {
            fs::write(dir.path().join("sys/fs/selinux/enforce"), value).unwrap();
            assert_eq!(Kernel(&root).are_enforced(), enforced, "{value:?}");
        }
    }
}
