//! Every key that a profile file may have: the one list behind the reader, the JSON Schema and the
//! reference in the documentation.

mod table;

pub use self::table::KEYS;

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It takes effect.
    Applied,
    /// It means nothing under `wrap`, and leaving it out allows nothing more: accepted, and reported.
    Ignored,
    /// It asks for a restriction that `wrap` cannot enforce: a profile that uses it cannot run.
    Refused,
}

/// What values a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// `true` or `false`.
    Flag,
    /// A whole number from 1 on.
    Number,
    /// A list of paths.
    Paths,
    /// A list of names.
    Names,
    /// A name or a list of names.
    NameOrNames,
    /// A list of TCP ports, 1 to 65535.
    Ports,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Anything: not looked into.
    Any,
}

/// One key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its path, such as `filesystem.read`.
    pub path: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// What it is for.
    pub effect: Effect,
    /// For applied keys what it does, for others why it does not.
    pub about: &'static str,
}

/// The key with this path.
pub(crate) fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// Whether keys lie below this path.
pub(crate) fn is_section(path: &str) -> bool {
    below(path).next().is_some()
}

/// Names of the keys and sections directly below `section` (empty for the whole file), each once.
pub(crate) fn names_below(section: &str) -> Vec<&'static str> {
    let mut names = Vec::new();
    for rest in below(section) {
        let name = rest.split('.').next().unwrap_or(rest);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn below(section: &str) -> impl Iterator<Item = &'static str> {
    KEYS.iter().filter_map(move |key| match section {
        "" => Some(key.path),
        section => key.path.strip_prefix(section)?.strip_prefix('.'),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_stands_once_and_says_something() {
        for (i, key) in KEYS.iter().enumerate() {
            assert!(
                !KEYS[..i].iter().any(|other| other.path == key.path),
                "{}",
                key.path
            );
            assert!(key.about.len() > 8, "{}", key.path);
            assert!(!is_section(key.path), "{} is a key and a section", key.path);
        }
    }

    #[test]
    fn sections_know_their_keys() {
        assert!(names_below("").contains(&"filesystem"));
        assert_eq!(names_below("workdir"), ["access"]);
        assert!(is_section("network") && !is_section("networ"));
    }
}
