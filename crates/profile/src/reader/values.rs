//! What the applied keys of a profile do with their values.

use std::str::FromStr as _;

use kubefence_launch_plan::{Place, ProfileName, Volumes};

use super::Reader;
use crate::access::Access;
use crate::diagnostic::Diagnostic;
use crate::document::{Located, Node, Value};
use crate::keys::{Key, Kind};
use crate::path::PathText;
use crate::source::{OnMissing, Stated};
use crate::suggest::did_you_mean;

/// Upstream nono lets entries of lists apply to one platform only.
const PLATFORM: &str = "linux";

impl Reader<'_> {
    /// Takes the value of an applied key. `null` is the same as not stating the key.
    pub(super) fn applied(&mut self, key: &'static Key, node: &Node) {
        match key.kind {
            _ if node.value == Value::Null => self.cleared(key),
            Kind::Text => self.text(key, node),
            Kind::Flag => self.flag(key, node),
            Kind::Number => self.number(key, node),
            Kind::Choice(words) => self.choice(key, words, node),
            Kind::Ports => self.ports(key, node),
            Kind::Names => self.names(key, node),
            Kind::NameOrNames if matches!(node.value, Value::Text(_)) => {
                self.names_from(key, std::slice::from_ref(node));
            }
            Kind::NameOrNames => self.names(key, node),
            Kind::Paths => self.paths(key, node),
            Kind::Any => {}
        }
    }

    fn cleared(&mut self, key: &'static Key) {
        if key.path == "network.network_profile" {
            self.statements.unenforceable.insert(key.path, None);
        }
    }

    fn text(&mut self, key: &'static Key, node: &Node) {
        let Value::Text(text) = &node.value else {
            return self.mismatch(key, "a string", node);
        };
        match key.path {
            "meta.name" => match ProfileName::parse(text) {
                Ok(name) => self.name = Some(name),
                Err(error) => self.error(node, error.to_string()),
            },
            "meta.description" => self.description.clone_from(text),
            "network.network_profile" if text.is_empty() => self.cleared(key),
            "network.network_profile" => self.unenforceable(key, node),
            _ => {}
        }
    }

    fn flag(&mut self, key: &'static Key, node: &Node) {
        let Value::Bool(on) = node.value else {
            return self.mismatch(key, "true or false", node);
        };
        match key.path {
            "network.block" => self.statements.block = Some(self.located(node, on)),
            "landlock.log_denials" => self.statements.log_denials = Some(on),
            other => unreachable!("{other} is no flag"),
        }
    }

    fn number(&mut self, key: &'static Key, node: &Node) {
        let Value::Integer(number) = node.value else {
            return self.mismatch(key, "a number", node);
        };
        match u32::try_from(number) {
            Ok(number) if number >= 1 => self.statements.min_abi = Some(number),
            _ => self.error(
                node,
                format!("{} = {number} is below 1 or too large", key.path),
            ),
        }
    }

    fn choice(&mut self, key: &'static Key, words: &[&'static str], node: &Node) {
        let Value::Text(word) = &node.value else {
            return self.mismatch(key, "a string", node);
        };
        if !words.contains(&word.as_str()) {
            let all = words.join(", ");
            let message = format!("{} = {word:?}: one of {all} is expected", key.path);
            return self.error(node, message);
        }
        let statements = &mut self.statements;
        match (key.path, word.as_str()) {
            ("filesystem.volumes", "read") => statements.volumes = Some(Volumes::Read),
            ("filesystem.volumes", "as-mounted") => statements.volumes = Some(Volumes::AsMounted),
            ("filesystem.volumes", _) => statements.volumes = Some(Volumes::None),
            ("landlock.on_missing", "report") => statements.on_missing = Some(OnMissing::Report),
            ("landlock.on_missing", _) => statements.on_missing = Some(OnMissing::Refuse),
            ("workdir.access", word) => {
                let access = match word {
                    "read" => Some(Access::Read),
                    "write" => Some(Access::Write),
                    "readwrite" => Some(Access::Readwrite),
                    _ => None,
                };
                self.statements.workdir = Some(self.located(node, access));
            }
            ("security.signal_mode", word) => {
                let isolate = self.located(node, word != "allow_all");
                self.statements.isolate_signals = Some(isolate);
            }
            ("security.ipc_mode", word) => {
                let isolate = self.located(node, word == "shared_memory_only");
                self.statements.isolate_sockets = Some(isolate);
            }
            (other, _) => unreachable!("{other} is no choice"),
        }
    }

    fn ports(&mut self, key: &'static Key, node: &Node) {
        let Value::Array(items) = &node.value else {
            return self.mismatch(key, "a list of TCP ports", node);
        };
        if items.is_empty() {
            let message = format!(
                "{}: the list is empty; to deny all ports, say network.block",
                key.path
            );
            return self.error(node, message);
        }
        for item in items {
            let port = match item.value {
                Value::Integer(port) => u16::try_from(port).ok().filter(|port| *port > 0),
                _ => None,
            };
            let Some(port) = port else {
                self.error(
                    item,
                    format!("{}: a TCP port from 1 to 65535 is expected", key.path),
                );
                continue;
            };
            let port = self.located(item, port);
            match key.path {
                "network.connect_port" => self.statements.connect_ports.push(port),
                _ => self.statements.listen_ports.push(port),
            }
        }
    }

    fn names(&mut self, key: &'static Key, node: &Node) {
        match &node.value {
            Value::Array(items) => self.names_from(key, items),
            _ => self.mismatch(key, "a list of names", node),
        }
    }

    fn names_from(&mut self, key: &'static Key, items: &[Node]) {
        for item in items {
            let Some(name) = self.entry(key, "name", item) else {
                continue;
            };
            match key.path {
                "extends" => self.extends.push(name),
                "groups.exclude" => self.statements.exclude.push(name),
                _ => self.statements.include.push(name),
            }
        }
    }

    fn paths(&mut self, key: &'static Key, node: &Node) {
        let Value::Array(items) = &node.value else {
            return self.mismatch(key, "a list of paths", node);
        };
        for item in items {
            let Some(path) = self.entry(key, "path", item) else {
                continue;
            };
            match PathText::from_str(&path.value) {
                Ok(_) => self.path(key, path),
                Err(error) => self.error(item, format!("{}: {error}", key.path)),
            }
        }
    }

    fn path(&mut self, key: &'static Key, path: Located<String>) {
        let access = match key.path {
            "filesystem.deny" => return self.statements.deny.push(path),
            "filesystem.allow" => Access::Readwrite,
            "filesystem.read" => Access::Read,
            "filesystem.write" => Access::Write,
            "filesystem.allow_file" => Access::ReadwriteFile,
            "filesystem.read_file" => Access::ReadFile,
            "filesystem.write_file" => Access::WriteFile,
            "filesystem.state" => Access::State,
            "filesystem.state_file" => Access::StateFile,
            other => unreachable!("{other} is no list of paths"),
        };
        if access.create().is_some() && !can_be_made(&path.value) {
            let message = format!(
                "{}: only places below a variable are made, such as $HOME/.tool",
                key.path
            );
            self.diagnostics.push(Diagnostic::error(path.at, message));
            return;
        }
        let key = key.path;
        self.statements.grants.push(Stated { path, access, key });
    }

    /// An entry of a list: text, or upstream's `{ "path": …, "when": PLATFORM }`. `None` if it is wrong,
    /// or for another platform.
    fn entry(&mut self, key: &'static Key, member: &str, item: &Node) -> Option<Located<String>> {
        let Value::Object(members) = &item.value else {
            let Value::Text(text) = &item.value else {
                self.mismatch(key, &format!("a {member}"), item);
                return None;
            };
            return Some(self.located(item, text.clone()));
        };
        let mut found = None;
        let mut applies = true;
        for entry in members {
            match (&entry.key, &entry.node.value) {
                (name, Value::Text(text)) if name == member => {
                    found = Some(self.located(&entry.node, text.clone()));
                }
                (name, Value::Text(platform)) if name == "when" => {
                    applies &= self.applies(key, platform, &entry.node)?;
                }
                (name, _) => {
                    let hint = did_you_mean(name, [member, "when"]);
                    let hint = hint.map_or(String::new(), |h| format!("; did you mean {h:?}?"));
                    let message = format!(
                        "{}: an entry has {member:?} and \"when\", as strings{hint}",
                        key.path
                    );
                    self.error(&entry.node, message);
                    return None;
                }
            }
        }
        if found.is_none() {
            self.error(item, format!("{}: the entry has no {member:?}", key.path));
        }
        found.filter(|_| applies)
    }

    /// Whether an entry for `platform` counts here; `None` if there is no such platform.
    fn applies(&mut self, key: &'static Key, platform: &str, node: &Node) -> Option<bool> {
        match platform {
            PLATFORM => return Some(true),
            "macos" | "windows" => {
                let at = self.document.location(node.span.start);
                let message = format!("{}: the entry has no effect on Linux", key.path);
                self.diagnostics.push(Diagnostic::warning(at, message));
                return Some(false);
            }
            _ => {}
        }
        let message = format!(
            "{}: \"when\" is linux, macos or windows, not {platform:?}",
            key.path
        );
        self.error(node, message);
        None
    }

    fn mismatch(&mut self, key: &'static Key, expected: &str, node: &Node) {
        let found = node.value.kind();
        self.error(
            node,
            format!("{}: {expected} is expected, not {found}", key.path),
        );
    }
}

fn can_be_made(path: &str) -> bool {
    let place = PathText::from_str(path).map(|text| text.0);
    matches!(place, Ok(Place::Below(_, suffix)) if !suffix.is_empty())
}
