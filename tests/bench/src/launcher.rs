//! What the launcher adds to the start of a process.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::node::Node;
use crate::sample::{Row, Sample, micros};

const ROUNDS: usize = 1000;
const WARM_UP: usize = 50;

/// Rows for a bare start, the launcher alone, and sandboxed starts: in the working directory that most
/// images have, and in one that must be judged. They take turns, so that a machine that slows down slows
/// all of them.
pub fn rows(node: &Node) -> anyhow::Result<Vec<Row>> {
    let launcher = node.launcher();
    let wrap = ["wrap", "--profile", "default", "--", "/bin/true"];
    let mut samples: [Sample; 4] = Default::default();
    for round in 0..WARM_UP + ROUNDS {
        let runs = [
            time(Path::new("/bin/true"), &[], "/")?,
            time(&launcher, &["--version"], "/")?,
            time(&launcher, &wrap, "/")?,
            time(&launcher, &wrap, "/var/tmp")?,
        ];
        if round >= WARM_UP {
            samples
                .iter_mut()
                .zip(runs)
                .for_each(|(sample, run)| sample.add(run));
        }
    }
    let [bare, alone, wrapped, judged] = samples;
    let (without, with) = (bare.percentile(50), wrapped.percentile(50));
    Ok(vec![
        bare.row("`true`", "spawn to exit"),
        alone.row("`nono --version`", "start-up of the launcher alone"),
        wrapped.row(
            "`nono wrap --profile default -- true`",
            "spawn to exit, in `/`",
        ),
        judged.row(
            "the same in `/var/tmp`",
            "a working directory that is judged and granted",
        ),
        Row {
            measure: "added by the launcher".to_owned(),
            median: micros(with.saturating_sub(without)),
            p99: String::new(),
            remark: format!(
                "difference of the medians in `/`; ratio {:.2}",
                with.as_secs_f64() / without.as_secs_f64()
            ),
        },
    ])
}

fn time(program: &Path, args: &[&str], workdir: &str) -> anyhow::Result<Duration> {
    let mut command = Command::new(program);
    command
        .args(args)
        .current_dir(workdir)
        .stdout(Stdio::null());
    let start = Instant::now();
    let status = command.status()?;
    let elapsed = start.elapsed();
    ensure!(status.success(), "{command:?} failed: {status}");
    Ok(elapsed)
}
