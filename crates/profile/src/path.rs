//! Paths as people write them in profiles and groups.

use std::str::FromStr;

use kubefence_launch_plan::{InvalidPlace, Place};

/// A path of a profile, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PathText(pub(crate) Place);

/// Why a path cannot be a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum InvalidPath {
    #[error("{0:?} is a pattern: Landlock takes single files and whole directories, so name those")]
    Pattern(String),
    #[error("{0:?}: write $HOME instead of ${{HOME}}")]
    Braces(String),
    #[error("{0:?}: only the beginning can be a variable, and a later component $UID")]
    Variable(String),
    #[error(transparent)]
    Place(#[from] InvalidPlace),
}

impl FromStr for PathText {
    type Err = InvalidPath;

    /// `~` is `$HOME`, and slashes at the end are not needed.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains(['*', '?', '[']) {
            return Err(InvalidPath::Pattern(text.to_owned()));
        }
        if text.contains("${") {
            return Err(InvalidPath::Braces(text.to_owned()));
        }
        let trimmed = match text.trim_end_matches('/') {
            "" => text,
            trimmed => trimmed,
        };
        let expanded = match trimmed.strip_prefix('~') {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("$HOME{rest}"),
            _ => trimmed.to_owned(),
        };
        let mut later = expanded.split('/').skip(1);
        if later.any(|component| component.contains('$') && component != "$UID") {
            return Err(InvalidPath::Variable(text.to_owned()));
        }
        Ok(Self(Place::parse(&expanded)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_write_paths_in_several_ways() {
        for (text, place) in [
            ("~", "$HOME"),
            ("~/.claude/", "$HOME/.claude"),
            ("$HOME/x", "$HOME/x"),
            ("/usr//", "/usr"),
            ("$XDG_CONFIG_HOME/git", "$XDG_CONFIG_HOME/git"),
            ("/run/user/$UID", "/run/user/$UID"),
        ] {
            assert_eq!(text.parse::<PathText>().unwrap().0.to_string(), place);
        }
    }

    #[test]
    fn what_cannot_be_a_rule_says_why() {
        for (text, reason) in [
            ("~/*.json", "is a pattern"),
            ("${HOME}/x", "write $HOME"),
            ("/", "not `/` itself"),
            ("usr", "must be absolute"),
            ("/usr/../etc", "must be normal"),
            ("~x", "must be absolute"),
            ("/home/$USER/x", "only the beginning can be a variable"),
            ("/srv/$HOME", "only the beginning can be a variable"),
            ("$NOPE/x", "unknown variable"),
        ] {
            let error = text.parse::<PathText>().unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
