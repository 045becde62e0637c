//! Asking the runtime whether it accepts its configuration, before it has to.

use std::path::Path;

use crate::host::Host as _;
use crate::install::InstallError;
use crate::restart::last_words;
use crate::root::Root;

/// Runs the command that validates the configuration, and returns what it prints; nothing is run if there is none.
pub(crate) fn check(root: &Root, command: &[String]) -> Result<Option<String>, InstallError> {
    let Some((program, args)) = command.split_first() else {
        return Ok(None);
    };
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let output = root.run(Path::new(program), &args);
    let output = output.map_err(|source| InstallError::Validate {
        command: command.join(" "),
        source,
    })?;
    match output.status.success() {
        true => Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned())),
        false => Err(InstallError::Rejected {
            command: command.join(" "),
            message: last_words(&output.stderr),
        }),
    }
}

/// Whether all files that the command names are there.
pub(crate) fn is_possible(root: &Root, command: &[String]) -> bool {
    let mut paths = command.iter().filter(|word| word.starts_with('/'));
    paths.all(|path| {
        root.locate(Path::new(path))
            .is_ok_and(|found| found.is_some())
    })
}
