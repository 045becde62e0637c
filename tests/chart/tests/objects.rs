//! What every render has to be, whatever the values.

use std::collections::BTreeSet;
use std::fs;

use chart::generated::cases;
use chart::yaml;
use serde_json::{Value, json};

/// Containers that change the host. No other may be privileged.
const HOST: [&str; 2] = ["install", "uninstall"];

/// A render of the chart, with the DaemonSets that it carries along for the end.
struct Render {
    case: String,
    objects: Vec<Value>,
}

impl Render {
    fn all() -> Vec<Self> {
        let render = |case: chart::generated::Case| {
            let text = fs::read_to_string(case.golden).unwrap();
            let mut objects = yaml::documents(&text).unwrap();
            let carried: Vec<Value> = objects.iter().flat_map(carried).collect();
            objects.extend(carried);
            Self {
                case: case.name,
                objects,
            }
        };
        cases().unwrap().into_iter().map(render).collect()
    }

    fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.objects
            .iter()
            .filter(move |object| object["kind"] == kind)
    }

    fn named<'a>(&'a self, kind: &'a str, name: &str) -> Option<&'a Value> {
        self.of_kind(kind)
            .find(|object| object["metadata"]["name"] == name)
    }

    fn plugin(&self) -> &Value {
        self.named("DaemonSet", "nono-nri").unwrap()
    }

    /// Every pod's spec, with the name of what makes it.
    fn pods(&self) -> impl Iterator<Item = (String, &Value)> {
        self.objects.iter().filter_map(|object| {
            let pod = object.pointer("/spec/template/spec")?;
            let place = format!("{}: {}", self.case, object["metadata"]["name"]);
            Some((place, pod))
        })
    }

    /// Every container, with the name of where it is.
    fn containers(&self) -> impl Iterator<Item = (String, &Value)> {
        self.pods().flat_map(|(place, pod)| {
            let lists = [&pod["initContainers"], &pod["containers"]];
            let containers = lists.into_iter().filter_map(Value::as_array).flatten();
            containers.map(move |one| (format!("{place}: {}", one["name"]), one))
        })
    }
}

/// The DaemonSets in the ConfigMap of the Job that uninstalls.
fn carried(object: &Value) -> Vec<Value> {
    let data = object["data"].as_object().into_iter().flatten();
    let json = data.filter(|(name, _)| object["kind"] == "ConfigMap" && is_carried(name));
    json.map(|(_, text)| serde_json::from_str(text.as_str().unwrap()).unwrap())
        .collect()
}

fn is_carried(name: &str) -> bool {
    ["check.json", "daemonset.json"].contains(&name)
}

#[test]
fn only_what_changes_the_host_is_privileged() {
    let mut privileged = BTreeSet::new();
    for render in Render::all() {
        for (place, container) in render.containers() {
            let security = &container["securityContext"];
            assert_eq!(security["readOnlyRootFilesystem"], true, "{place}");
            if security["privileged"] == true {
                let name = container["name"].as_str().unwrap();
                assert!(HOST.contains(&name), "{place} is privileged");
                privileged.insert(name.to_owned());
                continue;
            }
            assert_eq!(security["privileged"], false, "{place}");
            assert_eq!(security["allowPrivilegeEscalation"], false, "{place}");
            assert_eq!(
                security["capabilities"],
                json!({ "drop": ["ALL"] }),
                "{place}"
            );
            assert_eq!(
                security["seccompProfile"]["type"], "RuntimeDefault",
                "{place}"
            );
        }
    }
    let expected = HOST.map(str::to_owned);
    assert_eq!(privileged.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn only_what_changes_the_host_sees_it_and_ends_before_the_plugin_starts() {
    for render in Render::all() {
        for (place, pod) in render.pods() {
            for key in ["hostPID", "hostIPC"] {
                assert!(pod.get(key).is_none(), "{place}: {key}");
            }
            for container in pod["containers"].as_array().unwrap() {
                let mounts = container["volumeMounts"].as_array().into_iter().flatten();
                let host = mounts.into_iter().find(|mount| mount["name"] == "host");
                assert!(host.is_none(), "{place}: {container}");
                assert!(container.get("lifecycle").is_none(), "{place}: {container}");
            }
        }
    }
}

#[test]
fn only_the_job_talks_to_the_api_server_and_not_for_long() {
    for render in Render::all() {
        for (place, pod) in render.pods() {
            assert_eq!(pod["automountServiceAccountToken"], false, "{place}");
            let text = pod.to_string();
            let has_token = text.contains("serviceAccountToken\":");
            let is_job =
                place.ends_with("\"nono-nri-uninstall\"") && pod["restartPolicy"] == "Never";
            assert_eq!(has_token, is_job, "{place}");
            assert_eq!(
                text.contains("\"expirationSeconds\":600"),
                is_job,
                "{place}"
            );
        }
        for account in render.of_kind("ServiceAccount") {
            assert_eq!(
                account["automountServiceAccountToken"], false,
                "{}",
                render.case
            );
        }
        for kind in ["ClusterRole", "ClusterRoleBinding"] {
            assert_eq!(render.of_kind(kind).count(), 0, "{}: {kind}", render.case);
        }
    }
}

#[test]
fn rights_exist_only_while_the_release_is_deleted() {
    let mut seen = 0;
    for render in Render::all() {
        let objects = render.objects.iter().filter(|object| {
            let name = object["metadata"]["name"].as_str().unwrap();
            name == "nono-nri-uninstall" && object["kind"] != "DaemonSet"
        });
        for object in objects {
            seen += 1;
            let annotations = &object["metadata"]["annotations"];
            assert_eq!(annotations["helm.sh/hook"], "pre-delete", "{object}");
            let policy = "before-hook-creation,hook-succeeded";
            assert_eq!(
                annotations["helm.sh/hook-delete-policy"], policy,
                "{object}"
            );
        }
        for kind in ["Role", "RoleBinding", "Job"] {
            for object in render.of_kind(kind) {
                assert_eq!(object["metadata"]["name"], "nono-nri-uninstall");
            }
        }
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn the_job_takes_the_plugin_away_only_after_all_nodes_agreed() {
    for render in Render::all() {
        let Some(job) = render.named("Job", "nono-nri-uninstall") else {
            continue;
        };
        let container = &job["spec"]["template"]["spec"]["containers"][0];
        let args: Vec<&str> = strings(&container["args"]);
        let position = |arg: &str| args.iter().position(|found| *found == arg).unwrap();
        assert_eq!(args[..2], ["cluster", "uninstall"]);
        assert!(
            position("--check=/uninstall/check.json") < position("--remove-daemonset=nono-nri")
        );
        assert!(
            position("--remove-daemonset=nono-nri")
                < position("--manifest=/uninstall/daemonset.json")
        );
        let real = render.named("DaemonSet", "nono-nri-uninstall").unwrap();
        let check = render
            .named("DaemonSet", "nono-nri-uninstall-check")
            .unwrap();
        let args = |object: &Value| {
            object["spec"]["template"]["spec"]["initContainers"][0]["args"].clone()
        };
        let mut expected = args(real).as_array().unwrap().clone();
        assert_eq!(expected[..2], [json!("node"), json!("uninstall")]);
        expected.push(json!("--dry-run"));
        assert_eq!(args(check), Value::from(expected), "{}", render.case);
    }
}

/// A DaemonSet of the plugin would take the pods that uninstall for its own, and the other way round.
#[test]
fn no_workload_selects_the_pods_of_another() {
    for render in Render::all() {
        let workloads: Vec<&Value> = render.of_kind("DaemonSet").collect();
        for one in &workloads {
            for other in &workloads {
                let selector = one["spec"]["selector"]["matchLabels"].as_object().unwrap();
                let labels = &other["spec"]["template"]["metadata"]["labels"];
                let selects = selector.iter().all(|(key, value)| labels[key] == *value);
                let same = one["metadata"]["name"] == other["metadata"]["name"];
                assert_eq!(selects, same, "{}: {selector:?} {labels}", render.case);
            }
        }
    }
}

#[test]
fn the_plugin_is_as_documented() {
    for render in Render::all() {
        let plugin = render.plugin();
        let labels = &plugin["spec"]["template"]["metadata"]["labels"];
        assert_eq!(labels["app"], "nono-nri", "{}", render.case);
        assert_eq!(
            labels["app.kubernetes.io/name"], "kubefence",
            "{}",
            render.case
        );
        let rolling = &plugin["spec"]["updateStrategy"]["rollingUpdate"];
        assert_eq!(rolling["maxSurge"], 0, "{}", render.case);
        let pod = &plugin["spec"]["template"]["spec"];
        let container = &pod["containers"][0];
        assert_eq!(container["livenessProbe"]["httpGet"]["path"], "/healthz");
        assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/readyz");
        assert_eq!(container["livenessProbe"]["httpGet"]["port"], "metrics");
        assert_eq!(container["ports"][0]["name"], "metrics");
        for (place, container) in render.containers() {
            let policy = &container["terminationMessagePolicy"];
            assert_eq!(policy, "FallbackToLogsOnError", "{place}");
        }
    }
    let defaults = Render::all()
        .into_iter()
        .find(|render| render.case == "defaults");
    let defaults = defaults.unwrap();
    let pod = &defaults.plugin()["spec"]["template"]["spec"];
    assert_eq!(defaults.plugin()["metadata"]["namespace"], "kube-system");
    assert_eq!(pod["priorityClassName"], "system-node-critical");
    assert_eq!(pod["tolerations"], json!([{ "operator": "Exists" }]));
    assert_eq!(pod["initContainers"][0]["name"], "install");
    let class = defaults.named("RuntimeClass", "nono-runc").unwrap();
    assert_eq!(class["handler"], "nono-runc");
}

/// Only then do containers see what the plugin publishes, and the plugin what the guard records.
#[test]
fn the_plugin_has_every_path_of_its_configuration() {
    for render in Render::all() {
        let pod = &render.plugin()["spec"]["template"]["spec"];
        let mounts = pod["containers"][0]["volumeMounts"].as_array().unwrap();
        for mount in mounts {
            let volumes = pod["volumes"].as_array().unwrap();
            let mut volumes = volumes.iter();
            let volume = volumes.find(|volume| volume["name"] == mount["name"]);
            let volume = volume.unwrap_or_else(|| panic!("{}: {mount}", render.case));
            if let Some(path) = volume["hostPath"].get("path") {
                assert_eq!(*path, mount["mountPath"], "{}", render.case);
                let writable = ["launcher", "state"].map(Value::from);
                let is_writable = mount.get("readOnly").is_none();
                assert_eq!(is_writable, writable.contains(&mount["name"]), "{mount}");
            }
        }
    }
}

#[test]
fn the_profiles_of_the_operator_replace_no_pod_and_the_configuration_does() {
    let renders = Render::all();
    let checksum = |case: &str| {
        let render = renders.iter().find(|render| render.case == case).unwrap();
        let annotations = &render.plugin()["spec"]["template"]["metadata"]["annotations"];
        annotations["checksum/config"].clone()
    };
    assert!(checksum("defaults").is_string());
    assert_eq!(checksum("defaults"), checksum("image"));
    assert_ne!(checksum("defaults"), checksum("profiles"));

    let helm = chart::helm::Helm::pinned().unwrap();
    let template = |flags: &[&str]| {
        let documents = yaml::documents(&helm.render(None, flags).unwrap()).unwrap();
        let mut documents = documents.into_iter();
        let plugin = documents
            .find(|object| object["kind"] == "DaemonSet")
            .unwrap();
        plugin["spec"]["template"].clone()
    };
    let before = template(&[]);
    assert_eq!(before, template(&["--set=profiles.team=name = 1"]));
    assert_ne!(before, template(&["--set=config.stateDir=/elsewhere"]));
}

#[test]
fn the_notes_name_the_class_and_what_is_there() {
    let helm = chart::helm::Helm::pinned().unwrap();
    let copy = copy_with_notes_as_object();
    let notes = |flags: &[&str]| {
        let render = helm.render_other(copy.path(), flags).unwrap();
        let objects = yaml::documents(&render).unwrap();
        let mut notes = objects.iter().filter_map(|object| object["notes"].as_str());
        notes.next().unwrap().to_owned()
    };
    let text = notes(&[]);
    for expected in [
        "kubectl rollout status daemonset/nono-nri -n kube-system",
        "-c install",
        "\"runtimeClassName\":\"nono-runc\"",
        "`helm uninstall` takes back",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let text = notes(&[
        "--set=nodeSetup.enabled=false",
        "--set=runtimeClasses.nono-runc=null",
    ]);
    assert!(text.contains("rollout status"), "{text}");
    for unexpected in ["-c install", "runtimeClassName", "takes back"] {
        assert!(!text.contains(unexpected), "{unexpected}: {text}");
    }
}

/// Without a cluster helm shows no notes, so in this copy of the chart they are an object.
fn copy_with_notes_as_object() -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    fs::create_dir(copy.path().join("templates")).unwrap();
    for directory in ["", "templates"] {
        for entry in fs::read_dir(chart::chart().join(directory)).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                let to = copy.path().join(directory).join(entry.file_name());
                fs::copy(entry.path(), to).unwrap();
            }
        }
    }
    let templates = copy.path().join("templates");
    let notes = fs::read_to_string(templates.join("NOTES.txt")).unwrap();
    let object = "{{- end }}\nnotes: {{ include \"notes\" . | toJson }}\n";
    let text = format!("{{{{- define \"notes\" }}}}\n{notes}{object}");
    fs::write(templates.join("notes.yaml"), text).unwrap();
    copy
}

fn strings(value: &Value) -> Vec<&str> {
    let items = value.as_array().unwrap().iter();
    items.map(|item| item.as_str().unwrap()).collect()
}
