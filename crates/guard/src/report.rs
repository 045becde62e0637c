//! What people and container runtimes see of a refusal.
//!
//! A container runtime passes `--log FILE`, and shows the last error in it to whoever asked for the container;
//! others read the standard error.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;

use crate::command_line::{Global, LogFormat};
use crate::json;

/// Reports why something is refused, or failed.
pub(crate) fn refusal(global: &Global, error: &anyhow::Error) {
    let message = format!("nono-runc: {error:#}");
    let line = match global.log_format {
        LogFormat::Json => format!(
            "{{\"level\":\"error\",\"msg\":{},\"time\":{}}}\n",
            json::string(&message),
            json::string(&jiff::Timestamp::now().to_string())
        ),
        LogFormat::Text => format!(
            "time={} level=error msg={}\n",
            json::string(&jiff::Timestamp::now().to_string()),
            json::string(&message)
        ),
    };
    // Nobody is left to tell if one of the two cannot be written.
    if let Some(log) = &global.log {
        let _ = append(log, &line);
    }
    let _ = writeln!(io::stderr(), "{message}");
}

fn append(log: &Path, line: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(log)?;
    file.write_all(line.as_bytes())
}
