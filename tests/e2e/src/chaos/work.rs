//! The life of a container, over and over.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, Error, Result, bail};

use super::tally::Tally;
use super::witness::{Finding, Witness, joined_as};
use crate::node::Node;
use crate::pod::{Container, Pod};
use crate::wait;

/// How often a container, or a pod, is tried before that is a failure of its own.
const ATTEMPTS: usize = 20;
/// Containers of one pod, before the next one is made.
const POD: usize = 10;
const LIMIT: Duration = Duration::from_secs(30);

/// A step in a container's life.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stage {
    Pod,
    Create,
    Start,
    First,
    Exec,
    Remove,
}

impl Stage {
    /// Whether kubefence may refuse it rather than let something start bare.
    pub(super) fn may_be_refused(self) -> bool {
        matches!(self, Self::Create | Self::Start)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pod => "pod",
            Self::Create => "create",
            Self::Start => "start",
            Self::First => "first process",
            Self::Exec => "exec",
            Self::Remove => "remove",
        })
    }
}

/// One worker, with a pod of its own at a time.
pub(super) struct Shift<'a> {
    node: &'a Node,
    witness: &'a Witness,
    tally: &'a Tally<'a>,
    worker: usize,
}

impl<'a> Shift<'a> {
    pub(super) fn new(
        node: &'a Node,
        witness: &'a Witness,
        tally: &'a Tally<'a>,
        worker: usize,
    ) -> Self {
        Self {
            node,
            witness,
            tally,
            worker,
        }
    }

    /// Works until there is nothing left to do, or no sense in going on.
    pub(super) fn work(&self) -> Result<()> {
        let mut next = self.tally.next();
        while next.is_some() {
            let name = format!("w{}", self.worker);
            let Some(pod) = self.insist(&name, |_| self.pod().map_err(|e| (Stage::Pod, e))) else {
                break;
            };
            for _ in 0..POD {
                let Some(number) = next else { break };
                let live = |attempt| self.live(&pod, &format!("c{number:03}-{attempt}"));
                if self.insist(&format!("c{number:03}"), live).is_none() {
                    return Ok(());
                }
                self.tally.finished();
                next = self.tally.next();
            }
            // If it does not go yet, the end of the run takes it away, or counts it.
            let _ = pod.remove();
        }
        Ok(())
    }

    /// Tries until it works, each time after the runtime has come back; `None` if it never does.
    fn insist<T>(
        &self,
        name: &str,
        mut act: impl FnMut(usize) -> Result<T, (Stage, Error)>,
    ) -> Option<T> {
        for attempt in 1..=ATTEMPTS {
            match act(attempt) {
                Ok(value) => return Some(value),
                Err((stage, error)) => {
                    self.tally
                        .failed(&format!("{name}-{attempt}"), stage, &error);
                }
            }
            if let Err(error) = self.node.cri().wait_until_ready() {
                self.tally.give_up(name, &format!("{error:#}"));
                return None;
            }
        }
        self.tally
            .give_up(name, &format!("it failed {ATTEMPTS} times"));
        None
    }

    fn pod(&self) -> Result<Pod<'a>> {
        self.node.pod("chaos").run()
    }

    /// One attempt at a container, from its creation to its removal.
    fn live(&self, pod: &Pod<'_>, name: &str) -> Result<(), (Stage, Error)> {
        self.tally.attempt();
        let container = self
            .witness
            .container(pod, name)
            .create()
            .map_err(|error| (Stage::Create, error))?;
        let outcome = self.ask(&container, name);
        let removed = wait::until("its removal", LIMIT, || Ok(container.remove().ok()));
        outcome?;
        removed.map_err(|error| (Stage::Remove, error))
    }

    fn ask(&self, container: &Container<'_>, name: &str) -> Result<(), (Stage, Error)> {
        self.start(container)
            .map_err(|error| (Stage::Start, error))?;
        let first = self.witness.first(container);
        self.judge(name.to_owned(), first)
            .map_err(|error| (Stage::First, error))?;
        let joined = self.witness.joined(container, name);
        self.judge(joined_as(name), joined)
            .map_err(|error| (Stage::Exec, error))
    }

    /// Starts it, or finds that it runs although the runtime could not say so.
    fn start(&self, container: &Container<'_>) -> Result<()> {
        let Err(error) = container.start() else {
            return Ok(());
        };
        self.node.cri().wait_until_ready()?;
        let state = container.inspect()?["status"]["state"].take();
        if state == "CONTAINER_RUNNING" {
            return Ok(());
        }
        Err(error.context(format!("it is {state}")))
    }

    /// Books what was found of a process; an error if that is nothing.
    fn judge(&self, signature: String, finding: Result<Finding>) -> Result<()> {
        match finding.context("it does not answer")? {
            Finding::Confined => Ok(()),
            Finding::Bare => {
                self.tally.bare(signature);
                Ok(())
            }
            Finding::Unclear(text) => bail!("it answers {text:?}"),
        }
    }
}
