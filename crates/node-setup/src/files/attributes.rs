//! What a file is besides its content.

use std::fs::{self, File, FileTimes, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::XattrFlags;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

/// What is signed or measured over a file's content says nothing of another content.
const OF_THE_CONTENT: [&[u8]; 2] = [b"security.ima", b"security.evm"];

/// Mode, owner, time of the last change and extended attributes (access lists and SELinux labels among them).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    mode: u32,
    /// User and group; `None`: whoever creates the file.
    owner: Option<(u32, u32)>,
    /// Seconds and nanoseconds since 1970; `None`: now.
    modified: Option<(i64, u32)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    extended: Vec<(String, Vec<u8>)>,
}

impl Attributes {
    /// Those of a new file.
    pub fn new(mode: u32) -> Self {
        Self {
            mode,
            owner: None,
            modified: None,
            extended: Vec::new(),
        }
    }

    /// Those of a file that exists.
    ///
    /// # Errors
    ///
    /// Fails if they cannot be read.
    pub fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        Ok(Self {
            mode: metadata.mode() & 0o7777,
            owner: Some((metadata.uid(), metadata.gid())),
            modified: Some((
                metadata.mtime(),
                u32::try_from(metadata.mtime_nsec()).unwrap_or_default(),
            )),
            extended: extended(path)?,
        })
    }

    /// The same, for a file whose content is new.
    #[must_use]
    pub fn changed_now(&self) -> Self {
        Self {
            modified: None,
            ..self.clone()
        }
    }

    /// The mode's permission bits.
    pub fn mode(&self) -> u32 {
        self.mode
    }

    /// Gives them to a file that is about to take its place.
    pub(super) fn apply(&self, file: &File) -> io::Result<()> {
        if let Some((user, group)) = self.owner {
            fchown(file, Some(user), Some(group))?;
        }
        file.set_permissions(Permissions::from_mode(self.mode))?;
        for (name, value) in &self.extended {
            rustix::fs::fsetxattr(file, name.as_str(), value, XattrFlags::empty())?;
        }
        if let Some(time) = self.modified.and_then(system_time) {
            file.set_times(FileTimes::new().set_modified(time))?;
        }
        Ok(())
    }
}

fn system_time((seconds, nanoseconds): (i64, u32)) -> Option<SystemTime> {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let time = match seconds < 0 {
        true => SystemTime::UNIX_EPOCH.checked_sub(whole),
        false => SystemTime::UNIX_EPOCH.checked_add(whole),
    };
    time?.checked_add(Duration::from_nanos(nanoseconds.into()))
}

/// The extended attributes; none on a file system that has none.
fn extended(path: &Path) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut buffer = vec![0; 64 * 1024];
    let length = match rustix::fs::listxattr(path, &mut buffer[..]) {
        Err(Errno::NOTSUP) => return Ok(Vec::new()),
        length => length?,
    };
    let names = buffer[..length].split(|byte| *byte == 0);
    let names = names.filter(|name| !name.is_empty() && !OF_THE_CONTENT.contains(name));
    let mut found = Vec::new();
    for name in names {
        let name = String::from_utf8_lossy(name).into_owned();
        let mut value = vec![0; 64 * 1024];
        let length = rustix::fs::getxattr(path, name.as_str(), &mut value[..])?;
        value.truncate(length);
        found.push((name, value));
    }
    Ok(found)
}
