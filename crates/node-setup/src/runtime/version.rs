//! Versions, out of what programs say of themselves.

use std::fmt;

use super::Version;

impl Version {
    /// A version of two numbers.
    pub(crate) const fn new(major: u32, minor: u32) -> Self {
        Self {
            major,
            minor,
            patch: 0,
        }
    }

    /// The first version in a text, with or without a `v` before it and whatever after it.
    pub(crate) fn find(text: &str) -> Option<Self> {
        text.split_whitespace().find_map(Self::parse)
    }

    fn parse(word: &str) -> Option<Self> {
        let word = word.strip_prefix('v').unwrap_or(word);
        let mut numbers = word.splitn(3, '.');
        let major = numbers.next()?.parse().ok()?;
        let minor = leading_number(numbers.next()?)?;
        let patch = numbers.next().and_then(leading_number).unwrap_or(0);
        Some(Self {
            major,
            minor,
            patch,
        })
    }
}

fn leading_number(text: &str) -> Option<u32> {
    let end = text.find(|c: char| !c.is_ascii_digit());
    text[..end.unwrap_or(text.len())].parse().ok()
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn programs_tell_their_version_in_many_ways() {
        let said = [
            (
                "containerd github.com/containerd/containerd/v2 v2.2.0 1c4457e0",
                "2.2.0",
            ),
            (
                "containerd github.com/k3s-io/containerd v2.1.4-k3s1 ",
                "2.1.4",
            ),
            (
                "containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u1",
                "1.6.20",
            ),
            (
                "containerd github.com/containerd/containerd/v2 2.3.7+unknown",
                "2.3.7",
            ),
            ("crio version 1.36.3\n   GitCommit: 0123", "1.36.3"),
            ("crio version 1.34", "1.34.0"),
        ];
        for (said, version) in said {
            assert_eq!(
                Version::find(said).map(|v| v.to_string()).as_deref(),
                Some(version),
                "{said}"
            );
        }
        assert_eq!(Version::find("crio version unknown"), None);
        assert!(Version::new(1, 10) > Version::new(1, 9));
    }
}
