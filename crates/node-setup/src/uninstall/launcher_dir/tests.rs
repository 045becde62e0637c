use tempfile::TempDir;

use super::*;

/// A directory with a plan, a link to it, and one of each on its way.
fn published() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let digest = "0a".repeat(32);
    for name in DIRECTORIES {
        fs::create_dir_all(dir.path().join(name)).unwrap();
    }
    for name in [format!("{digest}.json"), format!(".{digest}.17")] {
        fs::write(dir.path().join("plans").join(name), "{}").unwrap();
    }
    for name in ["default.json", ".default.json.17"] {
        let link = dir.path().join("profiles").join(name);
        symlink(format!("../plans/{digest}.json"), link).unwrap();
    }
    dir
}

fn content() -> Content<'static> {
    Content::of(Path::new("/opt"), &[], &[])
}

#[test]
fn what_is_published_goes_with_its_directories() {
    let dir = published();
    assert!(content().is_alone(dir.path()).unwrap());
    assert_eq!(content().clear(dir.path()).unwrap(), Vec::<PathBuf>::new());
    assert!(!dir.path().exists());
    content().clear(dir.path()).expect("nothing there is fine");
}

#[test]
fn what_only_looks_alike_stays_and_is_named() {
    for (name, is_link) in [
        ("kubectl", false),
        ("plans/notes.json", false),
        ("plans/.hidden", false),
        ("profiles/theirs.json", false),
        ("profiles/elsewhere.json", true),
    ] {
        let dir = published();
        let path = dir.path().join(name);
        match is_link {
            true => symlink("/etc/passwd", &path).unwrap(),
            false => fs::write(&path, "theirs").unwrap(),
        }
        assert!(!content().is_alone(dir.path()).unwrap(), "{name}");
        let left = content().clear(dir.path()).unwrap();
        assert_eq!(left, [PathBuf::from(name)]);
        assert!(fs::symlink_metadata(&path).is_ok(), "{name}");
    }
}

#[test]
fn nothing_is_removed_through_a_link() {
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), published());
    symlink(elsewhere.path().join("plans"), dir.path().join("plans")).unwrap();
    assert!(!content().is_alone(dir.path()).unwrap());
    content().clear(dir.path()).unwrap();
    assert!(content().is_alone(elsewhere.path()).unwrap(), "control");
    assert_eq!(
        fs::read_dir(elsewhere.path().join("plans"))
            .unwrap()
            .count(),
        2
    );
}
