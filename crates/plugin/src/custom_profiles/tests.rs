use std::path::Path;

use kubefence_profile::CompileOptions;

use super::*;
use crate::profile_dir;

/// A directory of profiles, and what was made of it so far.
struct Team {
    dir: tempfile::TempDir,
    custom: CustomProfiles,
}

impl Team {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            custom: CustomProfiles::new(Catalog::built_in().unwrap()),
        }
    }

    /// Writes files anew, without a text removes them, and looks at the directory.
    fn update(&mut self, files: &[(&str, Option<&str>)]) -> Update {
        for (name, text) in files {
            let path = self.dir.path().join(name);
            let _ = std::fs::remove_file(&path);
            if let Some(text) = text {
                std::fs::write(path, text).unwrap();
            }
        }
        self.look()
    }

    fn look(&mut self) -> Update {
        let dir: &Path = self.dir.path();
        let listing = profile_dir::list(dir).unwrap();
        self.custom.update(&profile_dir::read(dir, &listing))
    }
}

/// The plan of a profile, or why there is none.
fn plan(update: &Update, name: &str) -> Result<String, String> {
    let all = update.profiles.compile(&CompileOptions::default(), 7);
    match all.get(&ProfileName::parse(name).unwrap()) {
        None => Err("unknown".to_owned()),
        Some(compiled) => compiled
            .plan
            .clone()
            .map(|plan| String::from_utf8(plan.bytes).unwrap()),
    }
}

fn reads(update: &Update, name: &str, path: &str) -> bool {
    plan(update, name).unwrap().contains(&format!("{path:?}"))
}

fn broken(update: &Update) -> Vec<(&str, bool)> {
    let broken = update
        .complaints
        .iter()
        .filter_map(|complaint| match complaint {
            Complaint::Broken { file, kept, .. } => Some((file.as_str(), *kept)),
            Complaint::Ineffective { .. } => None,
        });
    broken.collect()
}

const DATA: &str = r#"{ "extends": "default", "filesystem": { "read": ["/data"] } }"#;

#[test]
fn files_come_change_and_go() {
    let mut team = Team::new();
    let update = team.update(&[("team.json", Some(DATA))]);
    assert!(reads(&update, "team", "/data") && !reads(&update, "default", "/data"));
    assert_eq!((update.custom, update.broken), (1, 0));
    let update = team.update(&[("team.json", Some(&DATA.replace("data", "other")))]);
    assert!(reads(&update, "team", "/other") && !reads(&update, "team", "/data"));
    let update = team.update(&[("team.json", None)]);
    assert_eq!(plan(&update, "team"), Err("unknown".to_owned()));
    assert_eq!(update.complaints, []);
}

#[test]
fn a_broken_file_keeps_its_last_good_version_and_is_told_once() {
    let mut team = Team::new();
    team.update(&[("team.json", Some(DATA)), ("other.json", Some("{}"))]);
    for text in [
        "{ trunc",
        "{ \"extend\": [] }",
        r#"{ "extends": "nobody" }"#,
    ] {
        let update = team.update(&[("team.json", Some(text))]);
        assert_eq!(broken(&update), [("team.json", true)], "{text}");
        assert!(reads(&update, "team", "/data") && plan(&update, "other").is_ok());
        let again = team.update(&[("other.json", Some("{}"))]);
        assert_eq!(again.complaints, [], "{text}");
        assert_eq!((again.custom, again.broken), (2, 1));
    }
    let update = team.update(&[("team.json", Some("{}"))]);
    assert!(update.complaints.is_empty() && !reads(&update, "team", "/data"));
}

#[test]
fn a_file_that_never_was_good_is_explained() {
    let mut team = Team::new();
    let update = team.update(&[
        ("team.json", Some("{ trunc")),
        ("lost.json", Some(r#"{ "extends": "nobody" }"#)),
    ]);
    assert_eq!(
        broken(&update),
        [("lost.json", false), ("team.json", false)]
    );
    for (name, place) in [
        ("team", "team.json:1:3: error:"),
        ("lost", "lost.json:1:14: error:"),
    ] {
        let reason = plan(&update, name).unwrap_err();
        assert!(
            reason.contains("is broken") && reason.contains(place),
            "{reason}"
        );
    }
    let update = team.update(&[("team.json", None)]);
    assert_eq!(plan(&update, "team"), Err("unknown".to_owned()));
}

#[test]
fn a_profile_follows_those_that_it_extends() {
    let mut team = Team::new();
    let heir = r#"{ "extends": "team" }"#;
    let update = team.update(&[("team.json", Some(DATA)), ("heir.json", Some(heir))]);
    assert!(reads(&update, "heir", "/data"));
    let other = DATA.replace("data", "other");
    let update = team.update(&[("team.json", Some(&other))]);
    assert!(reads(&update, "heir", "/other"));
    let update = team.update(&[("team.json", Some("{ trunc"))]);
    assert!(reads(&update, "heir", "/other"));
    assert_eq!(broken(&update), [("team.json", true)]);
    let update = team.update(&[("team.json", None)]);
    assert_eq!(broken(&update), [("heir.json", true)]);
    assert!(reads(&update, "heir", "/other"));
    assert_eq!(plan(&update, "team"), Err("unknown".to_owned()));
}

#[test]
fn a_name_stays_with_the_file_that_has_it() {
    let mut team = Team::new();
    team.update(&[("z.json", Some(r#"{ "meta": { "name": "team" } }"#))]);
    let update = team.update(&[
        (
            "a.json",
            Some(r#"{ "meta": { "name": "team" }, "filesystem": { "read": ["/data"] } }"#),
        ),
        ("default.toml", Some("[filesystem]\nread = [\"/data\"]")),
    ]);
    assert_eq!(
        broken(&update),
        [("a.json", false), ("default.toml", false)]
    );
    assert!(!reads(&update, "team", "/data") && !reads(&update, "default", "/data"));
    let Complaint::Broken { reason, .. } = &update.complaints[0] else {
        panic!("{:?}", update.complaints)
    };
    assert!(
        reason.contains("\"team\" comes from file z.json"),
        "{reason}"
    );
    let update = team.update(&[("z.json", None)]);
    assert!(reads(&update, "team", "/data"));
}

#[test]
fn what_has_no_effect_is_told_once() {
    let mut team = Team::new();
    let text = r#"{ "hooks": { "pre": "x" } }"#;
    let update = team.update(&[("team.json", Some(text))]);
    assert!(
        matches!(&update.complaints[..], [Complaint::Ineffective { reason, .. }] if reason.contains("team.json:1:3: warning: hooks")),
        "{:?}",
        update.complaints
    );
    assert!(plan(&update, "team").is_ok());
    assert_eq!(team.look().complaints, []);
    assert_eq!(
        team.update(&[("team.json", Some(text))]).complaints.len(),
        1
    );
}

const BLOCK: &str = r#"{ "extends": "default", "network": { "block": true } }"#;
const MID: &str = r#"{ "extends": "base", "filesystem": { "read": ["/mid"] } }"#;
const MID_WITH_TYPO: &str = r#"{ "extends": "base", "groups": { "include": ["sytem_read"] } }"#;
const LEAF: &str = r#"{ "extends": "mid", "filesystem": { "read": ["/leaf"] } }"#;

/// A directory with a chain: leaf extends mid, mid extends base.
fn chain() -> Team {
    let mut team = Team::new();
    let update = team.update(&[
        ("base.json", Some(r#"{ "extends": "default" }"#)),
        ("leaf.json", Some(LEAF)),
        ("mid.json", Some(MID)),
    ]);
    assert_eq!((update.custom, update.broken), (3, 0));
    for name in ["base", "mid", "leaf"] {
        assert!(!blocks_network(&update, name), "{name}");
    }
    team
}

fn blocks_network(update: &Update, name: &str) -> bool {
    plan(update, name).unwrap().contains("connect_tcp")
}

#[test]
fn what_extends_a_broken_profile_still_follows_its_base() {
    let mut team = chain();
    let update = team.update(&[("mid.json", Some(MID_WITH_TYPO))]);
    assert_eq!(broken(&update), [("mid.json", true)]);
    let Complaint::Broken { reason, .. } = &update.complaints[0] else {
        panic!("{:?}", update.complaints)
    };
    assert!(
        reason.starts_with("mid.json:1:") && reason.contains("\"sytem_read\" does not exist"),
        "{reason}"
    );
    let update = team.update(&[("base.json", Some(BLOCK))]);
    for name in ["base", "mid", "leaf"] {
        assert!(blocks_network(&update, name), "{name} is as it was");
    }
    assert!(reads(&update, "leaf", "/mid") && reads(&update, "leaf", "/leaf"));
    assert_eq!(update.complaints, []);
    assert_eq!((update.custom, update.broken), (3, 1));
    let update = team.update(&[("mid.json", Some(&MID.replace("/mid", "/new")))]);
    assert!(reads(&update, "leaf", "/new") && blocks_network(&update, "leaf"));
    assert_eq!((update.complaints, update.broken), (vec![], 0));
}

#[test]
fn base_and_extending_profile_can_change_in_the_same_look() {
    let mut team = chain();
    let update = team.update(&[
        ("base.json", Some(BLOCK)),
        ("mid.json", Some(MID_WITH_TYPO)),
    ]);
    assert_eq!(broken(&update), [("mid.json", true)]);
    assert!(blocks_network(&update, "mid") && blocks_network(&update, "leaf"));
}

#[test]
fn what_extends_a_broken_profile_can_be_changed_and_added() {
    let mut team = chain();
    team.update(&[("mid.json", Some(MID_WITH_TYPO))]);
    let update = team.update(&[("leaf.json", Some(&LEAF.replace("/leaf", "/edited")))]);
    assert!(reads(&update, "leaf", "/edited") && !reads(&update, "leaf", "/leaf"));
    assert!(reads(&update, "leaf", "/mid"));
    let update = team.update(&[("new.json", Some(&LEAF.replace("/leaf", "/added")))]);
    assert!(reads(&update, "new", "/added") && reads(&update, "new", "/mid"));
    assert_eq!(update.complaints, []);
    assert_eq!((update.custom, update.broken), (4, 1));
}

#[test]
fn a_circle_takes_nothing_down_and_only_who_closes_it_is_told() {
    let mut team = chain();
    let update = team.update(&[
        ("base.json", Some(&LEAF.replace("\"mid\"", "\"leaf\""))),
        ("leaf.json", Some(&LEAF.replace("/leaf", "/edited"))),
        ("mid.json", Some(&MID.replace("/mid", "/edited-too"))),
    ]);
    assert_eq!(broken(&update).len(), 1, "{:?}", update.complaints);
    assert_eq!(update.custom, 3);
    let changed = ["/edited", "/edited-too"];
    assert!(changed.iter().all(|path| reads(&update, "leaf", path)));
    assert!(plan(&update, "base").is_ok() && !reads(&update, "base", "/leaf"));
}

#[test]
fn what_extends_something_gone_stays_as_it_was_until_that_is_back() {
    let mut team = chain();
    let update = team.update(&[("base.json", None)]);
    assert_eq!(broken(&update), [("leaf.json", true), ("mid.json", true)]);
    assert!(reads(&update, "leaf", "/leaf") && reads(&update, "mid", "/mid"));
    let update = team.update(&[("leaf.json", Some(&LEAF.replace("/leaf", "/edited")))]);
    assert_eq!(broken(&update), [("leaf.json", true)]);
    assert!(reads(&update, "leaf", "/leaf") && !reads(&update, "leaf", "/edited"));
    let update = team.update(&[("base.json", Some(BLOCK))]);
    assert!(reads(&update, "leaf", "/edited") && blocks_network(&update, "leaf"));
    assert_eq!((update.complaints, update.broken), (vec![], 0));
}

#[test]
fn an_edit_that_extends_what_never_was_good_is_not_taken() {
    let mut team = chain();
    let update = team.update(&[
        ("fresh.json", Some(MID_WITH_TYPO)),
        ("leaf.json", Some(r#"{ "extends": "fresh" }"#)),
        ("twig.json", Some(r#"{ "extends": "leaf" }"#)),
    ]);
    assert_eq!(
        broken(&update),
        [("fresh.json", false), ("leaf.json", true)]
    );
    assert!(reads(&update, "leaf", "/leaf") && reads(&update, "twig", "/leaf"));
    let reason = plan(&update, "fresh").unwrap_err();
    assert!(reason.contains("fresh.json:1:"), "{reason}");
}

#[test]
fn a_broken_file_keeps_the_name_that_it_wanted_to_give_up() {
    let mut team = Team::new();
    let named = |name: &str, rest: &str| format!(r#"{{ "meta": {{ "name": "{name}" }}{rest} }}"#);
    let data = r#", "filesystem": { "read": ["/data"] }"#;
    team.update(&[("z.json", Some(&named("team", data)))]);
    let typo = r#", "groups": { "include": ["sytem_read"] }"#;
    let update = team.update(&[
        ("a.json", Some(&named("team", ""))),
        ("z.json", Some(&named("crew", typo))),
    ]);
    assert_eq!(broken(&update), [("a.json", false), ("z.json", true)]);
    assert!(reads(&update, "team", "/data"));
    assert!(plan(&update, "crew").unwrap_err().contains("z.json:1:"));
    let update = team.update(&[("z.json", Some(&named("crew", data)))]);
    assert!(!reads(&update, "team", "/data") && reads(&update, "crew", "/data"));
    assert_eq!((update.complaints, update.broken), (vec![], 0));
}
