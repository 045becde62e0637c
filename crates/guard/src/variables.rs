//! What the variables of a plan mean for all processes of a container.
//!
//! They are told once, from the spec that the container is created with, and recorded: a process that joins later gets
//! the same ones, whatever its own environment says.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};

use kubefence_profile::Variable;

use crate::rootfs::{Rootfs, RootfsError, is_at_or_below, normal};
use crate::spec::{Process, SpecError};

/// Longest part of /etc/passwd that is read, in bytes.
const MAX_PASSWD: u64 = 1 << 20;

/// Longest value that can name a place, in bytes (PATH_MAX), and longest list of directories.
const LONGEST_PATH: usize = 4096;
const LONGEST_LIST: usize = 32 * 1024;

/// Names and values.
pub(crate) type Variables = Vec<(String, String)>;

/// Why variables cannot be told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VariablesError {
    #[error(transparent)]
    Spec(#[from] SpecError),
    #[error(transparent)]
    Rootfs(#[from] RootfsError),
}

/// The root file system of a container that does not run yet, and where it will have mounts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Image<'a> {
    pub(crate) rootfs: &'a Rootfs,
    pub(crate) mounted: &'a [String],
}

impl Image<'_> {
    /// The home of a user, as the runtimes look it up for processes whose environment has none. `None` if that can only
    /// be told when everything is mounted.
    pub(crate) fn home(&self, uid: u32) -> Result<Option<String>, RootfsError> {
        let path = match self.rootfs.resolve("/etc/passwd", self.mounted) {
            Err(RootfsError::Links(_)) => return Ok(None),
            path => path?,
        };
        if self
            .mounted
            .iter()
            .any(|mount| is_at_or_below(&path, mount))
        {
            return Ok(None);
        }
        let home = self.rootfs.open_file(&path)?.and_then(|file| {
            let lines = BufReader::new(File::from(file).take(MAX_PASSWD)).split(b'\n');
            lines
                .map_while(Result::ok)
                .find_map(|line| home_of(uid, &line))
        });
        Ok(Some(home.unwrap_or_else(|| "/".to_owned())))
    }

    /// The working directory with the image's links followed, as far as they are the image's.
    fn workdir(&self, cwd: &str) -> Result<String, RootfsError> {
        self.rootfs.resolve(cwd, self.mounted)
    }
}

/// The home in a line of /etc/passwd, if it is that of `uid` and usable.
fn home_of(uid: u32, line: &[u8]) -> Option<String> {
    let line = std::str::from_utf8(line).ok()?;
    let mut fields = line.split(':').skip(2);
    let is_theirs = fields.next()?.parse() == Ok(uid);
    let home = fields.nth(2)?;
    (is_theirs && home.starts_with('/')).then(|| home.to_owned())
}

/// The variables for the processes of a container whose command is `entrypoint` and whose environment is `env`.
///
/// Without an image, which only a container has that does not run yet, paths are taken as they are written.
pub(crate) fn variables(
    process: &Process<'_>,
    env: &[String],
    entrypoint: &str,
    image: Option<Image<'_>>,
) -> Result<Variables, VariablesError> {
    let mut found: Variables = Variable::ALL
        .into_iter()
        .filter(|variable| variable.is_in_environment())
        .filter_map(|variable| {
            let value = last(env, variable.name()).filter(|v| v.len() < LONGEST_PATH)?;
            Some((variable.name().to_owned(), value.to_owned()))
        })
        .collect();
    let cwd = process.cwd()?;
    let workdir = match image {
        Some(image) => image.workdir(&cwd)?,
        None => normal(&cwd),
    };
    found.push(("WORKDIR".to_owned(), workdir));
    if entrypoint.len() < LONGEST_PATH {
        found.push(("ENTRYPOINT".to_owned(), entrypoint.to_owned()));
    }
    if !entrypoint.contains('/')
        && let Some(path) = last(env, "PATH").filter(|path| path.len() < LONGEST_LIST)
    {
        found.push(("PATH".to_owned(), path.to_owned()));
    }
    Ok(found)
}

/// The value of a variable that is set and not empty. Of several, the last counts, as it does for runc.
pub(crate) fn last<'a>(env: &'a [String], name: &str) -> Option<&'a str> {
    let values = env.iter().rev().filter_map(|entry| {
        let (key, value) = entry.split_once('=')?;
        (key == name).then_some(value)
    });
    values.into_iter().next().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests;
