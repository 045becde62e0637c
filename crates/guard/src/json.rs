//! JSON of which most stays as it is: an object as its members in order, each with its own text.
//!
//! The OCI runtimes in Go match the names of members without regard to case, and let the last of two equal
//! ones count; others do neither. So an object that can be read in two ways is refused: two members whose
//! names differ in case alone, or one that is spelled unlike the member it stands for. And as crun, in C, ends names and
//! strings at their first NUL, none may have one.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeOwned, Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Why a piece of JSON cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JsonError {
    #[error("it is not valid JSON")]
    Syntax(#[source] serde_json::Error),
    #[error("it has a NUL character (\\u0000)")]
    Nul,
    #[error("member {0:?} occurs twice, or in two spellings")]
    Twice(String),
    #[error("member {found:?} would be taken for {known:?}")]
    Misspelled { found: String, known: &'static str },
    #[error("member {member:?} is not as it should be")]
    Member {
        member: String,
        #[source]
        source: serde_json::Error,
    },
}

/// An object: names and values, in order.
#[derive(Debug)]
pub(crate) struct Object<'a> {
    members: Vec<(String, Cow<'a, str>)>,
}

impl<'a> Object<'a> {
    /// Reads the object `text`, whose members are matched by name as structures are: `known` are the names that
    /// matter.
    pub(crate) fn of_struct(text: &'a str, known: &[&'static str]) -> Result<Self, JsonError> {
        let object = Self::read(text)?;
        let known_folded: Vec<String> = known.iter().map(|name| fold(name)).collect();
        let mut folded: HashSet<String> = HashSet::with_capacity(object.members.len());
        for (name, _) in &object.members {
            let this = fold(name);
            let spelled = known_folded.iter().position(|known| *known == this);
            if let Some(known) = spelled.map(|at| known[at])
                && known != name
            {
                return Err(JsonError::Misspelled {
                    found: name.clone(),
                    known,
                });
            }
            if !folded.insert(this) {
                return Err(JsonError::Twice(name.clone()));
            }
        }
        Ok(object)
    }

    /// Reads the object `text`, whose names are data.
    pub(crate) fn of_map(text: &'a str) -> Result<Self, JsonError> {
        let object = Self::read(text)?;
        let mut names: Vec<&str> = object.members.iter().map(|(name, _)| &**name).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(JsonError::Twice(pair[0].to_owned())),
            None => Ok(object),
        }
    }

    fn read(text: &'a str) -> Result<Self, JsonError> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let members = deserializer
            .deserialize_map(Members)
            .map_err(JsonError::Syntax)?;
        deserializer.end().map_err(JsonError::Syntax)?;
        Ok(Self { members })
    }

    /// The text of a member; `None` if it is missing or null.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let (_, value) = self.members.iter().find(|(member, _)| member == name)?;
        (&**value != "null").then_some(&**value)
    }

    /// A member that is read; `None` if it is missing or null.
    pub(crate) fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, JsonError> {
        self.text(name).map(|text| value(name, text)).transpose()
    }

    /// Names and texts of all members.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.members.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Replaces a member, or adds it at the end.
    pub(crate) fn set(&mut self, name: &str, text: String) {
        let text = Cow::Owned(text);
        match self.members.iter_mut().find(|(member, _)| member == name) {
            Some((_, value)) => *value = text,
            None => self.members.push((name.to_owned(), text)),
        }
    }
}

impl fmt::Display for Object<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (position, (name, value)) in self.members.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            write!(f, "{comma}{}:{value}", string(name))?;
        }
        f.write_str("}")
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, Cow<'de, str>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            let value: &'de RawValue = map.next_value()?;
            members.push((name, Cow::Borrowed(value.get())));
        }
        Ok(members)
    }
}

/// Reads the value `text` of the member `name`.
pub(crate) fn value<T: DeserializeOwned>(name: &str, text: &str) -> Result<T, JsonError> {
    serde_json::from_str(text).map_err(|source| JsonError::Member {
        member: name.to_owned(),
        source,
    })
}

/// The texts of the elements of the array `text`, which is the value of the member `name`.
pub(crate) fn elements<'a>(name: &str, text: &'a str) -> Result<Vec<&'a str>, JsonError> {
    let raw: Vec<&'a RawValue> =
        serde_json::from_str(text).map_err(|source| JsonError::Member {
            member: name.to_owned(),
            source,
        })?;
    Ok(raw.into_iter().map(RawValue::get).collect())
}

/// The text of an array of `elements`, which are texts already.
pub(crate) fn array<'a>(elements: impl IntoIterator<Item = impl Into<Cow<'a, str>>>) -> String {
    let elements: Vec<Cow<'a, str>> = elements.into_iter().map(Into::into).collect();
    format!("[{}]", elements.join(","))
}

/// The text of a string.
pub(crate) fn string(value: &str) -> String {
    serde_json::Value::from(value).to_string()
}

/// Checks that no string of the document `text`, names included, has a NUL: in JSON it can only be written as an
/// escape.
pub(crate) fn check_no_nul(text: &str) -> Result<(), JsonError> {
    let escapes = text.match_indices("\\u0000").map(|(at, _)| at);
    let is_escape = |at: usize| {
        let before = text.as_bytes()[..at].iter().rev();
        before.take_while(|byte| **byte == b'\\').count() % 2 == 0
    };
    match escapes.into_iter().any(is_escape) {
        true => Err(JsonError::Nul),
        false => Ok(()),
    }
}

/// A name as Go compares it: case does not count, and two signs beyond ASCII fold to letters of it.
fn fold(name: &str) -> String {
    name.chars()
        .map(|c| match c {
            '\u{17f}' => 's',
            '\u{212a}' => 'k',
            c => c.to_ascii_lowercase(),
        })
        .collect()
}

#[cfg(test)]
mod tests;
