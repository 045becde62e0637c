//! Containers that are created: wrapped, completed, left alone as sandboxes, or refused.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Node, exists, strings};

fn check_wrapped(node: &Node, profile: &str) {
    let spec = node.spec_now();
    assert_eq!(
        strings(&spec["process"]["args"]),
        node.expected_with(profile, &["--mounted", "/data"], &["sh", "-c", "true"])
    );
    let mounts = spec["mounts"].as_array().unwrap();
    assert_eq!(mounts.last(), Some(&node.launcher_mount()));
    let at_nono = mounts
        .iter()
        .filter(|m| m["destination"] == "/nono")
        .count();
    assert_eq!((at_nono, mounts.len()), (1, 3));
    let env = strings(&spec["process"]["env"]);
    for entry in [
        &format!("NONO_PROFILE={profile}"),
        "PATH=/nono:/usr/bin:/bin",
        "HOME=/root",
        "A=b",
    ] {
        assert_eq!(env.iter().filter(|e| *e == entry).count(), 1, "{env:?}");
    }
    assert_eq!(env.len(), 4, "{env:?}");
}

#[test]
fn a_bare_container_is_wrapped() {
    let node = Node::new();
    node.spec(&node.bare());
    let bundle = node.path("bundle");
    let bundle = bundle.to_str().unwrap();
    let outcome = node.create("c1");
    assert_eq!(
        outcome.passed()[2..],
        ["create", "--bundle", bundle, "c1"].map(str::to_owned),
        "the runtime's arguments have changed"
    );
    check_wrapped(&node, "default");
    assert_eq!(node.records(), 1);
}

#[test]
fn a_wrapped_container_gets_its_launcher_last_and_its_plan() {
    let node = Node::new();
    node.spec(&node.wrapped("default"));
    node.create("c1").passed();
    check_wrapped(&node, "default");
}

#[test]
fn a_half_wrapped_container_is_completed() {
    let node = Node::new();
    let mut no_args = node.wrapped("default");
    no_args["process"]["args"] = node.bare()["process"]["args"].take();
    let mut no_mount = node.wrapped("default");
    no_mount["mounts"] = node.bare()["mounts"].take();
    for (id, spec) in [("c1", no_args), ("c2", no_mount)] {
        node.spec(&spec);
        node.create(id).passed();
        check_wrapped(&node, "default");
    }
}

#[test]
fn wrapping_twice_is_wrapping_once() {
    let node = Node::new();
    node.spec(&node.bare());
    node.create("c1").passed();
    let first = node.spec_now();
    node.create("c2").passed();
    let second = node.spec_now();
    check_wrapped(&node, "default");
    assert_eq!(first["mounts"], second["mounts"]);
}

#[test]
fn the_profile_is_that_of_the_annotations() {
    let node = Node::new();
    let mut spec = node.bare();
    spec["annotations"]["nono.sh/profile"] = json!("strict");
    node.spec(&spec);
    node.create("c1").passed();
    check_wrapped(&node, "strict");
}

#[test]
fn a_sandbox_passes_as_it_is() {
    let node = Node::new();
    let mut spec = node.bare();
    spec["annotations"]["io.kubernetes.cri.sandbox-id"] = json!("pod");
    node.spec(&spec);
    let before = fs::read(node.path("bundle/config.json")).unwrap();
    node.create("pod").passed();
    assert_eq!(fs::read(node.path("bundle/config.json")).unwrap(), before);
    assert_eq!(node.records(), 1);
    let refused = node.run(&["exec", "pod", "sh"]);
    assert!(
        refused.refused().contains("sandbox of a pod"),
        "{}",
        refused.stderr
    );
}

/// Creates a container whose spec `edit` has changed, and returns why it was refused.
fn refusal(node: &Node, edit: impl FnOnce(&mut Value)) -> String {
    let mut spec = node.wrapped("default");
    edit(&mut spec);
    node.spec(&spec);
    let before = fs::read(node.path("bundle/config.json")).unwrap();
    let outcome = node.create("c1");
    let reason = outcome.refused().to_owned();
    assert_eq!(
        fs::read(node.path("bundle/config.json")).unwrap(),
        before,
        "it was edited"
    );
    assert_eq!(node.records(), 0, "a record was left");
    reason
}

#[test]
fn what_cannot_be_confined_is_refused() {
    let node = Node::new();
    type Edit = fn(&mut Value);
    let cases: [(&str, Edit); 11] = [
        (
            "is wrapped in profile \"strict\", and its annotations say \"default\"",
            |s| {
                s["process"]["args"][3] = json!("strict");
            },
        ),
        ("profile \"team\" is not allowed", |s| {
            s["annotations"]["nono.sh/profile"] = json!("team")
        }),
        ("device at \"/x/../nono/nono\"", |s| {
            s["linux"]["devices"] = json!([{ "path": "/x/../nono/nono" }])
        }),
        ("its annotation run.oci.handler", |s| {
            s["annotations"]["run.oci.handler"] = json!("wasm")
        }),
        ("startContainer hooks", |s| {
            s["hooks"] = json!({ "startContainer": [{ "path": "/bin/x" }] })
        }),
        ("no mount namespace of its own", |s| {
            s["linux"]["namespaces"] = json!([{ "type": "pid" }])
        }),
        ("find in different ways", |s| {
            s["mounts"][1]["destination"] = json!("/x/../nono/profiles");
        }),
        ("could cover /nono", |s| {
            let evil = json!({ "destination": "/nono", "type": "bind", "source": "/evil" });
            s["mounts"].as_array_mut().unwrap().push(evil);
        }),
        ("process is missing", |s| {
            drop(s.as_object_mut().unwrap().remove("process"))
        }),
        ("the command in process.args is missing", |s| {
            s["process"]["args"] = json!([])
        }),
        ("member \"ARGS\"", |s| s["process"]["ARGS"] = json!(["sh"])),
    ];
    for (expected, edit) in cases {
        let reason = refusal(&node, edit);
        assert!(reason.contains(expected), "{reason:?} lacks {expected:?}");
        assert!(
            reason.contains("container \"c1\" is not created"),
            "{reason}"
        );
    }
    node.spec(&node.wrapped("default"));
    node.create("c1").passed();
}

#[test]
fn links_of_the_image_do_not_lead_mounts_to_the_launcher() {
    let node = Node::new();
    let at = |path: &str| node.path("bundle/rootfs").join(path);
    symlink("/nono", at("zz")).unwrap();
    let reason = refusal(&node, |s| s["mounts"][1]["destination"] = json!("/zz"));
    assert!(reason.contains("\"/zz\" leads to \"/nono\""), "{reason}");
    symlink("/tmp", at("nono")).unwrap();
    let reason = refusal(&node, |_| ());
    assert!(reason.contains("a link or a file at /nono"), "{reason}");
    fs::remove_file(at("nono")).unwrap();
    node.spec(&node.wrapped("default"));
    node.create("c1").passed();
}

#[test]
fn with_refuse_only_wrapped_containers_are_created() {
    let node = Node::new();
    node.configure("on_unwrapped = \"refuse\"");
    node.spec(&node.bare());
    let outcome = node.create("c1");
    assert!(
        outcome.refused().contains("arrived without its sandbox"),
        "{}",
        outcome.stderr
    );
    node.spec(&node.wrapped("default"));
    node.create("c1").passed();
    check_wrapped(&node, "default");
}

#[test]
fn a_broken_installation_creates_nothing() {
    let node = Node::new();
    node.spec(&node.bare());
    let launcher = node.path("opt/nono-nri/nono");
    let aside = node.path("aside");
    fs::rename(&launcher, &aside).unwrap();
    assert!(
        node.create("c1")
            .refused()
            .contains("the launcher cannot be trusted")
    );
    fs::rename(&aside, &launcher).unwrap();

    let plan = node
        .launcher_dir()
        .join(format!("plans/{}.json", node.digest("default")));
    let whole = fs::read(&plan).unwrap();
    fs::write(&plan, &whole[..whole.len() / 2]).unwrap();
    assert!(node.create("c1").refused().contains("default"));
    fs::write(&plan, &whole).unwrap();

    let link = node.launcher_dir().join("profiles/default.json");
    fs::rename(&link, &aside).unwrap();
    assert!(node.create("c1").refused().contains("default"));
    fs::rename(&aside, &link).unwrap();
    node.create("c1").passed();
}

#[test]
fn the_record_of_a_container_is_not_replaced() {
    let node = Node::new();
    node.spec(&node.bare());
    node.create("c1").passed();
    let mut spec = node.bare();
    spec["annotations"]["nono.sh/profile"] = json!("strict");
    node.spec(&spec);
    let outcome = node.run(&[
        "create",
        "--bundle",
        node.path("bundle").to_str().unwrap(),
        "c1",
    ]);
    assert!(
        outcome.refused().contains("one of that ID"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_refusal_is_in_the_log_that_the_runtime_reads() {
    let node = Node::new();
    let log = node.path("log.json");
    let bundle = node.path("missing");
    let arguments = [
        "--log",
        log.to_str().unwrap(),
        "--log-format",
        "json",
        "create",
        "--bundle",
        bundle.to_str().unwrap(),
        "c1",
    ];
    node.run(&arguments).refused();
    let line: Value = serde_json::from_slice(&fs::read(&log).unwrap()).unwrap();
    assert_eq!(line["level"], "error");
    assert!(
        line["msg"]
            .as_str()
            .unwrap()
            .contains("missing/config.json"),
        "{line}"
    );
    assert!(line["time"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn descriptors_of_the_workload_are_told_to_the_launcher() {
    let node = Node::new();
    node.spec(&node.bare());
    let bundle = node.path("bundle");
    let bundle = bundle.to_str().unwrap();
    node.run(&["create", "--preserve-fds", "2", "--bundle", bundle, "c1"])
        .passed();
    let args = strings(&node.spec_now()["process"]["args"]);
    let at = args.iter().position(|a| a == "--preserve-fds").unwrap();
    assert_eq!(args[at + 1], "2");
    // Systemd's convention: the number counts for the process that it names.
    let script = "LISTEN_PID=$$ LISTEN_FDS=3 exec \"$@\"";
    let root = node.path("root");
    let guard = node.path("bin/nono-runc");
    let guard = guard.to_str().unwrap();
    let arguments = [
        "sh",
        guard,
        "--root",
        root.to_str().unwrap(),
        "create",
        "--bundle",
        bundle,
        "c2",
    ];
    node.run_with(Command::new("sh").args(["-c", script]).args(arguments))
        .passed();
    let args = strings(&node.spec_now()["process"]["args"]);
    let at = args.iter().position(|a| a == "--preserve-fds").unwrap();
    assert_eq!(args[at + 1], "3");
    assert!(exists(&root));
}

/// A secret that the image leads into a directory that the profile opens would be there to read.
#[test]
fn links_of_the_image_do_not_lead_volumes_to_open_places() {
    let node = Node::new();
    let link = node.path("bundle/rootfs/secrets");
    for target in ["/opt/s", "/tmp/s", "/usr/lib/s", "/srv"] {
        symlink(target, &link).unwrap();
        for cwd in ["/srv", "/"] {
            let reason = refusal(&node, |s| {
                s["mounts"][1]["destination"] = json!("/secrets");
                s["process"]["cwd"] = json!(cwd);
            });
            assert!(
                reason.contains(&format!("leads to {target:?}")),
                "{cwd}: {reason}"
            );
        }
        fs::remove_file(&link).unwrap();
    }
    symlink("/elsewhere", &link).unwrap();
    let mut spec = node.bare();
    spec["mounts"][1]["destination"] = json!("/secrets");
    node.spec(&spec);
    node.create("c1").passed();
    let args = strings(&node.spec_now()["process"]["args"]);
    let at = args.iter().position(|a| a == "--mounted").unwrap();
    assert_eq!(args[at + 1], "/elsewhere");
}

#[test]
fn long_variables_are_left_out() {
    let node = Node::new();
    let mut spec = node.bare();
    spec["process"]["env"] = json!([
        format!("TMPDIR=/{}", "x".repeat(8192)),
        "HOME=/root",
        "PATH=/usr/bin:/bin"
    ]);
    node.spec(&spec);
    node.create("c1").passed();
    let args = strings(&node.spec_now()["process"]["args"]);
    assert!(!args.iter().any(|a| a.starts_with("TMPDIR=")));
    assert!(args.contains(&"HOME=/root".to_owned()));
    node.run(&["exec", "c1", "id"]).passed();
}
