use super::*;

const LEAST: &str = "runtime = \"/usr/bin/runc\"\ncalled_by = \"containerd\"\n";

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(Path::new("/x/nono-runc.toml"), text).map_err(|error| error.to_string())
}

#[test]
fn two_keys_are_enough() {
    let config = parse(LEAST).unwrap();
    assert_eq!(config.runtime, Path::new("/usr/bin/runc"));
    assert_eq!(config.runtime_root, Path::new("/run/runc"));
    assert_eq!(config.called_by, Caller::Containerd);
    assert_eq!(config.launcher_dir.as_str(), "/opt/nono-nri");
    assert_eq!(config.default_profile.as_str(), "default");
    assert_eq!(config.allowed_profiles, None);
    assert_eq!(config.on_unwrapped, OnUnwrapped::Wrap);
    assert_eq!(config.state_dir, Path::new("/run/kubefence/guard"));
    assert_eq!(config.launcher, Launcher::Kubefence);
}

#[test]
fn every_key_is_read() {
    let config = parse(
        r#"
        runtime = "/usr/bin/crun-1.2"
        runtime_root = "/run/c"
        called_by = "cri-o"
        nono_bin_path = "/var/lib/kf/nono"
        default_profile = "strict"
        allowed_profiles = ["strict", "codex"]
        on_unwrapped = "refuse"
        state_dir = "/run/kf"
        launcher = "upstream"
        "#,
    )
    .unwrap();
    assert_eq!(config.runtime_root, Path::new("/run/c"));
    assert_eq!(config.called_by, Caller::CriO);
    assert_eq!(config.launcher_dir.as_str(), "/var/lib/kf");
    assert_eq!(config.allowed_profiles.unwrap().len(), 2);
    assert_eq!(config.on_unwrapped, OnUnwrapped::Refuse);
    assert_eq!(config.launcher, Launcher::Upstream);
}

#[test]
fn what_cannot_be_used_is_named() {
    let with = |line: &str| format!("{LEAST}{line}\n");
    for (text, expected) in [
        (String::new(), "missing field `runtime`"),
        ("runtime = \"/r\"".to_owned(), "missing field `called_by`"),
        (
            "runtime = \"/r/runc-1.4\"\ncalled_by = \"containerd\"".to_owned(),
            "say with runtime_root",
        ),
        (with("runtim = 1"), "line 3: unknown field `runtim`"),
        (
            with("on_unwrapped = \"ignore\""),
            "line 3: unknown variant `ignore`",
        ),
        (
            with("state_dir = \"run\""),
            "state_dir = \"run\": must be an absolute path",
        ),
        (
            with("nono_bin_path = \"/opt/x\""),
            "nono_bin_path = \"/opt/x\"",
        ),
        (
            with("default_profile = \"../x\""),
            "default_profile = \"../x\"",
        ),
        (
            with("allowed_profiles = [\"strict\"]"),
            "must be listed in allowed_profiles",
        ),
        (
            with("allowed_profiles = []"),
            "must be listed in allowed_profiles",
        ),
        (
            "runtime = \"runc\"\ncalled_by = \"podman\"".to_owned(),
            "runtime = \"runc\"",
        ),
    ] {
        let error = parse(&text).unwrap_err();
        assert!(error.contains(expected), "{text:?}: {error}");
        assert!(error.contains("/x/nono-runc.toml"), "{error}");
    }
}

#[test]
fn the_runtime_is_found_in_a_broken_file() {
    for (text, expected) in [
        ("runtime = \"/a/runc\"\nfoo = [", Some("/a/runc")),
        ("]]\n  runtime=\"/a/runc\" # real", Some("/a/runc")),
        ("runtime = \"runc\"", None),
        ("runtime_x = \"/a\"", None),
        ("runtime = 3", None),
        ("", None),
    ] {
        assert_eq!(
            stated_runtime(text).as_deref(),
            expected.map(Path::new),
            "{text:?}"
        );
    }
}
