//! What becomes of every configuration that `fixtures/` knows, and of it when everything is taken back.
//!
//! The runtimes' answers are stored; `real.rs` checks that the pinned runtimes still give them.

mod case;

use case::paper::PaperHost;
use case::{Case, Golden, describe, manifest, prepare, revert};
use kubefence_node_setup::runtime::{EditKind, Wanted};

#[test]
fn every_fixture_becomes_what_is_stored_and_back() {
    let mut golden = Golden::new();
    for case in Case::all() {
        check(&case, &mut golden);
    }
    golden.finish();
}

fn check(case: &Case, golden: &mut Golden) {
    let mut host = PaperHost::new(case);
    let (detected, plan) = match (prepare(&host, &case.wanted), &case.error) {
        (Ok(prepared), None) => prepared,
        (Err(said), Some(error)) if said == *error => return,
        (Err(said), error) => {
            golden.fail(format!("{}: {said:?}, not {error:?}", case.name));
            return;
        }
        (Ok(_), Some(error)) => {
            golden.fail(format!("{}: no error, not {error:?}", case.name));
            return;
        }
    };
    golden.check(
        &case.directory.join("plan.txt"),
        &describe(&detected, &plan),
    );
    for edit in &plan.edits {
        assert_eq!(
            edit.before.as_ref(),
            host.files.get(&edit.path),
            "{}",
            case.name
        );
        let place = edit.path.strip_prefix("/").unwrap();
        golden.check(&case.directory.join("after").join(place), &edit.after);
    }
    for (path, text) in revert(&plan) {
        let place = path.strip_prefix("/").unwrap();
        golden.check(&case.directory.join("reverted").join(place), &text);
    }
    // Once more, with everything in place: nothing is to be done.
    for edit in &plan.edits {
        host.files.insert(edit.path.clone(), edit.after.clone());
    }
    let again = Wanted {
        owned: manifest(&plan),
        ..case.wanted.clone()
    };
    let (_, second) = prepare(&host, &again).expect("a second plan");
    for (first, second) in plan.edits.iter().zip(&second.edits) {
        assert_eq!(second.before.as_ref(), Some(&second.after), "{}", case.name);
        assert_eq!(first.keys, second.keys, "{}", case.name);
        assert_eq!(first.kind, second.kind, "{}", case.name);
    }
    assert_eq!(plan.edits.len(), second.edits.len(), "{}", case.name);
}

#[test]
fn reverted_files_are_as_they_were() {
    let mut seen = 0;
    // A file without a newline at its end has one afterwards: nothing tells that it was not there.
    let known = ["containerd-2.2-no-newline"];
    for case in Case::all().iter().filter(|case| case.error.is_none()) {
        let host = PaperHost::new(case);
        let (_, plan) = prepare(&host, &case.wanted).expect("a plan");
        for (path, text) in revert(&plan) {
            seen += 1;
            let before = &host.files[&path];
            match known.contains(&case.name.as_str()) {
                true => assert_eq!(text, format!("{before}\n"), "{}", case.name),
                false => assert_eq!(&text, before, "{} {}", case.name, path.display()),
            }
        }
        let own = plan.edits.iter().filter(|edit| edit.kind == EditKind::Own);
        assert!(
            own.clone().all(|edit| edit.before.is_none()),
            "{}",
            case.name
        );
    }
    assert!(seen > 10, "{seen}");
}
