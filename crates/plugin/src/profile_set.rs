//! The profiles of a node, and what they come to there. Pure.

use std::collections::BTreeMap;

use kubefence_profile::{
    Abi, Catalog, CompileOptions, EncodedPlan, LaunchPlan, ProfileName, Provenance, ResolvedProfile,
};

use crate::config::Config;
use crate::findings::Finding;

/// The profiles of a node.
#[derive(Clone, Debug, Default)]
pub struct ProfileSet {
    members: BTreeMap<ProfileName, (Provenance, ResolvedProfile)>,
    broken: BTreeMap<ProfileName, String>,
}

/// What a profile comes to on a node.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// Where the profile comes from.
    pub provenance: Provenance,
    /// Its plan, or why it cannot be used.
    pub plan: Result<EncodedPlan, String>,
    /// What its users may not expect.
    pub findings: Vec<Finding>,
}

impl From<&Catalog> for ProfileSet {
    fn from(catalog: &Catalog) -> Self {
        let mut set = Self::default();
        for profile in catalog.iter() {
            let provenance = catalog.provenance(&profile.name);
            set.add(provenance.unwrap_or(Provenance::Custom), profile.clone());
        }
        set
    }
}

impl ProfileSet {
    /// Adds a profile, unless its name is taken. Returns whether it was added.
    pub fn add(&mut self, provenance: Provenance, profile: ResolvedProfile) -> bool {
        let free = !self.members.contains_key(&profile.name);
        if free {
            let name = profile.name.clone();
            self.members.insert(name, (provenance, profile));
        }
        free
    }

    /// Says why there is no profile called `name`.
    pub fn add_broken(&mut self, name: ProfileName, reason: String) {
        self.broken.insert(name, reason);
    }

    /// Compiles all of them for a kernel of `abi`.
    pub fn compile(&self, options: &CompileOptions, abi: Abi) -> BTreeMap<ProfileName, Compiled> {
        let broken = self.broken.iter().map(|(name, reason)| {
            let compiled = Compiled {
                provenance: Provenance::Custom,
                plan: Err(format!("profile {:?} is broken: {reason}", name.as_str())),
                findings: Vec::new(),
            };
            (name.clone(), compiled)
        });
        let members = self.members.iter().map(|(name, (provenance, profile))| {
            let compiled = compile(profile, *provenance, options, abi);
            (name.clone(), compiled)
        });
        // Where there is a profile of that name after all, it stands.
        broken.chain(members).collect()
    }
}

/// What `config` adds to every profile.
pub fn compile_options(config: &Config) -> CompileOptions {
    CompileOptions {
        seccomp: config.seccomp_profile,
        ..CompileOptions::default()
    }
}

fn compile(
    profile: &ResolvedProfile,
    provenance: Provenance,
    options: &CompileOptions,
    abi: Abi,
) -> Compiled {
    let plan = profile.compile(options);
    // That some of the built-in ones cannot be enforced is documented.
    let is_known = plan.is_err() && provenance == Provenance::BuiltIn;
    let plan = plan
        .map_err(explain)
        .and_then(|plan| for_kernel(plan, abi))
        .and_then(|plan| Ok((plan.encode().map_err(explain)?, plan)));
    let findings = match &plan {
        Ok((_, plan)) => Finding::all(profile, plan, abi),
        Err(_) if is_known => Vec::new(),
        Err(reason) => vec![Finding::Unusable {
            profile: profile.name.clone(),
            reason: reason.clone(),
        }],
    };
    Compiled {
        provenance,
        plan: plan.map(|(encoded, _)| encoded),
        findings,
    }
}

/// An error with its causes: some say only there what is wrong.
fn explain(error: impl std::error::Error + Send + Sync + 'static) -> String {
    format!("{:#}", anyhow::Error::new(error))
}

/// The launcher would refuse such a plan, too; but by then the container exists.
fn for_kernel(plan: LaunchPlan, abi: Abi) -> Result<LaunchPlan, String> {
    if plan.min_abi <= abi {
        return Ok(plan);
    }
    Err(format!(
        "profile {:?} needs Landlock ABI {}, and this node's kernel has {abi}: choose another profile or a node with \
         a later kernel, or state landlock.on_missing = \"report\" and a lower landlock.min_abi in the profile",
        plan.profile.as_str(),
        plan.min_abi
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> ProfileSet {
        let source = kubefence_profile::read_profile("team.json", text).profile;
        let built_in = Catalog::built_in().unwrap();
        let (catalog, rejected) = built_in.with_custom(source.into_iter().collect());
        assert_eq!(rejected, []);
        ProfileSet::from(&catalog)
    }

    fn name(text: &str) -> ProfileName {
        ProfileName::parse(text).unwrap()
    }

    fn compiled(text: &str, abi: Abi) -> Compiled {
        let mut all = set(text).compile(&CompileOptions::default(), abi);
        all.remove(&name("team")).unwrap()
    }

    #[test]
    fn a_kernel_that_is_too_old_is_told_with_both_versions() {
        let text = r#"{ "extends": "default", "network": { "block": true } }"#;
        let refused = compiled(text, 3);
        let reason = refused.plan.unwrap_err();
        let finding = Finding::Unusable {
            profile: name("team"),
            reason: reason.clone(),
        };
        assert_eq!(refused.findings, [finding]);
        for part in ["\"team\"", "needs Landlock ABI 4", "kernel has 3"] {
            assert!(reason.contains(part), "{reason:?} lacks {part:?}");
        }
        assert!(compiled(text, 4).plan.is_ok());
    }

    #[test]
    fn that_an_own_profile_cannot_be_enforced_is_news() {
        let own = compiled(r#"{ "extends": "python-dev" }"#, 7);
        assert!(own.plan.is_err());
        assert!(
            matches!(&own.findings[..], [Finding::Unusable { reason, .. }] if reason.contains("proxy mode")),
            "{:?}",
            own.findings
        );
        let all = set("{}").compile(&CompileOptions::default(), 7);
        let built_in = &all[&name("python-dev")];
        assert!(built_in.plan.is_err() && built_in.findings.is_empty());
    }

    /// A profile with `count` paths, which extends another with as many.
    fn compiled_with_paths(count: usize) -> Compiled {
        let source = |file: &str, rest: &str| {
            let paths: Vec<String> = (0..count)
                .map(|i| format!("\"/{file}/{i:0>60}\""))
                .collect();
            let paths = paths.join(", ");
            let text = format!(r#"{{ "filesystem": {{ "read": [{paths}] }}{rest} }}"#);
            kubefence_profile::read_profile(&format!("{file}.json"), &text).profile
        };
        let sources = [source("base", ""), source("team", r#", "extends": "base""#)];
        let built_in = Catalog::built_in().unwrap();
        let (catalog, rejected) = built_in.with_custom(sources.into_iter().flatten().collect());
        assert_eq!(rejected, []);
        let mut all = ProfileSet::from(&catalog).compile(&CompileOptions::default(), 7);
        all.remove(&name("team")).unwrap()
    }

    #[test]
    fn a_plan_that_is_too_big_is_told_with_its_size() {
        let refused = compiled_with_paths(8000);
        let reason = refused.plan.err().unwrap();
        assert!(
            reason.starts_with("profile \"team\" gives no valid plan: the plan has 1"),
            "{reason}"
        );
        let finding = Finding::Unusable {
            profile: name("team"),
            reason,
        };
        assert_eq!(refused.findings, [finding]);
        assert!(compiled_with_paths(80).plan.is_ok());
    }

    #[test]
    fn what_the_kernel_lacks_is_found() {
        let text = r#"{ "extends": "default", "network": { "block": true }, "landlock": { "on_missing": "report" } }"#;
        let expected = Finding::NotEnforced {
            profile: name("team"),
            landlock_abi: 2,
            rights: "truncate, bind_tcp, connect_tcp, ioctl_dev".to_owned(),
        };
        assert_eq!(compiled(text, 2).findings, [expected]);
        assert_eq!(compiled(text, 7).findings, []);
    }

    #[test]
    fn the_seccomp_filter_of_the_configuration_is_in_every_plan() {
        let filters = |text: &str| {
            let config = Config::parse(std::path::Path::new("c"), text).unwrap();
            let all = set("{}").compile(&compile_options(&config), 7);
            let plan = all[&name("team")].plan.clone().unwrap();
            let plan = LaunchPlan::decode(&plan.bytes).unwrap();
            plan.seccomp.into_iter().map(|filter| filter.name).collect()
        };
        let none: Vec<String> = filters("");
        assert!(none.is_empty(), "{none:?}");
        assert_eq!(filters("seccomp_profile = \"restricted\""), ["restricted"]);
    }

    #[test]
    fn a_dropped_grant_is_found() {
        let text = r#"{ "extends": "default", "filesystem": { "read": ["/run"] } }"#;
        let found = compiled(text, 7).findings;
        assert!(
            matches!(&found[..], [Finding::GrantDropped { place, at, .. }]
                if place == "/run" && at.starts_with("team.json:1:")),
            "{found:?}"
        );
    }

    #[test]
    fn a_broken_profile_never_hides_one_that_is_there() {
        let mut set = set("{}");
        set.add_broken(name("team"), "x.json:1:1: error: no".to_owned());
        set.add_broken(name("gone"), "y.json:1:1: error: no".to_owned());
        let compiled = set.compile(&CompileOptions::default(), 7);
        assert!(compiled[&name("team")].plan.is_ok());
        let reason = compiled[&name("gone")].plan.as_ref().unwrap_err();
        assert_eq!(reason, "profile \"gone\" is broken: y.json:1:1: error: no");
    }
}
