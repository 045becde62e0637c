//! How far a DaemonSet is whose init container has work to do on each node. Pure.

use std::collections::BTreeMap;

use super::objects::{ContainerStatus, DaemonSet, Pod, State, Terminated};

/// How far a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// The work is done.
    Done,
    /// It failed twice, for this reason.
    Failed(String),
    /// It goes on, or waits for this.
    Busy(String),
}

/// How far all nodes are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rollout {
    /// Whether the controller has decided on which nodes pods run, and made them all.
    pub(super) is_scheduled: bool,
    /// How many nodes there are.
    pub(super) expected: usize,
    /// By node.
    pub(super) nodes: BTreeMap<String, Node>,
}

impl Rollout {
    /// What a DaemonSet and its pods say.
    pub(super) fn of(daemon_set: &DaemonSet, pods: &[Pod]) -> Self {
        let status = &daemon_set.status;
        let observed = status.observed_generation;
        let current = observed.is_some_and(|observed| observed >= daemon_set.metadata.generation);
        let living = pods
            .iter()
            .filter(|pod| pod.metadata.deletion_timestamp.is_none());
        Self {
            is_scheduled: current
                && status.current_number_scheduled == status.desired_number_scheduled,
            expected: status.desired_number_scheduled,
            nodes: living.map(|pod| (node_of(pod), Node::of(pod))).collect(),
        }
    }

    /// How many nodes are done.
    pub(super) fn done(&self) -> usize {
        self.nodes
            .values()
            .filter(|node| **node == Node::Done)
            .count()
    }

    /// Whether nothing more is to be waited for.
    pub(super) fn has_ended(&self) -> bool {
        let busy = self
            .nodes
            .values()
            .any(|node| matches!(node, Node::Busy(_)));
        self.is_scheduled && !busy && self.nodes.len() >= self.expected
    }

    /// The nodes that are not done, and why.
    pub(super) fn open(&self) -> Vec<(String, String)> {
        let open = self.nodes.iter().filter_map(|(name, node)| match node {
            Node::Done => None,
            Node::Failed(reason) => Some((name.clone(), reason.clone())),
            Node::Busy(reason) => Some((name.clone(), format!("not finished: {reason}"))),
        });
        let mut open: Vec<_> = open.collect();
        if !self.is_scheduled {
            let reason = "the DaemonSet's pods are not all created yet".to_owned();
            open.push(("(some)".to_owned(), reason));
        }
        open
    }
}

fn node_of(pod: &Pod) -> String {
    match pod.spec.node_name.as_str() {
        "" => format!("(none yet, pod {})", pod.metadata.name),
        name => name.to_owned(),
    }
}

impl Node {
    fn of(pod: &Pod) -> Self {
        let ready = |kind: &str| {
            let mut conditions = pod.status.conditions.iter();
            conditions.any(|condition| condition.kind == kind && condition.status == "True")
        };
        if ready("Ready") {
            return Self::Done;
        }
        let failed = pod.status.init_container_statuses.iter().find_map(failure);
        match failed {
            Some(reason) => Self::Failed(reason),
            None => Self::Busy(obstacle(pod)),
        }
    }
}

/// Why a container failed, if it has done so twice: a passing reason gets a second chance.
fn failure(status: &ContainerStatus) -> Option<String> {
    if status.restart_count == 0 || status.state.running.is_some() {
        return None;
    }
    let ends = [&status.state, &status.last_state].map(|state| state.terminated.as_ref());
    let ended = ends.into_iter().flatten().next()?;
    (ended.exit_code != 0).then(|| words_of(ended))
}

fn words_of(ended: &Terminated) -> String {
    let said = ended.message.trim();
    match (said, ended.reason.as_str()) {
        ("", reason) => format!("exit code {} ({reason}), and no message", ended.exit_code),
        (said, _) => said.to_owned(),
    }
}

/// What a pod waits for.
fn obstacle(pod: &Pod) -> String {
    let status = &pod.status;
    let containers = status
        .init_container_statuses
        .iter()
        .chain(&status.container_statuses);
    let waiting = containers.filter_map(|container| waiting(&container.state));
    let unscheduled = status
        .conditions
        .iter()
        .filter(|condition| condition.kind == "PodScheduled" && condition.status != "True");
    let unscheduled = unscheduled.map(|condition| condition.message.clone());
    let own = [&status.message, &status.reason, &status.phase].map(Clone::clone);
    let mut words = waiting.chain(unscheduled).chain(own);
    words
        .find(|word| !word.is_empty())
        .unwrap_or_else(|| "its pod is new".to_owned())
}

fn waiting(state: &State) -> Option<String> {
    let waiting = state.waiting.as_ref()?;
    // What every pod says for a moment.
    if matches!(
        waiting.reason.as_str(),
        "PodInitializing" | "ContainerCreating" | ""
    ) {
        return None;
    }
    match waiting.message.trim() {
        "" => Some(waiting.reason.clone()),
        message => Some(format!("{}: {message}", waiting.reason)),
    }
}

#[cfg(test)]
mod tests;
