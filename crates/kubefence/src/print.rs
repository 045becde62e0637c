//! What people see: colours where the output is a terminal.

use std::fmt::Display;

use anstyle::{AnsiColor, Style};

pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(crate) const DOUBTFUL: Style = AnsiColor::Yellow.on_default().bold();
pub(crate) const STRONG: Style = Style::new().bold();
pub(crate) const FAINT: Style = Style::new().dimmed();

/// `text` in `style`; the stream removes the colours where nobody can see them.
pub(crate) fn styled(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Prints the error that ends the command, with all of its causes.
pub(crate) fn failure(error: &anyhow::Error) {
    anstream::eprintln!("{} {error:#}", styled(BAD, "error:"));
}

/// Prints a value as JSON.
pub(crate) fn json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Prints rows as a table whose columns are as wide as they need to be; the last one may be any length.
pub(crate) fn table<const N: usize>(rows: &[[String; N]]) {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: [usize; N] = std::array::from_fn(|column| width(column).unwrap_or_default());
    for (number, row) in rows.iter().enumerate() {
        let cells: Vec<String> = (0..N)
            .map(|column| format!("{:<width$}", row[column], width = widths[column]))
            .collect();
        let line = cells.join("  ");
        let style = if number == 0 { STRONG } else { Style::new() };
        anstream::println!("{}", styled(style, line.trim_end()));
    }
}
