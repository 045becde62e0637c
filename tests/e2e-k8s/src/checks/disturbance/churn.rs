//! Sandboxed pods that come and go, and what each of them says of its confinement in its own log.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::wait;
use serde_json::{Value, json};

use crate::cluster::{Cluster, Pod};
use crate::machine::on_node;
use crate::manifests::{SANDBOXED, SLEEP, pod};

const NAME: &str = "churn";
const REPLICAS: u32 = 5;
/// A pod without a sandbox: whoever cannot hear that it is free hears nothing.
const CONTROL: &str = "control";
/// How the directories of our pods' logs begin.
const OURS: [&str; 2] = ["default_churn-", "default_control_"];
const LOGS: &str = "/var/log/pods";
const LIMIT: Duration = Duration::from_secs(120);
/// How many more have to speak after the update.
const MORE: usize = 6;

/// Pods by what they have said.
#[derive(Clone, Debug, Default)]
struct Voices {
    confined: BTreeSet<String>,
    free: BTreeSet<String>,
}

/// How many pods said what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tally {
    pub(super) confined: usize,
    pub(super) free: usize,
}

impl Tally {
    pub(super) fn all(self) -> usize {
        self.confined + self.free
    }
}

/// Going on until it is ended or dropped.
pub(super) struct Churn<'a> {
    cluster: &'a Cluster,
    control: Pod<'a>,
    voices: Arc<Mutex<Voices>>,
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl<'a> Churn<'a> {
    /// Starts it and waits for the first voices.
    pub(super) fn start(cluster: &'a Cluster) -> Result<Self> {
        cluster.apply(&deployment())?;
        let control = cluster.run_pod(&pod(CONTROL, None, &["sh", "-c", &witness()]))?;
        let voices = Arc::new(Mutex::new(Voices::default()));
        let over = Arc::new(AtomicBool::new(false));
        let listener = {
            let (voices, over) = (Arc::clone(&voices), Arc::clone(&over));
            thread::spawn(move || listen(&voices, &over))
        };
        let disturber = {
            let (scratch, over) = (cluster.scratch().to_owned(), Arc::clone(&over));
            thread::spawn(move || disturb(&scratch, &over))
        };
        let churn = Self {
            cluster,
            control,
            voices,
            over,
            threads: vec![listener, disturber],
        };
        churn.wait_for_more()?;
        Ok(churn)
    }

    /// Waits until some more pods have spoken than up to now.
    pub(super) fn wait_for_more(&self) -> Result<()> {
        let before = self.tally().all();
        wait::until("pods of the churn to speak", LIMIT, || {
            Ok((self.tally().all() >= before + MORE).then_some(()))
        })
    }

    /// Ends it; what was said in all.
    pub(super) fn end(mut self) -> Result<Tally> {
        self.stop();
        let mut tally = self.tally();
        ensure!(
            tally.free > 0,
            "nobody has heard {}, which is free",
            self.control.name()
        );
        tally.free -= 1;
        ensure!(
            tally.all() >= 2 * MORE,
            "only {} pods have spoken",
            tally.all()
        );
        Ok(tally)
    }

    fn tally(&self) -> Tally {
        let voices = self.voices.lock().unwrap_or_else(PoisonError::into_inner);
        Tally {
            confined: voices.confined.len(),
            free: voices.free.len(),
        }
    }

    fn stop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        let _ = self
            .cluster
            .kubectl(&["delete", "deployment", NAME, "--ignore-not-found"]);
        let _ = self.cluster.kubectl(&[
            "wait",
            "--for=delete",
            "pod",
            "--selector=e2e=churn",
            "--timeout=120s",
        ]);
    }
}

impl Drop for Churn<'_> {
    fn drop(&mut self) {
        self.stop();
    }
}

fn witness() -> String {
    format!("/app/tool read /etc/shadow; {SLEEP}")
}

fn deployment() -> Value {
    let template = pod(NAME, Some(SANDBOXED), &["sh", "-c", &witness()]);
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": NAME },
        "spec": {
            "replicas": REPLICAS,
            "selector": { "matchLabels": { "e2e": NAME } },
            "template": { "metadata": { "labels": { "e2e": NAME } }, "spec": template["spec"] },
        },
    })
}

/// Deletes what runs, again and again; the controller replaces it.
fn disturb(scratch: &Path, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        let _ = on_node("kubectl", scratch)
            .args([
                "delete",
                "pod",
                "--selector=e2e=churn",
                "--field-selector=status.phase=Running",
            ])
            .args(["--grace-period=1", "--wait=false"])
            .output();
        thread::sleep(Duration::from_secs(2));
    }
}

/// Reads the pods' logs before they go with their pods.
fn listen(voices: &Mutex<Voices>, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        let entries = fs::read_dir(LOGS).into_iter().flatten().flatten();
        for entry in entries {
            let name = entry.file_name().to_string_lossy().into_owned();
            if OURS.iter().any(|ours| name.starts_with(ours)) {
                hear(&entry.path().join("main"), &name, voices);
            }
        }
        thread::sleep(Duration::from_millis(100));
    }
}

fn hear(directory: &Path, pod: &str, voices: &Mutex<Voices>) {
    for log in fs::read_dir(directory).into_iter().flatten().flatten() {
        let text = fs::read_to_string(log.path()).unwrap_or_default();
        let mut voices = voices.lock().unwrap_or_else(PoisonError::into_inner);
        if text.contains("read /etc/shadow: ok") {
            voices.free.insert(pod.to_owned());
        } else if text.contains("read /etc/shadow: EACCES") {
            voices.confined.insert(pod.to_owned());
        }
    }
}
