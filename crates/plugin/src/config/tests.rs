use super::*;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(Path::new("c.toml"), text).map_err(|e| e.to_string())
}

#[test]
fn an_empty_file_gives_the_documented_defaults() {
    let config = parse("").unwrap();
    assert_eq!(
        config.runtime_classes,
        BTreeSet::from(["nono-runc".to_owned()])
    );
    assert_eq!(config.default_profile.as_str(), "default");
    assert_eq!(config.launcher_dir.as_str(), "/opt/nono-nri");
    assert_eq!(config.launcher, LauncherKind::Kubefence);
    assert_eq!(config.socket_path, None);
    assert_eq!(config.profile_dir, None);
    assert_eq!(config.allowed_profiles, AllowedProfiles::default());
    assert_eq!(config.seccomp_profile, None);
    assert_eq!(config.state_dir, Path::new("/var/run/nono-nri"));
    assert_eq!(config.guarded_classes, BTreeSet::new());
    assert_eq!(config.guard_state_dir, Path::new("/run/kubefence/guard"));
}

#[test]
fn the_documented_example_is_valid() {
    let config = parse(
        "runtime_classes = [\"nono-runc\"]\ndefault_profile = \"default\"\nnono_bin_path = \"/opt/nono-nri/nono\"\nsocket_path = \"\"\n",
    );
    assert_eq!(config, parse(""));
}

#[test]
fn every_error_names_key_value_and_what_is_allowed() {
    for (text, parts) in [
        (
            "runtime_classes = []",
            &["runtime_classes = []", "at least one runtime handler"][..],
        ),
        (
            "runtime_classes = [\"\"]",
            &["runtime_classes = \"\"", "no handler name"],
        ),
        (
            "runtime_classes = \"nono-runc\"",
            &[
                "line 1, column 19",
                "expected a sequence",
                "runtime_classes = \"nono-runc\"",
            ],
        ),
        (
            "default_profile = \"../x\"",
            &["default_profile = \"../x\"", "1 to 64 letters"],
        ),
        (
            "nono_bin_path = \"nono\"",
            &[
                "nono_bin_path = \"nono\"",
                "not absolute",
                "/opt/nono-nri/nono",
            ],
        ),
        (
            "nono_bin_path = \"/usr/bin/x\"",
            &["nono_bin_path = \"/usr/bin/x\"", "file name is not `nono`"],
        ),
        (
            "socket_path = \"nri.sock\"",
            &["socket_path = \"nri.sock\"", "absolute path"],
        ),
        ("state_dir = \"\"", &["state_dir = \"\"", "absolute path"]),
        (
            "guard_state_dir = \"guard\"",
            &["guard_state_dir = \"guard\"", "absolute path"],
        ),
        (
            "runtime_classes = [\"a\", \"b\"]\nguarded_classes = [\"b\", \"c\"]",
            &["guarded_classes = \"c\"", "one of runtime_classes (a, b)"],
        ),
        (
            "profile_dir = \"profiles\"",
            &["profile_dir = \"profiles\"", "absolute path"],
        ),
        (
            "seccomp_profile = \"strict\"",
            &["seccomp_profile = \"strict\"", "\"runtime-default\""],
        ),
        (
            "default_profile = \"team\"",
            &[
                "default_profile = \"team\"",
                "built-in profile, or be listed in allowed_profiles.nono-runc",
            ],
        ),
        (
            "[allowed_profiles]\nother = [\"default\"]",
            &[
                "allowed_profiles = \"other\"",
                "runtime_classes (nono-runc)",
            ],
        ),
        (
            "[allowed_profiles]\nnono-runc = [\"default\", \"a/b\"]",
            &["allowed_profiles.nono-runc = \"a/b\"", "1 to 64 letters"],
        ),
        (
            "[allowed_profiles]\nnono-runc = [\"default\", \"team\"]",
            &[
                "allowed_profiles.nono-runc = \"team\"",
                "strict",
                "profile_dir",
            ],
        ),
        (
            "[allowed_profiles]\nnono-runc = []",
            &[
                "default_profile = \"default\"",
                "listed in allowed_profiles.nono-runc",
            ],
        ),
        (
            "runtime_classes = [\"a\", \"b\"]\ndefault_profile = \"team\"\nprofile_dir = \"/p\"\n[allowed_profiles]\na = [\"team\"]",
            &["default_profile = \"team\"", "allowed_profiles.b"],
        ),
        (
            "launcher = \"upstream\"\nprofile_dir = \"/p\"",
            &["profile_dir = \"/p\"", "launcher = \"upstream\""],
        ),
        (
            "launcher = \"upstream\"\nseccomp_profile = \"restricted\"",
            &[
                "seccomp_profile = \"restricted\"",
                "launcher = \"upstream\"",
            ],
        ),
        (
            "launcher = \"upstream\"\n[allowed_profiles]\nnono-runc = [\"codex\"]",
            &[
                "default_profile = \"default\"",
                "allowed_profiles.nono-runc",
            ],
        ),
        (
            "launcher = \"other\"",
            &["line 1", "`kubefence`", "`upstream`"],
        ),
        (
            "\nruntime_clases = []",
            &[
                "line 2, column 1",
                "unknown field `runtime_clases`",
                "`runtime_classes`",
            ],
        ),
        ("a = = b", &["line 1, column 5"]),
    ] {
        let error = parse(text).unwrap_err();
        for part in parts {
            assert!(error.contains(part), "{text:?}: {error:?} lacks {part:?}");
        }
        assert!(
            error.starts_with("configuration c.toml") && !error.contains('\n'),
            "{error:?}"
        );
    }
}

#[test]
fn a_named_file_must_exist() {
    let error = Config::load(Some(Path::new("/nonexistent/c.toml"))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot read configuration /nonexistent/c.toml"
    );
}

#[test]
fn profiles_are_allowed_by_list_or_by_being_built_in() {
    let config = parse(
        "runtime_classes = [\"a\", \"b\"]\nprofile_dir = \"/etc/profiles\"\nseccomp_profile = \"restricted\"\n[allowed_profiles]\na = [\"default\", \"team\"]",
    )
    .unwrap();
    assert_eq!(config.profile_dir, Some(PathBuf::from("/etc/profiles")));
    assert_eq!(config.seccomp_profile, Some(SeccompProfile::Restricted));
    let allows = |handler, profile, built_in| {
        let profile = ProfileName::parse(profile).unwrap();
        config.allowed_profiles.allows(handler, &profile, built_in)
    };
    assert!(allows("a", "default", true) && allows("a", "team", false));
    assert!(!allows("a", "strict", true));
    assert!(allows("b", "strict", true) && !allows("b", "team", false));
}

#[test]
fn upstream_nono_may_know_profiles_that_kubefence_does_not() {
    let text = "launcher = \"upstream\"\ndefault_profile = \"theirs\"\n";
    parse(text).unwrap();
    parse(&format!(
        "{text}[allowed_profiles]\nnono-runc = [\"theirs\"]"
    ))
    .unwrap();
}
