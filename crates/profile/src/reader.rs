//! From a document to a [`ProfileSource`], guided by the list of keys.
//!
//! All of a file's errors are found in one go. What is merely without effect is a warning.

mod values;

use kubefence_launch_plan::ProfileName;

use crate::diagnostic::{Diagnostic, Severity};
use crate::document::{Document, Entry, Located, Node, Value};
use crate::keys::{self, Effect, Key};
use crate::source::{ProfileSource, Statements};
use crate::suggest::did_you_mean;

/// What reading a file gave.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The profile; `None` if there are errors.
    pub profile: Option<ProfileSource>,
    /// Errors and warnings, in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads one profile file. `file` is its name: `.toml` means TOML, everything else JSON; without its
/// ending it names a profile that states no name itself.
pub fn read_profile(file: &str, text: &str) -> Reading {
    match Document::parse(file, text) {
        Ok(document) => Reader::new(&document, file).read(),
        Err(error) => Reading {
            profile: None,
            diagnostics: vec![error],
        },
    }
}

struct Reader<'a> {
    document: &'a Document<'a>,
    file: &'a str,
    name: Option<ProfileName>,
    description: String,
    extends: Vec<Located<String>>,
    statements: Statements,
    diagnostics: Vec<Diagnostic>,
}

impl<'a> Reader<'a> {
    fn new(document: &'a Document<'a>, file: &'a str) -> Self {
        Self {
            document,
            file,
            name: None,
            description: String::new(),
            extends: Vec::new(),
            statements: Statements::default(),
            diagnostics: Vec::new(),
        }
    }

    fn read(mut self) -> Reading {
        let root = &self.document.root;
        match &root.value {
            Value::Object(entries) => self.section("", entries),
            other => self.error(
                root,
                format!("a profile is an object, not {}", other.kind()),
            ),
        }
        let name = match self.name.take() {
            Some(name) => Some(name),
            None => self.name_of_file(),
        };
        self.diagnostics.sort_by_key(|d| (d.at.line, d.at.column));
        let failed = self
            .diagnostics
            .iter()
            .any(|d| d.severity == Severity::Error);
        let profile = name.filter(|_| !failed).map(|name| ProfileSource {
            name,
            at: self.document.location(root.span.start),
            description: self.description,
            extends: self.extends,
            statements: self.statements,
        });
        Reading {
            profile,
            diagnostics: self.diagnostics,
        }
    }

    /// The name for a profile that states none.
    fn name_of_file(&mut self) -> Option<ProfileName> {
        let base = self.file.rsplit('/').next().unwrap_or(self.file);
        let stem = base.rsplit_once('.').map_or(base, |(stem, _)| stem);
        match ProfileName::parse(stem) {
            Ok(name) => Some(name),
            Err(_)
                if self
                    .diagnostics
                    .iter()
                    .any(|d| d.severity == Severity::Error) =>
            {
                None
            }
            Err(error) => {
                let root = &self.document.root;
                self.error(
                    root,
                    format!("no meta.name, and the file's own name is none: {error}"),
                );
                None
            }
        }
    }

    fn section(&mut self, section: &str, entries: &[Entry]) {
        for entry in entries {
            let path = match section {
                "" => entry.key.clone(),
                section => format!("{section}.{}", entry.key),
            };
            if let Some(key) = keys::find(&path) {
                self.key(key, entry);
            } else if keys::is_section(&path) {
                match &entry.node.value {
                    Value::Object(entries) => self.section(&path, entries),
                    Value::Null => {}
                    other => {
                        let found = other.kind();
                        self.error(&entry.node, format!("{path} is an object, not {found}"));
                    }
                }
            } else {
                self.unknown(section, entry);
            }
        }
    }

    fn unknown(&mut self, section: &str, entry: &Entry) {
        let known = keys::names_below(section);
        let place = match section {
            "" => "of a profile".to_owned(),
            section => format!("of {section}"),
        };
        let hint = match did_you_mean(&entry.key, known.iter().copied()) {
            Some(name) => format!("did you mean {name:?}?"),
            None => format!("keys: {}", known.join(", ")),
        };
        let message = format!("{:?} is no key {place}; {hint}", entry.key);
        let at = self.document.location(entry.key_span.start);
        self.diagnostics.push(Diagnostic::error(at, message));
    }

    fn key(&mut self, key: &'static Key, entry: &Entry) {
        match key.effect {
            Effect::Applied => self.applied(key, &entry.node),
            _ if entry.node.value.is_nothing() => {}
            Effect::Ignored => {
                let message = format!("{} has no effect: {}", key.path, key.about);
                let at = self.document.location(entry.key_span.start);
                self.diagnostics.push(Diagnostic::warning(at, message));
            }
            Effect::Refused => self.unenforceable(key, &entry.node),
        }
    }

    fn unenforceable(&mut self, key: &'static Key, node: &Node) {
        let reason = self.located(node, key.about);
        self.statements.unenforceable.insert(key.path, Some(reason));
    }

    fn located<T>(&self, node: &Node, value: T) -> Located<T> {
        let at = self.document.location(node.span.start);
        Located { value, at }
    }

    fn error(&mut self, node: &Node, message: String) {
        let at = self.document.location(node.span.start);
        self.diagnostics.push(Diagnostic::error(at, message));
    }
}

#[cfg(test)]
mod tests;
