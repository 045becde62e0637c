//! What a plan opens in a container whose variables are known.
//!
//! Pure. The launcher judges each place anew and opens less; what this tells is the most.

use kubefence_profile::{LaunchPlan, Place, Variable, judge};

use crate::rootfs::{is_at_or_below, normal};

/// The paths at and below which something is open.
#[derive(Debug)]
pub(crate) struct Openings(Vec<String>);

impl Openings {
    /// What `plan` opens with these `variables`.
    pub(crate) fn of(plan: &LaunchPlan, variables: &[(String, String)]) -> Self {
        let paths = plan.rules.iter().filter_map(|rule| match &rule.path {
            Place::Absolute(path) => Some(path.to_string()),
            Place::Below(variable, suffix) => {
                let base = base(*variable, variables)?;
                let path = normal(&format!("{base}/{suffix}"));
                // The launcher grants nothing there on a variable's word: not `/`, say, the working directory of most.
                judge::untrusted(path.as_bytes()).is_ok().then_some(path)
            }
        });
        Self(paths.collect())
    }

    /// Whether something at `path` would be open.
    pub(crate) fn contain(&self, path: &str) -> bool {
        self.0.iter().any(|open| is_at_or_below(path, open))
    }
}

/// The directory, or for the entrypoint the file, that a variable stands for.
fn base(variable: Variable, variables: &[(String, String)]) -> Option<String> {
    let value = |name: &str| {
        let (_, value) = variables.iter().find(|(key, _)| key == name)?;
        value.starts_with('/').then(|| value.clone())
    };
    match variable {
        Variable::EntrypointDir => {
            let program = value("ENTRYPOINT")?;
            let (dir, _) = program.rsplit_once('/')?;
            Some(dir.to_owned())
        }
        named => value(named.name())
            .or_else(|| Some(format!("{}/{}", value("HOME")?, named.below_home()?))),
    }
}

#[cfg(test)]
mod tests {
    use kubefence_profile::{Catalog, CompileOptions, ProfileName};

    use super::*;

    #[test]
    fn fixed_places_and_those_of_variables_are_open() {
        let catalog = Catalog::built_in().unwrap();
        let name = ProfileName::parse("claude-code").unwrap();
        let plan = catalog
            .get(&name)
            .unwrap()
            .compile(&CompileOptions::default())
            .unwrap();
        let variables = [
            ("HOME", "/home/u"),
            ("WORKDIR", "/work"),
            ("ENTRYPOINT", "/srv2/bin/app"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let openings = Openings::of(&plan, &variables);
        for open in [
            "/usr/lib/x",
            "/opt",
            "/tmp/x",
            "/home/u/.claude",
            "/work/a",
            "/srv2/bin/y",
        ] {
            assert!(openings.contain(open), "{open}");
        }
        let at_root = Openings::of(&plan, &[("WORKDIR".to_owned(), "/".to_owned())]);
        assert!(at_root.contain("/usr/x") && !at_root.contain("/data"));
        for shut in [
            "/data",
            "/home/u",
            "/home/u/.ssh",
            "/srv2",
            "/run/secrets",
            "/",
        ] {
            assert!(!openings.contain(shut), "{shut}");
        }
    }
}
