use std::os::unix::fs::symlink;

use kubefence_launch_plan::EncodedPlan;
use kubefence_profile::{Catalog, CompileOptions};

use super::*;
use crate::plans::publish;

fn profile(name: &str) -> ProfileName {
    ProfileName::parse(name).unwrap()
}

/// A directory with the profile `default`, its link and its plan.
struct Directory {
    dir: tempfile::TempDir,
    plan: EncodedPlan,
}

impl Directory {
    fn new() -> Self {
        let (catalog, dir) = (Catalog::built_in().unwrap(), tempfile::tempdir().unwrap());
        let name = profile("default");
        let plan = catalog.get(&name).unwrap();
        let plan = plan.compile(&CompileOptions::default()).unwrap();
        let plan = plan.encode().unwrap();
        publish([(&name, &plan)], dir.path()).unwrap();
        Self { dir, plan }
    }

    fn link(&self) -> PathBuf {
        self.dir.path().join("profiles/default.json")
    }

    fn file(&self) -> PathBuf {
        let digest = &self.plan.digest;
        self.dir.path().join(format!("plans/{digest}.json"))
    }

    fn lead_to(&self, target: impl AsRef<Path>) {
        fs::remove_file(self.link()).unwrap();
        symlink(target, self.link()).unwrap();
    }

    fn lookup(&self) -> Result<Published, LookupError> {
        lookup(self.dir.path(), &profile("default"))
    }

    /// What is said to be wrong, and where.
    fn flaw(&self) -> (PathBuf, Flaw) {
        match self.lookup() {
            Err(LookupError::Damaged { path, flaw, .. }) => (path, flaw),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_published_profile_is_found_with_its_digest() {
    let directory = Directory::new();
    assert_eq!(directory.lookup().unwrap().digest, directory.plan.digest);
}

#[test]
fn a_profile_that_is_not_published_is_no_damage() {
    let directory = Directory::new();
    let error = lookup(directory.dir.path(), &profile("team")).unwrap_err();
    assert!(matches!(&error, LookupError::NoProfile { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("no profile \"team\" is published")
    );
    let nowhere = lookup(Path::new("/nonexistent"), &profile("team")).unwrap_err();
    assert!(matches!(nowhere, LookupError::NoProfile { .. }));
}

#[test]
fn a_link_counts_only_if_it_leads_to_a_plan() {
    let directory = Directory::new();
    let digest = &directory.plan.digest;
    let upper = digest.to_string().to_uppercase();
    let full = directory.file().display().to_string();
    fs::copy(directory.file(), directory.dir.path().join("plans/x.json")).unwrap();
    fs::copy(
        directory.file(),
        directory.dir.path().join(format!("plans/{upper}.json")),
    )
    .unwrap();
    for target in [
        "../plans/x.json",
        &format!("../plans/{upper}.json"),
        &format!("../plans/{digest}"),
        &format!("../plans//{digest}.json"),
        &format!("../plans/../plans/{digest}.json"),
        &format!("../profiles/../plans/{digest}.json"),
        &format!("{digest}.json"),
        &full,
    ] {
        directory.lead_to(target);
        assert_eq!(
            directory.flaw(),
            (directory.link(), Flaw::Target(target.into()))
        );
    }
    directory.lead_to(format!("../plans/{digest}.json"));
    directory.lookup().unwrap();
    fs::remove_file(directory.link()).unwrap();
    fs::copy(directory.file(), directory.link()).unwrap();
    assert_eq!(directory.flaw(), (directory.link(), Flaw::NoLink));
}

#[test]
fn a_plan_counts_only_if_it_is_whole() {
    let directory = Directory::new();
    let (file, bytes) = (directory.file(), &directory.plan.bytes);
    let put = |bytes: &[u8]| {
        fs::write(&file, bytes).unwrap();
        directory.flaw()
    };
    assert_eq!(
        put(&bytes[..bytes.len() - 1]),
        (file.clone(), Flaw::Content)
    );
    assert_eq!(put(b""), (file.clone(), Flaw::Content));
    assert_eq!(
        put(&vec![b' '; MAX_PLAN_SIZE + 1]),
        (file.clone(), Flaw::TooBig)
    );
    fs::remove_file(&file).unwrap();
    assert_eq!(directory.flaw(), (file.clone(), Flaw::Missing));
    fs::create_dir(&file).unwrap();
    assert_eq!(directory.flaw(), (file.clone(), Flaw::NotRegular));
    fs::remove_dir(&file).unwrap();
    let elsewhere = directory.dir.path().join("plan");
    fs::write(&elsewhere, bytes).unwrap();
    symlink(&elsewhere, &file).unwrap();
    assert_eq!(directory.flaw(), (file.clone(), Flaw::NotRegular));
    fs::rename(&elsewhere, &file).unwrap();
    directory.lookup().unwrap();
}

#[test]
fn what_is_available_is_told_by_name() {
    let directory = Directory::new();
    let profiles = directory.dir.path().join("profiles");
    for other in ["a.b.json", "README", ".default.json.1", "team.json"] {
        symlink("../plans/x", profiles.join(other)).unwrap();
    }
    let names = available(directory.dir.path()).unwrap();
    assert_eq!(names, [profile("default"), profile("team")]);
    assert!(available(Path::new("/nonexistent")).unwrap().is_empty());
}
