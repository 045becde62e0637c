//! Keeping the state directory up to date, on a thread of its own.
//!
//! A disk that is slow or stuck must not delay an answer to the runtime: one that comes too late costs the
//! plugin its connection, and then containers start bare. So events only queue what is to be written, in
//! order; when the queue is full, the record is lost and the container is sandboxed all the same.

use std::collections::HashSet;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tracing::{info, warn};

use crate::state::{Key, Metadata, StateDir};

/// Most jobs that wait.
const QUEUE: usize = 1024;

/// Something to be done to the state directory.
#[derive(Debug)]
enum Job {
    Record(Key, Metadata),
    Remove(Key),
    /// Removes the record of a container whose pod is not known.
    RemoveOrphan(String),
    /// Removes all records but these, and adds those of these that are missing.
    Reconcile(Vec<(Key, Metadata)>),
    /// Answers once everything before it is done.
    Flush(SyncSender<()>),
}

/// The queue of the state directory. Clones share it.
#[derive(Clone, Debug)]
pub struct Recorder {
    queue: SyncSender<Job>,
}

impl Recorder {
    /// Starts the thread that writes to `state`.
    pub fn start(state: StateDir) -> io::Result<Self> {
        let (queue, jobs) = sync_channel(QUEUE);
        std::thread::Builder::new()
            .name("state".to_owned())
            .spawn(move || work(&state, &jobs))?;
        Ok(Self { queue })
    }

    /// Records a container.
    pub fn record(&self, key: Key, metadata: Metadata) {
        self.submit(Job::Record(key, metadata));
    }

    /// Removes the record of a container.
    pub fn remove(&self, key: Key) {
        self.submit(Job::Remove(key));
    }

    /// Removes the record of a container whose pod is not known, if there is one.
    pub fn remove_orphan(&self, container_id: &str) {
        self.submit(Job::RemoveOrphan(container_id.to_owned()));
    }

    /// Makes the records be those of `live`; records that exist stay as they are.
    pub fn reconcile(&self, live: Vec<(Key, Metadata)>) {
        self.submit(Job::Reconcile(live));
    }

    /// Waits until everything submitted so far is done, but no longer than `limit`.
    pub fn flush(&self, limit: Duration) {
        let (done, wait) = sync_channel(1);
        self.submit(Job::Flush(done));
        let _ = wait.recv_timeout(limit);
    }

    fn submit(&self, job: Job) {
        if let Err(error) = self.queue.try_send(job) {
            complain(&error);
        }
    }
}

fn complain(error: &impl ToString) {
    let reason = error.to_string();
    warn!(
        reason,
        "state not up to date; confinement does not depend on it"
    );
}

fn work(state: &StateDir, jobs: &Receiver<Job>) {
    for job in jobs {
        if let Err(error) = perform(state, job) {
            complain(&error);
        }
    }
}

fn perform(state: &StateDir, job: Job) -> io::Result<()> {
    match job {
        Job::Record(key, metadata) => state.record(&key, &metadata),
        Job::Remove(key) => state.remove(&key),
        Job::RemoveOrphan(container_id) => match state.find(&container_id)? {
            Some(key) => {
                info!(container_id, "container-removed");
                state.remove(&key)
            }
            None => Ok(()),
        },
        Job::Reconcile(live) => reconcile(state, live),
        Job::Flush(done) => {
            // Nobody may be waiting any more.
            let _ = done.send(());
            Ok(())
        }
    }
}

fn reconcile(state: &StateDir, live: Vec<(Key, Metadata)>) -> io::Result<()> {
    let keys: HashSet<Key> = live.iter().map(|(key, _)| key.clone()).collect();
    let removed = state.retain(&keys)?;
    let mut missing = live.into_iter().filter(|(key, _)| !state.has(key));
    let adopted = missing.try_for_each(|(key, metadata)| state.record(&key, &metadata));
    // Said once all is in place, so that whoever waits for the line finds it so.
    if removed > 0 {
        info!(removed, "state of containers that are gone removed");
    }
    adopted
}
