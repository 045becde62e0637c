//! The kubelet and its configuration.

use std::path::Path;

use anyhow::Result;
use serde_json::json;

use super::NODE;
use super::certificates::{Authority, Usage};
use super::component::Component;
use super::layout::{self, NODE_IP};
use super::runtime::SOCKET;

const CONFIG: &str = "/var/lib/kubelet/config.yaml";
const DNS: &str = "10.96.0.10";
const KUBECONFIG: &str = "/etc/kubernetes/kubelet.conf";

/// Issues the node's certificates and writes its configuration.
pub(super) fn component(scratch: &Path, authority: &Authority, cgroup: &str) -> Result<Component> {
    authority.kubeconfig(
        "kubelet-client",
        &format!("/O=system:nodes/CN=system:node:{NODE}"),
        KUBECONFIG,
    )?;
    let names = format!("IP:{NODE_IP},DNS:{NODE}");
    let serving = authority.issue(
        "kubelet",
        &format!("/O=system:nodes/CN=system:node:{NODE}"),
        Usage::Server,
        &names,
    )?;
    let config = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": { "enabled": false },
            "webhook": { "enabled": true },
            "x509": { "clientCAFile": authority.path("ca.crt") },
        },
        "authorization": { "mode": "Webhook" },
        "tlsCertFile": serving.0,
        "tlsPrivateKeyFile": serving.1,
        "containerRuntimeEndpoint": format!("unix://{SOCKET}"),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{cgroup}"),
        "enforceNodeAllocatable": [],
        "failCgroupV1": false,
        "failSwapOn": false,
        // Lowering it needs CAP_SYS_RESOURCE, which a machine that runs the checks may lack.
        "oomScoreAdj": 0,
        // Nobody answers there; without it the kubelet complains of every pod.
        "clusterDNS": [DNS],
        "clusterDomain": "cluster.local",
        "resolvConf": "/etc/kubernetes/resolv.conf",
        "staticPodPath": "/etc/kubernetes/manifests",
        "fileCheckFrequency": "2s",
        // How soon a changed ConfigMap reaches a pod; a minute by default.
        "syncFrequency": "5s",
        "volumePluginDir": "/var/lib/kubelet/volumeplugins",
        // The machine's disk is not the node's own.
        "evictionHard": { "memory.available": "50Mi", "nodefs.available": "1%", "nodefs.inodesFree": "1%", "imagefs.available": "1%" },
        // No registry would give images back.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
    });
    layout::file(CONFIG, &config.to_string())?;
    let arguments = vec![
        format!("--config={CONFIG}"),
        format!("--kubeconfig={KUBECONFIG}"),
        format!("--hostname-override={NODE}"),
        format!("--node-ip={NODE_IP}"),
    ];
    Ok(Component::new("kubelet", arguments, scratch))
}
