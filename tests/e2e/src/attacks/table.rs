//! The tables of docs/security/attacks.md.

use std::fmt::Write as _;

use super::battery::{BATTERY, Battery, Reach};
use super::place::Place;
use super::structural::{self, Needs, Structural};

/// Before and after the tables in the document.
pub const MARKS: [&str; 2] = ["<!-- attacks: begin -->\n", "<!-- attacks: end -->\n"];

/// Both tables as Markdown.
pub fn markdown() -> String {
    let mut text = String::from(
        "### Inside a container\n\n\
         | attack | what it tries | what stops it | where | control |\n| --- | --- | --- | --- | --- |\n",
    );
    for attack in BATTERY {
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} |",
            attack.name,
            attack.tries,
            attack.stopped_by,
            places(attack),
            control(attack)
        );
    }
    text += "\n### Around a container\n\n\
             | attack | what it tries | what stops it | fixtures | control |\n| --- | --- | --- | --- | --- |\n";
    for attack in structural::all() {
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} |",
            attack.name,
            attack.tries,
            attack.stopped_by,
            fixtures(attack),
            attack.control
        );
    }
    text
}

fn places(attack: &Battery) -> String {
    match attack.reach {
        Reach::Everywhere | Reach::Module(_) => "everywhere".to_owned(),
        Reach::Loader(_) | Reach::Only(_) => list(attack.places()),
    }
}

fn control(attack: &Battery) -> String {
    let mut text = String::from("wins");
    if !attack.impossible.is_empty() {
        let _ = write!(text, "; not possible in {}", list(attack.impossible));
    }
    if !attack.open.is_empty() {
        let _ = write!(text, "; **wins in the sandbox too**: {}", list(attack.open));
    }
    text
}

fn list(places: &[Place]) -> String {
    let names: Vec<&str> = places.iter().map(|place| place.name()).collect();
    names.join(", ")
}

fn fixtures(attack: Structural) -> &'static str {
    match attack.needs {
        Needs::Cri => "containerd, CRI-O",
        Needs::Nri => "containerd and CRI-O with NRI",
        Needs::Podman => "Podman",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::repository;

    #[test]
    fn the_document_has_the_tables() {
        let path = repository::root().join("docs/security/attacks.md");
        let document = std::fs::read_to_string(path).unwrap();
        let (_, rest) = document.split_once(MARKS[0]).unwrap();
        let (tables, _) = rest.split_once(MARKS[1]).unwrap();
        assert_eq!(
            tables,
            markdown(),
            "put the output of `cargo run -p e2e --bin attacks -- --table` there"
        );
    }

    #[test]
    fn names_are_unique_and_texts_fit_a_cell() {
        let inside = BATTERY
            .iter()
            .map(|attack| (attack.name, attack.tries, attack.stopped_by));
        let around = structural::all();
        let around = around
            .iter()
            .map(|attack| (attack.name, attack.tries, attack.stopped_by));
        let mut names = BTreeSet::new();
        for (name, tries, stopped_by) in inside.chain(around) {
            assert!(names.insert(name), "{name} twice");
            assert!(!tries.contains('|') && !stopped_by.contains('|'), "{name}");
        }
    }

    #[test]
    fn exceptions_name_places_where_the_attack_runs() {
        for attack in BATTERY {
            for place in attack.impossible.iter().chain(attack.open) {
                assert!(attack.places().contains(place), "{}: {place}", attack.name);
            }
        }
    }
}
