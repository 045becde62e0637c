//! What the guard adds to the OCI runtime that it becomes: alternately with it and without.
//!
//! Measured as root, because containers are made. Both sides get the same bundle, with the shape of one that
//! containerd writes. That the guard's container has one mount more, and its first process a longer command, is part
//! of the price; what the launcher does inside the container is not, except where a row says so.

mod bundle;
mod runtime;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;

use self::runtime::{Container, Runtime};
use crate::node::{Node, binary, repository};
use crate::sample::{Row, Sample, paired};

const STARTS: usize = 300;
const CONTAINERS: usize = 100;
const EXECS: usize = 200;
const WARM_UP: usize = 5;

/// A tmpfs for what lies in `/run` of a node: bundles, records, and the state of runc. On a disk's file system, replacing a file
/// waits for the journal.
const MEMORY: &str = "/dev/shm";

/// Rows for the guard's own start-up, for `create` and for `exec`.
pub fn rows(node: &Node) -> anyhow::Result<Vec<Row>> {
    let memory = tempfile::tempdir_in(MEMORY).with_context(|| format!("cannot use {MEMORY}"))?;
    let guard = install(node, memory.path())?;
    let stage = bundle::Stage::new(memory.path())?;
    let root = stage.path().join("runc");
    let (bare, guarded) = (Runtime::new(&runc()?, &root), Runtime::new(&guard, &root));
    let mut rows = start_up(&bare, &guarded)?;
    rows.extend(create(&stage, &bare, &guarded)?);
    rows.extend(exec(&stage, &bare, &guarded)?);
    Ok(rows)
}

/// `--version` is passed on: that is the guard's start-up and its reading of the configuration.
fn start_up(bare: &Runtime, guarded: &Runtime) -> anyhow::Result<Vec<Row>> {
    let [without, with] = alternate(STARTS, [&mut || bare.version(), &mut || guarded.version()])?;
    Ok(vec![
        without.row("`runc --version`", "spawn to exit"),
        with.row("`nono-runc --version`", "passed on to runc"),
        paired("added by the guard", &without, &with),
    ])
}

fn create(stage: &bundle::Stage, bare: &Runtime, guarded: &Runtime) -> anyhow::Result<Vec<Row>> {
    let one = |runtime: &Runtime| {
        // The guard rewrites it.
        stage.write_spec()?;
        let (container, elapsed) = Container::create(runtime, stage.path())?;
        container.delete()?;
        Ok(elapsed)
    };
    let [without, with] = alternate(CONTAINERS, [&mut || one(bare), &mut || one(guarded)])?;
    Ok(vec![
        without.row("`runc create`", "spawn to exit"),
        with.row(
            "the same through `nono-runc`",
            "the command arrives bare, and is wrapped",
        ),
        paired("added by the guard to `create`", &without, &with),
    ])
}

/// Into one and the same container, which the guard has created.
fn exec(stage: &bundle::Stage, bare: &Runtime, guarded: &Runtime) -> anyhow::Result<Vec<Row>> {
    stage.write_spec()?;
    let (container, _) = Container::create(guarded, stage.path())?;
    container.start()?;
    let plain = stage.process()?;
    // What the guard makes of it, for a runc that is to do the same work inside the container.
    let file = stage.path().join("process.json");
    container.exec(guarded, &file, &plain, false)?;
    let wrapped = fs::read_to_string(&file).context("cannot read what the guard wrote")?;
    let one = |runtime, text, detached| container.exec(runtime, &file, text, detached);
    let [detached, detached_guarded] = alternate(
        EXECS,
        [&mut || one(bare, &plain, true), &mut || {
            one(guarded, &plain, true)
        }],
    )?;
    let [whole, launched, whole_guarded] = alternate(
        EXECS,
        [
            &mut || one(bare, &plain, false),
            &mut || one(bare, &wrapped, false),
            &mut || one(guarded, &plain, false),
        ],
    )?;
    container.delete()?;
    Ok(vec![
        detached.row(
            "`runc exec --detach`",
            "until runc returns: the process is started",
        ),
        detached_guarded.row("the same through `nono-runc`", "the launcher is started"),
        paired(
            "added by the guard to `exec --detach`",
            &detached,
            &detached_guarded,
        ),
        whole.row("`runc exec`", "until the process, `true`, has ended"),
        launched.row(
            "the same with the launcher",
            "the wrapped command, given to runc",
        ),
        whole_guarded.row("the same through `nono-runc`", "which wraps the command"),
        paired("added by the guard alone", &launched, &whole_guarded),
        paired("added by guard and launcher", &whole, &whole_guarded),
    ])
}

/// Runs the cases in turns, so that a machine that slows down slows all of them.
fn alternate<const N: usize>(
    rounds: usize,
    cases: [&mut dyn FnMut() -> anyhow::Result<Duration>; N],
) -> anyhow::Result<[Sample; N]> {
    let mut samples = [const { Sample::empty() }; N];
    for round in 0..WARM_UP + rounds {
        // What a container leaves for the kernel to clear away slows the next one, so each case follows each.
        let mut order = std::array::from_fn::<usize, N, _>(|turn| (round + turn) % N);
        if round / N % 2 == 1 {
            order.reverse();
        }
        for index in order {
            let elapsed = cases[index]()?;
            if round >= WARM_UP {
                samples[index].add(elapsed);
            }
        }
    }
    Ok(samples)
}

/// Puts the guard and its configuration on the node.
fn install(node: &Node, memory: &Path) -> anyhow::Result<PathBuf> {
    let directory = node.path().join("guard");
    fs::create_dir(&directory)?;
    let guard = directory.join("nono-runc");
    fs::copy(binary("nono-runc"), &guard).context("there is no ./nono-runc: run `make build`")?;
    let config = format!(
        "runtime = {:?}\ncalled_by = \"containerd\"\nnono_bin_path = {:?}\nstate_dir = {:?}\n",
        runc()?,
        node.launcher(),
        memory.join("records"),
    );
    fs::write(directory.join("nono-runc.toml"), config)?;
    Ok(guard)
}

/// The pinned runc.
fn runc() -> anyhow::Result<PathBuf> {
    let tools = repository().join(".cache/tools");
    let missing = || format!("there is no runc in {}: run `make setup`", tools.display());
    let entries = fs::read_dir(&tools).with_context(missing)?;
    let mut found: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| is_runc(path))
        .collect();
    found.sort();
    let home = found.pop().with_context(missing)?;
    Ok(home.join("runc").canonicalize()?)
}

fn is_runc(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with("runc-")
}
