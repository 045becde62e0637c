//! The parts of a bundle's config.json that decide how a container starts, and their replacement.

use std::collections::HashMap;
use std::path::PathBuf;

use serde::Deserialize;

use crate::json::{self, JsonError, Object, elements};

/// Members of the file itself.
const SPEC: [&str; 14] = [
    "ociVersion",
    "process",
    "root",
    "hostname",
    "domainname",
    "mounts",
    "hooks",
    "annotations",
    "linux",
    "solaris",
    "windows",
    "vm",
    "zos",
    "freebsd",
];
/// Members of `root`.
const ROOT: [&str; 2] = ["path", "readonly"];
/// Members of a mount.
const MOUNT: [&str; 6] = [
    "destination",
    "type",
    "source",
    "options",
    "uidMappings",
    "gidMappings",
];
/// Members of `hooks`.
const HOOKS: [&str; 6] = [
    "prestart",
    "createRuntime",
    "createContainer",
    "startContainer",
    "poststart",
    "poststop",
];
/// Members of `linux` that are looked at.
const LINUX: [&str; 2] = ["namespaces", "devices"];
/// Members of a device.
const DEVICE: [&str; 7] = ["path", "type", "major", "minor", "fileMode", "uid", "gid"];
/// Members of a namespace.
const NAMESPACE: [&str; 2] = ["type", "path"];

/// Why a spec cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpecError {
    #[error("{object}")]
    Json {
        object: String,
        #[source]
        source: JsonError,
    },
    #[error("{0} is missing")]
    Missing(&'static str),
}

fn at(object: &str) -> impl FnOnce(JsonError) -> SpecError {
    let object = object.to_owned();
    move |source| SpecError::Json { object, source }
}

/// A mount, and its text.
#[derive(Clone, Debug)]
pub(crate) struct Mount {
    pub(crate) text: String,
    pub(crate) destination: String,
    pub(crate) source: String,
    pub(crate) kind: String,
    pub(crate) options: Vec<String>,
}

impl Mount {
    fn read(position: usize, text: &str) -> Result<Self, SpecError> {
        let read = || -> Result<Self, JsonError> {
            let object = Object::of_struct(text, &MOUNT)?;
            Ok(Self {
                text: text.to_owned(),
                destination: object.get("destination")?.unwrap_or_default(),
                source: object.get("source")?.unwrap_or_default(),
                kind: object.get("type")?.unwrap_or_default(),
                options: object.get("options")?.unwrap_or_default(),
            })
        };
        read().map_err(at(&format!("mounts[{position}]")))
    }

    /// The mount as the wrap contract sees it.
    pub(crate) fn view(&self) -> kubefence_injection::Mount<'_> {
        kubefence_injection::Mount {
            destination: &self.destination,
            source: &self.source,
            kind: &self.kind,
            options: &self.options,
        }
    }
}

/// A process: that of a container, or one that joins it.
#[derive(Debug)]
pub(crate) struct Process<'a> {
    object: Object<'a>,
    /// Command and arguments; never empty.
    pub(crate) args: Vec<String>,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    uid: u32,
}

impl<'a> Process<'a> {
    const MEMBERS: [&'static str; 18] = [
        "terminal",
        "consoleSize",
        "user",
        "args",
        "commandLine",
        "env",
        "cwd",
        "capabilities",
        "rlimits",
        "noNewPrivileges",
        "apparmorProfile",
        "oomScoreAdj",
        "scheduler",
        "selinuxLabel",
        "ioPriority",
        "execCPUAffinity",
        "uid",
        "gid",
    ];

    /// Reads the process `text`.
    pub(crate) fn read(text: &'a str) -> Result<Self, SpecError> {
        let object = json::check_no_nul(text)
            .and_then(|()| Object::of_struct(text, &Self::MEMBERS))
            .map_err(at("process"))?;
        let args: Option<Vec<String>> = object.get("args").map_err(at("process"))?;
        match args {
            Some(args) if !args.is_empty() => Ok(Self { object, args }),
            _ => Err(SpecError::Missing("the command in process.args")),
        }
    }

    /// The environment.
    pub(crate) fn env(&self) -> Result<Vec<String>, SpecError> {
        let env: Option<Vec<String>> = self.object.get("env").map_err(at("process"))?;
        Ok(env.unwrap_or_default())
    }

    /// The working directory.
    pub(crate) fn cwd(&self) -> Result<String, SpecError> {
        let cwd: Option<String> = self.object.get("cwd").map_err(at("process"))?;
        Ok(cwd.unwrap_or_default())
    }

    /// The user, as seen inside.
    pub(crate) fn uid(&self) -> Result<u32, SpecError> {
        let Some(text) = self.object.text("user") else {
            return Ok(0);
        };
        Object::of_struct(text, &["uid", "gid", "umask", "additionalGids", "username"])
            .and_then(|_| json::value("user", text))
            .map(|user: User| user.uid)
            .map_err(at("process.user"))
    }

    /// Puts `before` in front of the arguments from `from` on, which keep their text.
    pub(crate) fn rewrap(&mut self, before: &[String], from: usize) -> Result<(), SpecError> {
        let text = self.object.text("args").unwrap_or("[]");
        let kept = elements("args", text).map_err(at("process"))?;
        let ours = before.iter().map(|argument| json::string(argument));
        let kept = kept.into_iter().skip(from).map(str::to_owned);
        let args = json::array(ours.chain(kept));
        self.object.set("args", args);
        Ok(())
    }

    /// Sets variables of the environment; the others keep their text.
    pub(crate) fn set_env(&mut self, variables: &[(String, String)]) -> Result<(), SpecError> {
        let is_set = |entry: &str| {
            let name = entry.split('=').next().unwrap_or_default();
            variables.iter().any(|(key, _)| key == name)
        };
        let env = self.env()?;
        let texts =
            elements("env", self.object.text("env").unwrap_or("[]")).map_err(at("process"))?;
        let kept = texts
            .into_iter()
            .zip(&env)
            .filter(|(_, entry)| !is_set(entry))
            .map(|(text, _)| text.to_owned());
        let set = variables
            .iter()
            .map(|(key, value)| json::string(&format!("{key}={value}")));
        let env = json::array(kept.chain(set));
        self.object.set("env", env);
        Ok(())
    }

    /// The process as text.
    pub(crate) fn text(&self) -> String {
        self.object.to_string()
    }
}

/// A container, as the OCI runtime is told to create it.
#[derive(Debug)]
pub(crate) struct Spec<'a> {
    object: Object<'a>,
}

#[derive(Deserialize)]
struct Namespace {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    path: String,
}

impl<'a> Spec<'a> {
    /// Reads the file's `text`.
    pub(crate) fn read(text: &'a str) -> Result<Self, SpecError> {
        let object = json::check_no_nul(text).and_then(|()| Object::of_struct(text, &SPEC));
        let object = object.map_err(at("the spec"))?;
        Ok(Self { object })
    }

    /// The text of the container's process.
    pub(crate) fn process(&self) -> Result<&str, SpecError> {
        self.object
            .text("process")
            .ok_or(SpecError::Missing("process"))
    }

    /// The annotations.
    pub(crate) fn annotations(&self) -> Result<HashMap<String, String>, SpecError> {
        let Some(text) = self.object.text("annotations") else {
            return Ok(HashMap::new());
        };
        let map = Object::of_map(text).map_err(at("annotations"))?;
        map.iter()
            .map(|(key, text)| {
                Ok((
                    key.to_owned(),
                    json::value(key, text).map_err(at("annotations"))?,
                ))
            })
            .collect()
    }

    /// The root file system; a relative path starts in the bundle.
    pub(crate) fn root(&self) -> Result<PathBuf, SpecError> {
        let text = self.object.text("root").ok_or(SpecError::Missing("root"))?;
        let root = Object::of_struct(text, &ROOT).map_err(at("root"))?;
        let path: Option<PathBuf> = root.get("path").map_err(at("root"))?;
        path.ok_or(SpecError::Missing("root.path"))
    }

    /// The mounts, in order.
    pub(crate) fn mounts(&self) -> Result<Vec<Mount>, SpecError> {
        let text = self.object.text("mounts").unwrap_or("[]");
        let texts = elements("mounts", text).map_err(at("mounts"))?;
        let mounts = texts.into_iter().enumerate();
        mounts
            .map(|(position, text)| Mount::read(position, text))
            .collect()
    }

    /// Whether programs of the image would run before the container's process.
    pub(crate) fn has_start_hooks(&self) -> Result<bool, SpecError> {
        let Some(text) = self.object.text("hooks") else {
            return Ok(false);
        };
        let hooks = Object::of_struct(text, &HOOKS).map_err(at("hooks"))?;
        let hooks = elements(
            "startContainer",
            hooks.text("startContainer").unwrap_or("[]"),
        );
        Ok(!hooks.map_err(at("hooks"))?.is_empty())
    }

    /// Whether the container gets a mount namespace that the runtime makes for it.
    pub(crate) fn has_own_mounts(&self) -> Result<bool, SpecError> {
        let Some(text) = self.object.text("linux") else {
            return Ok(false);
        };
        let linux = Object::of_struct(text, &LINUX).map_err(at("linux"))?;
        let texts = elements("namespaces", linux.text("namespaces").unwrap_or("[]"));
        let mut own = 0;
        let mut joined = 0;
        for text in texts.map_err(at("linux"))? {
            let namespace: Namespace = Object::of_struct(text, &NAMESPACE)
                .and_then(|_| json::value("namespaces", text))
                .map_err(at("linux.namespaces"))?;
            match (&*namespace.kind, namespace.path.is_empty()) {
                ("mount", true) => own += 1,
                ("mount", false) => joined += 1,
                _ => {}
            }
        }
        Ok(own == 1 && joined == 0)
    }

    /// The paths of the devices that the runtime makes after all mounts.
    pub(crate) fn devices(&self) -> Result<Vec<String>, SpecError> {
        let Some(text) = self.object.text("linux") else {
            return Ok(Vec::new());
        };
        let linux = Object::of_struct(text, &LINUX).map_err(at("linux"))?;
        let texts = elements("devices", linux.text("devices").unwrap_or("[]"));
        let path = |text| -> Result<String, JsonError> {
            let path: Option<String> = Object::of_struct(text, &DEVICE)?.get("path")?;
            Ok(path.unwrap_or_default())
        };
        let texts = texts.map_err(at("linux"))?.into_iter();
        texts
            .map(|text| path(text).map_err(at("linux.devices")))
            .collect()
    }

    /// Replaces the container's process.
    pub(crate) fn set_process(&mut self, process: &Process<'_>) {
        self.object.set("process", process.text());
    }

    /// Replaces the mounts.
    pub(crate) fn set_mounts(&mut self, mounts: &[Mount]) {
        let texts = mounts.iter().map(|mount| mount.text.as_str());
        self.object.set("mounts", json::array(texts));
    }

    /// The file's text.
    pub(crate) fn text(&self) -> String {
        self.object.to_string()
    }
}

#[cfg(test)]
mod tests;
