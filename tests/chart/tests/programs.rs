//! The programs accept what the chart and the examples tell them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use chart::generated::cases;
use chart::yaml;
use clap::Parser as _;
use kubefence_plugin::cli::Cli;
use kubefence_plugin::config::Config;
use kubefence_profile::read_profile;
use serde_json::Value;

fn main_container(daemonset: &Value) -> &Value {
    &daemonset["spec"]["template"]["spec"]["containers"][0]
}

#[test]
fn the_plugin_accepts_every_configuration_and_command_line() {
    let mut configurations = 0;
    for case in cases().unwrap() {
        for object in yaml::documents(&fs::read_to_string(&case.golden).unwrap()).unwrap() {
            if let Some(text) = object["data"]["10-nono-nri.toml"].as_str() {
                configurations += 1;
                let path = Path::new(&case.name);
                Config::parse(path, text).unwrap();
            }
            if object["kind"] == "DaemonSet" {
                let args = main_container(&object)["args"].as_array().unwrap();
                let args = args.iter().map(|arg| arg.as_str().unwrap());
                let cli = Cli::try_parse_from(["10-nono-nri"].into_iter().chain(args)).unwrap();
                assert!(cli.json && cli.metrics_addr.is_some(), "{}", case.name);
            }
        }
    }
    assert!(configurations > 10, "{configurations}");
}

/// The built command: `$KUBEFENCE_COMMAND`, else `./kubefence`.
fn command() -> PathBuf {
    let path = std::env::var_os("KUBEFENCE_COMMAND")
        .map_or_else(|| chart::root().join("kubefence"), PathBuf::from);
    assert!(
        path.is_file(),
        "{} is missing: run `make build`",
        path.display()
    );
    path
}

/// Whether the command understands all of `args`: it looks at them in turn, until it is asked for help.
fn understands(args: &[&str]) -> bool {
    let output = Command::new(command()).args(args).arg("--help").output();
    output.unwrap().status.success()
}

#[test]
fn the_command_understands_every_command_line() {
    let mut lines = BTreeSet::new();
    for case in cases().unwrap() {
        let objects = yaml::documents(&fs::read_to_string(&case.golden).unwrap()).unwrap();
        for object in objects {
            find_lines(&object, &mut lines);
            for (_, text) in object["data"].as_object().into_iter().flatten() {
                if let Ok(carried) = serde_json::from_str(text.as_str().unwrap()) {
                    find_lines(&carried, &mut lines);
                }
            }
        }
    }
    let verbs: BTreeSet<&[String]> = lines.iter().map(|line| &line[..2]).collect();
    assert_eq!(verbs.len(), 4, "{verbs:?}");
    for line in &lines {
        let args: Vec<&str> = line.iter().map(String::as_str).collect();
        assert!(understands(&args), "{args:?}");
        assert!(
            !understands(&[&args[..], &["--surprise"]].concat()),
            "{args:?}"
        );
    }
}

/// Adds the command line of every container that runs the command.
fn find_lines(value: &Value, lines: &mut BTreeSet<Vec<String>>) {
    if value["command"][0] == "/usr/bin/kubefence" {
        let args = value["args"].as_array().unwrap().iter();
        lines.insert(args.map(|arg| arg.as_str().unwrap().to_owned()).collect());
    }
    match value {
        Value::Object(entries) => entries.values().for_each(|value| find_lines(value, lines)),
        Value::Array(items) => items.iter().for_each(|item| find_lines(item, lines)),
        _ => {}
    }
}

#[test]
fn the_example_has_the_defaults_and_every_documented_key() {
    let root = chart::root();
    let path = root.join("deploy/10-nono-nri.toml.example");
    let text = fs::read_to_string(&path).unwrap();
    let defaults = Config::parse(&path, "").unwrap();
    assert_eq!(Config::parse(&path, &text).unwrap(), defaults);

    let table: toml::Table = toml::from_str(&text).unwrap();
    let keys: BTreeSet<&str> = table.keys().map(String::as_str).collect();
    let reference = fs::read_to_string(root.join("docs/configuration.md")).unwrap();
    let rows = reference
        .split("\n\n")
        .find(|part| part.starts_with("| key |"))
        .unwrap();
    let rows = rows
        .lines()
        .filter_map(|row| row.strip_prefix("| `")?.split('`').next());
    assert_eq!(keys, rows.collect());
}

#[test]
fn what_the_commented_lines_of_the_example_say_is_accepted_too() {
    let path = chart::root().join("deploy/10-nono-nri.toml.example");
    let text = fs::read_to_string(&path).unwrap();
    let text = text.replace("# nono-runc =", "nono-runc =");
    let config = Config::parse(&path, &text).unwrap();
    let listed = config.allowed_profiles.listed("nono-runc").unwrap();
    assert_eq!(listed.len(), 2);
}

#[test]
fn profiles_get_the_ending_of_their_language() {
    let cases = cases().unwrap();
    let case = cases.iter().find(|case| case.name == "profiles").unwrap();
    let objects = yaml::documents(&fs::read_to_string(&case.golden).unwrap()).unwrap();
    let mut maps = objects.iter();
    let map = maps.find(|object| object["metadata"]["name"] == "nono-nri-profiles");
    let files = map.unwrap()["data"].as_object().unwrap();
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(names, ["other.toml", "team.json"]);
    for (file, text) in files {
        let reading = read_profile(file, text.as_str().unwrap());
        assert!(
            reading.profile.is_some(),
            "{file}: {:?}",
            reading.diagnostics
        );
    }
}
