//! What stands in the way of an installation: containers that depend on what is there, and an attempt that failed.

use kubefence_node_files::records::{DEFAULT_DIR, Records};

use super::survey::Survey;
use super::{InstallError, InstallOptions};
use crate::cri::{Cri, Pod};
use crate::files::{self, FileError};
use crate::guard_config;
use crate::manifest::Purpose;
use crate::restart::Restart;
use crate::root::Root;

/// Containers are ended through the runtime that started them. One configuration serves all, old ones too.
pub(super) fn check_guard(root: &Root, survey: &Survey) -> Result<(), InstallError> {
    let mut changes = survey.changes.iter();
    let change = changes.find(|change| change.purpose == Purpose::GuardConfig);
    let Some((change, found, wanted)) =
        change.and_then(|change| Some((change, change.found.as_ref()?, change.wanted.as_ref()?)))
    else {
        return Ok(());
    };
    let Some((key, installed, wanted)) = guard_config::difference(&found.bytes, &wanted.bytes)
    else {
        return Ok(());
    };
    let mut handlers = survey.handlers.clone();
    handlers.extend(survey.manifest.iter().flat_map(|m| m.all_handlers()));
    let fail = |source| FileError::Read {
        path: DEFAULT_DIR.into(),
        source,
    };
    let records = Records::new(root.outside(&root.place(DEFAULT_DIR.as_ref()).map_err(fail)?));
    let is_guarded = |id: &str| !matches!(records.find(id), Ok(None));
    let pods = Cri::at(root, &survey.detected.socket).pods_of(&handlers, is_guarded);
    let in_use = match pods {
        Ok(pods) if pods.is_empty() => return Ok(()),
        Ok(pods) => format!("pods of kubefence's handlers exist: {}", named(&pods)),
        Err(error) => format!("whether pods of kubefence's handlers exist is not known ({error})"),
    };
    Err(InstallError::GuardInUse {
        path: change.path.clone(),
        key,
        installed,
        wanted,
        in_use,
    })
}

fn named(pods: &[Pod]) -> String {
    const MOST: usize = 10;
    let name = |pod: &Pod| format!("{}/{}", pod.namespace, pod.name);
    let mut names: Vec<String> = pods.iter().take(MOST).map(name).collect();
    if pods.len() > MOST {
        names.push(format!("and {} more", pods.len() - MOST));
    }
    names.join(", ")
}

/// What decides whether the runtime comes back: its configuration, its version, and how it is restarted.
pub(super) fn attempt(survey: &Survey, options: &InstallOptions) -> String {
    let files = survey.runtime_config();
    let files: Vec<_> = files
        .map(|change| (change.path.clone(), change.digest()))
        .collect();
    let parts = (
        env!("CARGO_PKG_VERSION"),
        survey.detected.version.to_string(),
        &options.restart,
        options.timeout,
        &survey.detected.socket,
        &survey.handlers,
        files,
    );
    files::digest(format!("{parts:?}").as_bytes())
}

/// What failed is not tried again without a reason: each attempt stops the runtime twice.
pub(super) fn check_not_rejected(
    survey: &Survey,
    options: &InstallOptions,
) -> Result<(), InstallError> {
    let rejected = survey.manifest.as_ref().and_then(|m| m.rejected.as_ref());
    let again = rejected == Some(&survey.attempt);
    match again && survey.needs_restart() && options.restart != Restart::None {
        true => Err(InstallError::RejectedBefore),
        false => Ok(()),
    }
}
