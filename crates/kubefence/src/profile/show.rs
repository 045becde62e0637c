//! `kubefence profile show`.

use std::process::ExitCode;

use anyhow::Context as _;
use kubefence_profile::{Catalog, CompileOptions, ResolvedProfile, Volumes};
use serde::Serialize;

use crate::cli::ShowArgs;
use crate::print::{self, BAD, FAINT, STRONG, styled};
use crate::profile::load;

pub(crate) fn run(catalog: &Catalog, args: &ShowArgs, json: bool) -> anyhow::Result<ExitCode> {
    let profile = load::profile(catalog, &args.name)?;
    if args.plan {
        let options = CompileOptions {
            seccomp: args.seccomp,
            ..CompileOptions::default()
        };
        let plan = profile.compile(&options)?;
        print::json(&plan)?;
    } else if json {
        print::json(&Shown::of(profile))?;
    } else if args.resolved {
        resolved(profile);
    } else {
        summary(catalog, profile)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A profile for machines.
#[derive(Serialize)]
struct Shown {
    name: String,
    description: String,
    extends: Vec<String>,
    groups: Vec<String>,
    volumes: Volumes,
    network_blocked: bool,
    connect_ports: Option<Vec<u16>>,
    listen_ports: Option<Vec<u16>>,
    isolate_signals: bool,
    isolate_abstract_sockets: bool,
    min_abi: u32,
    log_denials: bool,
    refused_because: Option<String>,
    grants: Vec<Row>,
    denials: Vec<Row>,
    dropped: Vec<Row>,
}

/// A grant or denial for machines.
#[derive(Serialize)]
struct Row {
    place: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    access: Option<&'static str>,
    origin: String,
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    because_of: Option<String>,
}

impl Shown {
    fn of(profile: &ResolvedProfile) -> Self {
        let compiled = profile.compile(&CompileOptions::default());
        let min_abi = compiled
            .as_ref()
            .map_or(profile.landlock.min_abi, |plan| plan.min_abi);
        let refusal = compiled.err();
        Self {
            name: profile.name.to_string(),
            description: profile.description.clone(),
            extends: profile.bases.iter().map(ToString::to_string).collect(),
            groups: profile.groups.clone(),
            volumes: profile.volumes,
            network_blocked: profile.network.block,
            connect_ports: ports(&profile.network.connect),
            listen_ports: ports(&profile.network.listen),
            isolate_signals: profile.isolate_signals,
            isolate_abstract_sockets: profile.isolate_sockets,
            min_abi,
            log_denials: profile.landlock.log_denials,
            refused_because: refusal.map(|error| format!("{:#}", anyhow::Error::from(error))),
            grants: profile.grants.iter().map(granted).collect(),
            denials: profile.denials.iter().map(denied).collect(),
            dropped: profile.dropped.iter().map(dropped).collect(),
        }
    }
}

fn ports(ports: &Option<Vec<kubefence_profile::Located<u16>>>) -> Option<Vec<u16>> {
    Some(ports.as_ref()?.iter().map(|port| port.value).collect())
}

fn granted(grant: &kubefence_profile::Grant) -> Row {
    Row {
        place: grant.place.to_string(),
        access: Some(grant.access.name()),
        origin: grant.origin.clone(),
        at: grant.at.to_string(),
        because_of: None,
    }
}

fn denied(denial: &kubefence_profile::Denial) -> Row {
    Row {
        place: denial.place.to_string(),
        access: None,
        origin: denial.origin.clone(),
        at: denial.at.to_string(),
        because_of: None,
    }
}

fn dropped(dropped: &kubefence_profile::Dropped) -> Row {
    let denial = &dropped.denial;
    Row {
        because_of: Some(format!(
            "{} ({}, {})",
            denial.place, denial.origin, denial.at
        )),
        ..granted(&dropped.grant)
    }
}

fn summary(catalog: &Catalog, profile: &ResolvedProfile) -> anyhow::Result<()> {
    let shown = Shown::of(profile);
    let line = |name: &str, value: String| {
        anstream::println!("{}{value}", styled(STRONG, format!("{name:<18}")));
    };
    line("name", shown.name);
    line("description", shown.description);
    if let Some(reason) = shown.refused_because {
        line("refused", styled(BAD, reason));
    }
    if !shown.extends.is_empty() {
        line("extends", shown.extends.join(", "));
    }
    line(
        "volumes",
        serde_json::to_value(shown.volumes)?
            .as_str()
            .unwrap_or_default()
            .to_owned(),
    );
    line("network", network(profile));
    line("signals", scope(shown.isolate_signals).to_owned());
    line(
        "abstract sockets",
        scope(shown.isolate_abstract_sockets).to_owned(),
    );
    line("Landlock", format!("ABI {} or later", shown.min_abi));
    let (grants, denials) = (shown.grants.len(), shown.denials.len());
    line(
        "rules",
        format!("{grants} grants, {denials} denials (--resolved lists them)"),
    );
    line("groups", String::new());
    for name in &profile.groups {
        let group = catalog
            .groups()
            .get(name)
            .context("a resolved group exists")?;
        anstream::println!("  {name:<22} {}", styled(FAINT, &group.description));
    }
    Ok(())
}

fn network(profile: &ResolvedProfile) -> String {
    let list = |ports: &Option<Vec<_>>| match ports {
        None => "any".to_owned(),
        Some(ports) if ports.is_empty() => "none".to_owned(),
        Some(_) => {
            let numbers = self::ports(ports).unwrap_or_default();
            numbers
                .iter()
                .map(u16::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        }
    };
    let rest = match profile.network.block {
        true => "; all but TCP and unix sockets denied",
        false => "",
    };
    let (connect, listen) = (
        list(&profile.network.connect),
        list(&profile.network.listen),
    );
    format!("connect to TCP ports: {connect}; listen on TCP ports: {listen}{rest}")
}

fn scope(isolated: bool) -> &'static str {
    if isolated {
        "of the same sandbox only"
    } else {
        "not restricted"
    }
}

fn resolved(profile: &ResolvedProfile) {
    let shown = Shown::of(profile);
    let rows = |title: &str, rows: Vec<Row>| {
        if rows.is_empty() {
            return;
        }
        anstream::println!("{}", styled(STRONG, title));
        for row in rows {
            let access = row.access.unwrap_or("deny");
            let because = row.because_of.map(|denial| format!(" because of {denial}"));
            let origin = format!("{} ({}){}", row.origin, row.at, because.unwrap_or_default());
            anstream::println!("  {access:<15} {:<40} {}", row.place, styled(FAINT, origin));
        }
    };
    rows("grants", shown.grants);
    rows("denials", shown.denials);
    rows("dropped grants", shown.dropped);
}
