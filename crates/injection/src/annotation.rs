//! Which profile a pod asks for.

use std::collections::HashMap;

use kubefence_launch_plan::ProfileName;

/// The annotation with which a pod picks the profile of its containers.
pub const POD_ANNOTATION: &str = "nono.sh/profile";

/// With a container's name behind it: the annotation that overrides [`POD_ANNOTATION`] for that
/// container.
pub const CONTAINER_ANNOTATION_PREFIX: &str = "container.nono.sh/";

/// The profile that a container runs under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileChoice {
    /// The profile.
    pub profile: ProfileName,
    /// An annotation that was passed over because its value is no profile name: its key and value.
    pub ignored: Option<(String, String)>,
}

/// Chooses the profile of a container: its own annotation, else its pod's, else `default`.
///
/// An annotation whose value is no profile name counts as absent, and the default applies.
pub fn choose_profile(
    pod_annotations: &HashMap<String, String>,
    container_name: &str,
    default: &ProfileName,
) -> ProfileChoice {
    let own_key = format!("{CONTAINER_ANNOTATION_PREFIX}{container_name}");
    let stated = [own_key.as_str(), POD_ANNOTATION]
        .into_iter()
        .find_map(|key| pod_annotations.get(key).map(|value| (key, value)));
    match stated {
        None => ProfileChoice {
            profile: default.clone(),
            ignored: None,
        },
        Some((key, value)) => match ProfileName::parse(value) {
            Ok(profile) => ProfileChoice {
                profile,
                ignored: None,
            },
            Err(_) => ProfileChoice {
                profile: default.clone(),
                ignored: Some((key.to_owned(), value.clone())),
            },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(annotations: &[(&str, &str)], container: &str) -> ProfileChoice {
        let annotations = annotations
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        choose_profile(
            &annotations,
            container,
            &ProfileName::parse("default").unwrap(),
        )
    }

    #[test]
    fn the_closest_annotation_wins() {
        let both = [
            ("nono.sh/profile", "strict"),
            ("container.nono.sh/agent", "codex"),
        ];
        assert_eq!(choose(&[], "agent").profile.as_str(), "default");
        assert_eq!(choose(&both[..1], "agent").profile.as_str(), "strict");
        assert_eq!(choose(&both, "agent").profile.as_str(), "codex");
        assert_eq!(choose(&both, "sidecar").profile.as_str(), "strict");
    }

    #[test]
    fn an_invalid_value_falls_back_and_is_reported() {
        for value in ["", "../x", "a b", "ü", "-x", &"x".repeat(65)] {
            let choice = choose(&[("nono.sh/profile", value)], "agent");
            assert_eq!(choice.profile.as_str(), "default");
            assert_eq!(
                choice.ignored,
                Some(("nono.sh/profile".to_owned(), value.to_owned()))
            );
        }
        let choice = choose(
            &[
                ("nono.sh/profile", "strict"),
                ("container.nono.sh/agent", "?"),
            ],
            "agent",
        );
        assert_eq!(
            choice.profile.as_str(),
            "default",
            "an invalid override must not fall through to the pod's"
        );
    }
}
