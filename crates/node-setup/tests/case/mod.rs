//! A fixture: a node before, what is planned for it, and a node from which everything has been taken back.
//!
//! ```text
//! fixtures/<case>/case.toml        what the node has
//!                 before/…         its files
//!                 effective.toml   what the runtime says of its configuration, as far as it matters
//!                 plan.txt         everything of the plan but the files
//!                 after/…          the files that change
//!                 reverted/…       the same, with our keys taken out again
//! ```

#![allow(dead_code)] // Each test uses some of it.

pub(crate) mod paper;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use kubefence_node_setup::host::Host;
use kubefence_node_setup::runtime::{
    Choice, ConfigPlan, Detected, EditKind, OwnedKey, Wanted, detect, plan, withdraw,
};

pub(crate) const GUARD: &str = "/opt/kubefence/bin/nono-runc";

/// What `case.toml` says.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) directory: PathBuf,
    /// Where the runtime's program stands.
    pub(crate) program: String,
    /// Which of the pinned tools stands there.
    pub(crate) tool: Option<String>,
    /// What it says of its version, if that is to differ from the tool's own.
    pub(crate) says: Option<String>,
    pub(crate) programs: Vec<String>,
    pub(crate) links: BTreeMap<String, String>,
    pub(crate) sockets: Vec<String>,
    pub(crate) wanted: Wanted,
    pub(crate) error: Option<String>,
}

fn texts(item: Option<&toml_edit::Item>) -> Vec<String> {
    let array = item.and_then(|item| item.as_array());
    let texts = array.into_iter().flatten().filter_map(|v| v.as_str());
    texts.map(str::to_owned).collect()
}

impl Case {
    pub(crate) fn load(directory: &Path) -> Self {
        let text = fs::read_to_string(directory.join("case.toml")).expect("case.toml");
        let document: toml_edit::DocumentMut = text.parse().expect("case.toml is TOML");
        let text = |key: &str| {
            document
                .get(key)
                .and_then(|item| item.as_str())
                .map(str::to_owned)
        };
        let links = document.get("links").and_then(|item| item.as_table());
        let links = links.into_iter().flat_map(|table| table.iter());
        let mut handlers = texts(document.get("handlers"));
        if handlers.is_empty() {
            handlers.push("nono-runc".to_owned());
        }
        Self {
            name: directory
                .file_name()
                .unwrap()
                .to_string_lossy()
                .into_owned(),
            directory: directory.to_owned(),
            program: text("program").expect("program"),
            tool: text("tool"),
            says: text("says"),
            programs: texts(document.get("programs")),
            links: links
                .map(|(from, to)| (from.to_owned(), to.as_str().unwrap().to_owned()))
                .collect(),
            sockets: texts(document.get("sockets")),
            wanted: Wanted {
                handlers,
                guard: GUARD.into(),
                runtime: match text("runtime").as_deref() {
                    None => Choice::Auto,
                    Some("containerd") => Choice::Containerd,
                    Some("crio") => Choice::Crio,
                    Some(other) => panic!("runtime = {other:?}"),
                },
                config: text("config").map(PathBuf::from),
                ..Wanted::default()
            },
            error: text("error"),
        }
    }

    /// One fixture.
    pub(crate) fn named(name: &str) -> Self {
        Self::load(
            &Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("tests/fixtures")
                .join(name),
        )
    }

    /// All fixtures.
    pub(crate) fn all() -> Vec<Self> {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        let mut found: Vec<PathBuf> = fs::read_dir(&fixtures)
            .expect("fixtures")
            .map(|entry| entry.unwrap().path())
            .collect();
        found.sort();
        assert!(found.len() > 20, "fixtures are missing: {found:?}");
        found.iter().map(|path| Self::load(path)).collect()
    }

    pub(crate) fn is_crio(&self) -> bool {
        self.program.ends_with("/crio")
    }

    /// The files of `before/`, by their path on the node.
    pub(crate) fn before(&self) -> BTreeMap<PathBuf, String> {
        let mut files = BTreeMap::new();
        walk(&self.directory.join("before"), Path::new("/"), &mut files);
        files
    }
}

fn walk(directory: &Path, place: &Path, files: &mut BTreeMap<PathBuf, String>) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        let name = place.join(path.file_name().unwrap());
        if path.is_dir() {
            walk(&path, &name, files);
        } else {
            files.insert(name, String::from_utf8(fs::read(&path).unwrap()).unwrap());
        }
    }
}

/// Compares with what is stored, or stores it.
pub(crate) struct Golden(Vec<String>);

impl Golden {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn check(&mut self, path: &Path, content: &str) {
        if std::env::var_os("UPDATE_FIXTURES").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
            return;
        }
        let stored = fs::read_to_string(path).unwrap_or_default();
        if stored != content {
            self.0.push(format!(
                "{} differs; with UPDATE_FIXTURES=1 it would become:\n{content}",
                path.display()
            ));
        }
    }

    pub(crate) fn fail(&mut self, message: String) {
        self.0.push(message);
    }

    pub(crate) fn finish(self) {
        assert!(self.0.is_empty(), "{}", self.0.join("\n\n"));
    }
}

/// An error with all its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    text
}

/// Detects and plans.
pub(crate) fn prepare(host: &dyn Host, wanted: &Wanted) -> Result<(Detected, ConfigPlan), String> {
    let detected = detect(host, wanted).map_err(|error| chain(&error))?;
    let plan = plan(host, &detected, wanted).map_err(|error| chain(&error))?;
    Ok((detected, plan))
}

/// What an installation would remember.
pub(crate) fn manifest(plan: &ConfigPlan) -> BTreeMap<PathBuf, Vec<OwnedKey>> {
    let edits = plan.edits.iter();
    edits
        .map(|edit| (edit.path.clone(), edit.keys.clone()))
        .collect()
}

/// Everything but the texts of files.
pub(crate) fn describe(detected: &Detected, plan: &ConfigPlan) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "kind: {:?}\nversion: {}\nschema: {}\nconfig: {}\ndrop-ins: {:?}\nsocket: {}\nunits: {:?}",
        detected.kind,
        detected.version,
        detected.schema,
        detected.config.display(),
        detected.drop_ins,
        detected.socket.display(),
        detected.units,
    );
    let _ = writeln!(
        text,
        "real runtime: {}\nruntime root: {:?}\ncaller: {:?}\nvalidate: {}",
        plan.real_runtime.display(),
        plan.runtime_root,
        plan.caller,
        plan.validate.join(" "),
    );
    for note in &plan.notes {
        let _ = writeln!(text, "note: {note}");
    }
    for edit in &plan.edits {
        let _ = writeln!(text, "{:?} {}", edit.kind, edit.path.display());
        for key in &edit.keys {
            let _ = writeln!(text, "  {}: {:?}", key.path.join(" / "), key.owned);
        }
    }
    text
}

/// Takes everything out of the files that were changed; those of our own go.
pub(crate) fn revert(plan: &ConfigPlan) -> BTreeMap<PathBuf, String> {
    let edited = plan
        .edits
        .iter()
        .filter(|edit| edit.kind == EditKind::Edited);
    edited
        .map(|edit| {
            let withdrawn = withdraw(&edit.after, &edit.keys).expect("withdraw");
            assert!(withdrawn.left.is_empty(), "{:?}", withdrawn.left);
            assert!(withdrawn.lost.is_empty(), "{:?}", withdrawn.lost);
            (edit.path.clone(), withdrawn.text)
        })
        .collect()
}

/// What of a runtime's answer matters: no test needs hundreds of lines of defaults.
pub(crate) fn relevant(output: &str, is_crio: bool) -> String {
    match is_crio {
        true => relevant_of_crio(output),
        false => relevant_of_containerd(output),
    }
}

fn relevant_of_containerd(output: &str) -> String {
    let document: toml_edit::DocumentMut = output.parse().expect("a dump is TOML");
    let matters = [
        "version",
        "disabled_plugins",
        "grpc.address",
        "plugins.'io.containerd.server.v1.grpc'.address",
        "plugins.'io.containerd.nri.v1.nri'",
        "plugins.'io.containerd.cri.v1.runtime'.containerd",
        "plugins.'io.containerd.grpc.v1.cri'.containerd",
    ];
    let mut lines = String::new();
    flat(document.as_table(), "", &mut |path, value| {
        if matters
            .iter()
            .any(|key| path == *key || path.starts_with(&format!("{key}.")))
        {
            lines += &format!("{path} = {value}\n");
        }
    });
    lines
}

fn flat(table: &dyn toml_edit::TableLike, place: &str, each: &mut dyn FnMut(&str, &str)) {
    for (key, item) in table.iter() {
        let key = match key.contains('.') {
            true => format!("'{key}'"),
            false => key.to_owned(),
        };
        let path = match place {
            "" => key,
            _ => format!("{place}.{key}"),
        };
        match (item.as_table_like(), item.as_value()) {
            (Some(table), _) => flat(table, &path, each),
            (None, Some(value)) => each(&path, value.to_string().trim()),
            (None, None) => {}
        }
    }
}

fn relevant_of_crio(output: &str) -> String {
    let mut kept = String::new();
    let mut in_handler = false;
    for line in output.lines() {
        let starts = |text: &str| line.starts_with(text);
        in_handler = match starts("# [crio.runtime.runtimes.") {
            true => !starts("# [crio.runtime.runtimes.runtime-handler]"),
            false => in_handler && !line.is_empty(),
        };
        let is_setting = ["# default_runtime = ", "# listen = ", "# enable_nri = "];
        if in_handler || !line.starts_with('#') || is_setting.iter().any(|text| starts(text)) {
            kept += line;
            kept += "\n";
        }
    }
    while kept.contains("\n\n\n") {
        kept = kept.replace("\n\n\n", "\n\n");
    }
    kept
}
