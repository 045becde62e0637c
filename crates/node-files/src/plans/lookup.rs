//! Which plan a profile's name stands for.
//!
//! For the guard, which looks before every start of a container. It trusts what root has put there, but not that
//! it is whole: a plan counts only if its content is what its name says.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use kubefence_launch_plan::{
    LaunchPlan, MAX_PLAN_SIZE, PLANS_DIR, PROFILES_DIR, PlanDigest, ProfileName,
};

const SUFFIX: &str = ".json";

/// A plan that is there and whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its content's address, and so its name.
    pub digest: PlanDigest,
    /// The plan itself.
    pub plan: LaunchPlan,
}

/// Why a profile's name stands for no plan.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// No profile of that name is published.
    #[error(
        "no profile \"{profile}\" is published in {dir}: choose another, or publish it on the node"
    )]
    NoProfile {
        /// The profile.
        profile: ProfileName,
        /// The launcher's directory.
        dir: PathBuf,
    },
    /// What is published cannot be applied.
    #[error("{path}, which profile \"{profile}\" needs, {flaw}: publish the profiles again")]
    Damaged {
        /// The profile.
        profile: ProfileName,
        /// The link or the plan.
        path: PathBuf,
        /// What is wrong with it.
        flaw: Flaw,
    },
    /// The link or the plan cannot be read.
    #[error("cannot read {path}, which profile \"{profile}\" needs")]
    Read {
        /// The profile.
        profile: ProfileName,
        /// The link or the plan.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// What is wrong with the link or the plan of a profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Flaw {
    /// Something else stands where the link should.
    #[error("is no link")]
    NoLink,
    /// The link leads elsewhere.
    #[error("is a link to {0:?}, not to a plan")]
    Target(PathBuf),
    /// The link leads to nothing.
    #[error("does not exist")]
    Missing,
    /// A launcher would not read it.
    #[error("is no regular file")]
    NotRegular,
    /// A launcher would not read it.
    #[error("has more than {MAX_PLAN_SIZE} bytes")]
    TooBig,
    /// It was changed since, or never written completely.
    #[error("has another content than its name says")]
    Content,
    /// A launcher would not apply it.
    #[error("is no plan of that profile that can be applied")]
    Plan,
}

/// The plan that `profile` stands for in `dir`, the launcher's directory.
///
/// # Errors
///
/// Tells a profile that is not published from one whose files are damaged or unreadable.
pub fn lookup(dir: &Path, profile: &ProfileName) -> Result<Published, LookupError> {
    let link = dir.join(PROFILES_DIR).join(format!("{profile}{SUFFIX}"));
    let read = |path: &Path, source| LookupError::Read {
        profile: profile.clone(),
        path: path.to_owned(),
        source,
    };
    let damaged = |path: &Path, flaw| LookupError::Damaged {
        profile: profile.clone(),
        path: path.to_owned(),
        flaw,
    };
    let target = fs::read_link(&link).map_err(|error| match error.kind() {
        ErrorKind::NotFound => LookupError::NoProfile {
            profile: profile.clone(),
            dir: dir.to_owned(),
        },
        ErrorKind::InvalidInput => damaged(&link, Flaw::NoLink),
        _ => read(&link, error),
    })?;
    let Some(digest) = digest_of(&target) else {
        return Err(damaged(&link, Flaw::Target(target)));
    };
    let plan = dir.join(PLANS_DIR).join(format!("{digest}{SUFFIX}"));
    let bytes = match content(&plan, &digest) {
        Err(error) => return Err(read(&plan, error)),
        Ok(Err(flaw)) => return Err(damaged(&plan, flaw)),
        Ok(Ok(bytes)) => bytes,
    };
    match LaunchPlan::decode(&bytes) {
        Ok(plan) if plan.profile == *profile => Ok(Published { digest, plan }),
        _ => Err(damaged(&plan, Flaw::Plan)),
    }
}

/// The names of the profiles in `dir`, the launcher's directory, in their order; none if nothing was ever published.
///
/// # Errors
///
/// Fails where `dir` cannot be read.
pub fn available(dir: &Path) -> io::Result<Vec<ProfileName>> {
    let entries = match fs::read_dir(dir.join(PROFILES_DIR)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let name = name.to_str().and_then(|name| name.strip_suffix(SUFFIX));
        names.extend(name.and_then(|name| ProfileName::parse(name).ok()));
    }
    names.sort();
    Ok(names)
}

/// The digest in the name of the plan that a link leads to, if it leads to one.
fn digest_of(target: &Path) -> Option<PlanDigest> {
    let file = target.to_str()?.strip_prefix("../")?;
    let file = file.strip_prefix(PLANS_DIR)?.strip_prefix('/')?;
    PlanDigest::parse(file.strip_suffix(SUFFIX)?).ok()
}

/// The content of the plan at `path`, which should be that of `digest`, or what is wrong with it.
fn content(path: &Path, digest: &PlanDigest) -> io::Result<Result<Vec<u8>, Flaw>> {
    // Neither a link nor a pipe must hold up the start of a container.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Err(Flaw::Missing)),
        Err(error) if error.raw_os_error() == Some(libc::ELOOP) => {
            return Ok(Err(Flaw::NotRegular));
        }
        file => file?,
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok(Err(Flaw::NotRegular));
    }
    let mut bytes = Vec::with_capacity(metadata.len().min(MAX_PLAN_SIZE as u64) as usize + 1);
    file.take(MAX_PLAN_SIZE as u64 + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() > MAX_PLAN_SIZE {
        return Ok(Err(Flaw::TooBig));
    }
    match PlanDigest::of(&bytes) == *digest {
        true => Ok(Ok(bytes)),
        false => Ok(Err(Flaw::Content)),
    }
}

#[cfg(test)]
mod tests;
