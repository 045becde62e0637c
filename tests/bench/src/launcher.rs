//! What the launcher adds to the start of a process.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::node::Node;
use crate::sample::{Row, Sample, difference};

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
        difference("added by `default`", &bare, &wrapped),
        difference("added by `strict`", &bare, &strict),
        difference("added by `claude-code`", &bare, &agent),
    ])
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
