//! Profiles from files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use kubefence_profile::{
    Catalog, Diagnostic, Location, MAX_SIZE, ProfileName, ProfileSource, ResolvedProfile, Severity,
    read_profile,
};

/// The built-in profiles and, where a directory is named, those in it. One that cannot be used is left out, and
/// said so: questions about others have answers.
pub(crate) fn catalog(directory: Option<&Path>) -> anyhow::Result<Catalog> {
    let built_in = Catalog::built_in().context("the built-in profiles are damaged")?;
    let Some(directory) = directory else {
        return Ok(built_in);
    };
    let (sources, diagnostics) = read_all(&files_of(directory)?);
    let (catalog, rejected) = built_in.with_custom(sources);
    let rejected = rejected
        .into_iter()
        .flat_map(|rejected| rejected.diagnostics);
    for diagnostic in diagnostics.into_iter().chain(rejected) {
        if diagnostic.severity == Severity::Error {
            anstream::eprintln!("{diagnostic}");
        }
    }
    Ok(catalog)
}

/// The profile files of a directory, by name.
pub(crate) fn files_of(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries =
        fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let is_hidden = path
            .file_name()
            .is_none_or(|name| name.as_encoded_bytes()[0] == b'.');
        let is_profile = path.extension().is_some_and(|e| e == "json" || e == "toml");
        if is_profile && !is_hidden && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Reads files; what can be said about them comes back with the profiles.
pub(crate) fn read_all(files: &[PathBuf]) -> (Vec<ProfileSource>, Vec<Diagnostic>) {
    let mut sources = Vec::new();
    let mut diagnostics = Vec::new();
    for file in files {
        let name = file.display().to_string();
        match read(file) {
            Ok(text) => {
                let reading = read_profile(&name, &text);
                sources.extend(reading.profile);
                diagnostics.extend(reading.diagnostics);
            }
            Err(error) => diagnostics.push(Diagnostic {
                severity: Severity::Error,
                at: Location {
                    file: name.into(),
                    line: 1,
                    column: 1,
                },
                message: format!("cannot be read: {error}"),
            }),
        }
    }
    (sources, diagnostics)
}

fn read(file: &Path) -> std::io::Result<String> {
    if fs::metadata(file)?.len() > MAX_SIZE as u64 {
        return Err(std::io::Error::other(format!(
            "it has more than {MAX_SIZE} bytes"
        )));
    }
    fs::read_to_string(file)
}

/// The profile called `name`.
pub(crate) fn profile<'a>(catalog: &'a Catalog, name: &str) -> anyhow::Result<&'a ResolvedProfile> {
    let name = ProfileName::parse(name)?;
    catalog.get(&name).with_context(|| {
        let names: Vec<&str> = catalog
            .iter()
            .map(|profile| profile.name.as_str())
            .collect();
        format!(
            "profile {:?} does not exist (profiles: {}); custom ones need --profile-dir",
            name.as_str(),
            names.join(", ")
        )
    })
}
