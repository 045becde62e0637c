//! What a plan's fixed rules open, and how wide.
//!
//! Pure. Rules below variables are not counted: the launcher judges those against the mounts that it finds there.

use kubefence_profile::{FsRights, LaunchPlan, Place};

use crate::rootfs::is_at_or_below;

/// The fixed paths of a plan, and the rights at and below them.
#[derive(Debug)]
pub(crate) struct Openings(Vec<(String, FsRights)>);

impl Openings {
    /// What `plan` opens.
    pub(crate) fn of(plan: &LaunchPlan) -> Self {
        let fixed = plan.rules.iter().filter_map(|rule| match &rule.path {
            Place::Absolute(path) => Some((path.clone(), rule.rights)),
            Place::Below(..) => None,
        });
        Self(fixed.collect())
    }

    /// All rights that something at `path`, or below it, would have.
    pub(crate) fn rights(&self, path: &str) -> FsRights {
        let concerned = self
            .0
            .iter()
            .filter(|(open, _)| is_at_or_below(path, open) || is_at_or_below(open, path));
        concerned.fold(FsRights::EMPTY, |all, (_, rights)| all.union(*rights))
    }
}

#[cfg(test)]
mod tests {
    use kubefence_profile::{Catalog, CompileOptions, ProfileName};

    use super::*;

    #[test]
    fn rights_are_those_at_above_and_below() {
        let catalog = Catalog::built_in().unwrap();
        let name = ProfileName::parse("default").unwrap();
        let plan = catalog.get(&name).unwrap();
        let openings = Openings::of(&plan.compile(&CompileOptions::default()).unwrap());
        let write = |path: &str| openings.rights(path).contains_all(FsRights::WRITE);
        assert!(write("/tmp") && write("/tmp/x"));
        for read in ["/opt", "/opt/x", "/usr/lib/x", "/var/lib", "/etc", "/home"] {
            assert!(!openings.rights(read).is_empty() && !write(read), "{read}");
        }
        for shut in [
            "/data",
            "/home/u",
            "/var/lib/x",
            "/etc/shadow",
            "/run/secrets",
        ] {
            assert!(openings.rights(shut).is_empty(), "{shut}");
        }
    }
}
