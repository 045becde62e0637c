//! `kubefence node status`.

use std::process::ExitCode;

use kubefence_node_setup::status::{FileState, Status};

use super::args::StatusArgs;
use crate::print;

/// Something is not as it was installed.
const DRIFTED: u8 = 1;
/// Nothing is installed. 2 is a command line that cannot be understood.
const ABSENT: u8 = 3;
/// It cannot be found out.
const UNKNOWN: u8 = 4;

pub(super) fn run(args: &StatusArgs) -> ExitCode {
    match report(args) {
        Ok(code) => code,
        Err(error) => {
            print::failure(&error);
            ExitCode::from(UNKNOWN)
        }
    }
}

fn report(args: &StatusArgs) -> anyhow::Result<ExitCode> {
    let root = super::open(&args.place.root)?;
    let status = Status::of(&root, &args.place.state_dir)?;
    if args.place.json {
        let flaws = status.as_ref().map(Status::flaws);
        print::json(&serde_json::json!({
            "installed": status.is_some(),
            "intact": flaws.as_ref().is_some_and(Vec::is_empty),
            "flaws": flaws.unwrap_or_default(),
            "status": status,
        }))?;
    } else {
        show(status.as_ref());
    }
    Ok(match status {
        None => ExitCode::from(ABSENT),
        Some(status) if status.flaws().is_empty() => ExitCode::SUCCESS,
        Some(_) => ExitCode::from(DRIFTED),
    })
}

fn show(status: Option<&Status>) {
    let Some(status) = status else {
        println!("not installed");
        return;
    };
    let heading = ["WHAT", "STATE"].map(str::to_owned);
    let version = ["kubefence".to_owned(), status.version.clone()];
    let runtime = match (&status.runtime, &status.runtime_error) {
        (Some(runtime), _) => format!("{} {}", runtime.name, runtime.version),
        (None, error) => error.clone().unwrap_or_default(),
    };
    let handlers = status.handlers.iter().map(|handler| {
        let state = match handler.effective {
            Some(true) => "known to the runtime",
            Some(false) => "not known to the runtime",
            None => "the runtime does not tell",
        };
        [format!("handler {}", handler.name), state.to_owned()]
    });
    let files = status.files.iter().map(|file| {
        let state = match file.state {
            FileState::Intact => "intact",
            FileState::Changed => "changed",
            FileState::Missing => "missing",
        };
        [file.path.display().to_string(), state.to_owned()]
    });
    let rows = [heading, version, ["runtime".to_owned(), runtime]].into_iter();
    let plans = ["plans".to_owned(), format!("{} profiles", status.plans)];
    let rows: Vec<[String; 2]> = rows.chain(handlers).chain(files).chain([plans]).collect();
    print::table(&rows);
    let flaws = status.flaws();
    for flaw in &flaws {
        anstream::println!("{} {flaw}", print::styled(print::BAD, "✗"));
    }
    if flaws.is_empty() {
        anstream::println!("{} as installed", print::styled(print::GOOD, "✓"));
    }
}
