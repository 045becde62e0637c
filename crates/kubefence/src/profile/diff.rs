//! `kubefence profile diff`.

use std::collections::BTreeSet;
use std::process::ExitCode;

use kubefence_profile::{Catalog, ResolvedProfile};
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
    let mut said: BTreeSet<String> = BTreeSet::new();
    for grant in &profile.grants {
        for right in grant.access.rights().iter() {
            said.insert(format!("{} {right}", grant.place));
        }
    }
    said.extend(
        profile
            .denials
            .iter()
            .map(|denial| format!("{} deny", denial.place)),
    );
    let ports = [
        ("connect to", &profile.network.connect),
        ("listen on", &profile.network.listen),
    ];
    for (action, ports) in ports {
        match ports {
            None => drop(said.insert(format!("{action} any TCP port"))),
            Some(ports) => said.extend(
                ports
                    .iter()
                    .map(|port| format!("{action} TCP port {}", port.value)),
            ),
        }
    }
    said.insert(format!("volumes {:?}", profile.volumes));
    said.insert(format!("network blocked: {}", profile.network.block));
    said.insert(format!("signals isolated: {}", profile.isolate_signals));
    said.insert(format!(
        "abstract sockets isolated: {}",
        profile.isolate_sockets
    ));
    said.insert(format!(
        "Landlock ABI at least {}",
        profile.landlock.min_abi
    ));
    said.insert(format!("denials logged: {}", profile.landlock.log_denials));
    said.extend(
        profile
            .unenforceable
            .iter()
            .map(|missing| format!("needs {}", missing.key)),
    );
    said
}
