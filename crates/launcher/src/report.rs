//! What a person sees: one line on stderr, and an exit code.

use std::fmt::{self, Write as _};

use crate::sys;

/// The sandbox could not be set up.
pub(crate) const FAILED: u8 = 125;
/// The command exists and cannot be executed.
pub(crate) const NOT_EXECUTABLE: u8 = 126;
/// The command does not exist.
pub(crate) const NOT_FOUND: u8 = 127;

/// Most bytes of a value that are shown.
const LONGEST: usize = 512;

/// Bytes that somebody else chose, quoted so that they stay on one line and cannot be mistaken for text
/// of ours.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Shown(Vec<u8>);

impl Shown {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let mut shown = bytes[..bytes.len().min(LONGEST)].to_vec();
        if shown.len() < bytes.len() {
            shown.extend_from_slice("…".as_bytes());
        }
        Self(shown)
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '\'' => f.write_char(c)?,
                    c => write!(f, "{}", c.escape_debug())?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        f.write_char('"')
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The line for `error` and its sources, without the newline.
pub(crate) fn line(error: &dyn std::error::Error) -> String {
    let mut text = format!("nono: {error}");
    let mut source = error.source();
    while let Some(error) = source {
        let _ = write!(text, ": {error}");
        source = error.source();
    }
    on_one_line(&text)
}

fn on_one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// Prints the line for `error`. A stderr that is closed or broken changes nothing.
pub(crate) fn complain(error: &dyn std::error::Error) {
    print_line(line(error));
}

fn print_line(mut line: String) {
    line.push('\n');
    let _ = sys::write_all(libc::STDERR_FILENO, line.as_bytes());
}

/// A panic ends the launch like any other failure: one line, exit code 125.
pub(crate) fn report_panics() {
    std::panic::set_hook(Box::new(|info| {
        let text = format!("nono: internal error, please report it: {info}");
        print_line(on_one_line(&text));
        sys::exit_now(FAILED);
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer\n{0}")]
    struct Outer(Shown, #[source] std::num::ParseIntError);

    #[test]
    fn whatever_is_echoed_stays_on_one_line() {
        let cause = "x".parse::<u8>().unwrap_err();
        let value = Shown::new("a\nb\x1b[31m\u{202e}é\"'".as_bytes());
        assert_eq!(
            line(&Outer(value, cause)),
            r#"nono: outer\n"a\nb\u{1b}[31m\u{202e}é\"'": invalid digit found in string"#
        );
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_numbers() {
        assert_eq!(Shown::new(b"\xff/a\x80").to_string(), r#""\xff/a\x80""#);
    }
}
