use super::*;

const CONTAINER: &str = r#"{
  "ociVersion": "1.2.0",
  "process": {"user": {"uid": 1000, "gid": 3}, "args": ["a\u0062", "-x"], "env": ["PATH=/bin", "A=\u0041", "PATH=/x"], "cwd": "/w",
              "capabilities": {"bounding": ["CAP_KILL"]}, "oomScoreAdj":  1000},
  "root": {"path": "rootfs", "readonly": true},
  "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},  {"destination": "/d", "options": ["rbind"]}],
  "annotations": {"K": "v", "k": "w"},
  "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}], "resources": {"memory": {"limit": 9223372036854771712}}}
}"#;

#[test]
fn what_decides_is_read() {
    let spec = Spec::read(CONTAINER).unwrap();
    let process = Process::read(spec.process().unwrap()).unwrap();
    assert_eq!(process.args, ["ab", "-x"]);
    assert_eq!(process.env().unwrap(), ["PATH=/bin", "A=A", "PATH=/x"]);
    assert_eq!(process.cwd().unwrap(), "/w");
    assert_eq!(process.uid().unwrap(), 1000);
    assert_eq!(spec.root().unwrap(), PathBuf::from("rootfs"));
    assert_eq!(spec.annotations().unwrap()["k"], "w");
    let mounts = spec.mounts().unwrap();
    assert_eq!(mounts[0].kind, "proc");
    assert_eq!(mounts[1].options, ["rbind"]);
    assert!(!spec.has_start_hooks().unwrap());
    assert!(spec.has_own_mounts().unwrap());
}

#[test]
fn edits_leave_everything_else_as_it_was() {
    let mut spec = Spec::read(CONTAINER).unwrap();
    let text = spec.process().unwrap().to_owned();
    let mut process = Process::read(&text).unwrap();
    process
        .rewrap(&["/nono/nono".to_owned(), "--".to_owned()], 1)
        .unwrap();
    process
        .set_env(&[("PATH".to_owned(), "/nono".to_owned())])
        .unwrap();
    let mut mounts = spec.mounts().unwrap();
    mounts.swap(0, 1);
    spec.set_process(&process);
    spec.set_mounts(&mounts);
    let text = spec.text();
    for part in [
        r#""args":["/nono/nono","--","-x"]"#,
        r#""env":["A=\u0041","PATH=/nono"]"#,
        r#""capabilities":{"bounding": ["CAP_KILL"]},"oomScoreAdj":1000"#,
        r#""mounts":[{"destination": "/d", "options": ["rbind"]},{"destination": "/proc", "type": "proc", "source": "proc"}]"#,
        r#""resources": {"memory": {"limit": 9223372036854771712}}"#,
        r#""annotations":{"K": "v", "k": "w"}"#,
    ] {
        assert!(text.contains(part), "{text} lacks {part}");
    }
    serde_json::from_str::<serde_json::Value>(&text).unwrap();
}

#[test]
fn specs_that_can_be_read_in_two_ways_are_refused() {
    for (from, to) in [
        ("\"process\"", "\"Process\":{},\"process\""),
        ("\"process\"", "\"PROCESS\""),
        ("\"args\"", "\"Args\":[\"sh\"],\"args\""),
        ("\"args\"", "\"arg\u{17f}\""),
        (
            "\"destination\": \"/d\"",
            "\"destination\": \"/d\", \"Destination\": \"/nono\"",
        ),
        (
            "\"path\": \"rootfs\"",
            "\"path\": \"rootfs\", \"Path\": \"/\"",
        ),
        ("\"mounts\"", "\"Mounts\":[],\"mounts\""),
        ("\"namespaces\"", "\"Namespaces\""),
        ("\"type\": \"mount\"", "\"Type\": \"mount\""),
        ("\"uid\"", "\"UID\""),
        ("\"K\"", "\"k\""),
    ] {
        let text = CONTAINER.replacen(from, to, 1);
        assert_ne!(text, CONTAINER);
        assert!(read_all(&text).is_err(), "{to} was accepted");
    }
    assert!(read_all(CONTAINER).is_ok());
}

fn read_all(text: &str) -> Result<(), SpecError> {
    let spec = Spec::read(text)?;
    let process = Process::read(spec.process()?)?;
    process.env()?;
    process.uid()?;
    process.cwd()?;
    spec.annotations()?;
    spec.root()?;
    spec.mounts()?;
    spec.has_start_hooks()?;
    spec.has_own_mounts()?;
    Ok(())
}

#[test]
fn hooks_that_run_in_the_image_are_found() {
    for (hooks, expected) in [
        ("{}", false),
        ("null", false),
        (r#"{"startContainer": null}"#, false),
        (r#"{"startContainer": []}"#, false),
        (r#"{"createRuntime": [{"path": "/x"}]}"#, false),
        (r#"{"startContainer": [{"path": "/x"}]}"#, true),
    ] {
        let text = format!("{{\"hooks\": {hooks}}}");
        assert_eq!(
            Spec::read(&text).unwrap().has_start_hooks().unwrap(),
            expected,
            "{hooks}"
        );
    }
    let hidden = r#"{"hooks": {"StartContainer": [{"path": "/x"}]}}"#;
    assert!(Spec::read(hidden).unwrap().has_start_hooks().is_err());
}

#[test]
fn mounts_must_be_the_containers_own() {
    for (namespaces, expected) in [
        (r#"[{"type": "mount"}]"#, true),
        (r#"[{"type": "mount", "path": ""}]"#, true),
        (r#"[{"type": "mount", "path": "/proc/1/ns/mnt"}]"#, false),
        (
            r#"[{"type": "mount"}, {"type": "mount", "path": "/proc/1/ns/mnt"}]"#,
            false,
        ),
        (r#"[{"type": "pid"}]"#, false),
        ("[]", false),
        ("null", false),
    ] {
        let text = format!("{{\"linux\": {{\"namespaces\": {namespaces}}}}}");
        assert_eq!(
            Spec::read(&text).unwrap().has_own_mounts().unwrap(),
            expected,
            "{namespaces}"
        );
    }
    assert!(!Spec::read("{}").unwrap().has_own_mounts().unwrap());
}

#[test]
fn a_process_has_a_command() {
    for text in ["{}", r#"{"args": null}"#, r#"{"args": []}"#] {
        assert!(
            matches!(Process::read(text), Err(SpecError::Missing(_))),
            "{text}"
        );
    }
    for text in [
        "[]",
        r#"{"args": "sh"}"#,
        r#"{"args": [1]}"#,
        r#"{"args": ["\ud800"]}"#,
    ] {
        assert!(
            matches!(Process::read(text), Err(SpecError::Json { .. })),
            "{text}"
        );
    }
}
