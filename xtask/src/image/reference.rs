//! The name of an image, short as people write it and full as containerd and registries know it.

use std::str::FromStr;

/// A name with a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    repository: String,
    tag: String,
}

/// Not the name of an image.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no image name: write something like nono-nri:latest or registry.example/team/nono-nri:1.0"
)]
pub(super) struct InvalidReference(String);

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let start_of_name = text.rfind('/').map_or(0, |slash| slash + 1);
        let (repository, tag) = match text[start_of_name..].split_once(':') {
            Some((name, tag)) => (&text[..start_of_name + name.len()], tag),
            None => (text, "latest"),
        };
        let is_repository = repository
            .split('/')
            .enumerate()
            .all(|(i, part)| is_component(part) || (i == 0 && text.contains('/') && is_host(part)));
        let reference = Self {
            repository: repository.to_owned(),
            tag: tag.to_owned(),
        };
        match is_repository && is_tag(tag) {
            true => Ok(reference),
            false => Err(InvalidReference(text.to_owned())),
        }
    }
}

impl Reference {
    /// With registry and directory, as they are meant where they are not written.
    pub(super) fn full(&self) -> String {
        let Self { repository, tag } = self;
        match repository.split_once('/') {
            None => format!("docker.io/library/{repository}:{tag}"),
            Some((first, _)) if first == "localhost" || first.contains(['.', ':']) => {
                format!("{repository}:{tag}")
            }
            Some(_) => format!("docker.io/{repository}:{tag}"),
        }
    }

    /// As container engines show it.
    pub(super) fn short(&self) -> String {
        format!("{}:{}", self.repository, self.tag)
    }

    /// The tag alone.
    pub(super) fn tag(&self) -> &str {
        &self.tag
    }
}

fn is_component(part: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    part.bytes().all(inner) && edge(part.bytes().next()) && edge(part.bytes().last())
}

fn is_host(part: &str) -> bool {
    let (host, port) = part.split_once(':').unwrap_or((part, "1"));
    is_component(host) && !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())
}

fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let inner = |b: u8| word(b) || b".-".contains(&b);
    tag.len() <= 128 && tag.bytes().next().is_some_and(word) && tag.bytes().all(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_written_is_added() {
        for (text, short, full) in [
            (
                "nono-nri",
                "nono-nri:latest",
                "docker.io/library/nono-nri:latest",
            ),
            (
                "nono-nri:1.0",
                "nono-nri:1.0",
                "docker.io/library/nono-nri:1.0",
            ),
            ("team/a:b", "team/a:b", "docker.io/team/a:b"),
            ("localhost/a", "localhost/a:latest", "localhost/a:latest"),
            ("host:5000/a", "host:5000/a:latest", "host:5000/a:latest"),
            (
                "r.example/t/a:V_1.0",
                "r.example/t/a:V_1.0",
                "r.example/t/a:V_1.0",
            ),
        ] {
            let reference: Reference = text.parse().unwrap();
            assert_eq!(
                (reference.short(), reference.full()),
                (short.into(), full.into())
            );
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            ":",
            "a:",
            ":a",
            "a b",
            "A",
            "a//b",
            "/a",
            "a/",
            "a:b:c",
            "a@sha256:0",
            "a:-b",
            "-a",
            "../a",
            "a:b/c",
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text:?}");
        }
    }
}
