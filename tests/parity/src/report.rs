//! What the suite prints.

use std::fmt::Write as _;

use anyhow::Result;
use e2e::terminal::Style;
use serde::Serialize;

use crate::compare::{Class, Comparison, Summary};

/// The result for machines.
#[derive(Serialize)]
struct Document<'a> {
    summary: Summary,
    #[serde(flatten)]
    comparison: &'a Comparison,
}

/// One JSON document with every row.
pub(crate) fn json(comparison: &Comparison) -> Result<String> {
    let document = Document {
        summary: comparison.summary(),
        comparison,
    };
    Ok(serde_json::to_string_pretty(&document)?)
}

/// What is wrong, and the summary. `all` adds the listed deviations.
pub(crate) fn text(comparison: &Comparison, all: bool, style: Style) -> String {
    let mut text = String::new();
    if all {
        text.push_str(&differences(comparison, Class::Listed, style));
    }
    text.push_str(&differences(comparison, Class::Unexplained, style));
    for stale in &comparison.stale {
        let mark = style.bad("stale");
        let _ = writeln!(text, "{mark}  no probe shows the deviation {stale}");
    }
    text.push_str(&closing_line(comparison, style));
    text
}

fn differences(comparison: &Comparison, class: Class, style: Style) -> String {
    let mut text = String::new();
    for found in comparison.rows.iter().filter(|found| found.class == class) {
        let mark = match class {
            Class::Unexplained => style.bad("unexplained"),
            _ => style.strong("listed"),
        };
        let row = &found.row;
        let _ = writeln!(
            text,
            "{mark}  {:4} {:12} {}: bare {}, nono {}, ours {}",
            row.user.to_string(),
            row.probe.operation,
            row.probe.target,
            row.bare,
            row.nono,
            row.ours
        );
    }
    text
}

fn closing_line(comparison: &Comparison, style: Style) -> String {
    let summary = comparison.summary();
    let line = format!(
        "{} probes compared, {} agree, {} listed deviations, {} unexplained",
        summary.compared, summary.agree, summary.listed, summary.unexplained
    );
    let line = if comparison.holds() {
        style.good(&line)
    } else {
        style.bad(&line)
    };
    let incomparable = summary.incomparable;
    format!("{line}\n({incomparable} more fail without a sandbox and were not compared)\n")
}
