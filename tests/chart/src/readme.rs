//! The chart's README: a fixed text, and the table of values from the comments of values.yaml.
//!
//! Each value stands in one line, and its description in the comment lines right above it.

use anyhow::{Result, bail, ensure};

const TEXT: &str = include_str!("readme.md");

/// Where the table goes.
const PLACE: &str = "@VALUES@";

/// A value, or a group of them.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// The keys from the top to here.
    pub path: Vec<String>,
    /// Its default, as it stands in the file; empty for a group.
    pub default: String,
    /// What the comment says.
    pub description: String,
}

/// The README for the chart with these values.yaml.
pub fn render(values: &str) -> Result<String> {
    let entries = entries(values)?;
    let rows: String = entries.iter().map(row).collect();
    let table = format!("| value | default | |\n| --- | --- | --- |\n{rows}");
    ensure!(
        TEXT.contains(PLACE),
        "the README has no place for the values"
    );
    Ok(TEXT.replace(PLACE, table.trim_end()))
}

fn row(entry: &Entry) -> String {
    let default = match entry.default.as_str() {
        "" => String::new(),
        text => format!("`{text}`"),
    };
    let name = entry.path.join(".");
    format!("| `{name}` | {default} | {} |\n", entry.description)
}

/// All values, in the order of the file. One without a description is an error, and so is one over several lines.
pub fn entries(text: &str) -> Result<Vec<Entry>> {
    let mut reader = Reader::default();
    for line in text.lines() {
        reader.line(line)?;
    }
    Ok(reader.entries)
}

#[derive(Default)]
struct Reader {
    entries: Vec<Entry>,
    /// Comment lines since the last other line.
    comment: Vec<String>,
    /// Indentation and key of the mappings that the line is in.
    open: Vec<(usize, String)>,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<()> {
        let content = line.trim();
        let depth = line.len() - line.trim_start().len();
        if let Some(comment) = content.strip_prefix('#') {
            self.comment.push(comment.trim().to_owned());
            return Ok(());
        }
        if content.is_empty() {
            self.comment.clear();
            return Ok(());
        }
        let description = std::mem::take(&mut self.comment).join(" ");
        ensure!(
            !description.is_empty(),
            "values.yaml: {content:?} has no comment right above it that describes it"
        );
        let Some((key, value)) = content.split_once(':') else {
            bail!("values.yaml: a comment describes {content:?}, which is no key");
        };
        self.open.retain(|(indent, _)| *indent < depth);
        self.open.push((depth, key.to_owned()));
        self.entries.push(Entry {
            path: self.open.iter().map(|(_, key)| key.clone()).collect(),
            default: value.trim().to_owned(),
            description,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &[&str], default: &str, description: &str) -> Entry {
        Entry {
            path: path.iter().map(|&key| key.to_owned()).collect(),
            default: default.to_owned(),
            description: description.to_owned(),
        }
    }

    #[test]
    fn comments_describe_what_follows_them() {
        let text = "# about the file\n\n# A group.\na:\n  # One,\n  # and more.\n  b: 1\n  # Another.\n  c: []\n# Last.\nd: {e: f}\n";
        assert_eq!(
            entries(text).unwrap(),
            [
                entry(&["a"], "", "A group."),
                entry(&["a", "b"], "1", "One, and more."),
                entry(&["a", "c"], "[]", "Another."),
                entry(&["d"], "{e: f}", "Last."),
            ]
        );
    }

    #[test]
    fn a_value_without_description_is_an_error() {
        assert!(entries("a: 1\n").is_err());
        assert!(entries("# A.\na:\n  # B.\n  b: 1\nc: 2\n").is_err());
    }
}
