//! `kubefence profile publish`: for nodes whose plugin does not do it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use kubefence_node_files::plans;
use kubefence_profile::{
    Catalog, CompileOptions, Diagnostic, EncodedPlan, PlanDigest, ProfileName, Provenance,
    ResolvedProfile, Severity,
};
use serde::Serialize;

use crate::cli::PublishArgs;
use crate::print;
use crate::profile::load;

/// What became of one profile, or of one file that gives none.
#[derive(Debug, Serialize)]
struct Outcome {
    /// The profile, or the file.
    name: String,
    from: &'static str,
    /// The plan that the name leads to from now on.
    plan: Option<PlanDigest>,
    /// Why there is none.
    reason: Option<String>,
}

/// All that was done.
#[derive(Debug, Serialize)]
struct Report {
    profiles: Vec<Outcome>,
    /// Profiles that are gone.
    removed: Vec<ProfileName>,
}

const BUILT_IN: &str = "built in";
const CUSTOM: &str = "custom";

pub(crate) fn run(
    custom: Option<&Path>,
    args: &PublishArgs,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let (catalog, broken) = read(custom)?;
    let options = CompileOptions {
        seccomp: args.seccomp_profile,
        ..CompileOptions::default()
    };
    let (compiled, outcomes) = compile_all(&catalog, &options);
    let profiles: Vec<Outcome> = broken.into_iter().chain(outcomes).collect();
    let is_whole = profiles
        .iter()
        .all(|outcome| outcome.from == BUILT_IN || outcome.plan.is_some());
    plans::publish(&compiled, &args.dir)?;
    // The last good version of what is broken counts, and a broken file need not tell its profile's name.
    let removed = match custom.is_some() && is_whole {
        true => remove_all_but(&compiled.keys().collect(), &args.dir)?,
        false => Vec::new(),
    };
    show(&Report { profiles, removed }, json)?;
    Ok(match is_whole {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// The built-in profiles and those of the directory `custom`; and what of the latter cannot be used.
fn read(custom: Option<&Path>) -> anyhow::Result<(Catalog, Vec<Outcome>)> {
    let built_in = Catalog::built_in().context("the built-in profiles are damaged")?;
    let Some(directory) = custom else {
        return Ok((built_in, Vec::new()));
    };
    let (sources, diagnostics) = load::read_all(&load::files_of(directory)?);
    let mut by_file: BTreeMap<String, Vec<Diagnostic>> = BTreeMap::new();
    for diagnostic in diagnostics {
        if diagnostic.severity == Severity::Error {
            let file = diagnostic.at.file.to_string();
            by_file.entry(file).or_default().push(diagnostic);
        }
    }
    let (catalog, rejected) = built_in.with_custom(sources);
    let rejected = rejected
        .into_iter()
        .map(|rejected| (rejected.name.to_string(), rejected.diagnostics));
    let broken = by_file.into_iter().chain(rejected);
    let broken = broken.map(|(name, diagnostics)| Outcome {
        name,
        from: CUSTOM,
        plan: None,
        reason: Some(one_line(&diagnostics)),
    });
    Ok((catalog, broken.collect()))
}

fn one_line(diagnostics: &[Diagnostic]) -> String {
    let lines: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
    lines.join("; ")
}

/// The plans of all profiles that have one, and what became of each profile.
fn compile_all(
    catalog: &Catalog,
    options: &CompileOptions,
) -> (BTreeMap<ProfileName, EncodedPlan>, Vec<Outcome>) {
    let mut compiled = BTreeMap::new();
    let mut outcomes = Vec::new();
    for profile in catalog.iter() {
        let plan = compile(profile, options);
        outcomes.push(Outcome {
            name: profile.name.to_string(),
            from: match catalog.provenance(&profile.name) {
                Some(Provenance::BuiltIn) => BUILT_IN,
                _ => CUSTOM,
            },
            plan: plan.as_ref().ok().map(|plan| plan.digest.clone()),
            reason: plan.as_ref().err().map(|error| format!("{error:#}")),
        });
        compiled.extend(plan.ok().map(|plan| (profile.name.clone(), plan)));
    }
    (compiled, outcomes)
}

fn compile(profile: &ResolvedProfile, options: &CompileOptions) -> anyhow::Result<EncodedPlan> {
    Ok(profile.compile(options)?.encode()?)
}

/// Takes away the links of profiles that are gone; returns which those were.
fn remove_all_but(keep: &BTreeSet<&ProfileName>, dir: &Path) -> anyhow::Result<Vec<ProfileName>> {
    let list = || plans::available(dir).with_context(|| format!("cannot read {}", dir.display()));
    let before = list()?;
    plans::prune(keep, dir)?;
    let after = list()?;
    Ok(before
        .into_iter()
        .filter(|name| !after.contains(name))
        .collect())
}

fn show(report: &Report, json: bool) -> anyhow::Result<()> {
    if json {
        return print::json(report);
    }
    let heading = ["NAME", "FROM", "PUBLISHED", "PLAN"].map(str::to_owned);
    let rows = report.profiles.iter().map(|outcome| {
        let (published, plan) = match &outcome.plan {
            Some(plan) => ("yes", plan.to_string()),
            None => ("no", outcome.reason.clone().unwrap_or_default()),
        };
        [
            outcome.name.clone(),
            outcome.from.to_owned(),
            published.to_owned(),
            plan,
        ]
    });
    let removed = report
        .removed
        .iter()
        .map(|name| [name.as_str(), CUSTOM, "removed", "the profile is gone"].map(str::to_owned));
    let rows: Vec<[String; 4]> = std::iter::once(heading)
        .chain(rows)
        .chain(removed)
        .collect();
    print::table(&rows);
    Ok(())
}
