//! What people see of changes to a node.

use kubefence_node_setup::{Action, FileReport};

use crate::print;

/// Prints unified diffs, coloured as diffs are.
pub(super) fn diffs(files: &[FileReport]) {
    let diffs = files.iter().filter_map(|file| file.diff.as_deref());
    for line in diffs.flat_map(str::lines) {
        let style = match line.as_bytes().first() {
            _ if line.starts_with("+++") || line.starts_with("---") => print::STRONG,
            Some(b'+') => print::GOOD,
            Some(b'-') => print::BAD,
            Some(b'@') => print::FAINT,
            _ => anstyle::Style::new(),
        };
        anstream::println!("{}", print::styled(style, line));
    }
}

/// Prints what is done with each file that does not stay as it is.
pub(super) fn actions(files: &[FileReport]) {
    for file in files.iter().filter(|file| file.action != Action::Unchanged) {
        let verb = match file.action {
            Action::Created => "created",
            Action::Removed => "removed",
            _ => "changed",
        };
        anstream::println!(
            "{} {}",
            print::styled(print::STRONG, verb),
            file.path.display()
        );
    }
}

/// Prints what an operator should know.
pub(super) fn notes(notes: &[String]) {
    for note in notes {
        anstream::println!("{} {note}", print::styled(print::DOUBTFUL, "note:"));
    }
}
