//! `make chaos`: what happens to containers while kubefence, or the container runtime, keeps dying under them.
//!
//! Workers create containers, join each with an exec, and remove them, while the plugin is killed or the runtime
//! restarted again and again. Creations may be refused meanwhile, and are tried again as a kubelet would; what does run
//! must be confined, and nothing of it may stay behind.
//!
//! Invariants:
//! - Every container tells from inside whether it is confined, its first process and the exec alike; and a bare one
//!   leaves a file on the host that outlives it, so that none escapes by ending early.
//! - The same questions are put to a container of the plain handler first, which must get through with all of them.
//! - Strikes fall while containers come and go, and come by their progress, not by the clock.

mod disturbance;
mod footprint;
mod report;
mod tally;
mod witness;
mod work;

use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow};

pub use self::disturbance::Disturbance;
pub use self::report::{Report, Total};

use self::footprint::Footprint;
use self::report::Ending;
use self::tally::Tally;
use self::witness::Witness;
use self::work::Shift;
use crate::images::BUSYBOX;
use crate::node::{Fixture, Node};

/// How many containers, how many at once, and how many strikes.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Containers that have to run.
    pub containers: usize,
    /// How many are worked on at once.
    pub workers: usize,
    /// How often the disturbance strikes.
    pub strikes: usize,
}

/// A run on a node of its own.
#[derive(Debug)]
pub struct Chaos<'a> {
    /// containerd's version.
    pub containerd: &'a str,
    /// What strikes.
    pub disturbance: Disturbance,
    /// How much of everything.
    pub load: Load,
    /// Whether the handler has the guard. Without it, the run shows what it would find.
    pub guard: bool,
    /// Raised to end the run early and in order.
    pub interrupted: &'a AtomicBool,
}

impl Chaos<'_> {
    /// Starts the node, lets it all happen, and takes the node away.
    pub fn run(&self) -> Result<Report> {
        let fixture = Fixture::containerd(self.containerd)
            .images(&[BUSYBOX])
            .plugin();
        let node = Node::start(if self.guard { fixture.guard() } else { fixture })?;
        let report = self.on(&node);
        if !report.as_ref().is_ok_and(Report::is_good) {
            eprintln!("{}", node.save_logs());
        }
        let leftovers = node.finish();
        report.map(|mut report| {
            report.add_leftovers(leftovers);
            report
        })
    }

    fn on(&self, node: &Node) -> Result<Report> {
        let witness = Witness::on(node)?;
        witness.control(node)?;
        let before = Footprint::of(node)?;
        let tally = Tally::new(self);
        let began = Instant::now();
        self.let_it_happen(node, &witness, &tally)?;
        let seconds = began.elapsed().as_secs();
        tally.keep(&node.scratch().join("logs/chaos.log"))?;
        footprint::remove_pods(node)?;
        if self.disturbance.cuts_calls() && self.guard {
            witness.sweep(node)?;
        }
        let ending = Ending {
            seconds,
            left: before.left_after(node),
            alarms: disturbance::alarms(node)?,
            bare: witness.bare()?,
        };
        Ok(Report::new(self, tally, ending))
    }

    fn let_it_happen(&self, node: &Node, witness: &Witness, tally: &Tally<'_>) -> Result<()> {
        thread::scope(|scope| {
            let striker = scope.spawn(|| {
                let outcome = self.disturbance.strike(node, self.load, tally);
                tally.stop_unless(outcome.is_ok());
                outcome
            });
            let workers: Vec<_> = (0..self.load.workers)
                .map(|worker| scope.spawn(move || Shift::new(node, witness, tally, worker).work()))
                .collect();
            let finished: Vec<_> = workers.into_iter().map(|worker| worker.join()).collect();
            tally.stop_unless(false);
            let struck = striker
                .join()
                .map_err(|_| anyhow!("the striker panicked"))?;
            struck.context("the disturbance itself failed")?;
            finished
                .into_iter()
                .try_for_each(|worker| worker.map_err(|_| anyhow!("a worker panicked"))?)
        })
    }
}
