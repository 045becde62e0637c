//! What the programs print: progress on stderr, results on stdout, colour on terminals only.

use std::io::{IsTerminal, stdout};

/// Colours, or none where nobody would see them.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    coloured: bool,
}

impl Style {
    /// Follows the terminal and `NO_COLOR` (<https://no-color.org>).
    pub fn of_stdout() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            coloured: stdout().is_terminal() && !refused,
        }
    }

    /// Never coloured.
    pub fn plain() -> Self {
        Self { coloured: false }
    }

    /// Green, for what is right.
    pub fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// Red, for what is wrong.
    pub fn bad(self, text: &str) -> String {
        self.paint("31", text)
    }

    /// Bold, for headings.
    pub fn strong(self, text: &str) -> String {
        self.paint("1", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.coloured {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// One line about a step that takes a while.
pub fn progress(line: &str) {
    eprintln!("… {line}");
}
