//! Where a mount really lands, as far as its text tells.

use kubefence_profile::MOUNT_POINT;

/// Whether a mount at `destination` would lie at, in, or over the launcher's mount point.
///
/// Runtimes compare destinations as raw strings but mount them as paths, so `//nono`, `/nono/.` and
/// `/x/../nono` are all judged by where they lead. `/` lies over everything.
pub(crate) fn covers_launcher(destination: &str) -> bool {
    let mut components: Vec<&str> = Vec::new();
    for component in destination.split('/') {
        match component {
            "" | "." => {}
            ".." => {
                components.pop();
            }
            name => components.push(name),
        }
    }
    let mount_point = MOUNT_POINT.trim_start_matches('/');
    components.is_empty() || components[0] == mount_point
}

#[cfg(test)]
mod tests {
    use super::covers_launcher;

    #[test]
    fn finds_the_mount_point_behind_any_spelling() {
        for covered in [
            "/nono",
            "/nono/",
            "//nono",
            "/nono/.",
            "/./nono",
            "/x/../nono",
            "/../nono",
            "nono",
            "/nono/nono",
            "/nono/profiles",
            "/nono//plans",
            "/",
            "",
            "/..",
            "/x/..",
        ] {
            assert!(covers_launcher(covered), "{covered:?} was let through");
        }
    }

    #[test]
    fn leaves_other_destinations_alone() {
        for free in [
            "/data",
            "/nonon",
            "/no/no",
            "/opt/nono",
            "/data/nono",
            "/nono/../data",
        ] {
            assert!(!covers_launcher(free), "{free:?} was refused");
        }
    }
}
