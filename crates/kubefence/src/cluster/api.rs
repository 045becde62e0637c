//! The Kubernetes API server, as a pod reaches it.
//!
//! Five kinds of requests for two kinds of objects are sent here, one at a time, and each answer is looked at for a handful of fields. The
//! usual client crate with its generated types would be several times the size of the whole program, so this is plain HTTP/1.1 over
//! TLS: hyper and rustls, which that crate is built on, too.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

const LARGEST: usize = 32 << 20;
const ANSWER: Duration = Duration::from_secs(15);

/// Why a request gave no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    /// The server cannot be reached, or the connection broke.
    #[error("the API server does not answer: {0}")]
    Unreachable(String),
    /// It refuses.
    #[error("the API server refuses {method} {path} ({code}): {message}")]
    Refused {
        method: Method,
        path: String,
        code: StatusCode,
        message: String,
    },
    /// It answers what cannot be read.
    #[error("the API server's answer to {method} {path} cannot be read: {message}")]
    Malformed {
        method: Method,
        path: String,
        message: String,
    },
}

impl ApiError {
    /// Whether the object is not there.
    pub(super) fn is_absence(&self) -> bool {
        self.has(StatusCode::NOT_FOUND)
    }

    /// Whether the object is there already.
    pub(super) fn is_conflict(&self) -> bool {
        self.has(StatusCode::CONFLICT)
    }

    /// Whether the same request may succeed a moment later.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Refused { code, .. } => {
                code.is_server_error() || *code == StatusCode::TOO_MANY_REQUESTS
            }
            Self::Malformed { .. } => false,
        }
    }

    fn has(&self, wanted: StatusCode) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == wanted)
    }
}

/// A client.
pub(super) struct Api {
    host: String,
    port: u16,
    tls: TlsConnector,
    token: PathBuf,
    runtime: Runtime,
}

impl Api {
    /// The server that the kubelet names in every container's environment.
    pub(super) fn in_cluster(service_account: &Path) -> anyhow::Result<Self> {
        let variable = |name: &str| {
            std::env::var(name).with_context(|| format!("{name} is not set: this runs in a pod"))
        };
        let host = variable("KUBERNETES_SERVICE_HOST")?;
        let port = variable("KUBERNETES_SERVICE_PORT")?;
        let port = port
            .parse()
            .with_context(|| format!("KUBERNETES_SERVICE_PORT is {port:?}, not a port"))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot wait for the network")?;
        Ok(Self {
            host,
            port,
            tls: connector(&service_account.join("ca.crt"))?,
            token: service_account.join("token"),
            runtime,
        })
    }

    /// Sends a request; `Value::Null` for an answer that says nothing.
    pub(super) fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, ApiError> {
        let exchange = self.exchange(&method, path, body);
        let answer = self.runtime.block_on(async {
            let late = |_| format!("nothing within {} seconds", ANSWER.as_secs());
            timeout(ANSWER, exchange).await.map_err(late)?
        });
        let (code, bytes) = answer.map_err(ApiError::Unreachable)?;
        let parsed: Result<Value, _> = match bytes.is_empty() {
            true => Ok(Value::Null),
            false => serde_json::from_slice(&bytes),
        };
        if code.is_success() {
            return parsed.map_err(|error| ApiError::Malformed {
                method,
                path: path.to_owned(),
                message: error.to_string(),
            });
        }
        let said = parsed
            .ok()
            .and_then(|status| status["message"].as_str().map(str::to_owned));
        Err(ApiError::Refused {
            method,
            path: path.to_owned(),
            code,
            message: said.unwrap_or_else(|| "it does not say why".to_owned()),
        })
    }

    async fn exchange(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Bytes), String> {
        // The kubelet renews it.
        let token = fs::read_to_string(&self.token)
            .map_err(|error| format!("cannot read {}: {error}", self.token.display()))?;
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", authority(&self.host, self.port))
            .header("authorization", format!("Bearer {}", token.trim()))
            .header("accept", "application/json")
            .header("content-type", "application/json")
            .header(
                "user-agent",
                concat!("kubefence/", env!("CARGO_PKG_VERSION")),
            )
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| error.to_string())?;
        let stream = self.connect().await.map_err(|error| error.to_string())?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| error.to_string())?;
        tokio::spawn(connection);
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| error.to_string())?;
        let code = response.status();
        let body = Limited::new(response.into_body(), LARGEST).collect().await;
        Ok((code, body.map_err(|error| error.to_string())?.to_bytes()))
    }

    async fn connect(&self) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let name = ServerName::try_from(self.host.clone())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        self.tls.connect(name, stream).await
    }
}

fn connector(authority: &Path) -> anyhow::Result<TlsConnector> {
    let text = fs::read(authority).with_context(|| {
        format!(
            "cannot read {}: the pod needs its service-account token mounted",
            authority.display()
        )
    })?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate =
            certificate.with_context(|| format!("{} holds no certificate", authority.display()))?;
        roots.add(certificate)?;
    }
    if roots.is_empty() {
        bail!("{} holds no certificate", authority.display());
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn authority(host: &str, port: u16) -> String {
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}
