use std::collections::BTreeMap;

use kubefence_profile::{Catalog, CompileOptions};

use super::*;

type Plans = BTreeMap<ProfileName, EncodedPlan>;

/// The plans of those built-in profiles that have one.
fn plans() -> Plans {
    let catalog = Catalog::built_in().unwrap();
    let plan = |profile: &kubefence_profile::ResolvedProfile| {
        let plan = profile.compile(&CompileOptions::default()).ok()?;
        Some((profile.name.clone(), plan.encode().unwrap()))
    };
    catalog.iter().filter_map(plan).collect()
}

fn publish_into(dir: &Path) -> Plans {
    let plans = plans();
    publish(&plans, dir).unwrap();
    plans
}

#[test]
fn a_profile_name_leads_to_its_plan() {
    let dir = tempfile::tempdir().unwrap();
    let published = publish_into(dir.path());
    assert!(published.len() > 1);
    for (name, EncodedPlan { digest, .. }) in &published {
        let link = dir.path().join(format!("profiles/{name}.json"));
        assert_eq!(
            fs::read_link(&link).unwrap(),
            Path::new(&format!("../plans/{digest}.json"))
        );
        let plan = kubefence_profile::LaunchPlan::decode(&fs::read(&link).unwrap()).unwrap();
        assert_eq!(plan.profile, *name);
        assert_eq!(
            fs::metadata(&link).unwrap().permissions().mode() & 0o777,
            0o644
        );
    }
    let leftovers = fs::read_dir(dir.path().join("plans")).unwrap().count();
    assert_eq!(leftovers, published.len());
}

#[test]
fn publishing_repairs_and_is_idempotent() {
    let dir = tempfile::tempdir().unwrap();
    publish_into(dir.path());
    let link = dir.path().join("profiles/default.json");
    let intact = fs::read(&link).unwrap();
    fs::write(
        dir.path()
            .join("profiles")
            .join(fs::read_link(&link).unwrap()),
        "{ trunc",
    )
    .unwrap();
    publish_into(dir.path());
    assert_eq!(
        fs::read(&link).unwrap(),
        intact,
        "a damaged plan was not written again"
    );
    fs::set_permissions(&link, Permissions::from_mode(0o600)).unwrap();
    fs::write(dir.path().join("plans/.left-behind"), "").unwrap();
    publish_into(dir.path());
    assert_eq!(
        fs::metadata(&link).unwrap().permissions().mode() & 0o777,
        0o644
    );
    assert!(!dir.path().join("plans/.left-behind").exists());
    fs::remove_file(&link).unwrap();
    symlink("../../etc/passwd", &link).unwrap();
    publish_into(dir.path());
    assert_eq!(
        fs::read(&link).unwrap(),
        intact,
        "a redirected profile was not put right"
    );
}

#[test]
fn an_unusable_directory_is_named() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("plans"), "a file").unwrap();
    let error = publish(&plans(), dir.path()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("plans: make the launcher's directory writable"),
        "{error}"
    );
}

#[test]
fn the_link_of_a_profile_that_is_gone_goes_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let published = publish_into(dir.path());
    let profiles = dir.path().join("profiles");
    fs::write(profiles.join("notes.json"), "not ours").unwrap();
    fs::write(profiles.join("README"), "not ours").unwrap();
    symlink("elsewhere", profiles.join("a.b.json")).unwrap();
    let strict = ProfileName::parse("strict").unwrap();
    let keep = published.keys().filter(|name| **name != strict).collect();
    prune(&keep, dir.path()).unwrap();
    assert!(fs::symlink_metadata(profiles.join("strict.json")).is_err());
    for name in ["default.json", "notes.json", "README", "a.b.json"] {
        assert!(fs::symlink_metadata(profiles.join(name)).is_ok(), "{name}");
    }
    let plan = format!("plans/{}.json", published[&strict].digest);
    assert!(dir.path().join(plan).exists(), "running containers need it");
}

/// Plans of the same names, but all others than those of [`plans`].
fn other_plans() -> Plans {
    let catalog = Catalog::built_in().unwrap();
    let plan = |profile: &kubefence_profile::ResolvedProfile| {
        let mut plan = profile.compile(&CompileOptions::default()).ok()?;
        plan.log_denials = !plan.log_denials;
        Some((profile.name.clone(), plan.encode().unwrap()))
    };
    catalog.iter().filter_map(plan).collect()
}

/// The profiles whose links lead to their plans among `plans`.
fn leading(plans: &Plans, dir: &Path) -> Vec<String> {
    let leads = |(name, plan): &(&ProfileName, &EncodedPlan)| {
        let found = fs::read(dir.join(format!("profiles/{name}.json")));
        found.is_ok_and(|found| found == plan.bytes)
    };
    let leading = plans.iter().filter(leads);
    leading.map(|(name, _)| name.to_string()).collect()
}

fn hidden(dir: &Path) -> usize {
    let names = fs::read_dir(dir.join("profiles")).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name());
    names
        .filter(|name| name.as_encoded_bytes().starts_with(b"."))
        .count()
}

#[test]
fn a_plan_that_cannot_be_written_changes_no_link() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (publish_into(dir.path()), other_plans());
    let last = new.values().next_back().unwrap();
    let blocked = dir.path().join(format!("plans/{}.json", last.digest));
    fs::create_dir(&blocked).unwrap();
    let error = publish(&new, dir.path()).unwrap_err();
    assert!(matches!(&error, PublishError::Write { path, .. } if *path == blocked));
    assert!(
        error
            .to_string()
            .contains("every profile stays as it was published last"),
        "{error}"
    );
    assert_eq!(leading(&old, dir.path()).len(), old.len());
    assert_eq!(leading(&new, dir.path()), [""; 0]);
    fs::remove_dir(&blocked).unwrap();
    publish(&new, dir.path()).unwrap();
    assert_eq!(leading(&new, dir.path()).len(), new.len());
    assert_eq!(hidden(dir.path()), 0);
}

#[test]
fn a_link_that_cannot_be_replaced_is_named_and_holds_up_no_other() {
    let dir = tempfile::tempdir().unwrap();
    publish_into(dir.path());
    let new = other_plans();
    let link = dir.path().join("profiles/default.json");
    fs::remove_file(&link).unwrap();
    fs::create_dir(&link).unwrap();
    let error = publish(&new, dir.path()).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("profiles/default.json: remove what is there")
            && text.contains("no new plan under default, but"),
        "{text}"
    );
    let others = leading(&new, dir.path());
    assert_eq!(others.len(), new.len() - 1);
    assert!(!others.contains(&"default".to_owned()));
    let again = publish(&new, dir.path()).unwrap_err();
    assert_eq!(again.to_string(), text, "it would be told anew each time");
    assert_eq!(hidden(dir.path()), 0);
    fs::remove_dir(&link).unwrap();
    publish(&new, dir.path()).unwrap();
    assert_eq!(leading(&new, dir.path()).len(), new.len());
}

#[test]
fn that_links_cannot_be_removed_does_not_read_as_if_nothing_were_published() {
    let dir = tempfile::tempdir().unwrap();
    publish_into(dir.path());
    let profiles = dir.path().join("profiles");
    prune(&BTreeSet::new(), dir.path()).unwrap();
    fs::remove_dir(&profiles).unwrap();
    let error = prune(&BTreeSet::new(), dir.path()).unwrap_err();
    assert!(matches!(&error, PublishError::Prune { path, .. } if *path == profiles));
    assert!(error.to_string().contains("the new ones of all others"));
}

#[test]
fn what_is_somebody_elses_is_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let published = publish_into(dir.path());
    publish(&published, dir.path()).expect("control: our own links are in nobody's way");
    let link = dir.path().join("profiles/strict.json");
    fs::remove_file(&link).unwrap();
    fs::write(&link, "theirs").unwrap();
    let error = publish(&published, dir.path()).unwrap_err();
    assert!(
        matches!(&error, PublishError::Taken { path, .. } if *path == link),
        "{error}"
    );
    assert_eq!(fs::read_to_string(&link).unwrap(), "theirs");
}

#[test]
fn nothing_is_published_through_a_link() {
    for name in ["plans", "profiles"] {
        let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        symlink(elsewhere.path(), dir.path().join(name)).unwrap();
        let error = publish(&plans(), dir.path()).unwrap_err();
        assert!(matches!(&error, PublishError::Taken { .. }), "{error}");
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0, "{name}");
    }
}
