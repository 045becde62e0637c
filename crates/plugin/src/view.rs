//! NRI messages as the values that decisions and the wrap contract speak of.

use kubefence_injection::Mount;
use nri_plugin::api::{self, ContainerAdjustment};

/// A container's mounts.
pub(crate) fn mounts(mounts: &[api::Mount]) -> Vec<Mount<'_>> {
    mounts.iter().map(mount).collect()
}

fn mount(mount: &api::Mount) -> Mount<'_> {
    Mount {
        destination: &mount.destination,
        source: &mount.source,
        options: &mount.options,
    }
}

/// The command that a container will have once the runtime has applied `adjust`.
pub(crate) fn adjusted_args<'a>(
    original: &'a [String],
    adjust: &'a ContainerAdjustment,
) -> &'a [String] {
    // A leading empty argument marks an override of another plugin's args; it is not applied.
    match adjust.args.as_slice() {
        [] => original,
        [marker, args @ ..] if marker.is_empty() => args,
        args => args,
    }
}

/// The mounts that a container will have once the runtime has applied `adjust`.
///
/// The runtime compares destinations as raw strings, and so does this.
pub(crate) fn adjusted_mounts<'a>(
    original: &'a [api::Mount],
    adjust: &'a ContainerAdjustment,
) -> Vec<Mount<'a>> {
    let mut result = mounts(original);
    for change in &adjust.mounts {
        let removed = change.destination.strip_prefix('-');
        let destination = removed.unwrap_or(&change.destination);
        result.retain(|mount| mount.destination != destination);
        if removed.is_none() {
            result.push(mount(change));
        }
    }
    result
}
