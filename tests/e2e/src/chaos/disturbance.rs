//! What strikes, and when.

use std::fmt;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Load;
use super::tally::Tally;
use crate::node::Node;
use crate::wait;

/// Longer than the workers take between two strikes, whatever else the machine does.
const LIMIT: Duration = Duration::from_secs(300);

/// For how many more attempts the plugin stays away, in turn: back at once, or after creations that fail and
/// creations that nobody adjusts.
const AWAY: [usize; 4] = [0, 1, 3, 6];

/// What dies while containers come and go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Disturbance {
    /// The plugin is killed, and started again.
    PluginKilled,
    /// The container runtime is ended and started again, as an upgrade does it; its containers go on running.
    RuntimeRestarted,
}

impl Disturbance {
    /// Whether it cuts calls of the container runtime short, whatever they are about.
    pub(super) fn cuts_calls(self) -> bool {
        self == Self::RuntimeRestarted
    }

    /// Strikes at even distances until the work is done; an error is one that no disturbance should cause.
    pub(super) fn strike(self, node: &Node, load: Load, tally: &Tally<'_>) -> Result<()> {
        for strike in 0..load.strikes {
            let next = (strike + 1) * load.containers / (load.strikes + 1);
            if !tally.wait_for(|done| done.begun >= next, LIMIT)? {
                break;
            }
            match self {
                Self::PluginKilled => kill_plugin(node, strike, tally)?,
                Self::RuntimeRestarted => node.restart_daemon(|| Ok(()))?,
            }
            tally.struck();
        }
        if self.cuts_calls() {
            let plugin = node.plugin()?;
            plugin.process().check_alive()?;
            // It comes back by itself; only then can what it keeps be compared.
            let connected = || lines(node).map(|lines| is_connected(&lines).then_some(()));
            wait::until("the plugin to be registered again", LIMIT, connected)?;
        }
        Ok(())
    }
}

impl fmt::Display for Disturbance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PluginKilled => "plugin killed",
            Self::RuntimeRestarted => "containerd restarted",
        })
    }
}

fn kill_plugin(node: &Node, strike: usize, tally: &Tally<'_>) -> Result<()> {
    let plugin = node.plugin()?;
    plugin.process().check_alive()?;
    plugin.process().kill()?;
    // Each plugin has a log of its own, so that waiting for the next one does not read them all.
    let log = plugin.log();
    fs::rename(&log, log.with_file_name(format!("plugin-{strike:03}.log")))
        .context("cannot put the plugin's log aside")?;
    let back = tally.attempts() + AWAY[strike % AWAY.len()];
    tally.wait_for(|done| done.attempts >= back, LIMIT)?;
    node.start_plugin_again()
}

/// What any of the plugins said at the level of errors: all of it would be a false alarm here.
pub(super) fn alarms(node: &Node) -> Result<Vec<String>> {
    let errors = lines(node)?
        .into_iter()
        .filter(|line| line["level"] == "ERROR");
    Ok(errors.map(|line| line.to_string()).collect())
}

/// The lines of all plugins, those of the present one last.
fn lines(node: &Node) -> Result<Vec<Value>> {
    let log = node.plugin()?.log();
    let directory = log.parent().context("the log lies in a directory")?;
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).context("cannot list the logs")? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("plugin-") {
            files.push(path);
        }
    }
    files.sort();
    files.push(log);
    let texts = files.iter().map(fs::read_to_string);
    let text: String = texts.collect::<Result<_, _>>()?;
    Ok(text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect())
}

/// Whether the last that was said of the connection is that it stands, and what existed then has been judged.
fn is_connected(lines: &[Value]) -> bool {
    let last = |message: &str| lines.iter().rposition(|line| line["msg"] == message);
    last("synchronized") > last("disconnected from the runtime; reconnecting")
}
