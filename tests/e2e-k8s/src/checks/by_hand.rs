//! The deployment without helm, in the commands of the README, and the files in deploy/ that they use.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use e2e::repository;

use super::Stage;
use crate::cluster::Cluster;
use crate::machine::{RESTART_COMMAND, on_node};
use crate::tools;

/// Another name of the image, so that the substitution in the commands has something to do.
const IMAGE: &str = "example.test/kubefence:by-hand";
const DROP_IN: &str = "/etc/containerd/conf.d/kubefence.toml";
const PLUGIN_CONFIG: &str = "/etc/nri/conf.d/10-nono-nri.toml";
const SED: &str = r#"sed "s|image: nono-nri:latest|image: ${IMAGE}|g""#;

pub(super) const STAGE: Stage = Stage {
    name: "by hand",
    prepare,
    checks: &[
        (
            "step 1, the runtime is configured and restarted",
            configure_runtime,
        ),
        (
            "step 2, the plugin's configuration is copied",
            configure_plugin,
        ),
        (
            "step 3, RuntimeClasses and the DaemonSet are applied and roll out",
            apply_manifests,
        ),
        ("step 4, the test pod becomes ready", apply_pod),
        (
            "verification: /proc/1/cmdline shows `sleep infinity`",
            cmdline,
        ),
        (
            "verification: /nono/nono is there with mode -rwxr-xr-x",
            launcher,
        ),
        (
            "verification: both selectors of the documentation find `injected` in the log",
            logged,
        ),
        (
            "verification: /etc/shadow is denied, as the pod's own comment says",
            denied,
        ),
        (
            "all of it is taken back, and every file is as it was before",
            taken_back,
        ),
    ],
};

/// The state before is kept beside the node: the last check compares with it.
fn prepare(cluster: &Cluster) -> Result<()> {
    ensure!(!cluster.is_installed(), "the chart is still installed");
    cluster.import_product_as(&[IMAGE])?;
    let pod = fs::read_to_string(tools::deploy("test-pod.yaml")).context("no test pod")?;
    let image = pod
        .lines()
        .find_map(|line| line.trim().strip_prefix("image: "))
        .context("the test pod has no image")?;
    cluster.import_busybox_as(image.trim())?;
    cluster.remember_files()
}

fn configure_runtime(cluster: &Cluster) -> Result<()> {
    shell(
        cluster,
        &format!("cp deploy/containerd-config.toml {DROP_IN}"),
    )?;
    // There is no systemd in the box: what restarts containerd is what stands in for `systemctl restart containerd`.
    shell(cluster, RESTART_COMMAND)?;
    let effective = shell(cluster, "containerd config dump")?;
    ensure!(
        effective.contains("runtimes.nono-runc"),
        "containerd knows no such handler"
    );
    Ok(())
}

fn configure_plugin(cluster: &Cluster) -> Result<()> {
    let copy = format!("cp deploy/10-nono-nri.toml.example {PLUGIN_CONFIG}");
    shell(cluster, &format!("mkdir -p /etc/nri/conf.d && {copy}")).map(drop)
}

fn apply_manifests(cluster: &Cluster) -> Result<()> {
    shell(cluster, "kubectl apply -f deploy/runtimeclass-kata.yaml")?;
    shell(
        cluster,
        &format!("{SED} deploy/daemonset.yaml | kubectl apply -f -"),
    )?;
    shell(
        cluster,
        "kubectl rollout status daemonset/nono-nri -n kube-system --timeout=150s",
    )
    .with_context(|| cluster.plugin_state())?;
    let used = &cluster.plugin_pod()?["spec"]["containers"][0]["image"];
    ensure!(*used == IMAGE, "the image is {used}");
    Ok(())
}

fn apply_pod(cluster: &Cluster) -> Result<()> {
    shell(cluster, "kubectl apply -f deploy/test-pod.yaml")?;
    let wait = "kubectl wait --for=condition=ready pod/nono-test --timeout=60s";
    shell(cluster, wait)
        .with_context(|| cluster.existing_pod("nono-test").events())
        .map(drop)
}

fn cmdline(cluster: &Cluster) -> Result<()> {
    let command = r"kubectl exec nono-test -- cat /proc/1/cmdline | tr '\0' ' '";
    let output = shell(cluster, command)?;
    ensure!(output.trim() == "sleep infinity", "it prints {output:?}");
    Ok(())
}

fn launcher(cluster: &Cluster) -> Result<()> {
    let output = shell(cluster, "kubectl exec nono-test -- ls -la /nono/nono")?;
    let fields: Vec<&str> = output.split_whitespace().collect();
    // The sandbox keeps /etc/passwd from `ls`, too, so it may know root by number only.
    let owner = fields.get(2..4).unwrap_or_default();
    let is_roots = owner == ["root", "root"] || owner == ["0", "0"];
    ensure!(
        fields.first() == Some(&"-rwxr-xr-x") && is_roots,
        "it prints {output:?}"
    );
    Ok(())
}

fn logged(cluster: &Cluster) -> Result<()> {
    for selector in ["app=nono-nri", "app.kubernetes.io/name=kubefence"] {
        let command = format!("kubectl logs -n kube-system -l {selector} | grep nono-test");
        let output = shell(cluster, &command)?;
        let said = [
            r#""msg":"injected""#,
            r#""decision":"inject""#,
            r#""profile":"default""#,
        ];
        ensure!(
            output
                .lines()
                .any(|line| said.iter().all(|part| line.contains(part))),
            "with {selector} it prints {output:?}"
        );
    }
    Ok(())
}

fn denied(cluster: &Cluster) -> Result<()> {
    let read = "kubectl exec nono-test -- cat /etc/shadow 2>&1 || true";
    let output = shell(cluster, read)?;
    ensure!(output.contains("Permission denied"), "it prints {output:?}");
    let twin = shell(
        cluster,
        "kubectl exec nono-test -- cat /nono/profiles/default.json",
    )?;
    ensure!(
        twin.contains('{'),
        "what is granted cannot be read: {twin:?}"
    );
    Ok(())
}

fn taken_back(cluster: &Cluster) -> Result<()> {
    shell(cluster, "kubectl delete pod nono-test")?;
    shell(cluster, "kubectl delete daemonset/nono-nri -n kube-system")?;
    let uninstall = r#"sed "s|\"image\": *\"nono-nri:latest\"|\"image\": \"${IMAGE}\"|g""#;
    let apply = format!("{uninstall} deploy/uninstall-daemonset.json | kubectl apply -f -");
    shell(cluster, &apply)?;
    let rollout =
        "kubectl rollout status daemonset/nono-nri-uninstall -n kube-system --timeout=150s";
    shell(cluster, rollout).with_context(|| cluster.pods_of("nono-nri-uninstall"))?;
    shell(cluster, "kubectl delete -f deploy/uninstall-daemonset.json")?;
    shell(
        cluster,
        "kubectl delete --ignore-not-found -f deploy/daemonset.yaml -f deploy/runtimeclass-kata.yaml",
    )?;
    shell(
        cluster,
        &format!(
            "rm {DROP_IN} {PLUGIN_CONFIG} && rmdir -p --ignore-fail-on-non-empty /etc/nri/conf.d"
        ),
    )?;
    shell(cluster, RESTART_COMMAND)?;
    let changes = cluster.changes()?;
    ensure!(changes.is_empty(), "{}", changes.join("; "));
    Ok(())
}

/// Runs a line of the documentation in the repository, as its reader would.
fn shell(cluster: &Cluster, line: &str) -> Result<String> {
    let root: &Path = &repository::root();
    let output = on_node("timeout", cluster.scratch())
        .args([
            "--kill-after=5",
            "240",
            "bash",
            "-o",
            "pipefail",
            "-c",
            line,
        ])
        .env("IMAGE", IMAGE)
        .current_dir(root)
        .output()
        .context("cannot run bash")?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "`{line}`: {}: {stdout}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(stdout)
}
