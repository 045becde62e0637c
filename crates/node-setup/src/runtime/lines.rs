//! Lines that an edit leaves alone stay as they are, byte for byte.
//!
//! The TOML editor writes `\n` everywhere, and drops comments together with what follows them. So its result is laid over
//! the original: lines that are in both are taken from the original, and comments of others are never lost.

use similar::{ChangeTag, TextDiff};

/// How comments of kubefence begin.
pub(crate) const MARK: &str = "# kubefence:";

const BYTE_ORDER_MARK: char = '\u{feff}';

/// The text that the TOML editor is given: no byte order mark, no carriage returns, and a newline at the end.
pub(crate) fn plain(text: &str) -> String {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let mut plain = text.replace("\r\n", "\n");
    if !plain.is_empty() && !plain.ends_with('\n') {
        plain.push('\n');
    }
    plain
}

/// `edited`, a version of `plain(original)`, with the line endings and the comments of `original`.
pub(crate) fn overlay(original: &str, edited: &str) -> String {
    let before = plain(original);
    if before == edited {
        return original.to_owned();
    }
    let body = original.strip_prefix(BYTE_ORDER_MARK).unwrap_or(original);
    let originals: Vec<&str> = body.split_inclusive('\n').collect();
    let end = usual_end(body);
    let mut result = String::with_capacity(edited.len() + original.len());
    if body.len() != original.len() {
        result.push(BYTE_ORDER_MARK);
    }
    let mut removed: Vec<&str> = Vec::new();
    for change in TextDiff::from_lines(before.as_str(), edited).iter_all_changes() {
        let old = change.old_index().and_then(|line| originals.get(line));
        if let (ChangeTag::Delete, Some(line)) = (change.tag(), old) {
            removed.push(line);
            continue;
        }
        push_comments(&mut result, &mut removed, end);
        match old {
            Some(line) => push_line(&mut result, line, end),
            None => result.extend([change.value().trim_end_matches('\n'), end]),
        }
    }
    push_comments(&mut result, &mut removed, end);
    result
}

/// Of lines that are to go, comments of others stay, with the empty lines between them.
fn push_comments(result: &mut String, removed: &mut Vec<&str>, end: &str) {
    let last = removed.iter().rposition(|line| is_foreign_comment(line));
    for line in removed.drain(..).take(last.map_or(0, |last| last + 1)) {
        if line.trim().is_empty() || is_foreign_comment(line) {
            push_line(result, line, end);
        }
    }
}

/// A line of the original; its last line may have no end, and need one now.
fn push_line(result: &mut String, line: &str, end: &str) {
    result.push_str(line);
    if !line.ends_with('\n') {
        result.push_str(end);
    }
}

fn is_foreign_comment(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with('#') && !line.starts_with(MARK)
}

/// The line ending that most lines have.
fn usual_end(text: &str) -> &'static str {
    let all = text.matches('\n').count();
    match text.matches("\r\n").count() * 2 > all {
        true => "\r\n",
        false => "\n",
    }
}

#[cfg(test)]
mod tests {
    use super::{overlay, plain};

    #[test]
    fn the_editor_gets_a_plain_text() {
        assert_eq!(plain("\u{feff}a = 1\r\nb = 2"), "a = 1\nb = 2\n");
        assert_eq!(plain(""), "");
    }

    #[test]
    fn lines_that_stay_keep_their_ends_and_new_ones_get_the_usual_end() {
        let original = "\u{feff}a = 1\r\nb = 2\nc = 3\r\nd = 4\r\n";
        let edited = "a = 1\nb = 2\nx = 9\nd = 5\n";
        let expected = "\u{feff}a = 1\r\nb = 2\nx = 9\r\nd = 5\r\n";
        assert_eq!(overlay(original, edited), expected);
        assert_eq!(overlay(original, &plain(original)), original);
    }

    #[test]
    fn a_last_line_without_an_end_gets_one_only_if_something_follows() {
        assert_eq!(overlay("a = 1", "a = 1\n"), "a = 1");
        assert_eq!(overlay("a = 1", "a = 1\nb = 2\n"), "a = 1\nb = 2\n");
    }

    #[test]
    fn comments_of_others_are_never_lost_and_ours_go() {
        let original = "# Theirs.\n\n# Theirs, too.\n# kubefence: ours.\nversion = 2\n";
        assert_eq!(overlay(original, ""), "# Theirs.\n\n# Theirs, too.\n");
    }
}
