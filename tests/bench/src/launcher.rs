//! What the launcher adds to the start of a process.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::node::Node;
use crate::sample::{Row, Sample, micros};

const ROUNDS: usize = 1000;
const WARM_UP: usize = 50;

/// Rows for a bare start, the launcher alone, and a sandboxed start. The three take turns, so that a
/// machine that slows down slows all of them.
pub fn rows(node: &Node) -> anyhow::Result<Vec<Row>> {
    let launcher = node.launcher();
    let [mut bare, mut alone, mut wrapped] =
        [Sample::default(), Sample::default(), Sample::default()];
    for round in 0..WARM_UP + ROUNDS {
        let runs = [
            time(Path::new("/bin/true"), &[])?,
            time(&launcher, &["--version"])?,
            time(
                &launcher,
                &["wrap", "--profile", "default", "--", "/bin/true"],
            )?,
        ];
        if round >= WARM_UP {
            bare.add(runs[0]);
            alone.add(runs[1]);
            wrapped.add(runs[2]);
        }
    }
    let (without, with) = (bare.percentile(50), wrapped.percentile(50));
    Ok(vec![
        bare.row("`true`", "spawn to exit"),
        alone.row("`nono --version`", "start-up of the launcher alone"),
        wrapped.row("`nono wrap --profile default -- true`", "spawn to exit"),
        Row {
            measure: "added by the launcher".to_owned(),
            median: micros(with.saturating_sub(without)),
            p99: String::new(),
            remark: format!(
                "difference of the medians; ratio {:.2}",
                with.as_secs_f64() / without.as_secs_f64()
            ),
        },
    ])
}

fn time(program: &Path, args: &[&str]) -> anyhow::Result<Duration> {
    let mut command = Command::new(program);
    command.args(args).stdout(Stdio::null());
    let start = Instant::now();
    let status = command.status()?;
    let elapsed = start.elapsed();
    ensure!(status.success(), "{command:?} failed: {status}");
    Ok(elapsed)
}
