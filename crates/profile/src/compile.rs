//! Compilation: a resolved profile becomes a launch plan.

use kubefence_launch_plan::{
    FORMAT, FsRight, FsRights, Handled, LAUNCHER, LaunchPlan, MOUNT_POINT, PLANS_DIR, PROFILES_DIR,
    PathRule, Place, Volumes,
};

use crate::{Access, ResolvedProfile};

impl ResolvedProfile {
    /// The plan that enforces this profile. The same profile always yields the same plan.
    pub fn compile(&self) -> LaunchPlan {
        let mut rules = launcher_rules();
        for grant in &self.grants {
            add(
                &mut rules,
                &grant.place,
                grant.access.rights(),
                &grant.origin,
            );
        }
        LaunchPlan {
            format: FORMAT,
            profile: self.name.clone(),
            min_abi: self.landlock.min_abi,
            log_denials: self.landlock.log_denials,
            // Every file system right is denied unless a rule grants it.
            handled: Handled::every_fs_right(),
            rules,
            ports: Vec::new(),
            deny: self.denials.clone(),
            volumes: Volumes::None,
            seccomp: Vec::new(),
        }
    }
}

/// A sandboxed process may wrap its children again, so the launcher and the plans stay readable.
/// The mount point itself is never granted: the canary beside the launcher must stay closed.
fn launcher_rules() -> Vec<PathRule> {
    let mut rules = Vec::new();
    let program = FsRights::of(&[FsRight::Execute, FsRight::ReadFile]);
    let below = |name| format!("{MOUNT_POINT}/{name}");
    for (path, rights) in [
        (LAUNCHER.to_owned(), program),
        (below(PLANS_DIR), Access::ReadData.rights()),
        (below(PROFILES_DIR), Access::ReadData.rights()),
    ] {
        let place = Place::parse(&path).expect("constant paths are normal");
        add(&mut rules, &place, rights, "launcher");
    }
    rules
}

/// Adds a rule, or widens the one that stands for the same place.
fn add(rules: &mut Vec<PathRule>, place: &Place, rights: FsRights, origin: &str) {
    match rules.iter_mut().find(|rule| rule.path == *place) {
        Some(rule) => {
            rule.rights = rule.rights.union(rights);
            rule.origin = format!("{}, {origin}", rule.origin);
        }
        None => rules.push(PathRule {
            path: place.clone(),
            rights,
            // Images differ: a path that an image lacks needs no rule.
            optional: true,
            create: None,
            origin: origin.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests;
