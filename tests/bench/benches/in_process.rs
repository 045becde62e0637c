//! Work inside one process: profiles, plans, and the plugin's handling of a container.

#![allow(missing_docs, reason = "divan's macro generates undocumented items")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bench::node;
use divan::{Bencher, black_box};
use kubefence_plugin::config::Config;
use kubefence_plugin::handler::Sandboxer;
use kubefence_plugin::readiness::Readiness;
use kubefence_plugin::recorder::Recorder;
use kubefence_plugin::state::StateDir;
use kubefence_profile::{Catalog, CompileOptions, LaunchPlan, ProfileName};
use nri_plugin::{CallContext, Handler as _};

fn main() {
    divan::main();
}

#[divan::bench]
fn load_all_profiles() -> Catalog {
    Catalog::built_in().unwrap()
}

#[divan::bench]
fn compile_and_encode_all_profiles(bencher: Bencher<'_, '_>) {
    let catalog = Catalog::built_in().unwrap();
    bencher.bench(|| {
        for profile in catalog.iter() {
            // Profiles that `wrap` cannot enforce are refused here.
            let plan = profile.compile(&CompileOptions::default());
            black_box(plan.map(|plan| plan.encode().unwrap())).ok();
        }
    });
}

#[divan::bench]
fn decode_default_plan(bencher: Bencher<'_, '_>) {
    let catalog = Catalog::built_in().unwrap();
    let profile = catalog
        .get(&ProfileName::parse("default").unwrap())
        .unwrap();
    let plan = profile.compile(&CompileOptions::default()).unwrap();
    let plan = plan.encode().unwrap();
    bencher.bench(|| LaunchPlan::decode(black_box(&plan.bytes)).unwrap());
}

#[divan::bench(sample_count = 5000, sample_size = 1)]
fn handle_create_container(bencher: Bencher<'_, '_>) {
    let node = node::Node::new().unwrap();
    let config = Config::parse(node.path(), &node.config()).unwrap();
    let readiness = Readiness::new(config.clone(), Catalog::built_in().unwrap(), || 1);
    let recorder = Recorder::start(StateDir::new(config.state_dir.clone())).unwrap();
    let sandboxer = Sandboxer::new(config, Arc::new(readiness), recorder);
    let context = CallContext::with_deadline(Instant::now() + Duration::from_secs(3600));
    let pod = node::pod("timed");
    let container = node::container(&pod);
    bencher.bench(|| {
        sandboxer
            .create_container(&context, &pod, black_box(&container))
            .unwrap()
    });
}
