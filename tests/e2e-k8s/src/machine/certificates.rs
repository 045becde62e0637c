//! The cluster's certificate authority, and what it issues.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::subprocess;
use serde_json::json;

use super::layout::{self, NODE_IP};

const LIMIT: Duration = Duration::from_secs(60);
const OPENSSL: &str = "/usr/bin/openssl";
/// Nothing of the machine's own configuration, which adds extensions.
const NEUTRAL: &str = "[req]\ndistinguished_name = subject\n[subject]\n";
const NEW_KEY: [&str; 7] = [
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-noenc",
];

/// What a certificate is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Usage {
    Client,
    Server,
}

/// A directory with the authority's key and all that it has signed.
#[derive(Debug)]
pub(super) struct Authority {
    directory: PathBuf,
}

impl Authority {
    /// Makes the authority, and the key that signs tokens of service accounts.
    pub(super) fn create(directory: &Path) -> Result<Self> {
        layout::create(directory)?;
        let authority = Self {
            directory: directory.to_owned(),
        };
        layout::file(authority.path("openssl.cnf"), NEUTRAL)?;
        authority.request(
            "ca",
            "/CN=kubernetes",
            &[
                "basicConstraints=critical,CA:TRUE",
                "keyUsage=critical,keyCertSign,cRLSign",
            ],
            false,
        )?;
        let (key, public) = (authority.path("sa.key"), authority.path("sa.pub"));
        let (key, public) = (key.to_string_lossy(), public.to_string_lossy());
        openssl(&[
            "genpkey",
            "-algorithm",
            "EC",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-out",
            &key,
        ])?;
        openssl(&["pkey", "-in", &key, "-pubout", "-out", &public])?;
        Ok(authority)
    }

    /// A file of the authority's directory.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Issues `NAME.crt` and `NAME.key`; `names` are alternative names as openssl writes them.
    pub(super) fn issue(
        &self,
        name: &str,
        subject: &str,
        usage: Usage,
        names: &str,
    ) -> Result<(PathBuf, PathBuf)> {
        let purpose = match usage {
            Usage::Client => "extendedKeyUsage=clientAuth",
            Usage::Server => "extendedKeyUsage=serverAuth",
        };
        let alternative = format!("subjectAltName={names}");
        let mut extensions = vec!["keyUsage=critical,digitalSignature", purpose];
        if !names.is_empty() {
            extensions.push(&alternative);
        }
        self.request(name, subject, &extensions, true)?;
        Ok((
            self.path(&format!("{name}.crt")),
            self.path(&format!("{name}.key")),
        ))
    }

    /// Writes a kubeconfig with which `subject` talks to the API server.
    pub(super) fn kubeconfig(&self, name: &str, subject: &str, at: &str) -> Result<()> {
        let (certificate, key) = self.issue(name, subject, Usage::Client, "")?;
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "e2e",
            "clusters": [{ "name": "e2e", "cluster": {
                "server": format!("https://{NODE_IP}"),
                "certificate-authority": self.path("ca.crt"),
            }}],
            "users": [{ "name": name, "user": { "client-certificate": certificate, "client-key": key } }],
            "contexts": [{ "name": "e2e", "context": { "cluster": "e2e", "user": name } }],
        });
        layout::file(at, &config.to_string())
    }

    fn request(&self, name: &str, subject: &str, extensions: &[&str], signed: bool) -> Result<()> {
        let file = |end: &str| {
            self.path(&format!("{name}{end}"))
                .to_string_lossy()
                .into_owned()
        };
        let of_authority = |end: &str| {
            self.path(&format!("ca{end}"))
                .to_string_lossy()
                .into_owned()
        };
        let (config, key, certificate) = (self.path("openssl.cnf"), file(".key"), file(".crt"));
        let config = config.to_string_lossy();
        let (ca, ca_key) = (of_authority(".crt"), of_authority(".key"));
        let mut arguments = NEW_KEY.to_vec();
        arguments.extend(["-config", &config, "-days", "2", "-subj", subject]);
        arguments.extend(["-keyout", &key, "-out", &certificate]);
        if signed {
            arguments.extend(["-CA", &ca, "-CAkey", &ca_key]);
        }
        for extension in extensions {
            arguments.extend(["-addext", extension]);
        }
        openssl(&arguments).with_context(|| format!("cannot issue a certificate for {name}"))
    }
}

fn openssl(arguments: &[&str]) -> Result<()> {
    subprocess::text(Path::new(OPENSSL), arguments, LIMIT)
        .map(drop)
        .context("openssl is missing or too old: run `cargo xtask setup`")
}
