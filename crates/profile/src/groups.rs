//! Shared groups: named sets of grants and denials.

use std::collections::BTreeMap;
use std::str::FromStr as _;

use kubefence_launch_plan::Place;

use crate::access::Access;
use crate::diagnostic::Diagnostic;
use crate::document::{Document, Entry, Located, Node, Value};
use crate::path::PathText;
use crate::resolve::{Denial, Grant};
use crate::suggest::did_you_mean;

/// A named set of grants and denials that profiles share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// One sentence for people.
    pub description: String,
    /// What it allows.
    pub grants: Vec<Grant>,
    /// What nothing may open up. A group that denies cannot be excluded.
    pub denials: Vec<Denial>,
}

/// Groups by name.
pub type Groups = BTreeMap<String, Group>;

/// Reads a file of groups.
pub(crate) fn read_groups(file: &str, text: &str) -> Result<Groups, Vec<Diagnostic>> {
    let document = Document::parse(file, text).map_err(|error| vec![error])?;
    let mut reader = Reader {
        document: &document,
        diagnostics: Vec::new(),
    };
    let groups = reader.object(&document.root, "a file of groups").iter();
    let groups = groups
        .map(|entry| (entry.key.clone(), reader.group(entry)))
        .collect();
    match reader.diagnostics.is_empty() {
        true => Ok(groups),
        false => Err(reader.diagnostics),
    }
}

struct Reader<'a> {
    document: &'a Document<'a>,
    diagnostics: Vec<Diagnostic>,
}

impl<'a> Reader<'a> {
    fn group(&mut self, entry: &'a Entry) -> Group {
        let mut group = Group {
            description: String::new(),
            grants: Vec::new(),
            denials: Vec::new(),
        };
        let origin = format!("group {}", entry.key);
        for member in self.object(&entry.node, "a group") {
            match (member.key.as_str(), &member.node.value) {
                ("description", Value::Text(text)) => group.description.clone_from(text),
                ("allow", _) => group.grants = self.grants(&member.node, &origin),
                ("deny", _) => {
                    let places = self.places(&member.node).into_iter();
                    let denial = |place: Located<Place>| Denial {
                        place: place.value,
                        origin: origin.clone(),
                        at: place.at,
                    };
                    group.denials = places.map(denial).collect();
                }
                _ => self.unknown(member, "a group has", &["description", "allow", "deny"]),
            }
        }
        group
    }

    fn grants(&mut self, node: &'a Node, origin: &str) -> Vec<Grant> {
        let mut grants = Vec::new();
        for member in self.object(node, "allow") {
            let Some(access) = Access::parse(&member.key) else {
                let names = Access::ALL.map(Access::name);
                self.unknown(member, "access is one of", &names);
                continue;
            };
            let places = self.places(&member.node).into_iter();
            grants.extend(places.map(|place| Grant {
                place: place.value,
                access,
                origin: origin.to_owned(),
                at: place.at,
            }));
        }
        grants
    }

    fn places(&mut self, node: &'a Node) -> Vec<Located<Place>> {
        let Value::Array(items) = &node.value else {
            self.error(node, "a list of paths is expected".to_owned());
            return Vec::new();
        };
        let mut places = Vec::new();
        for item in items {
            let parsed = match &item.value {
                Value::Text(text) => PathText::from_str(text).map_err(|e| e.to_string()),
                other => Err(format!("a path is expected, not {}", other.kind())),
            };
            match parsed {
                Ok(PathText(value)) => places.push(Located {
                    value,
                    at: self.document.location(item.span.start),
                }),
                Err(message) => self.error(item, message),
            }
        }
        places
    }

    fn object(&mut self, node: &'a Node, what: &str) -> &'a [Entry] {
        match &node.value {
            Value::Object(entries) => entries,
            other => {
                self.error(node, format!("{what} is an object, not {}", other.kind()));
                &[]
            }
        }
    }

    fn unknown(&mut self, entry: &Entry, known: &str, names: &[&str]) {
        let hint = match did_you_mean(&entry.key, names.iter().copied()) {
            Some(name) => format!("did you mean {name:?}?"),
            None => format!("{known} {}", names.join(", ")),
        };
        let at = self.document.location(entry.key_span.start);
        let message = format!("{:?} is not understood here; {hint}", entry.key);
        self.diagnostics.push(Diagnostic::error(at, message));
    }

    fn error(&mut self, node: &Node, message: String) {
        let at = self.document.location(node.span.start);
        self.diagnostics.push(Diagnostic::error(at, message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_mistakes_are_found_at_once() {
        let text = r#"{
  "a": { "descripton": "x", "allow": { "raed": ["/usr"], "read": ["usr", 7] } },
  "b": [], "c": { "deny": "x" } }"#;
        let errors = read_groups("groups.json", text).unwrap_err();
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        for (error, expected) in errors.iter().zip([
            "groups.json:2:10: error: \"descripton\" is not understood here; did you mean \"description\"?",
            "groups.json:2:40: error: \"raed\" is not understood here; did you mean \"read\"?",
            "groups.json:2:67: error: \"usr\" is not a place",
            "groups.json:2:74: error: a path is expected, not a number",
            "groups.json:3:8: error: a group is an object, not a list",
            "groups.json:3:27: error: a list of paths is expected",
        ]) {
            assert!(error.starts_with(expected), "{error} does not begin with {expected}");
        }
        assert_eq!(errors.len(), 6);
    }
}
