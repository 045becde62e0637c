//! Text as a profile, in JSON and in TOML: whatever is accepted compiles to a valid plan or is refused with
//! a reason, and opens up nothing that the built-in denials protect.

#![no_main]

use std::sync::LazyLock;

use kubefence_profile::{
    Catalog, CompileOptions, LaunchPlan, Operation, ProfileName, ProfileSource, Surroundings, Verdict,
    read_profile,
};
use libfuzzer_sys::fuzz_target;

static CATALOG: LazyLock<Catalog> = LazyLock::new(|| Catalog::built_in().unwrap());

fuzz_target!(|text: &str| {
    for file in ["fuzzed.json", "fuzzed.toml"] {
        let reading = read_profile(file, text);
        for diagnostic in &reading.diagnostics {
            assert!(diagnostic.at.line > 0 && !diagnostic.to_string().is_empty());
        }
        if let Some(source) = reading.profile {
            use_profile(source);
        }
    }
});

fn use_profile(mut source: ProfileSource) {
    // The built-in profiles are seeds, and their names are taken.
    let name = ProfileName::parse("fuzzed").unwrap();
    source.name = name.clone();
    let (catalog, rejected) = CATALOG.with_custom(vec![source]);
    if !rejected.is_empty() {
        return;
    }
    let profile = catalog.get(&name).expect("what is not rejected is there");
    let Ok(plan) = profile.compile(&CompileOptions::default()) else {
        return;
    };
    let encoded = plan.encode().expect("a compiled plan is valid");
    let decoded = LaunchPlan::decode(&encoded.bytes).expect("an encoded plan can be decoded");
    assert_eq!(decoded, plan);
    let container = Surroundings {
        home: Some("/home/u".to_owned()),
        ..Surroundings::default()
    };
    let secrets = profile.denials.iter().any(|d| d.place.to_string() == "$HOME/.ssh");
    let answer = profile.explain("~/.ssh/id", Operation::Read, &container);
    if secrets {
        assert_ne!(answer.unwrap().verdict, Verdict::Allowed, "a denied place is open");
    }
}
