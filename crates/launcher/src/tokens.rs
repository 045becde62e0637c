//! Finding service-account tokens: projected volumes can be mounted anywhere.
//!
//! Every such token is a JSON Web Token in a file of its own. A tree is looked through up to a bound; one
//! that is too large or cannot be read is for the caller to judge.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use crate::errno::Errno;
use crate::sys::{self, At};

/// Most files and directories that are looked at.
const MOST_ENTRIES: usize = 1000;
/// Most directories one inside the other that are looked at.
const DEEPEST: usize = 16;
/// How far into a file a token is looked for.
pub(crate) const LONGEST: u64 = 64 * 1024;
/// How much of a file is read first: enough to rule out nearly all.
const FIRST_LOOK: usize = 512;

/// What a search found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// No token.
    Nothing,
    /// A token.
    Token,
    /// No token so far, but not everything was looked at.
    Unfinished,
}

/// Looks through everything below the directory `path`. Links are not followed.
pub(crate) fn in_directory(path: &[u8]) -> Found {
    let mut found = Found::Nothing;
    let mut open: Vec<(OsString, usize)> = vec![(OsString::from_vec(path.to_vec()), 1)];
    let mut left = MOST_ENTRIES;
    while let Some((dir, depth)) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&dir) else {
            found = Found::Unfinished;
            continue;
        };
        for entry in entries {
            if left == 0 {
                return Found::Unfinished;
            }
            left -= 1;
            let Ok((path, kind)) = entry.and_then(|e| Ok((e.path(), e.file_type()?))) else {
                found = Found::Unfinished;
                continue;
            };
            if kind.is_dir() && depth == DEEPEST {
                found = Found::Unfinished;
            } else if kind.is_dir() {
                open.push((path.into_os_string(), depth + 1));
            } else if kind.is_file() {
                match in_regular_file(path.as_os_str().as_bytes()) {
                    Found::Nothing => {}
                    Found::Token => return Found::Token,
                    Found::Unfinished => found = Found::Unfinished,
                }
            }
        }
    }
    found
}

/// Looks into the file `path`, if it is a regular one.
pub(crate) fn in_file(path: &[u8]) -> Found {
    match sys::status(At::Cwd, &sys::c_string(path)) {
        Ok(status) if status.mode & libc::S_IFMT == libc::S_IFREG => in_regular_file(path),
        Ok(_) => Found::Nothing,
        Err(_) => Found::Unfinished,
    }
}

fn in_regular_file(path: &[u8]) -> Found {
    match read(path) {
        Ok(text) if is_token(&text) => Found::Token,
        Ok(_) | Err(Errno(libc::ENOENT)) => Found::Nothing, // gone meanwhile
        Err(_) => Found::Unfinished,
    }
}

/// As much of a file as is needed to tell whether it is a token.
fn read(path: &[u8]) -> Result<Vec<u8>, Errno> {
    // Nothing is waited for, should it have become a pipe meanwhile.
    let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = sys::open(
        At::Cwd,
        &sys::c_string(path),
        flags,
        libc::RESOLVE_NO_SYMLINKS,
    )?;
    let mut file = File::from(file);
    let mut text = vec![0; FIRST_LOOK];
    let len = file.read(&mut text).map_err(|error| Errno::of(&error))?;
    text.truncate(len);
    if may_begin_token(&text) {
        let read = file.take(LONGEST).read_to_end(&mut text);
        read.map_err(|error| Errno::of(&error))?;
    }
    Ok(text)
}

/// The first characters of every token: `{"` in base64url.
const BEGINNING: &[u8] = b"eyJ";

fn may_begin_token(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    let len = text.len().min(BEGINNING.len());
    text[..len] == BEGINNING[..len]
}

/// Whether `text` begins, after white space, as a JSON Web Token: two parts of base64url, each with a dot
/// behind it. The signature may be missing.
fn is_token(text: &[u8]) -> bool {
    let is_part = |part: &[u8]| {
        let is_base64url = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        !part.is_empty() && part.iter().all(is_base64url)
    };
    let text = text.trim_ascii_start();
    let mut parts = text.split(|b| *b == b'.');
    let (header, payload, signature) = (parts.next(), parts.next(), parts.next());
    text.starts_with(BEGINNING)
        && signature.is_some()
        && header.is_some_and(is_part)
        && payload.is_some_and(is_part)
}

/// Whether the directory `path` is the root of what the kubelet projects: it changes the content by
/// exchanging a link. One that cannot be looked up may be.
pub(crate) fn is_projection(path: &[u8]) -> bool {
    let link = sys::c_string([path, b"/..data"].concat());
    let opened = sys::open(At::Cwd, &link, libc::O_PATH | libc::O_NOFOLLOW, 0);
    !matches!(opened, Err(Errno(libc::ENOENT | libc::ENOTDIR)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::fs::symlink;
    use std::{fs, path::Path};

    const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW0ifQ.c2ln-_0";

    #[test]
    fn tokens_are_known_by_their_shape() {
        for text in [
            TOKEN,
            &format!(" \n\t{TOKEN}\n"),
            &format!("{TOKEN} and more"),
            "eyJ.a.",
        ] {
            assert!(is_token(text.as_bytes()), "{text:?}");
            assert!(may_begin_token(text.as_bytes()), "{text:?}");
        }
        for text in [
            "",
            "eyJ",
            "eyJhdXRocyI6e319",
            "eyJa.b",
            "eyJ..c",
            "eyJa.b c.d",
            "eyJa.b=.c",
            "a eyJa.b.c",
            "www.example.org",
            "\0eyJa.b.c",
        ] {
            assert!(!is_token(text.as_bytes()), "{text:?}");
        }
        for text in ["", "e", "  ey", &" ".repeat(512)] {
            assert!(may_begin_token(text.as_bytes()), "{text:?}");
        }
        assert!(!may_begin_token(b"ex"));
    }

    fn search(dir: &Path) -> Found {
        in_directory(dir.as_os_str().as_bytes())
    }

    #[test]
    fn a_token_is_found_wherever_it_lies() {
        for (name, text, found) in [
            ("token", TOKEN.to_owned(), Found::Token),
            ("a/b/c/.hidden", TOKEN.to_owned(), Found::Token),
            ("late", " ".repeat(5000) + TOKEN, Found::Token),
            ("huge", " ".repeat(70_000) + TOKEN, Found::Nothing),
            ("other", "nothing to see".to_owned(), Found::Nothing),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            assert_eq!(search(dir.path()), found, "{name}");
            assert_eq!(in_file(path.as_os_str().as_bytes()), found, "{name}");
        }
    }

    #[test]
    fn links_and_special_files_are_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        fs::write(other.path().join("token"), TOKEN).unwrap();
        symlink(other.path().join("token"), dir.path().join("link")).unwrap();
        symlink(other.path(), dir.path().join("dir")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
        let fifo = sys::c_string(dir.path().join("fifo").as_os_str().as_bytes());
        let mut mkfifo = std::process::Command::new("mkfifo");
        assert!(
            mkfifo
                .arg(OsStr::from_bytes(fifo.to_bytes()))
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(search(dir.path()), Found::Nothing);
        assert_eq!(in_file(fifo.to_bytes()), Found::Nothing);
        assert_ne!(in_regular_file(fifo.to_bytes()), Found::Token);
    }

    #[test]
    fn what_cannot_be_finished_is_said() {
        let many = tempfile::tempdir().unwrap();
        for i in 0..MOST_ENTRIES {
            fs::write(many.path().join(i.to_string()), "").unwrap();
        }
        assert_eq!(search(many.path()), Found::Nothing);
        fs::write(many.path().join("more"), "").unwrap();
        assert_eq!(search(many.path()), Found::Unfinished);
        let deep = tempfile::tempdir().unwrap();
        fs::create_dir_all(deep.path().join("d/".repeat(DEEPEST - 1))).unwrap();
        assert_eq!(search(deep.path()), Found::Nothing);
        fs::create_dir_all(deep.path().join("d/".repeat(DEEPEST))).unwrap();
        assert_eq!(search(deep.path()), Found::Unfinished);
        assert_eq!(search(Path::new("/nonexistent")), Found::Unfinished);
    }

    #[test]
    fn projections_are_known_by_their_link() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().as_os_str().as_bytes();
        assert!(!is_projection(path));
        symlink("..2026_01", dir.path().join("..data")).unwrap();
        assert!(is_projection(path));
    }
}
