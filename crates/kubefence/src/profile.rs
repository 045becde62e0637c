//! `kubefence profile`: each command reads a catalog, asks the profile library, and prints the answer.

mod check;
mod diff;
mod list;
mod load;
mod publish;
mod show;
mod why;

use std::process::ExitCode;

use crate::cli::{ProfileArgs, ProfileCommand};
use crate::print;

pub(crate) fn run(args: ProfileArgs) -> anyhow::Result<ExitCode> {
    let catalog = || load::catalog(args.profile_dir.as_deref());
    match args.command {
        ProfileCommand::List => list::run(&catalog()?, args.json),
        ProfileCommand::Show(show) => show::run(&catalog()?, &show, args.json),
        ProfileCommand::Check { files } => {
            check::run(args.profile_dir.as_deref(), &files, args.json)
        }
        ProfileCommand::Why(why) => why::run(&catalog()?, &why, args.json),
        ProfileCommand::Diff { a, b } => diff::run(&catalog()?, [&a, &b], args.json),
        ProfileCommand::Publish(publish) => {
            publish::run(args.profile_dir.as_deref(), &publish, args.json)
        }
        ProfileCommand::Schema => {
            print::json(&kubefence_profile::schema())?;
            Ok(ExitCode::SUCCESS)
        }
        ProfileCommand::Reference => {
            print!("{}", kubefence_profile::reference());
            Ok(ExitCode::SUCCESS)
        }
    }
}
