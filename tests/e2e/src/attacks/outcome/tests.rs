use super::*;

fn held() -> Outcome {
    Outcome::Held("EACCES".to_owned())
}

fn not_here() -> Outcome {
    Outcome::NotHere("no such thing".to_owned())
}

fn broken() -> Outcome {
    Outcome::Broken("oops".to_owned())
}

#[test]
fn lines_of_the_program_are_read_and_others_passed_over() {
    let text = "serve: ready\nvictims: 2\na: won\nb: held EACCES\nc: n/a no io_uring\nd: broken x\nserve: done\n";
    let outcomes = Outcomes::default().with(text).unwrap();
    assert_eq!(outcomes.victims(), 2);
    assert_eq!(outcomes.of("a"), Some(Outcome::Won));
    assert_eq!(outcomes.of("b"), Some(held()));
    assert_eq!(
        outcomes.of("c"),
        Some(Outcome::NotHere("no io_uring".to_owned()))
    );
    assert_eq!(outcomes.of("d"), Some(Outcome::Broken("x".to_owned())));
    assert_eq!(outcomes.of("e"), None);
}

#[test]
fn a_stopped_attack_needs_a_control_that_wins() {
    assert!(judge(Promise::Stopped, &held(), &Outcome::Won).is_ok());
    for control in [held(), not_here(), broken()] {
        assert!(judge(Promise::Stopped, &held(), &control).is_err());
    }
}

#[test]
fn a_stopped_attack_must_be_held_and_not_merely_impossible() {
    let lost = Outcome::Held("ENOENT".to_owned());
    for sandboxed in [Outcome::Won, not_here(), broken(), lost] {
        assert!(judge(Promise::Stopped, &sandboxed, &Outcome::Won).is_err());
    }
}

#[test]
fn an_impossible_attack_may_fail_in_any_way_but_not_win() {
    for sandboxed in [held(), not_here()] {
        for control in [held(), not_here(), Outcome::Won] {
            assert!(judge(Promise::Impossible, &sandboxed, &control).is_ok());
        }
    }
    for control in [held(), not_here(), Outcome::Won] {
        assert!(judge(Promise::Impossible, &Outcome::Won, &control).is_err());
        assert!(judge(Promise::Impossible, &broken(), &control).is_err());
    }
}

#[test]
fn an_open_attack_that_is_stopped_makes_the_document_wrong() {
    assert!(judge(Promise::Open, &Outcome::Won, &Outcome::Won).is_ok());
    assert!(judge(Promise::Open, &held(), &Outcome::Won).is_err());
    assert!(judge(Promise::Open, &Outcome::Won, &held()).is_err());
}
