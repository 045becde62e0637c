//! Denials inside of grants, and grants inside of denials.
//!
//! Landlock only ever allows, so a denial inside of a granted tree cannot be expressed. Denial wins: the
//! grant is dropped. Here that is done where names tell; what only the container's file system tells is
//! for the launcher.

use kubefence_launch_plan::{Place, judge};

use crate::resolve::{Denial, Dropped, Grant};

/// Sorts `grants` into those that stand and those that a denial forbids.
pub(crate) fn settle(grants: Vec<Grant>, denials: &[Denial]) -> (Vec<Grant>, Vec<Dropped>) {
    let mut standing = Vec::new();
    let mut dropped = Vec::new();
    for grant in grants {
        let denial = denials
            .iter()
            .find(|denial| touch(&grant.place, &denial.place));
        match denial {
            Some(denial) => dropped.push(Dropped {
                grant,
                denial: denial.clone(),
            }),
            None => standing.push(grant),
        }
    }
    (standing, dropped)
}

/// Whether one of two places surely contains the other.
fn touch(a: &Place, b: &Place) -> bool {
    match (a, b) {
        (Place::Absolute(a), Place::Absolute(b)) => judge::related(a.as_bytes(), b.as_bytes()),
        (Place::Below(x, a), Place::Below(y, b)) if x == y => {
            a.is_empty() || b.is_empty() || judge::related(a.as_bytes(), b.as_bytes())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_touch_by_components_and_by_variable() {
        let touching =
            |a: &str, b: &str| touch(&Place::parse(a).unwrap(), &Place::parse(b).unwrap());
        for (a, b) in [
            ("/run", "/run/secrets"),
            ("/run/secrets/x", "/run/secrets"),
            ("$HOME", "$HOME/.ssh"),
            ("$HOME/.ssh/known_hosts", "$HOME/.ssh"),
            ("$HOME/.config", "$HOME/.config/gcloud"),
        ] {
            assert!(touching(a, b), "{a} {b}");
        }
        for (a, b) in [
            ("/runner", "/run"),
            ("$HOME/.sshx", "$HOME/.ssh"),
            ("$WORKDIR", "$HOME/.ssh"),
            ("/root", "$HOME/.ssh"),
        ] {
            assert!(!touching(a, b), "{a} {b}");
        }
    }
}
