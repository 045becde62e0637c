//! Bytes as a launch plan: whatever is decoded is valid, and survives a round trip.

#![no_main]

use kubefence_launch_plan::LaunchPlan;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(plan) = LaunchPlan::decode(bytes) else {
        return;
    };
    plan.validate().expect("a decoded plan is valid");
    let encoded = plan.encode().expect("a valid plan can be encoded");
    let again = LaunchPlan::decode(&encoded.bytes).expect("an encoded plan can be decoded");
    assert_eq!(again.encode().unwrap(), encoded, "encoding is not stable");
    for rule in &plan.rules {
        let _ = rule.path.for_user(1000).to_string();
    }
});
