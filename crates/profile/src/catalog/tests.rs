use super::*;
use crate::CompileOptions;

fn custom(files: &[(&str, &str)]) -> (Catalog, Vec<Rejected>) {
    let read = |(file, text): &(&str, &str)| read_profile(file, text).profile.unwrap();
    Catalog::built_in()
        .unwrap()
        .with_custom(files.iter().map(read).collect())
}

fn name(text: &str) -> ProfileName {
    ProfileName::parse(text).unwrap()
}

#[test]
fn the_built_in_profiles_load_and_compile_or_say_why_not() {
    let catalog = Catalog::built_in().unwrap();
    let mut refused = Vec::new();
    for profile in catalog.iter() {
        match profile.compile(&CompileOptions::default()) {
            Ok(plan) => drop(plan.encode().unwrap()),
            Err(error) => {
                let message = error.to_string();
                for part in [
                    profile.name.as_str(),
                    "nono wrap does not support proxy mode",
                    "requires nono run",
                ] {
                    assert!(message.contains(part), "{message}");
                }
                refused.push(profile.name.to_string());
            }
        }
        assert!(!profile.description.is_empty(), "{}", profile.name);
        assert!(
            profile.dropped.is_empty(),
            "{}: {:?}",
            profile.name,
            profile.dropped
        );
    }
    assert_eq!(refused, ["go-dev", "node-dev", "python-dev", "rust-dev"]);
}

#[test]
fn every_built_in_file_is_embedded_under_its_own_name() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../profiles");
    let mut files: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|file| file != GROUPS.0 && !file.ends_with(".schema.json"))
        .collect();
    files.sort();
    let mut embedded: Vec<&str> = PROFILES.iter().map(|(file, _)| *file).collect();
    embedded.sort_unstable();
    assert_eq!(embedded, files);
    let catalog = Catalog::built_in().unwrap();
    for file in embedded {
        assert!(
            catalog.get(&name(file.trim_end_matches(".json"))).is_some(),
            "{file}"
        );
    }
}

#[test]
fn custom_profiles_build_on_built_in_ones_and_on_each_other() {
    let (catalog, rejected) = custom(&[
        ("b.json", r#"{ "extends": "a" }"#),
        (
            "a.toml",
            "extends = \"default\"\n[filesystem]\nread = [\"/data\"]",
        ),
    ]);
    assert_eq!(rejected, []);
    let b = catalog.get(&name("b")).unwrap();
    assert!(
        b.grants
            .iter()
            .any(|grant| grant.at.to_string() == "a.toml:3:9")
    );
    assert_eq!(catalog.provenance(&name("b")), Some(Provenance::Custom));
    assert_eq!(
        catalog.provenance(&name("default")),
        Some(Provenance::BuiltIn)
    );
}

#[test]
fn a_profile_that_cannot_be_used_takes_no_other_down() {
    let (catalog, rejected) = custom(&[
        ("default.json", "{}"),
        ("bad.json", r#"{ "extends": "nobody" }"#),
        ("good.json", "{}"),
    ]);
    let reasons: Vec<String> = rejected.iter().map(ToString::to_string).collect();
    assert_eq!(reasons.len(), 2);
    assert!(
        reasons[0].contains("a profile called \"default\" exists already"),
        "{reasons:?}"
    );
    assert!(
        reasons[1].starts_with("bad.json:1:14: error: extends \"nobody\""),
        "{reasons:?}"
    );
    assert!(catalog.get(&name("good")).is_some() && catalog.get(&name("bad")).is_none());
    assert!(!catalog.get(&name("default")).unwrap().grants.is_empty());
}

#[test]
fn what_is_built_in_is_told_without_reading() {
    let catalog = Catalog::built_in().unwrap();
    for profile in catalog.iter() {
        assert!(Catalog::is_built_in(&profile.name), "{}", profile.name);
    }
    for other in ["groups", "defaul", "default1", "team"] {
        assert!(
            !Catalog::is_built_in(&ProfileName::parse(other).unwrap()),
            "{other}"
        );
    }
}
