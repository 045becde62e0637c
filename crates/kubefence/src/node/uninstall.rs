//! `kubefence node uninstall`.

use std::process::ExitCode;

use kubefence_node_setup::uninstall::{self, UninstallOptions, UninstallReport};

use super::args::UninstallArgs;
use super::show;
use crate::print;

pub(super) fn run(args: &UninstallArgs) -> anyhow::Result<ExitCode> {
    let root = super::open(&args.place.root)?;
    let options = UninstallOptions {
        state_dir: args.place.state_dir.clone(),
        restart: args.restart.choice()?,
        runtime_socket: args.runtime_socket.clone(),
        timeout: args.restart.timeout(),
        force: args.force,
    };
    let report = match args.dry_run {
        true => uninstall::preview(&root, &options)?,
        false => uninstall::uninstall(&root, &options, &mut super::say)?,
    };
    match args.place.json {
        true => print::json(&report)?,
        false => print_report(&report),
    }
    Ok(ExitCode::SUCCESS)
}

fn print_report(report: &UninstallReport) {
    if !report.was_installed {
        println!("not installed: nothing to do");
        return;
    }
    show::notes(&report.notes);
    if report.dry_run {
        show::diffs(&report.files);
        match &report.restart {
            Some(what) => println!("would restart {what}"),
            None => println!("would restart nothing"),
        }
        println!("would remove programs, plans, records and the manifest");
        return;
    }
    show::actions(&report.files);
    if let Some(what) = &report.restart {
        println!("restarted the container runtime ({what})");
    }
    anstream::println!("{}", print::styled(print::GOOD, "uninstalled"));
}
