//! Large and many.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};

use super::{Check, shared, shared_once};
use crate::images::{BUSYBOX, SCRATCH};
use crate::node::Node;
use crate::wait;

const LIMIT: Duration = Duration::from_secs(30);
const PODS: usize = 200;
const WORKERS: usize = 4;

/// Sums of argument lengths: around the 4096-byte buffers of the runtime's NRI transport, and far beyond.
const SIZES: [usize; 6] = [3_500, 4_096, 8_300, 20_000, 66_000, 300_000];

pub(super) const CHECKS: &[Check] = &[
    shared(
        "adjustments larger than the transport's buffers arrive whole",
        large_adjustments,
    ),
    shared_once("200 pods in a row leave no state behind", many_pods),
];

fn large_adjustments(node: &Node) -> Result<()> {
    for size in SIZES {
        let pod = node.pod("large").run()?;
        let argument = "x".repeat(100);
        let mut command = vec!["/app/tool", "read", "/etc/passwd", "bytes"];
        command.resize(command.len() + size / argument.len(), &argument);
        let output = pod.container(BUSYBOX, &command).finish(LIMIT)?.success()?;
        let expected = format!(
            "read /etc/passwd: EACCES\nbytes: {}\n",
            size / argument.len() * argument.len()
        );
        ensure!(
            output == expected,
            "{size} bytes of arguments: it printed {output:?}"
        );
    }
    Ok(())
}

fn many_pods(node: &Node) -> Result<()> {
    let before = Footprint::of(node)?;
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|_| scope.spawn(|| work(node, &next)))
            .collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().map_err(|_| anyhow!("a worker panicked"))?)
    })?;
    let settled = wait::until("the node to be as before", LIMIT, || {
        Ok((Footprint::of(node)? == before).then_some(()))
    });
    settled.with_context(|| format!("before {before:?}, after {:?}", Footprint::of(node)))
}

fn work(node: &Node, next: &AtomicUsize) -> Result<()> {
    while next.fetch_add(1, Ordering::Relaxed) < PODS {
        let pod = node.pod("many").run()?;
        let output = pod
            .container(SCRATCH, &["/probe", "read", "/etc", "exit", "5"])
            .finish(LIMIT)?
            .expect(5)?;
        ensure!(
            output == "read /etc: EACCES\n",
            "the probe printed {output:?}"
        );
        pod.remove()?;
    }
    Ok(())
}

/// What pods leave on a node while they exist.
#[derive(Debug, Eq, PartialEq)]
struct Footprint {
    mounts: usize,
    bundles: usize,
    metadata: usize,
}

impl Footprint {
    fn of(node: &Node) -> Result<Self> {
        Ok(Self {
            mounts: node.mounts(),
            bundles: entries(&node.daemon().bundles())?,
            metadata: entries(&node.plugin()?.state())?,
        })
    }
}

/// The number of entries; the runtime makes its directories when it first needs them.
fn entries(directory: &Path) -> Result<usize> {
    match fs::read_dir(directory) {
        Ok(entries) => Ok(entries.count()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", directory.display())),
    }
}
