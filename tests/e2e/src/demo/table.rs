//! The rows that the specification promises, and what was measured.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::terminal::Style;

/// Label, probe name of the workload, and whether the sandbox blocks it. The baseline allows everything.
const PROMISES: [(&str, &str, bool); 7] = [
    ("Write to /etc/* (host poisoning)", "write-etc", true),
    (
        "Write to /usr/local/bin (backdoor)",
        "write-usr-local-bin",
        true,
    ),
    ("Read /etc/shadow (credential theft)", "read-shadow", true),
    ("Read /etc/passwd (user enumeration)", "read-passwd", true),
    (
        "Write to Python site-packages (pkg inject)",
        "write-site-packages",
        true,
    ),
    ("Python runtime", "python", false),
    ("Write to /tmp (scratch space)", "write-tmp", false),
];

const WIDTH: usize = 44;
const COLUMN: usize = 10;

/// What happened to one operation.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Outcome {
    /// It succeeded.
    Allowed,
    /// It failed with EACCES or EPERM.
    Blocked,
    /// It failed in another way, or the workload said nothing.
    Failed(String),
}

/// One operation under both handlers.
#[derive(Debug, Serialize)]
pub struct Row {
    /// What was tried.
    pub operation: &'static str,
    /// Without the sandbox.
    pub baseline: Outcome,
    /// With it.
    pub sandbox: Outcome,
    /// What the specification says about the sandbox.
    pub promised: Outcome,
}

/// All operations.
#[derive(Debug, Serialize)]
pub struct Table {
    /// In the order of the specification.
    pub rows: Vec<Row>,
}

impl Table {
    /// Reads what the two workloads printed.
    pub fn from_outputs(baseline: &str, sandbox: &str) -> Self {
        let row = |(operation, probe, blocked)| Row {
            operation,
            baseline: outcome(baseline, probe),
            sandbox: outcome(sandbox, probe),
            promised: if blocked {
                Outcome::Blocked
            } else {
                Outcome::Allowed
            },
        };
        Self {
            rows: PROMISES.into_iter().map(row).collect(),
        }
    }

    /// Each row that differs from the specification, in words.
    pub fn deviations(&self) -> Vec<String> {
        let mut found = Vec::new();
        for row in &self.rows {
            for (column, got, want) in [
                ("baseline", &row.baseline, &Outcome::Allowed),
                ("sandbox", &row.sandbox, &row.promised),
            ] {
                if got != want {
                    found.push(format!(
                        "{}: {column} is {got}, should be {want}",
                        row.operation
                    ));
                }
            }
        }
        found
    }

    /// The table for people.
    pub fn render(&self, style: Style) -> String {
        let heading = format!("{:WIDTH$}{:COLUMN$}{}", "", "Baseline", "nono sandbox");
        let mut text = format!("{}\n", style.strong(&heading));
        for row in &self.rows {
            let baseline = style.good(&format!("{:COLUMN$}", row.baseline.to_string()));
            let paint = if row.sandbox == row.promised {
                Style::good
            } else {
                Style::bad
            };
            let baseline = if row.baseline == Outcome::Allowed {
                baseline
            } else {
                style.bad(&format!("{:COLUMN$}", row.baseline.to_string()))
            };
            let sandbox = paint(style, &row.sandbox.to_string());
            text.push_str(&format!("{:WIDTH$}{baseline}{sandbox}\n", row.operation));
        }
        text
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allowed => formatter.write_str("ALLOWED"),
            Self::Blocked => formatter.write_str("BLOCKED"),
            Self::Failed(how) => write!(formatter, "FAILED ({how})"),
        }
    }
}

fn outcome(output: &str, probe: &str) -> Outcome {
    let mut lines = output
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let answer = lines.rfind(|line| line["probe"] == probe);
    match answer.as_ref().and_then(|line| line["outcome"].as_str()) {
        Some("allowed") => Outcome::Allowed,
        Some("EACCES" | "EPERM") => Outcome::Blocked,
        Some(errno) => Outcome::Failed(errno.to_owned()),
        None => Outcome::Failed("no answer".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(blocked: &[&str]) -> String {
        let outcome = |probe| {
            if blocked.contains(&probe) {
                "EACCES"
            } else {
                "allowed"
            }
        };
        let line = |(_, probe, _)| {
            format!(
                "{{\"probe\":\"{probe}\",\"outcome\":\"{}\"}}\n",
                outcome(probe)
            )
        };
        PROMISES.map(line).concat()
    }

    #[test]
    fn what_the_specification_promises_has_no_deviations() {
        let blocked = PROMISES
            .iter()
            .filter(|row| row.2)
            .map(|row| row.1)
            .collect::<Vec<_>>();
        let table = Table::from_outputs(&output(&[]), &output(&blocked));
        assert_eq!(table.deviations(), Vec::<String>::new());
    }

    #[test]
    fn a_deviation_names_its_row() {
        let table = Table::from_outputs(&output(&[]), &output(&[]));
        assert_eq!(
            table.deviations()[0],
            "Write to /etc/* (host poisoning): sandbox is ALLOWED, should be BLOCKED"
        );
    }

    #[test]
    fn another_errno_is_not_a_denial() {
        let text = r#"{"probe":"read-shadow","outcome":"ENOENT"}"#;
        assert_eq!(
            outcome(text, "read-shadow"),
            Outcome::Failed("ENOENT".to_owned())
        );
        assert_eq!(
            outcome(text, "python"),
            Outcome::Failed("no answer".to_owned())
        );
    }
}
