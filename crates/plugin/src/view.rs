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
        kind: &mount.r#type,
        options: &mount.options,
    }
}

/// The command that a container will have once the runtime has applied `adjust`: taken as it is, because
/// the runtime has already dropped the markers with which plugins override each other.
pub(crate) fn adjusted_args<'a>(
    original: &'a [String],
    adjust: &'a ContainerAdjustment,
) -> &'a [String] {
    match adjust.args.as_slice() {
        [] => original,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn mount_at(destination: &str) -> api::Mount {
        api::Mount {
            destination: destination.to_owned(),
            ..Default::default()
        }
    }

    fn destinations(original: &[&str], changes: &[&str]) -> Vec<String> {
        let original: Vec<_> = original.iter().map(|d| mount_at(d)).collect();
        let adjust = ContainerAdjustment {
            mounts: changes.iter().map(|d| mount_at(d)).collect(),
            ..Default::default()
        };
        let mounts = adjusted_mounts(&original, &adjust);
        mounts.iter().map(|m| m.destination.to_owned()).collect()
    }

    #[test]
    fn mounts_are_added_replaced_and_removed_as_raw_strings() {
        assert_eq!(destinations(&["/a"], &["/b"]), ["/a", "/b"]);
        assert_eq!(destinations(&["/a", "/b"], &["/a"]), ["/b", "/a"]);
        assert_eq!(destinations(&["/a", "/b"], &["-/a"]), ["/b"]);
        assert_eq!(destinations(&["/a"], &["-/a", "/a"]), ["/a"]);
        assert_eq!(destinations(&["/a"], &["-/a/"]), ["/a"]);
        assert!(destinations(&[], &["/a", "-/a"]).is_empty());
    }

    #[test]
    fn args_are_replaced_whole() {
        let original = ["sh".to_owned()];
        let adjusted = |args: &[&str]| {
            let args = args.iter().map(|a| (*a).to_owned()).collect();
            adjusted_args(
                &original,
                &ContainerAdjustment {
                    args,
                    ..Default::default()
                },
            )
            .to_vec()
        };
        assert_eq!(adjusted(&[]), ["sh"]);
        assert_eq!(adjusted(&["a", "b"]), ["a", "b"]);
        assert_eq!(
            adjusted(&["", "a"]),
            ["", "a"],
            "the runtime would execute the empty argument"
        );
    }
}
