//! The directory with the operator's own profiles: what lies in it, and whether that changed.
//!
//! It may be a mounted ConfigMap: then each file is a link into a directory that a link `..data` names, and
//! an update replaces that link. So names that begin with a dot are passed over, and links are followed.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use kubefence_profile::MAX_SIZE;

/// Endings of the files that are read.
const ENDINGS: [&str; 2] = ["json", "toml"];

/// Which file a name leads to, and in which state. Equal stamps mean that nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(file: &Metadata) -> Self {
        Self {
            device: file.dev(),
            inode: file.ino(),
            size: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }
}

/// The files that may hold profiles, with the state that they are in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing(BTreeMap<OsString, Stamp>);

/// One file.
#[derive(Clone, Debug)]
pub struct ProfileFile {
    /// Its name, without the directory.
    pub name: String,
    /// The state in which it was listed.
    pub stamp: Stamp,
    /// Its text, or why that cannot be had.
    pub text: Result<String, String>,
}

/// Lists the profile files of `dir` without opening one.
///
/// # Errors
///
/// Fails if the directory cannot be read.
pub fn list(dir: &Path) -> io::Result<Listing> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        if !is_profile(&name) {
            continue;
        }
        if let Some(stamp) = stamp(&dir.join(&name)) {
            files.insert(name, stamp);
        }
    }
    Ok(Listing(files))
}

/// `None` if the file was removed, or is a link whose target was: so a ConfigMap's key goes.
fn stamp(path: &Path) -> Option<Stamp> {
    let file = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        // A link that cannot be followed: reading it will tell why.
        Err(_) => fs::symlink_metadata(path).ok()?,
        Ok(file) => file,
    };
    Some(Stamp::of(&file))
}

fn is_profile(name: &OsStr) -> bool {
    let hidden = name.as_encoded_bytes().starts_with(b".");
    let ending = Path::new(name).extension();
    !hidden && ending.is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known))
}

/// Reads the files of `listing`, in the order of their names.
pub fn read(dir: &Path, listing: &Listing) -> Vec<ProfileFile> {
    let file = |(name, stamp): (&OsString, &Stamp)| ProfileFile {
        name: name.to_string_lossy().into_owned(),
        stamp: *stamp,
        text: text(dir.join(name)).map_err(|error| error.to_string()),
    };
    listing.0.iter().map(file).collect()
}

fn text(path: PathBuf) -> io::Result<String> {
    // Opening a pipe would wait for a writer.
    if !fs::metadata(&path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut text = String::new();
    let limit = MAX_SIZE as u64 + 1;
    File::open(path)?.take(limit).read_to_string(&mut text)?;
    if text.len() > MAX_SIZE {
        return Err(io::Error::other(format!(
            "it has more than {MAX_SIZE} bytes"
        )));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let files = read(dir, &list(dir).unwrap());
        files.into_iter().map(|file| file.name).collect()
    }

    #[test]
    fn only_profile_files_are_listed() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.toml", "a.json", ".hidden.json", "notes.md", "json"] {
            fs::write(dir.path().join(name), "{}").unwrap();
        }
        symlink("nowhere", dir.path().join("gone.json")).unwrap();
        assert_eq!(names(dir.path()), ["a.json", "b.toml"]);
        assert!(list(&dir.path().join("missing")).is_err());
    }

    #[test]
    fn an_update_of_a_mounted_config_map_is_a_change() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for (version, text) in [("..1", "{}"), ("..2", "{}")] {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("team.json"), text).unwrap();
        }
        symlink("..1", at("..data")).unwrap();
        symlink("..data/team.json", at("team.json")).unwrap();
        let before = list(dir.path()).unwrap();
        assert_eq!(before, list(dir.path()).unwrap());
        symlink("..2", at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
        assert_ne!(before, list(dir.path()).unwrap());
        assert_eq!(names(dir.path()), ["team.json"]);
    }

    #[test]
    fn what_is_no_readable_text_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("a.json")).unwrap();
        fs::write(at("b.json"), " ".repeat(MAX_SIZE + 1)).unwrap();
        fs::write(at("c.json"), [0xff]).unwrap();
        symlink("d.json", at("d.json")).unwrap();
        fs::write(at("e.json"), " ".repeat(MAX_SIZE)).unwrap();
        let files = read(dir.path(), &list(dir.path()).unwrap());
        for (file, part) in
            files
                .iter()
                .zip(["not a regular", "more than", "UTF-8", "symbolic links"])
        {
            let reason = file.text.as_ref().unwrap_err();
            assert!(reason.contains(part), "{reason:?} lacks {part:?}");
        }
        assert!(files[4].text.is_ok());
    }
}
