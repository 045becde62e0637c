//! The files of deploy/ that are written by hand, and those that are applied without helm.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use chart::yaml;
use serde_json::Value;

fn read(name: &str) -> String {
    let path = chart::root().join("deploy").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A program that `cargo xtask setup` installed.
fn tool(directory: &str, program: &str) -> PathBuf {
    let path = chart::root()
        .join(".cache/tools")
        .join(directory)
        .join(program);
    assert!(
        path.is_file(),
        "{} is missing: run `cargo xtask setup`",
        path.display()
    );
    path
}

/// The pinned versions of a tool.
fn versions(tool: &str) -> Vec<String> {
    let text = fs::read_to_string(chart::root().join("tools/versions.toml")).unwrap();
    let table: toml::Table = toml::from_str(&text).unwrap();
    let tools = table["go"].as_array().unwrap();
    let mut named = tools
        .iter()
        .filter(|found| found["name"].as_str() == Some(tool));
    let versions = named.next().unwrap()["versions"].as_array().unwrap();
    versions
        .iter()
        .map(|version| version.as_str().unwrap().to_owned())
        .collect()
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn containerd_takes_its_configuration() {
    let config = chart::root().join("deploy/containerd-config.toml");
    let versions = versions("containerd");
    assert!(!versions.is_empty());
    for version in versions {
        let program = tool(&format!("containerd-{version}"), "containerd");
        let dump = |config: &Path| -> toml::Table {
            let mut command = Command::new(&program);
            command.arg("--config").arg(config).args(["config", "dump"]);
            toml::from_str(&output(&mut command)).unwrap()
        };
        let plugins = dump(&config)["plugins"].clone();
        let handlers = &plugins["io.containerd.cri.v1.runtime"]["containerd"]["runtimes"];
        let handler = &handlers["nono-runc"];
        assert_eq!(
            handler["runtime_type"].as_str(),
            Some("io.containerd.runc.v2")
        );
        let guard = "/opt/kubefence/bin/nono-runc";
        assert_eq!(handler["options"]["BinaryName"].as_str(), Some(guard));
        let annotations = handler["pod_annotations"].as_array().unwrap();
        assert_eq!(annotations.len(), 2, "{version}: {annotations:?}");
        let nri = &plugins["io.containerd.nri.v1.nri"];
        assert_eq!(nri["disable"].as_bool(), Some(false), "{version}");
        assert_eq!(
            nri["default_validator"]["enable"].as_bool(),
            Some(true),
            "{version}"
        );
        let required = nri["default_validator"]["required_plugins"]
            .as_array()
            .unwrap();
        assert!(
            required.is_empty(),
            "{version}: a rebooted node would not come up"
        );
        let before = dump(Path::new("/dev/null"))["plugins"].clone();
        let handlers = &before["io.containerd.cri.v1.runtime"]["containerd"]["runtimes"];
        assert!(handlers.get("nono-runc").is_none(), "{version}");
    }
}

#[test]
fn crio_takes_its_configuration() {
    let config = chart::root().join("deploy/crio-nri.conf");
    for version in versions("crio") {
        let program = tool(&format!("crio-{version}"), "crio");
        // CRI-O prints some of what is set as if it were a comment, so this is text and not TOML.
        let dump = |config: &Path| {
            let mut command = Command::new(&program);
            command.arg("--config").arg(config);
            output(command.args(["--config-dir", "/nonexistent", "config"]))
        };
        let (with, without) = (dump(&config), dump(Path::new("/dev/null")));
        for line in [
            "[crio.runtime.runtimes.nono-runc]",
            "runtime_path = \"/opt/kubefence/bin/nono-runc\"",
            "nri_enable_default_validator = true",
        ] {
            assert!(with.contains(line), "{version}: {line}");
            assert!(!without.contains(line), "{version}: {line}");
        }
        assert!(with.contains("enable_nri = true"), "{version}");
        let list = with
            .split_once("nri_validator_required_plugins = [")
            .unwrap()
            .1;
        let (list, _) = list.split_once(']').unwrap();
        assert!(
            !list.contains('"'),
            "{version}: a rebooted node would not come up"
        );
    }
}

#[test]
fn the_test_pod_is_what_the_verification_expects() {
    let pod = yaml::document(&read("test-pod.yaml")).unwrap();
    assert_eq!(pod["kind"], "Pod");
    assert_eq!(pod["metadata"]["name"], "nono-test");
    assert!(pod["metadata"].get("namespace").is_none());
    let command = pod["spec"]["containers"][0]["command"].as_array().unwrap();
    assert_eq!(*command, ["sleep", "infinity"]);
    let class = &pod["spec"]["runtimeClassName"];
    let declared = yaml::documents(&read("daemonset.yaml")).unwrap();
    let mut classes = declared
        .iter()
        .filter(|object| object["kind"] == "RuntimeClass");
    assert!(
        classes.any(|object| object["metadata"]["name"] == *class),
        "{class}"
    );
}

#[test]
fn the_runtime_class_for_kata_has_its_documented_names() {
    let class = yaml::document(&read("runtimeclass-kata.yaml")).unwrap();
    assert_eq!(class["kind"], "RuntimeClass");
    assert_eq!(class["metadata"]["name"], "kata-nono-sandbox");
    assert_eq!(class["handler"], "kata-qemu");
}

#[test]
fn the_manifest_has_an_image_to_replace_and_reads_the_nodes_configuration() {
    let text = read("daemonset.yaml");
    let images: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("image:"))
        .collect();
    assert_eq!(images.len(), 2);
    for image in images {
        assert_eq!(image.trim(), "image: nono-nri:latest");
    }
    let objects = yaml::documents(&text).unwrap();
    let mut kinds: Vec<&str> = objects
        .iter()
        .map(|object| object["kind"].as_str().unwrap())
        .collect();
    kinds.sort_unstable();
    assert_eq!(
        kinds,
        ["ConfigMap", "DaemonSet", "RuntimeClass", "ServiceAccount"]
    );
    assert!(!text.contains("helm"), "nobody manages these objects");
    let daemonset = objects
        .iter()
        .find(|object| object["kind"] == "DaemonSet")
        .unwrap();
    let container = &daemonset["spec"]["template"]["spec"]["containers"][0];
    let mounts = container["volumeMounts"].as_array().unwrap();
    assert!(
        mounts
            .iter()
            .any(|mount| mount["mountPath"] == "/etc/nri/conf.d")
    );
    let args = container["args"].as_array().unwrap();
    let mut texts = args.iter().map(|arg| arg.as_str().unwrap());
    assert!(!texts.any(|arg| arg.starts_with("--config")), "{args:?}");
}

#[test]
fn what_uninstalls_by_hand_is_no_part_of_a_release() {
    let daemonset: Value = serde_json::from_str(&read("uninstall-daemonset.json")).unwrap();
    assert_eq!(daemonset["metadata"]["name"], "nono-nri-uninstall");
    assert!(!daemonset.to_string().contains("helm"));
    let pod = &daemonset["spec"]["template"]["spec"];
    assert_eq!(pod["initContainers"][0]["image"], "nono-nri:latest");
    assert_eq!(pod["containers"][0]["image"], "nono-nri:latest");
}
