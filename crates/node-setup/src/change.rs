//! What is to become of a file, and how that is shown.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::files::{self, Attributes, FileError, Found, digest};
use crate::manifest::Purpose;
use crate::root::Root;

/// A file that is to become what it may be already.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// Where it is on the node, links followed.
    pub(crate) path: PathBuf,
    /// What it is for.
    pub(crate) purpose: Purpose,
    /// What is there.
    pub(crate) found: Option<Found>,
    /// What is to be there.
    pub(crate) wanted: Option<Wanted>,
}

/// What a file is to be.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// What it holds.
    pub(crate) bytes: Vec<u8>,
    /// Its mode and so on.
    pub(crate) attributes: Attributes,
    /// Whether the mode counts, or only the content.
    pub(crate) exact: bool,
}

/// What is done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is as it should be.
    Unchanged,
    /// It is new.
    Created,
    /// It gets another content or mode.
    Changed,
    /// It goes.
    Removed,
}

/// A file, as people and machines are told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileReport {
    /// Where it is on the node.
    pub path: PathBuf,
    /// What is done with it.
    pub action: Action,
    /// A unified diff, where it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
}

impl Change {
    pub(crate) fn action(&self) -> Action {
        match (&self.found, &self.wanted) {
            (None, None) => Action::Unchanged,
            (None, Some(_)) => Action::Created,
            (Some(_), None) => Action::Removed,
            (Some(found), Some(wanted)) => {
                let same_mode = found.attributes.mode() == wanted.attributes.mode();
                match found.bytes == wanted.bytes && (same_mode || !wanted.exact) {
                    true => Action::Unchanged,
                    false => Action::Changed,
                }
            }
        }
    }

    pub(crate) fn is_needed(&self) -> bool {
        self.action() != Action::Unchanged
    }

    /// Does it, if it is needed.
    pub(crate) fn apply(&self, root: &Root) -> Result<(), FileError> {
        match &self.wanted {
            _ if !self.is_needed() => Ok(()),
            Some(wanted) => files::put(root, &self.path, &wanted.bytes, &wanted.attributes),
            None => files::remove(root, &self.path),
        }
    }

    /// Puts back what was there.
    pub(crate) fn undo(&self, root: &Root) -> Result<(), FileError> {
        match &self.found {
            _ if !self.is_needed() => Ok(()),
            Some(found) => files::put(root, &self.path, &found.bytes, &found.attributes),
            None => files::remove(root, &self.path),
        }
    }

    pub(crate) fn report(&self) -> FileReport {
        let action = self.action();
        let before = self.found.as_ref().map(|found| found.bytes.as_slice());
        let after = self.wanted.as_ref().map(|wanted| wanted.bytes.as_slice());
        FileReport {
            path: self.path.clone(),
            action,
            diff: self.is_needed().then(|| diff(&self.path, before, after)),
        }
    }

    /// The digest of what is to be there.
    pub(crate) fn digest(&self) -> Option<String> {
        self.wanted.as_ref().map(|wanted| digest(&wanted.bytes))
    }
}

/// A unified diff; of what is no text, the sizes.
fn diff(path: &Path, before: Option<&[u8]>, after: Option<&[u8]>) -> String {
    let text = |bytes: Option<&[u8]>| match bytes {
        None => Some(String::new()),
        Some(bytes) if bytes.contains(&0) => None,
        Some(bytes) => String::from_utf8(bytes.to_vec()).ok(),
    };
    let name = |side: Option<&[u8]>| match side {
        Some(_) => path.display().to_string(),
        None => "/dev/null".to_owned(),
    };
    let header = (name(before), name(after));
    let (Some(old), Some(new)) = (text(before), text(after)) else {
        let size = |side: Option<&[u8]>| match side {
            Some(bytes) => format!("{} bytes", bytes.len()),
            None => "nothing".to_owned(),
        };
        let sizes = (size(before), size(after));
        return format!(
            "--- {}\n+++ {}\nprogram: {} -> {}\n",
            header.0, header.1, sizes.0, sizes.1
        );
    };
    let diff = similar::TextDiff::from_lines(&old, &new);
    diff.unified_diff()
        .context_radius(3)
        .header(&header.0, &header.1)
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(before: Option<&[u8]>, after: Option<&[u8]>) -> Change {
        Change {
            path: "/etc/config.toml".into(),
            purpose: Purpose::EditedConfig,
            found: before.map(|bytes| Found {
                bytes: bytes.to_vec(),
                attributes: Attributes::new(0o600),
            }),
            wanted: after.map(|bytes| Wanted {
                bytes: bytes.to_vec(),
                attributes: Attributes::new(0o644),
                exact: false,
            }),
        }
    }

    #[test]
    fn actions_follow_from_before_and_after() {
        for (before, after, action) in [
            (None, None, Action::Unchanged),
            (Some("a"), Some("a"), Action::Unchanged),
            (Some("a"), Some("b"), Action::Changed),
            (None, Some("a"), Action::Created),
            (Some("a"), None, Action::Removed),
        ] {
            let change = change(before.map(str::as_bytes), after.map(str::as_bytes));
            assert_eq!(change.action(), action, "{before:?} {after:?}");
        }
    }

    #[test]
    fn a_mode_counts_only_where_it_is_said_to() {
        let mut change = change(Some(b"a"), Some(b"a"));
        assert!(!change.is_needed(), "control");
        change.wanted.as_mut().unwrap().exact = true;
        assert_eq!(change.action(), Action::Changed);
    }

    #[test]
    fn texts_are_shown_as_diffs_and_programs_as_sizes() {
        let text = change(Some(b"a\nb\n"), Some(b"a\nc\n"))
            .report()
            .diff
            .unwrap();
        assert_eq!(
            text,
            "--- /etc/config.toml\n+++ /etc/config.toml\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n"
        );
        let program = change(None, Some(b"\x7fELF\0\0")).report().diff.unwrap();
        assert_eq!(
            program,
            "--- /dev/null\n+++ /etc/config.toml\nprogram: nothing -> 6 bytes\n"
        );
        assert_eq!(change(Some(b"a"), Some(b"a")).report().diff, None);
    }
}
