//! `kubefence profile check`: for editors' hooks and CI.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use kubefence_profile::{
    Catalog, CompileError, CompileOptions, Diagnostic, ProfileName, Provenance, ResolvedProfile,
    Severity,
};
use serde::Serialize;

use crate::print::{self, BAD, DOUBTFUL, GOOD, STRONG, styled};
use crate::profile::load;

/// A complaint for machines.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Complaint {
    file: String,
    line: u32,
    column: u32,
    severity: String,
    message: String,
}

pub(crate) fn run(
    directory: Option<&Path>,
    files: &[PathBuf],
    json: bool,
) -> anyhow::Result<ExitCode> {
    let complaints = check(directory, files)?;
    let errors = complaints.iter().filter(|c| c.severity == "error").count();
    let warnings = complaints.len() - errors;
    if json {
        print::json(&complaints)?;
    } else {
        for complaint in &complaints {
            show(complaint);
        }
        let verdict = match errors {
            0 => styled(GOOD, "ok"),
            _ => styled(BAD, "not usable"),
        };
        anstream::eprintln!(
            "{verdict}: {} files, {errors} errors, {warnings} warnings",
            files.len()
        );
    }
    Ok(if errors == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn show(complaint: &Complaint) {
    let Complaint {
        file,
        line,
        column,
        severity,
        message,
    } = complaint;
    let style = if severity == "error" { BAD } else { DOUBTFUL };
    let place = styled(STRONG, format!("{file}:{line}:{column}:"));
    anstream::println!(
        "{place} {} {message}",
        styled(style, format!("{severity}:"))
    );
}

/// Everything that can be said about `files`, which may build on each other and on those in `directory`.
fn check(directory: Option<&Path>, files: &[PathBuf]) -> anyhow::Result<Vec<Complaint>> {
    let catalog = Catalog::built_in().context("the built-in profiles are damaged")?;
    let (mut sources, mut found) = load::read_all(files);
    let checked: Vec<ProfileName> = sources.iter().map(|source| source.name.clone()).collect();
    if let Some(directory) = directory {
        let (others, _) = load::read_all(&load::files_of(directory)?);
        sources.extend(
            others
                .into_iter()
                .filter(|other| !checked.contains(&other.name)),
        );
    }
    let (catalog, rejected) = catalog.with_custom(sources);
    let rejected = rejected
        .into_iter()
        .filter(|rejected| checked.contains(&rejected.name));
    found.extend(rejected.flat_map(|rejected| rejected.diagnostics));
    for name in &checked {
        if catalog.provenance(name) == Some(Provenance::Custom) {
            found.extend(catalog.get(name).map(of_profile).unwrap_or_default());
        }
    }
    let mut complaints: Vec<Complaint> = found.into_iter().map(complaint).collect();
    complaints.sort();
    complaints.dedup();
    Ok(complaints)
}

/// What can be said about a profile that resolves.
fn of_profile(profile: &ResolvedProfile) -> Vec<Diagnostic> {
    let dropped = profile.dropped.iter().map(|dropped| {
        let (grant, denial) = (&dropped.grant, &dropped.denial);
        Diagnostic {
            severity: Severity::Warning,
            at: grant.at.clone(),
            message: format!(
                "{} is dropped, because {} denies {} ({})",
                grant.place, denial.origin, denial.place, denial.at
            ),
        }
    });
    let refusal = profile.compile(&CompileOptions::default()).err();
    let refusal = refusal.map(|refusal| match refusal {
        CompileError::Unenforceable {
            key, at, reason, ..
        } => error(at, format!("{key}: {reason}")),
        other => error(profile.at.clone(), chain(&other)),
    });
    dropped.chain(refusal).collect()
}

/// An error with all of its causes.
fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

fn error(at: kubefence_profile::Location, message: String) -> Diagnostic {
    let severity = Severity::Error;
    Diagnostic {
        severity,
        at,
        message,
    }
}

fn complaint(diagnostic: Diagnostic) -> Complaint {
    Complaint {
        file: diagnostic.at.file.to_string(),
        line: diagnostic.at.line,
        column: diagnostic.at.column,
        severity: diagnostic.severity.to_string(),
        message: diagnostic.message,
    }
}
