//! Why a profile allows a TCP port, or does not.

use std::fmt;

use crate::document::{Located, Location};
use crate::resolve::ResolvedProfile;

/// What a program does with a TCP port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortOperation {
    /// Connect to a remote port.
    Connect,
    /// Bind a local port.
    Bind,
}

impl PortOperation {
    /// Every operation.
    pub const ALL: [Self; 2] = [Self::Connect, Self::Bind];

    /// The operation as the command line spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Bind => "bind",
        }
    }

    fn key(self) -> &'static str {
        match self {
            Self::Connect => "connect_port",
            Self::Bind => "listen_port",
        }
    }
}

impl fmt::Display for PortOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a profile says to a TCP port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortExplanation {
    /// The profile says nothing of such ports: all are allowed.
    Unrestricted,
    /// The profile lists the port.
    Listed(Location),
    /// The profile restricts such ports and does not list this one.
    Denied {
        /// What to write into a profile so that it would be allowed; as JSON.
        remedy: String,
    },
}

impl ResolvedProfile {
    /// Explains what this profile says to `operation` on the TCP port `port`.
    pub fn explain_port(&self, port: u16, operation: PortOperation) -> PortExplanation {
        let ports = match operation {
            PortOperation::Connect => &self.network.connect,
            PortOperation::Bind => &self.network.listen,
        };
        let Some(ports) = ports else {
            return PortExplanation::Unrestricted;
        };
        let listed = |listed: &&Located<u16>| listed.value == port;
        match ports.iter().find(listed) {
            Some(listed) => PortExplanation::Listed(listed.at.clone()),
            None => PortExplanation::Denied {
                remedy: format!("\"network\": {{ \"{}\": [{port}] }}", operation.key()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Catalog, ProfileName, read_profile};

    #[test]
    fn ports_are_free_listed_or_denied() {
        let text = r#"{ "network": { "connect_port": [443] } }"#;
        let source = read_profile("p.json", text).profile.unwrap();
        let (catalog, _) = Catalog::built_in().unwrap().with_custom(vec![source]);
        let profile = catalog.get(&ProfileName::parse("p").unwrap()).unwrap();
        let ask = |port, operation| profile.explain_port(port, operation);
        assert_eq!(ask(80, PortOperation::Bind), PortExplanation::Unrestricted);
        let PortExplanation::Listed(at) = ask(443, PortOperation::Connect) else {
            panic!("443 is listed")
        };
        assert_eq!(at.to_string(), "p.json:1:33");
        let remedy = r#""network": { "connect_port": [80] }"#.to_owned();
        assert_eq!(
            ask(80, PortOperation::Connect),
            PortExplanation::Denied { remedy }
        );
    }
}
