//! A file as a tree of values, each of which knows where it stands.
//!
//! JSON (with comments, as upstream nono reads it) and TOML give the same tree, so that everything
//! after this sees one language, and every complaint can name file, line and column.

mod json;
mod toml;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::diagnostic::Diagnostic;

/// Longest file, in bytes: as much as a ConfigMap holds.
pub const MAX_SIZE: usize = 1 << 20;

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Location {
    /// The file's name, as it was given.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// A value, and where it was stated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where.
    pub at: Location,
}

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syntax {
    Json,
    Toml,
}

impl Syntax {
    /// The syntax that a file's name promises: TOML for `.toml`, JSON for all others.
    pub(crate) fn of(file: &str) -> Self {
        match file.rsplit_once('.') {
            Some((_, extension)) if extension.eq_ignore_ascii_case("toml") => Self::Toml,
            _ => Self::Json,
        }
    }
}

/// A value and its position in the text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) span: Range<usize>,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    /// A number or date that no key of the language takes; its text.
    Other(String),
    Text(String),
    Array(Vec<Node>),
    Object(Vec<Entry>),
}

/// One key of an object, and its value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Range<usize>,
    pub(crate) node: Node,
}

impl Value {
    /// What the value is, for people.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) => "a number",
            Self::Other(_) => "a number or date",
            Self::Text(_) => "a string",
            Self::Array(_) => "a list",
            Self::Object(_) => "an object",
        }
    }

    /// Whether the value asks for nothing: `null`, `false`, or empty.
    pub(crate) fn is_nothing(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Bool(on) => !on,
            Self::Integer(_) | Self::Other(_) => false,
            Self::Text(text) => text.is_empty(),
            Self::Array(items) => items.is_empty(),
            Self::Object(entries) => entries.iter().all(|entry| entry.node.value.is_nothing()),
        }
    }
}

/// A parsed file.
#[derive(Debug)]
pub(crate) struct Document<'a> {
    file: Arc<str>,
    lines: Lines<'a>,
    pub(crate) root: Node,
}

impl<'a> Document<'a> {
    /// Parses `text`; `file` is its name, which also tells its syntax.
    pub(crate) fn parse(file: &str, text: &'a str) -> Result<Self, Diagnostic> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let lines = Lines::of(text);
        let file: Arc<str> = file.into();
        let complain =
            |at: usize, message: String| Diagnostic::error(lines.location(&file, at), message);
        if text.len() > MAX_SIZE {
            return Err(complain(
                0,
                format!("the file has more than {MAX_SIZE} bytes"),
            ));
        }
        let root = match Syntax::of(&file) {
            Syntax::Json => json::parse(text),
            Syntax::Toml => toml::parse(text),
        };
        let root = root.map_err(|error| complain(error.at, error.message))?;
        Ok(Self { file, lines, root })
    }

    /// Where the byte `offset` of the text stands.
    pub(crate) fn location(&self, offset: usize) -> Location {
        self.lines.location(&self.file, offset)
    }
}

/// Why text is no document.
#[derive(Debug)]
pub(crate) struct SyntaxError {
    at: usize,
    message: String,
}

/// The beginnings of a text's lines.
#[derive(Debug)]
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        let after_newlines = text.match_indices('\n').map(|(at, _)| at + 1);
        let starts = std::iter::once(0).chain(after_newlines).collect();
        Self { text, starts }
    }

    fn location(&self, file: &Arc<str>, offset: usize) -> Location {
        let offset = offset.min(self.text.len());
        let line = self.starts.partition_point(|start| *start <= offset) - 1;
        let before = self.text.get(self.starts[line]..offset).unwrap_or_default();
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Location {
            file: Arc::clone(file),
            line: number(line + 1),
            column: number(before.chars().count() + 1),
        }
    }
}

#[cfg(test)]
mod tests;
