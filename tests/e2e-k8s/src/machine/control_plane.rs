//! etcd, API server, controller manager, scheduler: with authentication and authorisation as a real cluster has them.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::subprocess;
use e2e::wait;

use super::certificates::{Authority, Usage};
use super::component::Component;
use super::layout::{KUBECONFIG, NODE_IP, PKI, SERVICE_IP, SERVICES};

const ETCD: &str = "http://127.0.0.1:2379";
const ETCD_LIMIT: Duration = Duration::from_secs(60);
const CALL_LIMIT: Duration = Duration::from_secs(10);
const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// Starts all four; etcd answers by then, the API server may not yet.
pub(super) fn start(scratch: &Path, authority: &Authority) -> Result<Vec<Component>> {
    let certificates = Certificates::issue(authority)?;
    let etcd = etcd(scratch);
    etcd.start()?;
    wait::until("etcd", ETCD_LIMIT, || {
        etcd.check_alive()?;
        Ok(std::net::TcpStream::connect("127.0.0.1:2379").ok())
    })
    .with_context(|| etcd.last_words())?;
    let api = Component::new("kube-apiserver", certificates.api_server(), scratch);
    let manager = Component::new("kube-controller-manager", controller_manager(), scratch);
    let scheduler = Component::new("kube-scheduler", scheduler(), scratch);
    for component in [&api, &manager, &scheduler] {
        component.start()?;
    }
    Ok(vec![etcd, api, manager, scheduler])
}

/// Whether the API server says that it is ready.
pub(super) fn answers() -> bool {
    let kubeconfig = format!("--kubeconfig={KUBECONFIG}");
    let arguments = [&kubeconfig, "get", "--raw", "/readyz"];
    subprocess::output(Path::new("/usr/local/bin/kubectl"), &arguments, CALL_LIMIT)
        .is_ok_and(|output| output.status.success() && output.stdout == b"ok")
}

fn etcd(scratch: &Path) -> Component {
    let arguments = [
        format!("--data-dir={}", scratch.join("etcd").display()),
        format!("--listen-client-urls={ETCD}"),
        format!("--advertise-client-urls={ETCD}"),
        "--listen-peer-urls=http://127.0.0.1:2380".to_owned(),
        // The cluster does not outlive the machine.
        "--unsafe-no-fsync".to_owned(),
    ];
    Component::new("etcd", arguments.to_vec(), scratch)
}

/// Who is who.
struct Certificates {
    server: String,
    server_key: String,
    kubelet_client: String,
    kubelet_client_key: String,
}

impl Certificates {
    fn issue(authority: &Authority) -> Result<Self> {
        let names = format!(
            "IP:{SERVICE_IP},IP:{NODE_IP},IP:127.0.0.1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,\
             DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local"
        );
        let (server, server_key) =
            authority.issue("apiserver", "/CN=kube-apiserver", Usage::Server, &names)?;
        let (kubelet_client, kubelet_client_key) = authority.issue(
            "apiserver-kubelet-client",
            "/O=system:masters/CN=kube-apiserver-kubelet-client",
            Usage::Client,
            "",
        )?;
        authority.kubeconfig("admin", "/O=system:masters/CN=admin", KUBECONFIG)?;
        authority.kubeconfig(
            "controller-manager",
            "/CN=system:kube-controller-manager",
            &kubeconfig_of("controller-manager"),
        )?;
        authority.kubeconfig(
            "scheduler",
            "/CN=system:kube-scheduler",
            &kubeconfig_of("scheduler"),
        )?;
        let text = |path: std::path::PathBuf| path.to_string_lossy().into_owned();
        Ok(Self {
            server: text(server),
            server_key: text(server_key),
            kubelet_client: text(kubelet_client),
            kubelet_client_key: text(kubelet_client_key),
        })
    }

    fn api_server(&self) -> Vec<String> {
        vec![
            format!("--etcd-servers={ETCD}"),
            "--bind-address=0.0.0.0".to_owned(),
            // The service's port, too, since there is no proxy in between.
            "--secure-port=443".to_owned(),
            format!("--advertise-address={NODE_IP}"),
            format!("--service-cluster-ip-range={SERVICES}"),
            format!("--tls-cert-file={}", self.server),
            format!("--tls-private-key-file={}", self.server_key),
            format!("--client-ca-file={PKI}/ca.crt"),
            format!("--kubelet-certificate-authority={PKI}/ca.crt"),
            format!("--kubelet-client-certificate={}", self.kubelet_client),
            format!("--kubelet-client-key={}", self.kubelet_client_key),
            "--kubelet-preferred-address-types=InternalIP".to_owned(),
            "--authorization-mode=Node,RBAC".to_owned(),
            "--enable-admission-plugins=NodeRestriction".to_owned(),
            "--anonymous-auth=false".to_owned(),
            "--allow-privileged=true".to_owned(),
            format!("--service-account-issuer={ISSUER}"),
            format!("--service-account-key-file={PKI}/sa.pub"),
            format!("--service-account-signing-key-file={PKI}/sa.key"),
        ]
    }
}

fn controller_manager() -> Vec<String> {
    let kubeconfig = kubeconfig_of("controller-manager");
    vec![
        format!("--kubeconfig={kubeconfig}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--leader-elect=false".to_owned(),
        "--use-service-account-credentials=true".to_owned(),
        format!("--root-ca-file={PKI}/ca.crt"),
        format!("--service-account-private-key-file={PKI}/sa.key"),
    ]
}

fn scheduler() -> Vec<String> {
    vec![
        format!("--kubeconfig={}", kubeconfig_of("scheduler")),
        "--bind-address=127.0.0.1".to_owned(),
        "--leader-elect=false".to_owned(),
    ]
}

fn kubeconfig_of(component: &str) -> String {
    format!("/etc/kubernetes/{component}.conf")
}
