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
/// Most bytes that are read.
const MOST_BYTES: usize = 1 << 20;
/// Most directories one inside the other that are looked at.
const DEEPEST: usize = 16;
/// How far into a file a token is looked for.
pub(crate) const LONGEST: u64 = 64 * 1024;
/// How much of a file is read first: enough to rule out nearly all.
const FIRST_LOOK: usize = 512;
/// How much is read after that, at least.
const CHUNK: usize = 4096;
/// Longest header of a token, in base64url.
const LONGEST_HEADER: usize = 4096;

/// What may still be looked at. Several searches share one, so that their number costs nothing.
pub(crate) struct Budget {
    entries: usize,
    bytes: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            entries: MOST_ENTRIES,
            bytes: MOST_BYTES,
        }
    }
}

impl Budget {
    fn is_used_up(&self) -> bool {
        self.entries == 0 || self.bytes == 0
    }
}

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
pub(crate) fn in_directory(path: &[u8], budget: &mut Budget) -> Found {
    let mut found = Found::Nothing;
    let mut open: Vec<(OsString, usize)> = vec![(OsString::from_vec(path.to_vec()), 1)];
    while let Some((dir, depth)) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&dir) else {
            found = Found::Unfinished;
            continue;
        };
        for entry in entries {
            if budget.is_used_up() {
                return Found::Unfinished;
            }
            budget.entries -= 1;
            let Ok((path, kind)) = entry.and_then(|e| Ok((e.path(), e.file_type()?))) else {
                found = Found::Unfinished;
                continue;
            };
            if kind.is_dir() && depth == DEEPEST {
                found = Found::Unfinished;
            } else if kind.is_dir() {
                open.push((path.into_os_string(), depth + 1));
            } else if kind.is_file() {
                match in_regular_file(path.as_os_str().as_bytes(), budget) {
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
pub(crate) fn in_file(path: &[u8], budget: &mut Budget) -> Found {
    match sys::status(At::Cwd, &sys::c_string(path)) {
        Ok(status) if status.mode & libc::S_IFMT == libc::S_IFREG => in_regular_file(path, budget),
        Ok(_) => Found::Nothing,
        Err(_) => Found::Unfinished,
    }
}

fn in_regular_file(path: &[u8], budget: &mut Budget) -> Found {
    match read(path, budget) {
        Ok(Some(text)) if is_token(&text) => Found::Token,
        Ok(Some(_)) | Err(Errno(libc::ENOENT)) => Found::Nothing, // gone meanwhile
        Ok(None) | Err(_) => Found::Unfinished,
    }
}

/// As much of a file as is needed to tell whether it is a token; `None` if the budget does not allow that.
fn read(path: &[u8], budget: &mut Budget) -> Result<Option<Vec<u8>>, Errno> {
    // Nothing is waited for, should it have become a pipe meanwhile.
    let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = sys::open(
        At::Cwd,
        &sys::c_string(path),
        flags,
        libc::RESOLVE_NO_SYMLINKS,
    )?;
    let mut file = File::from(file).take(LONGEST);
    let (mut text, mut wanted) = (Vec::new(), FIRST_LOOK);
    loop {
        let before = text.len();
        let part = file.by_ref().take(wanted as u64).read_to_end(&mut text);
        part.map_err(|error| Errno::of(&error))?;
        budget.bytes = budget.bytes.saturating_sub(text.len() - before);
        if budget.bytes == 0 {
            return Ok(None);
        }
        if text.len() - before < wanted || !is_undecided(&text) {
            return Ok(Some(text));
        }
        wanted = text.len().max(CHUNK); // more and more, as all of it is looked at each time
    }
}

/// Whether a file that begins so could turn out to be a token.
fn is_undecided(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    let dots = text.iter().filter(|b| **b == b'.').count();
    let has_header = text.len() < LONGEST_HEADER || text[..LONGEST_HEADER].contains(&b'.');
    let is_base64url = text.iter().all(|b| is_base64url(*b) || *b == b'.');
    may_begin_token(text) && dots < 2 && has_header && is_base64url
}

fn is_base64url(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')
}

/// Whether `text` can be how a token begins: its header is a JSON object, so a brace comes first, then a
/// quote or white space. In base64url these two characters are three.
fn may_begin_token(text: &[u8]) -> bool {
    match text.trim_ascii_start() {
        [] | [b'e'] | [b'e', b'y' | b'w'] => true,
        [b'e', b'y', third, ..] => matches!(third, b'A'..=b'D' | b'I'..=b'L'),
        [b'e', b'w', third, ..] => matches!(third, b'k'..=b'r' | b'0'..=b'3'),
        _ => false,
    }
}

/// Whether `text` begins, after white space, as a JSON Web Token: two parts of base64url, each with a dot
/// behind it. The signature may be missing.
fn is_token(text: &[u8]) -> bool {
    let is_part = |part: &[u8]| !part.is_empty() && part.iter().all(|b| is_base64url(*b));
    let text = text.trim_ascii_start();
    let mut parts = text.split(|b| *b == b'.');
    let (header, payload, signature) = (parts.next(), parts.next(), parts.next());
    may_begin_token(text)
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
            // `{ "alg": "x" }`, and with a newline, a carriage return or a tab behind the brace.
            "eyAiYWxnIjogIngiIH0.a.b",
            "ewogImFsZyI6ICJ4IiB9.a.b",
            "ew0KICJhbGciOiAieCIgfQ.a.b",
            "ewkiYWxnIjoieCJ9.a.b",
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
            "example.co.uk",
            "ey.a.b",
            "\0eyJa.b.c",
        ] {
            assert!(!is_token(text.as_bytes()), "{text:?}");
        }
        for text in ["", "e", "  ey", &" ".repeat(512)] {
            assert!(may_begin_token(text.as_bytes()), "{text:?}");
        }
        assert!(!may_begin_token(b"ex") && !may_begin_token(b"eyes"));
    }

    fn search(dir: &Path) -> Found {
        in_directory(dir.as_os_str().as_bytes(), &mut Budget::default())
    }

    fn look_into(path: &Path) -> Found {
        in_file(path.as_os_str().as_bytes(), &mut Budget::default())
    }

    #[test]
    fn a_token_is_found_wherever_it_lies() {
        for (name, text, found) in [
            ("token", TOKEN.to_owned(), Found::Token),
            ("a/b/c/.hidden", TOKEN.to_owned(), Found::Token),
            ("late", " ".repeat(5000) + TOKEN, Found::Token),
            (
                "long",
                "eyJ".repeat(1000) + "." + &"a".repeat(9000) + ".b",
                Found::Token,
            ),
            ("headless", "eyJ".repeat(2000) + ".a.b", Found::Nothing),
            ("huge", " ".repeat(70_000) + TOKEN, Found::Nothing),
            ("other", "nothing to see".to_owned(), Found::Nothing),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            assert_eq!(search(dir.path()), found, "{name}");
            assert_eq!(look_into(&path), found, "{name}");
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
        assert_eq!(look_into(&dir.path().join("fifo")), Found::Nothing);
        let found = in_regular_file(fifo.to_bytes(), &mut Budget::default());
        assert_ne!(found, Found::Token);
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
    fn little_is_read_of_what_is_no_token_and_nothing_beyond_the_budget() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let mut budget = Budget::default();
        let mut look = || {
            let found = in_file(path.as_os_str().as_bytes(), &mut budget);
            (found, MOST_BYTES - budget.bytes)
        };
        fs::write(&path, "text".repeat(9000)).unwrap();
        assert_eq!(look(), (Found::Nothing, FIRST_LOOK));
        fs::write(&path, "eyJ".repeat(9000)).unwrap();
        assert_eq!(look(), (Found::Nothing, 2 * FIRST_LOOK + CHUNK));
        while look().0 == Found::Nothing {}
        assert_eq!(look().0, Found::Unfinished);
        let found = in_directory(dir.path().as_os_str().as_bytes(), &mut budget);
        assert_eq!(found, Found::Unfinished);
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
