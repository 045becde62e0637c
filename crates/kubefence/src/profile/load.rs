//! Profiles from files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use kubefence_profile::{
    Catalog, Diagnostic, MAX_SIZE, ProfileName, ProfileSource, ResolvedProfile, read_profile,
};

/// The built-in profiles and, where a directory is named, those in it. One that cannot be used is an error:
/// somebody who asks about profiles wants to know.
pub(crate) fn catalog(directory: Option<&Path>) -> anyhow::Result<Catalog> {
    let built_in = Catalog::built_in().context("the built-in profiles are damaged")?;
    let Some(directory) = directory else {
        return Ok(built_in);
    };
    let (sources, diagnostics) = read_all(&files_of(directory)?)?;
    let (catalog, rejected) = built_in.with_custom(sources);
    let errors = diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.severity == kubefence_profile::Severity::Error)
        .map(ToString::to_string)
        .chain(rejected.iter().map(ToString::to_string));
    match errors.collect::<Vec<_>>() {
        errors if errors.is_empty() => Ok(catalog),
        errors => bail!("{}", errors.join("\n       ")),
    }
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
pub(crate) fn read_all(files: &[PathBuf]) -> anyhow::Result<(Vec<ProfileSource>, Vec<Diagnostic>)> {
    let mut sources = Vec::new();
    let mut diagnostics = Vec::new();
    for file in files {
        let text = read(file)?;
        let reading = read_profile(&file.display().to_string(), &text);
        sources.extend(reading.profile);
        diagnostics.extend(reading.diagnostics);
    }
    Ok((sources, diagnostics))
}

fn read(file: &Path) -> anyhow::Result<String> {
    let size = fs::metadata(file).map(|file| file.len());
    let size = size.with_context(|| format!("cannot read {}", file.display()))?;
    if size > MAX_SIZE as u64 {
        bail!("{} has more than {MAX_SIZE} bytes", file.display());
    }
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
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
