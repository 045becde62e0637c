//! `kubefence node install`.

use std::process::ExitCode;

use kubefence_node_setup::guard_config::ProfileChoice;
use kubefence_node_setup::install::{self, InstallOptions, InstallReport, Source};

use super::args::InstallArgs;
use super::show;
use crate::print;

/// Where packages and the image have the programs.
const USUAL_SOURCE: &str = "/usr/bin";

pub(super) fn run(args: &InstallArgs) -> anyhow::Result<ExitCode> {
    let root = super::open(&args.place.root)?;
    let options = options(args)?;
    let report = match args.dry_run {
        true => install::preview(&root, &options)?,
        false => install::install(&root, &options, &mut super::say)?,
    };
    match args.place.json {
        true => print::json(&report)?,
        false => print_report(&report),
    }
    Ok(ExitCode::SUCCESS)
}

fn options(args: &InstallArgs) -> anyhow::Result<InstallOptions> {
    let mut handlers = args.handlers.clone();
    handlers.sort();
    handlers.dedup();
    Ok(InstallOptions {
        source: match &args.source {
            Some(dir) => Source::Given(dir.clone()),
            None => Source::Usual(USUAL_SOURCE.into()),
        },
        handlers,
        profiles: ProfileChoice {
            default: args.default_profile.clone(),
            allowed: args.allowed_profiles.clone(),
            on_unwrapped: args.on_unwrapped.into(),
        },
        seccomp: args.seccomp_profile,
        nono_dir: args.nono_dir.clone(),
        bin_dir: args.bin_dir.clone(),
        state_dir: args.place.state_dir.clone(),
        runtime: args.runtime.into(),
        runtime_config: args.runtime_config.clone(),
        runtime_socket: args.runtime_socket.clone(),
        restart: args.restart.choice()?.unwrap_or_default(),
        timeout: args.restart.timeout(),
    })
}

fn print_report(report: &InstallReport) {
    show::notes(&report.notes);
    if !report.changed {
        println!("everything is installed: nothing to do");
        return;
    }
    if report.dry_run {
        show::diffs(&report.files);
        if !report.plans.is_empty() {
            println!("would publish the plans of {}", report.plans.join(", "));
        }
        match &report.restart {
            Some(what) => println!("would restart {what}"),
            None => println!("would restart nothing"),
        }
        return;
    }
    show::actions(&report.files);
    if let Some(what) = &report.restart {
        println!("restarted the container runtime ({what})");
    }
    let handlers = report.handlers.join(", ");
    let installed = print::styled(print::GOOD, "installed:");
    let version = &report.runtime_version;
    match &report.answers {
        Some(runtime) => anstream::println!(
            "{installed} handlers {handlers}; {} {} answers",
            runtime.name,
            runtime.version
        ),
        None => anstream::println!("{installed} handlers {handlers} ({version})"),
    }
}
