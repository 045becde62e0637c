//! Where a mount really lands, as far as its text tells.

use kubefence_launch_plan::MOUNT_POINT;

/// Whether a mount at `destination` would lie at, in, or over the launcher's mount point, or may.
///
/// Runtimes compare destinations as raw strings but mount them as paths, so `//nono`, `/nono/.` and
/// `/x/../nono` are all judged by where they lead. `/` lies over everything. The links that every
/// container has lead anywhere: `/proc/self/root/nono` is `/nono` (runc before 1.3.6 follows it).
pub fn may_cover_launcher(destination: &str) -> bool {
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
    match components.as_slice() {
        [] => true,
        [first, ..] if *first == MOUNT_POINT.trim_start_matches('/') => true,
        ["proc", process, _, ..] => is_process(process),
        ["dev", "fd" | "stdin" | "stdout" | "stderr", _, ..] => true,
        _ => false,
    }
}

fn is_process(name: &str) -> bool {
    matches!(name, "self" | "thread-self") || name.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::may_cover_launcher;

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
            "/proc/self/root/nono",
            "/proc/1/root/nono",
            "/proc/thread-self/cwd",
            "/proc/./self//root",
            "/proc/self/task/1/root/nono",
            "/dev/fd/3/nono",
            "/dev/stdin/nono",
        ] {
            assert!(may_cover_launcher(covered), "{covered:?} was let through");
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
            "/proc",
            "/proc/cpuinfo",
            "/proc/sys/net",
            "/dev/shm",
            "/dev/pts",
            "/data/proc/self/root",
        ] {
            assert!(!may_cover_launcher(free), "{free:?} was refused");
        }
    }
}
