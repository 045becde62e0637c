use super::*;
use crate::{Catalog, ProfileName, read_profile};

fn container() -> Surroundings {
    Surroundings {
        home: Some("/home/u".to_owned()),
        workdir: Some("/work".to_owned()),
        ..Surroundings::default()
    }
}

fn ask_of(profile: &ResolvedProfile, path: &str, operation: Operation) -> Explanation {
    profile.explain(path, operation, &container()).unwrap()
}

fn ask_default(path: &str, operation: Operation) -> Explanation {
    let name = ProfileName::parse("default").unwrap();
    ask_of(
        Catalog::built_in().unwrap().get(&name).unwrap(),
        path,
        operation,
    )
}

fn custom(text: &str) -> ResolvedProfile {
    let source = read_profile("p.json", text).profile.unwrap();
    let (catalog, rejected) = Catalog::built_in().unwrap().with_custom(vec![source]);
    assert_eq!(rejected, []);
    catalog
        .get(&ProfileName::parse("p").unwrap())
        .unwrap()
        .clone()
}

#[test]
fn what_no_rule_grants_is_denied_with_the_smallest_rule_that_would() {
    for (path, operation, remedy) in [
        (
            "/etc/shadow",
            Operation::Read,
            r#""filesystem": { "read_file": ["/etc/shadow"] }"#,
        ),
        (
            "~/notes",
            Operation::Write,
            r#""filesystem": { "write_file": ["$HOME/notes"] }"#,
        ),
        (
            "/data/new",
            Operation::Create,
            r#""filesystem": { "write": ["/data"] }"#,
        ),
        (
            "/data",
            Operation::List,
            r#""filesystem": { "read": ["/data"] }"#,
        ),
    ] {
        let answer = ask_default(path, operation);
        assert_eq!(answer.verdict, Verdict::Denied, "{path}");
        assert_eq!(answer.remedy.as_deref(), Some(remedy));
        assert!(answer.rights.iter().any(|right| right.granted_by.is_none()));
    }
}

#[test]
fn what_is_allowed_names_rule_group_and_file() {
    let answer = ask_default("/usr/bin/env", Operation::Exec);
    assert_eq!((answer.verdict, answer.remedy), (Verdict::Allowed, None));
    let rule = answer.rights[0].granted_by.clone().unwrap();
    assert_eq!(
        (rule.place.as_str(), rule.origin.as_str()),
        ("/usr", "group system_read")
    );
    assert!(rule.at.unwrap().to_string().starts_with("groups.json:"));
    assert_eq!(
        ask_default("/tmp/x", Operation::Create).verdict,
        Verdict::Allowed
    );
    assert_eq!(
        ask_default("/nono/nono", Operation::Exec).verdict,
        Verdict::Allowed
    );
    assert_eq!(
        ask_default("/nono/.canary", Operation::Read).verdict,
        Verdict::Denied
    );
    assert_eq!(
        ask_default("/work/x", Operation::Read).verdict,
        Verdict::Allowed
    );
}

#[test]
fn a_denied_place_has_no_remedy() {
    let answer = ask_default("~/.ssh/id_rsa", Operation::Read);
    assert_eq!((answer.verdict, &answer.remedy), (Verdict::Denied, &None));
    assert!(answer.notes[0].starts_with("group deny_credentials denies $HOME/.ssh (groups.json:"));
}

#[test]
fn a_grant_that_a_denial_drops_is_named() {
    let profile = custom(r#"{ "extends": "default", "filesystem": { "allow": ["~"] } }"#);
    let answer = ask_of(&profile, "~/x", Operation::Read);
    assert_eq!(answer.verdict, Verdict::Denied);
    let note = answer
        .notes
        .iter()
        .find(|note| note.contains("is dropped"))
        .unwrap();
    assert!(note.starts_with("$HOME of filesystem.allow (p.json:1:51) is dropped, because group deny_credentials denies $HOME/"), "{note}");
}

#[test]
fn what_the_launch_decides_is_said() {
    let profile = custom(r#"{ "extends": "default", "workdir": { "access": "readwrite" } }"#);
    let at_home = Surroundings {
        workdir: Some("/home/u".to_owned()),
        ..container()
    };
    let answer = profile
        .explain("/home/u/x", Operation::Read, &at_home)
        .unwrap();
    assert_eq!(answer.verdict, Verdict::Depends);
    assert!(
        answer.notes[0].starts_with("dropped at launch where $HOME/"),
        "{:?}",
        answer.notes
    );

    let in_etc = Surroundings {
        workdir: Some("/etc/x".to_owned()),
        ..container()
    };
    let answer = profile
        .explain("/etc/x/y", Operation::Read, &in_etc)
        .unwrap();
    assert_eq!(answer.verdict, Verdict::Denied);
    assert!(
        answer
            .notes
            .iter()
            .any(|note| note.contains("earns nothing here"))
    );

    let unknown = Surroundings::default();
    let answer = profile
        .explain("/data/y", Operation::Read, &unknown)
        .unwrap();
    let expected = "$WORKDIR of workdir.access would matter, but its value is not known here";
    assert!(
        answer.notes.iter().any(|note| note == expected),
        "{:?}",
        answer.notes
    );
    assert!(profile.explain("~/y", Operation::Read, &unknown).is_err());
    assert!(
        profile
            .explain("relative", Operation::Read, &unknown)
            .is_err()
    );
}

#[test]
fn a_rule_for_a_file_holds_for_that_file_only() {
    let profile = custom(r#"{ "filesystem": { "allow_file": ["/data/f"] } }"#);
    assert_eq!(
        ask_of(&profile, "/data/f", Operation::Write).verdict,
        Verdict::Allowed
    );
    assert_eq!(
        ask_of(&profile, "/data/f/x", Operation::Write).verdict,
        Verdict::Denied
    );
}

#[test]
fn operations_on_directories_need_rights_on_them() {
    let profile = custom(r#"{ "filesystem": { "write": ["/data"] } }"#);
    for operation in [
        Operation::Create,
        Operation::Delete,
        Operation::Rename,
        Operation::Mkdir,
    ] {
        assert_eq!(
            ask_of(&profile, "/data/x", operation).verdict,
            Verdict::Allowed,
            "{operation}"
        );
    }
    for operation in [
        Operation::Read,
        Operation::List,
        Operation::Exec,
        Operation::Ioctl,
    ] {
        assert_eq!(
            ask_of(&profile, "/data/x", operation).verdict,
            Verdict::Denied,
            "{operation}"
        );
    }
    assert_eq!(
        ask_of(&profile, "/data", Operation::Rmdir).verdict,
        Verdict::Denied
    );
}

#[test]
fn a_denied_place_below_a_fixed_grant_is_denied() {
    let at_app = Surroundings {
        home: Some("/app".to_owned()),
        ..container()
    };
    let name = ProfileName::parse("default").unwrap();
    let catalog = Catalog::built_in().unwrap();
    let profile = catalog.get(&name).unwrap();
    let ask = |path| profile.explain(path, Operation::Read, &at_app).unwrap();
    assert_eq!(ask("~/.aws/credentials").verdict, Verdict::Denied);
    let main = ask("/app/main");
    assert_eq!(main.verdict, Verdict::Depends);
    assert!(
        main.notes[0].starts_with("dropped at launch where $HOME/"),
        "{:?}",
        main.notes
    );
}

#[test]
fn a_home_at_the_root_has_its_own_paths() {
    let at_root = Surroundings {
        home: Some("/".to_owned()),
        ..container()
    };
    let name = ProfileName::parse("default").unwrap();
    let catalog = Catalog::built_in().unwrap();
    let profile = catalog.get(&name).unwrap();
    let answer = profile
        .explain("~/.ssh/id", Operation::Read, &at_root)
        .unwrap();
    assert_eq!(
        (answer.path.as_str(), answer.verdict),
        ("/.ssh/id", Verdict::Denied)
    );
    let shadow = profile
        .explain("/etc/shadow", Operation::Read, &at_root)
        .unwrap();
    assert!(shadow.remedy.is_some());
}

#[test]
fn volumes_make_the_answer_depend_on_the_pod() {
    let profile = custom(r#"{ "filesystem": { "volumes": "read" } }"#);
    assert_eq!(
        ask_of(&profile, "/data/x", Operation::Read).verdict,
        Verdict::Depends
    );
    assert_eq!(
        ask_of(&profile, "/data/x", Operation::Write).verdict,
        Verdict::Denied
    );
    assert_eq!(
        ask_of(&profile, "/etc/hosts", Operation::Read).verdict,
        Verdict::Denied
    );
}

#[test]
fn no_remedy_is_offered_that_would_be_dropped() {
    let answer = ask_default("~/new", Operation::Create);
    assert_eq!((answer.verdict, answer.remedy), (Verdict::Denied, None));
}
