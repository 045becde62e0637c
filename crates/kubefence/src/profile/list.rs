//! `kubefence profile list`.

use std::process::ExitCode;

use kubefence_profile::{Catalog, CompileOptions, Provenance};
use serde::Serialize;

use crate::print;

#[derive(Serialize)]
struct Listed {
    name: String,
    from: &'static str,
    usable: bool,
    reason: Option<String>,
    description: String,
}

pub(crate) fn run(catalog: &Catalog, json: bool) -> anyhow::Result<ExitCode> {
    let listed = catalog.iter().map(|profile| {
        let refusal = profile.compile(&CompileOptions::default()).err();
        Listed {
            name: profile.name.to_string(),
            from: match catalog.provenance(&profile.name) {
                Some(Provenance::Custom) => "custom",
                _ => "built in",
            },
            usable: refusal.is_none(),
            reason: refusal.map(|error| format!("{:#}", anyhow::Error::from(error))),
            description: profile.description.clone(),
        }
    });
    let listed: Vec<Listed> = listed.collect();
    if json {
        print::json(&listed)?;
        return Ok(ExitCode::SUCCESS);
    }
    let heading = ["NAME", "FROM", "USABLE", "DESCRIPTION"].map(str::to_owned);
    let rows = listed.into_iter().map(|profile| {
        let usable = if profile.usable { "yes" } else { "no" };
        [
            profile.name,
            profile.from.to_owned(),
            usable.to_owned(),
            profile.description,
        ]
    });
    let rows: Vec<[String; 4]> = std::iter::once(heading).chain(rows).collect();
    print::table(&rows);
    Ok(ExitCode::SUCCESS)
}
