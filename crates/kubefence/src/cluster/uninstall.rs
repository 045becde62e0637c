//! `kubefence cluster uninstall`.
//!
//! Nothing is changed before every node has said that it can be uninstalled. Then the plugin's DaemonSet goes, so that no pod
//! of it installs a node again that is done already; then the nodes are uninstalled.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use hyper::Method;
use serde_json::{Value, json};

use super::UninstallArgs;
use super::api::{Api, ApiError};
use super::objects::{DaemonSet, List, Pod};
use super::rollout::{Node, Rollout};
use crate::print;

const PAUSE: Duration = Duration::from_millis(500);

pub(super) fn run(args: &UninstallArgs) -> anyhow::Result<ExitCode> {
    let check = args.check.as_deref().map(read).transpose()?;
    let manifest = read(&args.manifest)?;
    let cluster = Cluster {
        api: Api::in_cluster(&args.service_account)?,
        namespace: &args.namespace,
        deadline: Instant::now() + Duration::from_secs(args.timeout),
        seconds: args.timeout,
    };
    if let Some(check) = check {
        say("asking every node whether it can be uninstalled");
        let failed = cluster.run_on_every_node(&check)?;
        if report(&failed) {
            anstream::eprintln!(
                "{} nothing was changed: mend what the nodes name above, then run `helm uninstall` again",
                print::styled(print::BAD, "error:")
            );
            return Ok(ExitCode::FAILURE);
        }
    }
    for name in &args.remove {
        say(&format!("removing the DaemonSet {name}"));
        cluster.remove(name)?;
    }
    say("uninstalling every node");
    let failed = cluster.run_on_every_node(&manifest)?;
    if report(&failed) {
        anstream::eprintln!(
            "{} not every node is uninstalled. Where it is not, the guard still wraps containers of its handlers; the \
             plugin is gone from all nodes, and `helm upgrade` brings it back. Mend what the nodes name above, then run \
             `helm uninstall` again: it goes on",
            print::styled(print::BAD, "error:")
        );
        return Ok(ExitCode::FAILURE);
    }
    say("every node is uninstalled");
    Ok(ExitCode::SUCCESS)
}

/// A DaemonSet of a file.
struct Manifest {
    name: String,
    value: Value,
}

fn read(path: &Path) -> anyhow::Result<Manifest> {
    let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let value: Value =
        serde_json::from_slice(&text).with_context(|| format!("{} is no JSON", path.display()))?;
    match (value["kind"].as_str(), value["metadata"]["name"].as_str()) {
        (Some("DaemonSet"), Some(name)) => Ok(Manifest {
            name: name.to_owned(),
            value,
        }),
        _ => bail!("{} is no DaemonSet with a name", path.display()),
    }
}

fn say(text: &str) {
    anstream::eprintln!("{}", print::styled(print::STRONG, text));
}

/// Prints which nodes failed; whether any did.
fn report(failed: &[(String, String)]) -> bool {
    for (node, reason) in failed {
        anstream::eprintln!("{} node {node}: {reason}", print::styled(print::BAD, "✗"));
    }
    !failed.is_empty()
}

struct Cluster<'a> {
    api: Api,
    namespace: &'a str,
    deadline: Instant,
    seconds: u64,
}

impl Cluster<'_> {
    /// Has a DaemonSet do its work; returns the nodes on which it did not, and why.
    fn run_on_every_node(&self, manifest: &Manifest) -> anyhow::Result<Vec<(String, String)>> {
        // What an interrupted run may have left.
        self.remove(&manifest.name)?;
        self.create(manifest)?;
        let outcome = self.follow(&manifest.name);
        let removed = self.remove(&manifest.name);
        let failed = outcome?;
        match removed {
            // What failed on the nodes is the news.
            Err(error) if failed.is_empty() => Err(error),
            _ => Ok(failed),
        }
    }

    fn create(&self, manifest: &Manifest) -> anyhow::Result<()> {
        let path = self.daemon_sets();
        let created = self.insist(|| {
            match self.api.request(Method::POST, &path, Some(&manifest.value)) {
                // The answer to an earlier attempt was lost.
                Err(error) if error.is_conflict() => Ok(Value::Null),
                created => created,
            }
        });
        created
            .with_context(|| format!("cannot create the DaemonSet {}", manifest.name))
            .map(drop)
    }

    fn follow(&self, name: &str) -> anyhow::Result<Vec<(String, String)>> {
        let mut told = BTreeMap::new();
        loop {
            let daemon_set: DaemonSet = self.get(name)?;
            let pods = self.pods_of(&daemon_set)?;
            let rollout = Rollout::of(&daemon_set, &pods);
            tell(&rollout, &mut told);
            if rollout.has_ended() {
                return Ok(rollout.open());
            }
            if Instant::now() >= self.deadline {
                let open = rollout.open();
                let late = format!("not finished within {} seconds", self.seconds);
                return Ok(match open.is_empty() {
                    true => vec![("(some)".to_owned(), late)],
                    false => open,
                });
            }
            thread::sleep(PAUSE);
        }
    }

    /// Deletes a DaemonSet and waits until it and its pods are gone. None there is fine.
    fn remove(&self, name: &str) -> anyhow::Result<()> {
        let path = format!("{}/{name}", self.daemon_sets());
        let what = || format!("cannot remove the DaemonSet {name}");
        let found = self.insist(|| absent(self.api.request(Method::GET, &path, None)));
        let found = found.with_context(what)?;
        if found.is_null() {
            return Ok(());
        }
        let daemon_set: DaemonSet = serde_json::from_value(found).with_context(what)?;
        let how = json!({ "kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Foreground" });
        let delete = || absent(self.api.request(Method::DELETE, &path, Some(&how)));
        self.insist(delete).with_context(what)?;
        loop {
            let found = self.insist(|| absent(self.api.request(Method::GET, &path, None)));
            let is_gone = found.with_context(what)?.is_null();
            if is_gone && self.pods_of(&daemon_set)?.is_empty() {
                return Ok(());
            }
            // Those who come here after the deadline still get a moment.
            if Instant::now() >= self.deadline + Duration::from_secs(30) {
                bail!(
                    "the DaemonSet {name} is deleted, but its pods do not end: look at `kubectl get pods -n {}`",
                    self.namespace
                );
            }
            thread::sleep(PAUSE);
        }
    }

    fn get(&self, name: &str) -> anyhow::Result<DaemonSet> {
        let path = format!("{}/{name}", self.daemon_sets());
        let found = self.insist(|| self.api.request(Method::GET, &path, None));
        let found = found.with_context(|| format!("cannot follow the DaemonSet {name}"))?;
        serde_json::from_value(found).with_context(|| format!("cannot read the DaemonSet {name}"))
    }

    fn pods_of(&self, daemon_set: &DaemonSet) -> anyhow::Result<Vec<Pod>> {
        let labels = daemon_set.spec.selector.match_labels.iter();
        let labels: Vec<String> = labels
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        // All pods of the namespace are not what is meant.
        if labels.is_empty() {
            bail!(
                "the DaemonSet {} selects its pods by no label",
                daemon_set.metadata.name
            );
        }
        let namespace = self.namespace;
        let selector = encoded(&labels.join(","));
        let path = format!("/api/v1/namespaces/{namespace}/pods?labelSelector={selector}");
        let found = self.insist(|| self.api.request(Method::GET, &path, None));
        let found = found.context("cannot list pods")?;
        let list: List<Pod> =
            serde_json::from_value(found).context("cannot read the list of pods")?;
        Ok(list.items)
    }

    fn daemon_sets(&self) -> String {
        format!("/apis/apps/v1/namespaces/{}/daemonsets", self.namespace)
    }

    /// Asks again while the server is away: an API server restarts, too.
    fn insist<T>(&self, ask: impl Fn() -> Result<T, ApiError>) -> Result<T, ApiError> {
        loop {
            match ask() {
                Err(error) if error.is_passing() && Instant::now() < self.deadline => {
                    thread::sleep(PAUSE);
                }
                answer => return answer,
            }
        }
    }
}

/// Nothing instead of an error where there is nothing.
fn absent(answer: Result<Value, ApiError>) -> Result<Value, ApiError> {
    match answer {
        Err(error) if error.is_absence() => Ok(Value::Null),
        answer => answer,
    }
}

/// A query's value.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let code = |byte: u8| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(code).collect()
}

/// Tells what is new since the last look.
fn tell(rollout: &Rollout, told: &mut BTreeMap<String, Node>) {
    for (name, node) in &rollout.nodes {
        if told.get(name) == Some(node) {
            continue;
        }
        let progress = format!("{} of {}", rollout.done(), rollout.expected);
        match node {
            Node::Done => anstream::eprintln!(
                "{} node {name}: done ({progress})",
                print::styled(print::GOOD, "✓")
            ),
            Node::Busy(what) => anstream::eprintln!("  node {name}: {what}"),
            // Said once, at the end.
            Node::Failed(_) => anstream::eprintln!("  node {name}: failed"),
        }
        told.insert(name.clone(), node.clone());
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn queries_are_encoded() {
        assert_eq!(
            super::encoded("app.kubernetes.io/name=a,b=c-d"),
            "app.kubernetes.io%2Fname%3Da%2Cb%3Dc-d"
        );
    }
}
