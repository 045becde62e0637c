//! Values that must not be rendered, and what is said of them.

use std::fs;

use chart::helm::Helm;
use serde_json::Value;

/// Flags of helm, the message, and flags that mend it.
type Refusal<'a> = (&'a [&'a str], &'a str, &'a [&'a str]);

const REFUSALS: &[Refusal] = &[
    (
        &["runtimeClasses.kata.handler=kata-qemu,runtimeClasses.kata.guard=false"],
        "runtimeClasses.kata.handler: \"kata-qemu\" is not in config.runtimeClasses (nono-runc), so its pods would run \
         without a sandbox: add it there, or set runtimeClasses.kata to null",
        &["config.runtimeClasses={nono-runc,kata-qemu}"],
    ),
    (
        &[
            "runtimeClasses.there.handler=kata-qemu,runtimeClasses.there.guard=false,runtimeClasses.there.create=false",
        ],
        "runtimeClasses.there.handler: \"kata-qemu\" is not in config.runtimeClasses",
        &["runtimeClasses.there=null"],
    ),
    (
        &["config.runtimeClasses={other}"],
        "runtimeClasses.nono-runc.handler: \"nono-runc\" is not in config.runtimeClasses (other)",
        &["runtimeClasses.nono-runc.handler=other"],
    ),
    (
        &[
            "runtimeClasses.also.handler=nono-runc,runtimeClasses.also.guard=true",
            "runtimeClasses.also.name=nono-runc",
        ],
        "runtimeClasses.also and runtimeClasses.nono-runc are both the RuntimeClass \"nono-runc\": give one another name",
        &["runtimeClasses.also.name=second"],
    ),
    (
        &["runtimeClasses.also.handler=nono-runc,runtimeClasses.also.guard=false"],
        "runtimeClasses.nono-runc.guard: true contradicts another entry with handler \"nono-runc\"",
        &["runtimeClasses.also.guard=true"],
    ),
    (
        &["config.allowedProfiles.nono-runc={strict}"],
        "config.defaultProfile: \"default\" must be listed in config.allowedProfiles.nono-runc, too (strict)",
        &["config.defaultProfile=strict"],
    ),
    (
        &["config.allowedProfiles.kata-qemu={default}"],
        "config.allowedProfiles.kata-qemu: there is no such handler in config.runtimeClasses (nono-runc)",
        &["config.runtimeClasses={nono-runc,kata-qemu}"],
    ),
    (
        &["config.defaultProfile=team", "profiles.team=name = 1"],
        "config.defaultProfile: \"team\" is one of your own profiles, so it must be listed in \
         config.allowedProfiles.nono-runc",
        &["config.allowedProfiles.nono-runc={team}"],
    ),
    (
        &[
            "config.runtimeClasses={nono-runc,agents}",
            "runtimeClasses.agents.handler=agents,runtimeClasses.agents.guard=true",
            "config.allowedProfiles.agents={default}",
        ],
        "config.allowedProfiles: handlers \"agents\" (default) and \"nono-runc\" (no list) share one guard, which has one \
         list: allow the same profiles for both",
        &["config.allowedProfiles.nono-runc={default}"],
    ),
    (
        &["runtimeClasses.nono-runc.guard=false"],
        "nodeSetup.enabled: there is no handler to register: give an entry of runtimeClasses guard: true, or set \
         nodeSetup.enabled to false",
        &["nodeSetup.enabled=false"],
    ),
    (
        &["config.launcher=upstream"],
        "config.launcher: nodeSetup installs kubefence's own launcher: set nodeSetup.enabled to false for \"upstream\"",
        &["nodeSetup.enabled=false"],
    ),
    (
        &[
            "config.launcher=upstream,config.seccompProfile=restricted",
            "nodeSetup.enabled=false",
        ],
        "config.launcher: \"upstream\" finds profiles by itself and gets no filter: leave profiles and \
         config.seccompProfile empty",
        &["config.seccompProfile="],
    ),
    (
        &["config.nonoBinPath=/opt/nono-nri/launcher"],
        "config.nonoBinPath: \"/opt/nono-nri/launcher\" must end in /nono, which is what nodeSetup installs",
        &["nodeSetup.enabled=false"],
    ),
    (
        &["nodeSetup.restart=command"],
        "nodeSetup.restartCommand: must be set for nodeSetup.restart: command",
        &["nodeSetup.restartCommand=/bin/restart it"],
    ),
    (
        &["nodeSetup.restartCommand=/bin/restart it"],
        "nodeSetup.restartCommand: is not used with nodeSetup.restart: auto: set that to command",
        &["nodeSetup.restart=command"],
    ),
    (
        &["podLabels.app=mine"],
        "podLabels: \"app\" is set by the chart: leave it out",
        &["podLabels=null"],
    ),
    (
        &["podAnnotations.checksum/config=mine"],
        "podAnnotations: \"checksum/config\" is set by the chart: leave it out",
        &["podAnnotations=null"],
    ),
    (
        &["podMonitor.enabled=true,podMonitor.labels.helm\\.sh/chart=mine"],
        "podMonitor.labels: \"helm.sh/chart\" is set by the chart: leave it out",
        &["podMonitor.labels=null"],
    ),
    (
        &["config.runtimeClasses=null"],
        "at '/config': missing property 'runtimeClasses'",
        &["config.runtimeClasses={nono-runc}"],
    ),
    (
        &["config.seccompProfile=unconfined"],
        "at '/config/seccompProfile': value must be one of '', 'runtime-default', 'restricted'",
        &["config.seccompProfile=runtime-default"],
    ),
    (
        &["config.metricsPort=0"],
        "at '/config/metricsPort': minimum: got 0, want 1",
        &["config.metricsPort=1"],
    ),
    (
        &["config.nonoBinPath=nono"],
        "at '/config/nonoBinPath': 'nono' does not match pattern",
        &["config.nonoBinPath=/nono/nono"],
    ),
    (
        &["updateStrategy.maxUnavailable=0"],
        "at '/updateStrategy/maxUnavailable'",
        &["updateStrategy.maxUnavailable=25%"],
    ),
    (
        &["runtimeClasses.other.handler=nono-runc"],
        "at '/runtimeClasses/other': missing property 'guard'",
        &["runtimeClasses.other.guard=true"],
    ),
    (
        &["profiles.no_toml:no_json=x"],
        "at '/profiles': additional properties 'no_toml:no_json' not allowed",
        &["profiles=null"],
    ),
];

#[test]
fn bad_values_are_refused_with_a_reason_and_mended_by_following_it() {
    let helm = Helm::pinned().unwrap();
    for (bad, message, remedy) in REFUSALS {
        let flags = set(bad);
        let error = match helm.render(None, &refs(&flags)) {
            Ok(_) => panic!("{bad:?} was rendered"),
            Err(error) => error.to_string(),
        };
        assert!(error.contains(message), "{bad:?}: {error}");
        let mended = set(&[bad, *remedy].concat());
        if let Err(error) = helm.render(None, &refs(&mended)) {
            panic!("{bad:?} with {remedy:?}: {error}");
        }
    }
}

#[test]
fn unknown_values_are_refused_at_every_level() {
    let helm = Helm::pinned().unwrap();
    let text = fs::read_to_string(chart::chart().join("values.yaml")).unwrap();
    let entries = chart::readme::entries(&text).unwrap();
    let groups = entries.iter().filter(|entry| entry.default.is_empty());
    let mut places: Vec<String> = groups.map(|entry| entry.path.join(".") + ".").collect();
    places.push(String::new());
    places.push("affinity.".to_owned());
    places.push("seLinuxOptions.".to_owned());
    places.push("resources.".to_owned());
    places.push("runtimeClasses.nono-runc.scheduling.".to_owned());
    places.push("runtimeClasses.nono-runc.overhead.".to_owned());
    assert!(places.len() > 10, "{places:?}");
    for place in places {
        let flag = format!("--set={place}surprise=1");
        let error = helm.render(None, &[&flag]).unwrap_err().to_string();
        // An entry of runtimeClasses can have any name, but not be a number.
        let expected = match place.as_str() {
            "runtimeClasses." => "got number, want null or object",
            _ => "'surprise' not allowed",
        };
        assert!(error.contains(expected), "{flag}: {error}");
    }
}

/// What the chart does not check says so in the schema, so that nothing is open by oversight.
#[test]
fn the_schema_leaves_nothing_open_by_oversight() {
    let text = fs::read_to_string(chart::chart().join("values.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&text).unwrap();
    let mut open = Vec::new();
    find_open(&schema, "", &mut open);
    assert_eq!(open, ["/properties/global", "/definitions/kubernetes"]);
}

fn find_open(schema: &Value, place: &str, open: &mut Vec<String>) {
    if schema["type"] == "object" {
        let closed = match &schema["additionalProperties"] {
            Value::Bool(allowed) => !allowed,
            Value::Object(_) => true,
            _ => panic!("{place} does not say whether it can have further properties"),
        };
        if !closed {
            open.push(place.to_owned());
        }
    }
    match schema {
        Value::Object(entries) => {
            for (key, value) in entries {
                find_open(value, &format!("{place}/{key}"), open);
            }
        }
        Value::Array(items) => {
            for item in items {
                find_open(item, place, open);
            }
        }
        _ => {}
    }
}

fn set(values: &[&str]) -> Vec<String> {
    values
        .iter()
        .map(|value| format!("--set={value}"))
        .collect()
}

fn refs(flags: &[String]) -> Vec<&str> {
    flags.iter().map(String::as_str).collect()
}
