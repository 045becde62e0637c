//! `kubefence profile diff`.

use std::collections::BTreeSet;
use std::process::ExitCode;

use kubefence_profile::{Catalog, Located, ResolvedProfile};
use serde::Serialize;

use crate::print::{self, BAD, GOOD, styled};
use crate::profile::load;

#[derive(Serialize)]
struct Difference {
    only_in_first: Vec<String>,
    only_in_second: Vec<String>,
}

pub(crate) fn run(catalog: &Catalog, names: [&String; 2], json: bool) -> anyhow::Result<ExitCode> {
    let [a, b] = [
        load::profile(catalog, names[0])?,
        load::profile(catalog, names[1])?,
    ];
    let [says_a, says_b] = [statements(a), statements(b)];
    let only = |these: &BTreeSet<String>, those: &BTreeSet<String>| -> Vec<String> {
        these.difference(those).cloned().collect()
    };
    let difference = Difference {
        only_in_first: only(&says_a, &says_b),
        only_in_second: only(&says_b, &says_a),
    };
    if json {
        print::json(&difference)?;
        return Ok(ExitCode::SUCCESS);
    }
    anstream::println!("{}", styled(BAD, format!("--- {}", a.name)));
    anstream::println!("{}", styled(GOOD, format!("+++ {}", b.name)));
    for line in &difference.only_in_first {
        anstream::println!("{}", styled(BAD, format!("-{line}")));
    }
    for line in &difference.only_in_second {
        anstream::println!("{}", styled(GOOD, format!("+{line}")));
    }
    Ok(ExitCode::SUCCESS)
}

/// What a profile says, a line each.
fn statements(profile: &ResolvedProfile) -> BTreeSet<String> {
    let grants = profile.grants.iter().flat_map(|grant| {
        let rights = grant.access.rights();
        rights
            .iter()
            .map(|right| format!("{} {right}", grant.place))
            .collect::<Vec<_>>()
    });
    let denials = profile
        .denials
        .iter()
        .map(|denial| format!("{} deny", denial.place));
    let missing = profile
        .unenforceable
        .iter()
        .map(|missing| format!("needs {}", missing.key));
    let settings = [
        format!("volumes {:?}", profile.volumes),
        format!("network blocked: {}", profile.network.block),
        format!("signals isolated: {}", profile.isolate_signals),
        format!("abstract sockets isolated: {}", profile.isolate_sockets),
        format!("Landlock ABI at least {}", profile.landlock.min_abi),
        format!("denials logged: {}", profile.landlock.log_denials),
    ];
    let said = grants.chain(denials).chain(missing).chain(settings);
    said.chain(ports("connect to", profile.network.connect.as_deref()))
        .chain(ports("listen on", profile.network.listen.as_deref()))
        .collect()
}

fn ports(action: &str, ports: Option<&[Located<u16>]>) -> Vec<String> {
    match ports {
        None => vec![format!("{action} any TCP port")],
        Some(ports) => {
            let numbers = ports.iter().map(|port| port.value);
            numbers
                .map(|port| format!("{action} TCP port {port}"))
                .collect()
        }
    }
}
