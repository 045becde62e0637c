//! A process that is about to join a container: confined as the container's own.

use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context as _, bail};
use kubefence_node_files::records::{Confinement, Kind, Records};

use crate::adopt::adopt;
use crate::command_line::{Exec, ExecForm};
use crate::config::Config;
use crate::confinement::{check_launcher, prefix};
use crate::create::runtime_root;
use crate::files;
use crate::spec::Process;

/// Makes sure that the process starts as confined as the container's own; returns the arguments for the runtime.
pub(crate) fn prepare(
    config: &Config,
    request: &Exec,
    argv: &[OsString],
) -> anyhow::Result<Vec<OsString>> {
    check_launcher(config)?;
    let root = runtime_root(config, request.global.root.as_deref())?;
    let confinement = recorded(config, &root, &request.id)?;
    let prefix = prefix(&confinement, request.preserve_fds, &[]);
    match &request.form {
        ExecForm::File { path } => {
            let text = files::read(path)?;
            let mut process = Process::read(&text)?;
            process.rewrap(&prefix, 0)?;
            files::replace(path, &process.text())?;
            Ok(argv.to_vec())
        }
        ExecForm::Argv { command } => {
            let (before, after) = argv.split_at(*command);
            let prefix = prefix.into_iter().map(OsString::from);
            let before = before.iter().cloned();
            Ok(before.chain(prefix).chain(after.iter().cloned()).collect())
        }
    }
}

fn recorded(config: &Config, root: &Path, id: &str) -> anyhow::Result<Confinement> {
    let records = Records::new(config.state_dir.clone());
    let Some(record) = records.read(root, id)? else {
        return adopt(config, root, id)
            .context("the guard did not create it, and cannot tell how it is confined");
    };
    match record.kind {
        Kind::Container(confinement) => Ok(confinement),
        Kind::Sandbox => {
            bail!("it is the sandbox of a pod, in which only the node's own program runs")
        }
    }
}
