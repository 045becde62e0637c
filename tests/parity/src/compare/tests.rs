use super::*;
use crate::deviations;

const LISTED: &str = r#"
    [[deviation]]
    paths = ["/etc/passwd", "/tmp/**"]
    operations = ["read"]
    nono = "allowed"
    ours = "denied"
    reason = "because"
"#;

fn row(operation: &str, target: &str, bare: &str, nono: &str, ours: &str) -> Row {
    Row {
        user: User::Root,
        probe: Probe {
            operation: operation.to_owned(),
            target: target.to_owned(),
        },
        bare: Outcome::new(bare),
        nono: Outcome::new(nono),
        ours: Outcome::new(ours),
    }
}

/// Rows that show all of `LISTED`.
fn shown() -> Vec<Row> {
    ["/etc/passwd", "/tmp/x"]
        .map(|path| row("read", path, "ok", "ok", "EACCES"))
        .into()
}

fn compare_with(listed: &str, rows: Vec<Row>) -> Comparison {
    compare(rows, &deviations::parse(listed).unwrap())
}

fn class_of(row: Row) -> Class {
    compare_with(LISTED, vec![row]).rows[0].class
}

#[test]
fn agreement_and_listed_differences_hold() {
    let mut rows = shown();
    rows.push(row("read", "/usr/bin/true", "ok", "ok", "ok"));
    rows.push(row("move", "/etc", "ok", "EXDEV", "EACCES"));
    rows.push(row("read", "/etc/shadow", "EACCES", "EACCES", "EACCES"));
    let comparison = compare_with(LISTED, rows);
    let expected = Summary {
        compared: 4,
        agree: 2,
        listed: 2,
        unexplained: 0,
        incomparable: 1,
    };
    assert_eq!(comparison.summary(), expected);
    assert!(comparison.holds());
}

#[test]
fn an_unlisted_difference_fails() {
    for (operation, path, nono, ours) in [
        ("read", "/etc/shadow", "ok", "EACCES"),
        ("write", "/etc/passwd", "ok", "EACCES"),
        // The listed one, the other way round.
        ("read", "/etc/passwd", "EACCES", "ok"),
    ] {
        let mut rows = shown();
        rows.push(row(operation, path, "ok", nono, ours));
        let comparison = compare_with(LISTED, rows);
        assert_eq!(comparison.summary().unexplained, 1, "{operation} {path}");
        assert!(!comparison.holds());
    }
}

#[test]
fn a_deviation_of_one_user_is_none_of_the_other() {
    let listed = LISTED.replace("reason", "user = \"user\"\nreason");
    let comparison = compare_with(&listed, shown());
    assert_eq!(comparison.summary().unexplained, 2);
    let rows = shown().into_iter().map(|row| Row {
        user: User::User,
        ..row
    });
    assert!(compare_with(&listed, rows.collect()).holds());
}

#[test]
fn a_stale_deviation_fails() {
    let mut rows = shown();
    rows.remove(0);
    let comparison = compare_with(LISTED, rows);
    assert_eq!(comparison.stale, ["/etc/passwd: read"]);
    assert_eq!(comparison.summary().unexplained, 0);
    assert!(!comparison.holds());

    let listed = LISTED.replace(r#"["read"]"#, r#"["read", "list"]"#);
    let comparison = compare_with(&listed, shown());
    assert_eq!(comparison.stale, ["/etc/passwd, /tmp/**: list"]);
    assert!(!comparison.holds());
}

#[test]
fn a_failure_that_no_sandbox_causes_is_unexplained() {
    assert_eq!(
        class_of(row("read", "/a", "ok", "ENOENT", "EACCES")),
        Class::Unexplained
    );
    assert_eq!(
        class_of(row("read", "/a", "ok", "EACCES", "EIO")),
        Class::Unexplained
    );
}

#[test]
fn what_works_only_in_a_sandbox_is_unexplained() {
    assert_eq!(
        class_of(row("read", "/a", "EACCES", "EACCES", "ok")),
        Class::Unexplained
    );
    assert_eq!(
        class_of(row("read", "/a", "ENOENT", "EACCES", "ENOENT")),
        Class::Incomparable
    );
}

#[test]
fn nothing_compared_is_no_success() {
    let rows = vec![row("read", "/a", "ENOENT", "ENOENT", "ENOENT")];
    assert!(!compare(rows, &[]).holds());
}
