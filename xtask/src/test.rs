//! `cargo xtask test`: every suite, and one line that counts them all.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use crate::cargo::{artifacts, root};

/// How many tests passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    passed: u64,
    failed: u64,
}

/// What reads a suite's results from one line of its output.
type ReadCount = fn(&str) -> Option<Count>;

/// Runs the unit, fixture, fake-runtime and privileged suites, then those on a real runtime.
pub(crate) fn test() -> anyhow::Result<()> {
    let suites: [(&str, Command, ReadCount); 2] = [
        (
            "unit, fixture, fake-runtime and privileged tests",
            workspace_tests()?,
            libtest_result,
        ),
        ("checks on real containerd", real_runtime(), closing_line),
    ];
    let mut total = Count::default();
    let mut broken = Vec::new();
    for (name, mut command, read) in suites {
        println!("\n=== {name}");
        let (count, success) = count(&mut command, read)?;
        total.passed += count.passed;
        total.failed += count.failed;
        if !success || count.passed == 0 {
            broken.push(name);
        }
    }
    println!("\n{} passed, {} failed", total.passed, total.failed);
    ensure!(
        broken.is_empty() && total.failed == 0,
        "failed: {}",
        broken.join("; ")
    );
    Ok(())
}

fn workspace_tests() -> anyhow::Result<Command> {
    let mut command = Command::new("cargo");
    command
        .current_dir(root())
        .args(["test", "--workspace", "--all-features", "--no-fail-fast"])
        // The launcher's tests drive the shipped binary, not a dynamic debug build, and look at its symbols.
        .env(
            "NONO_UNDER_TEST",
            artifacts("launcher")?.join("nono").canonicalize()?,
        );
    Ok(command)
}

fn real_runtime() -> Command {
    let mut command = Command::new("cargo");
    command
        .current_dir(root())
        .args(["run", "--quiet", "--package", "e2e", "--bin", "e2e"]);
    command
}

/// Runs a suite, shows what it prints, and adds up the results it reports.
fn count(command: &mut Command, read: ReadCount) -> anyhow::Result<(Count, bool)> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {command:?}"))?;
    let stdout = child
        .stdout
        .take()
        .context("a piped child has a standard output")?;
    let mut count = Count::default();
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        if let Some(found) = read(&line) {
            count.passed += found.passed;
            count.failed += found.failed;
        }
        println!("{line}");
    }
    Ok((count, child.wait()?.success()))
}

/// `test result: ok. 3 passed; 0 failed; …`
fn libtest_result(line: &str) -> Option<Count> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let (passed, rest) = counts.split_once(" passed; ")?;
    let (failed, _) = rest.split_once(" failed;")?;
    Some(Count {
        passed: passed.parse().ok()?,
        failed: failed.parse().ok()?,
    })
}

/// `3 passed, 0 failed`
fn closing_line(line: &str) -> Option<Count> {
    let (passed, failed) = line.strip_suffix(" failed")?.split_once(" passed, ")?;
    Some(Count {
        passed: passed.parse().ok()?,
        failed: failed.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_suites_print() {
        let libtest = "test result: FAILED. 12 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s";
        assert_eq!(
            libtest_result(libtest),
            Some(Count {
                passed: 12,
                failed: 3
            })
        );
        assert_eq!(
            closing_line("40 passed, 2 failed"),
            Some(Count {
                passed: 40,
                failed: 2
            })
        );
        for other in ["test a ... ok", "passed, failed", "✓ 3 passed", ""] {
            assert_eq!(
                (libtest_result(other), closing_line(other)),
                (None, None),
                "{other:?}"
            );
        }
    }
}
