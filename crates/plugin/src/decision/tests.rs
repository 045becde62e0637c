use std::path::Path;

use kubefence_profile::Catalog;

use super::*;
use crate::profile_set::{ProfileSet, compile_options};

fn config(text: &str) -> Config {
    Config::parse(Path::new("c"), text).unwrap()
}

fn name(text: &str) -> ProfileName {
    ProfileName::parse(text).unwrap()
}

fn choice(handler: &str) -> Option<ProfileChoice> {
    let pod = PodSandbox {
        runtime_handler: handler.to_owned(),
        ..Default::default()
    };
    profile_choice(&config(""), &pod, &Container::default())
}

/// The built-in profiles and the custom ones `team` and `broken`.
fn known() -> Profiles {
    let source = kubefence_profile::read_profile("team.json", "{}").profile;
    let (catalog, _) = Catalog::built_in()
        .unwrap()
        .with_custom(source.into_iter().collect());
    let mut set = ProfileSet::from(&catalog);
    set.add_broken(name("broken"), "broken.json:1:1: error: why".to_owned());
    let offers = set.compile(&compile_options(&config("")), 7);
    let offers = offers.into_iter().map(|(name, compiled)| {
        let offer = Offer {
            provenance: compiled.provenance,
            plan: compiled.plan.map(|plan| plan.digest),
        };
        (name, offer)
    });
    Profiles::Known(Arc::new(offers.collect()))
}

fn decide_for(profiles: &Profiles, allowed: &str, profile: &str) -> Result<Sandbox, String> {
    let lists = format!("profile_dir = \"/p\"\n[allowed_profiles]\n{allowed}");
    let lists = if matches!(profiles, Profiles::LauncherDecides) {
        lists.replace("profile_dir = \"/p\"", "launcher = \"upstream\"")
    } else {
        lists
    };
    let request = Request {
        handler: "nono-runc",
        profile: &name(profile),
        container: &Container::default(),
    };
    decide(profiles, &config(&lists).allowed_profiles, &request).map_err(|e| e.to_string())
}

fn refusal(allowed: &str, profile: &str, parts: &[&str]) {
    let message = decide_for(&known(), allowed, profile).unwrap_err();
    for part in parts {
        assert!(message.contains(part), "{message:?} lacks {part:?}");
    }
}

const SOME: &str = "nono-runc = [\"default\", \"team\", \"broken\", \"python-dev\"]";

#[test]
fn only_configured_handlers_are_touched() {
    for handler in ["", "runc", "nono-runc2", "NONO-RUNC"] {
        assert_eq!(choice(handler), None, "{handler:?}");
    }
    assert_eq!(choice("nono-runc").unwrap().profile.as_str(), "default");
}

#[test]
fn an_unknown_profile_is_refused_by_name() {
    let parts = [
        "profile \"nobody\" does not exist",
        "profiles for handler \"nono-runc\": ",
        "default",
    ];
    refusal("", "nobody", &parts);
    assert!(decide_for(&known(), "", "default").unwrap().plan.is_some());
}

#[test]
fn without_a_list_pods_choose_among_the_built_in_profiles() {
    assert!(decide_for(&known(), "", "strict").is_ok());
    let parts = [
        "profile \"team\" is not allowed",
        "\"nono-runc\"",
        "strict",
        "allowed_profiles",
    ];
    refusal("", "team", &parts);
}

#[test]
fn with_a_list_pods_choose_from_it() {
    for profile in ["default", "team"] {
        assert!(decide_for(&known(), SOME, profile).is_ok(), "{profile}");
    }
    let parts = [
        "profile \"strict\" is not allowed (profiles for handler \"nono-runc\": default, team)",
        "allowed_profiles",
    ];
    refusal(SOME, "strict", &parts);
    refusal(SOME, "nobody", &["profile \"nobody\" does not exist"]);
}

#[test]
fn a_profile_that_cannot_be_enforced_says_why() {
    let parts = [
        "profile \"python-dev\" cannot run under wrap",
        "network.network_profile",
        "nono wrap does not support proxy mode",
        "choose another profile",
        "profiles for handler \"nono-runc\": default, team",
    ];
    refusal(SOME, "python-dev", &parts);
    refusal(
        SOME,
        "broken",
        &["profile \"broken\" is broken: broken.json:1:1: error: why"],
    );
}

#[test]
fn upstream_nono_judges_names_itself_within_the_list() {
    let upstream = |allowed, profile| decide_for(&Profiles::LauncherDecides, allowed, profile);
    let sandbox = upstream("", "claude-code").unwrap();
    assert_eq!(
        (sandbox.profile.as_str(), sandbox.plan),
        ("claude-code", None)
    );
    assert!(upstream(SOME, "team").is_ok());
    let message = upstream(SOME, "strict").unwrap_err();
    assert!(message.contains("\"strict\" is not allowed"), "{message}");
}

#[test]
fn what_is_restored_from_a_checkpoint_is_refused() {
    for key in RESTORED {
        let mut container = Container::default();
        container.annotations.insert(key.to_owned(), "x".to_owned());
        let request = Request {
            handler: "nono-runc",
            profile: &name("default"),
            container: &container,
        };
        assert_eq!(
            decide(&known(), &AllowedProfiles::default(), &request),
            Err(Refused::Restored),
            "{key}"
        );
    }
}
