//! What the launcher adds to the start of a process.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::node::Node;
use crate::sample::{Row, Sample, micros};

const ROUNDS: usize = 1000;
const WARM_UP: usize = 50;

/// A command under measurement.
struct Case<'a> {
    program: &'a Path,
    args: Vec<&'a str>,
    workdir: &'a str,
    home: &'a str,
}

/// Rows for a bare start, the launcher alone, and sandboxed starts: in the working directory that most
/// images have, in one that must be judged, and as a coding agent with its state in a home. They take
/// turns, so that a machine that slows down slows all of them.
pub fn rows(node: &Node) -> anyhow::Result<Vec<Row>> {
    let launcher = node.launcher();
    // Not in /tmp, which the profiles grant as a whole: there nothing would have to be judged.
    let home = tempfile::tempdir_in("/var/tmp")?;
    let home = home.path().to_str().context("a scratch path is text")?;
    let case = |program, args: &[&'static str], workdir| Case {
        program,
        args: args.to_vec(),
        workdir,
        home,
    };
    let wrapped = |profile, workdir| {
        let args = ["wrap", "--profile", profile, "--", "/bin/true"];
        case(&launcher, &args, workdir)
    };
    let cases = [
        case(Path::new("/bin/true"), &[], "/"),
        case(&launcher, &["--version"], "/"),
        wrapped("default", "/"),
        wrapped("default", "/var/tmp"),
        wrapped("strict", "/"),
        wrapped("claude-code", "/"),
    ];
    let mut samples: [Sample; 6] = Default::default();
    for round in 0..WARM_UP + ROUNDS {
        for (sample, case) in samples.iter_mut().zip(&cases) {
            let run = time(case)?;
            if round >= WARM_UP {
                sample.add(run);
            }
        }
    }
    let [bare, alone, wrapped, judged, strict, agent] = samples;
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
        strict.row(
            "`nono wrap --profile strict -- true`",
            "in `/`, with ports and a seccomp filter",
        ),
        agent.row(
            "`nono wrap --profile claude-code -- true`",
            "in `/`, with all of its state in a home",
        ),
        added("added by `default`", &bare, &wrapped),
        added("added by `strict`", &bare, &strict),
        added("added by `claude-code`", &bare, &agent),
    ])
}

fn added(measure: &str, bare: &Sample, wrapped: &Sample) -> Row {
    let (without, with) = (bare.percentile(50), wrapped.percentile(50));
    Row {
        measure: measure.to_owned(),
        median: micros(with.saturating_sub(without)),
        p99: String::new(),
        remark: format!(
            "difference of the medians; ratio {:.2}",
            with.as_secs_f64() / without.as_secs_f64()
        ),
    }
}

fn time(case: &Case<'_>) -> anyhow::Result<Duration> {
    let mut command = Command::new(case.program);
    command
        .args(&case.args)
        .current_dir(case.workdir)
        .env("HOME", case.home)
        .stdout(Stdio::null());
    let start = Instant::now();
    let status = command.status()?;
    let elapsed = start.elapsed();
    ensure!(status.success(), "{command:?} failed: {status}");
    Ok(elapsed)
}
