//! Whether a container is wrapped as it must be.

use kubefence_launch_plan::{LAUNCHER, MOUNT_POINT, ProfileName};

use crate::destination::may_cover_launcher;
use crate::wrap::{BindMount, LauncherDir, is_wrapped_in};
use crate::{Container, Mount};

/// What keeps a container from being properly wrapped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotWrapped {
    /// It would not start through the launcher, or under another profile.
    #[error("its command does not begin with `{LAUNCHER} wrap --profile {profile} --`")]
    Args {
        /// The profile it should start under.
        profile: ProfileName,
    },
    /// The launcher is not there.
    #[error("nothing is mounted at {MOUNT_POINT}")]
    NoMount,
    /// Something else than the launcher may be there.
    #[error("{MOUNT_POINT} is mounted from {found:?} instead of {expected:?}")]
    Source {
        /// Where the mount comes from.
        found: String,
        /// Where it should come from.
        expected: String,
    },
    /// What is there could be changed from inside, or is more than a plain mount.
    #[error("{MOUNT_POINT} is mounted as {found} instead of {expected}")]
    Options {
        /// Type and options of the mount.
        found: String,
        /// Type and options that it should have.
        expected: String,
    },
    /// Another mount covers the launcher.
    #[error("a second mount at {0:?} covers {MOUNT_POINT}")]
    Covered(String),
}

/// Checks that `container`, as the runtime is about to start it, is wrapped in `profile`.
pub fn verify(
    container: Container<'_>,
    profile: &ProfileName,
    dir: &LauncherDir,
) -> Result<(), NotWrapped> {
    if !is_wrapped_in(profile, container.args) {
        return Err(NotWrapped::Args {
            profile: profile.clone(),
        });
    }
    let mut launcher_mount: Option<&Mount<'_>> = None;
    for mount in container
        .mounts
        .iter()
        .filter(|m| may_cover_launcher(m.destination))
    {
        if mount.destination != MOUNT_POINT || launcher_mount.is_some() {
            return Err(NotWrapped::Covered(mount.destination.to_owned()));
        }
        launcher_mount = Some(mount);
    }
    let mount = launcher_mount.ok_or(NotWrapped::NoMount)?;
    if mount.source != dir.as_str() {
        return Err(NotWrapped::Source {
            found: mount.source.to_owned(),
            expected: dir.as_str().to_owned(),
        });
    }
    if is_launcher_mount(mount, dir) {
        return Ok(());
    }
    Err(NotWrapped::Options {
        found: format!("{} ({})", mount.kind, mount.options.join(",")),
        expected: format!("{} ({})", BindMount::KIND, BindMount::OPTIONS.join(",")),
    })
}

/// Whether `mount` is the one that [`Injection::plan`](crate::Injection::plan) adds, its options in any order.
pub fn is_launcher_mount(mount: &Mount<'_>, dir: &LauncherDir) -> bool {
    mount.destination == MOUNT_POINT
        && mount.source == dir.as_str()
        && mount.kind == BindMount::KIND
        && mount.options.len() == BindMount::OPTIONS.len()
        && BindMount::OPTIONS
            .iter()
            .all(|option| mount.options.iter().any(|o| o == option))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::Injection;

    fn dir() -> LauncherDir {
        LauncherDir::of_launcher(Path::new("/opt/nono-nri/nono")).unwrap()
    }

    /// Wraps a container, lets `edit` tamper with the result, and verifies that.
    fn verdict(edit: impl FnOnce(&mut Vec<String>, &mut Vec<BindMount>)) -> Result<(), NotWrapped> {
        let profile = ProfileName::parse("default").unwrap();
        let original = ["sleep".to_owned(), "1".to_owned()];
        let bare = Container {
            args: &original,
            env: &[],
            mounts: &[],
        };
        let injection = Injection::plan(bare, &profile, &dir()).unwrap();
        let (mut args, mut mounts) = (injection.args, vec![injection.mount]);
        edit(&mut args, &mut mounts);
        let mounts: Vec<Mount<'_>> = mounts
            .iter()
            .map(|m| Mount {
                destination: &m.destination,
                source: &m.source,
                kind: m.kind,
                options: &m.options,
            })
            .collect();
        verify(
            Container {
                args: &args,
                env: &[],
                mounts: &mounts,
            },
            &profile,
            &dir(),
        )
    }

    fn extra(destination: &str) -> BindMount {
        BindMount {
            destination: destination.to_owned(),
            source: "/evil".to_owned(),
            kind: "bind",
            options: vec![],
        }
    }

    #[test]
    fn accepts_what_plan_produces() {
        assert_eq!(verdict(|_, _| ()), Ok(()));
        assert_eq!(
            verdict(|_, mounts| mounts.insert(0, extra("/data"))),
            Ok(())
        );
    }

    #[test]
    fn the_launchers_mount_is_known_by_all_it_says() {
        let is_ours = |edit: &dyn Fn(&mut BindMount)| {
            let mut mount = BindMount::of_launcher(&dir());
            edit(&mut mount);
            let mount = Mount {
                destination: &mount.destination,
                source: &mount.source,
                kind: mount.kind,
                options: &mount.options,
            };
            is_launcher_mount(&mount, &dir())
        };
        assert!(is_ours(&|_| ()));
        assert!(is_ours(&|mount| mount.options.reverse()));
        assert!(!is_ours(&|mount| mount.destination = "/nono/".to_owned()));
        assert!(!is_ours(&|mount| mount.source = "/opt".to_owned()));
        assert!(!is_ours(&|mount| mount.kind = "none"));
        assert!(!is_ours(&|mount| mount.options[1] = "rw".to_owned()));
        assert!(!is_ours(&|mount| mount.options[1] = "bind".to_owned()));
    }

    #[test]
    fn tampered_args_are_found() {
        for tamper in [
            |args: &mut Vec<String>| drop(args.drain(..5)),
            |args: &mut Vec<String>| args[0] = "/tmp/nono".to_owned(),
            |args: &mut Vec<String>| args[3] = "other".to_owned(),
            |args: &mut Vec<String>| args.truncate(5),
            |args: &mut Vec<String>| args.insert(0, "/bin/sh".to_owned()),
        ] {
            assert!(matches!(
                verdict(|args, _| tamper(args)),
                Err(NotWrapped::Args { .. })
            ));
        }
    }

    #[test]
    fn tampered_mounts_are_found() {
        let covered = |at: &str| Err(NotWrapped::Covered(at.to_owned()));
        assert_eq!(
            verdict(|_, mounts| mounts.clear()),
            Err(NotWrapped::NoMount)
        );
        assert_eq!(
            verdict(|_, mounts| mounts.push(extra("/nono"))),
            covered("/nono")
        );
        assert_eq!(
            verdict(|_, mounts| mounts.push(extra("/nono/nono"))),
            covered("/nono/nono")
        );
        assert_eq!(
            verdict(|_, mounts| mounts.insert(0, extra("/x/../nono"))),
            covered("/x/../nono")
        );
        for tamper in [
            |mount: &mut BindMount| mount.options.retain(|o| o != "ro"),
            |mount: &mut BindMount| mount.options.push("rw".to_owned()),
            |mount: &mut BindMount| mount.options[0] = "rbind".to_owned(),
            |mount: &mut BindMount| mount.kind = "tmpfs",
        ] {
            let verdict = verdict(|_, mounts| tamper(&mut mounts[0]));
            assert!(
                matches!(verdict, Err(NotWrapped::Options { .. })),
                "{verdict:?}"
            );
        }
        assert!(matches!(
            verdict(|_, mounts| mounts[0].source = "/evil".to_owned()),
            Err(NotWrapped::Source { .. })
        ));
    }
}
