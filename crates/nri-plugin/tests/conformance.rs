//! The Rust types against bytes written by the Go implementation of NRI 0.12 with every field set.
//!
//! Decoding and re-encoding gives the same bytes only if every field is known, by its number and type.
//! `tests/fixtures/gen` writes the fixtures: `go run . ..`.

use std::collections::BTreeSet;
use std::path::Path;

use nri_plugin::api;
use prost::Message;

const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");

fn round_trip<M: Message + Default>(name: &str) {
    let path = Path::new(DIRECTORY).join(format!("{name}.bin"));
    let bytes = std::fs::read(&path).unwrap();
    let message = M::decode(&*bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(message.encode_to_vec(), bytes, "{name}");
}

macro_rules! messages {
    ($($name:ident)*) => {
        const NAMES: &[&str] = &[$(stringify!($name)),*];

        #[test]
        fn every_message_survives_the_round_trip() {
            $(round_trip::<api::$name>(stringify!($name));)*
        }
    };
}

messages! {
    ConfigureRequest ConfigureResponse CreateContainerRequest CreateContainerResponse LogRequest
    PostCreateContainerRequest PostCreateContainerResponse PostStartContainerRequest
    PostStartContainerResponse PostUpdateContainerRequest PostUpdateContainerResponse
    PostUpdatePodSandboxRequest PostUpdatePodSandboxResponse RegisterPluginRequest
    RemoveContainerRequest RemoveContainerResponse RemovePodSandboxRequest RemovePodSandboxResponse
    RunPodSandboxRequest RunPodSandboxResponse StartContainerRequest StartContainerResponse
    StateChangeEvent StopContainerRequest StopContainerResponse StopPodSandboxRequest
    StopPodSandboxResponse SynchronizeRequest SynchronizeResponse UpdateContainerRequest
    UpdateContainerResponse UpdateContainersRequest UpdateContainersResponse UpdatePodSandboxRequest
    UpdatePodSandboxResponse ValidateContainerAdjustmentRequest ValidateContainerAdjustmentResponse
}

#[test]
fn every_fixture_has_its_message() {
    let files: BTreeSet<_> = std::fs::read_dir(DIRECTORY)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".bin").map(str::to_owned))
        .collect();
    let names: BTreeSet<_> = NAMES.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(files, names);
}

#[test]
fn the_image_that_follows_0_12_is_field_22() {
    // Field 22, length 9: an image with name "n", digest "d" and config digest "c".
    let bytes = [0xb2, 0x01, 9, 0x0a, 1, b'n', 0x12, 1, b'd', 0x1a, 1, b'c'];
    let container = api::Container::decode(&bytes[..]).unwrap();
    assert_eq!(container.image.as_ref().unwrap().config_digest, "c");
    assert_eq!(container.encode_to_vec(), bytes);
}

#[test]
fn enumerations_end_where_upstream_s_do() {
    // The fixtures hold each enumeration's last value; decoding alone would accept any number.
    let read =
        |name: &str| std::fs::read(Path::new(DIRECTORY).join(format!("{name}.bin"))).unwrap();
    let created = api::CreateContainerResponse::decode(&*read("CreateContainerResponse")).unwrap();
    let linux = created.adjust.unwrap().linux.unwrap();
    let policy = linux.memory_policy.unwrap();
    assert_eq!(policy.mode(), api::MpolMode::WeightedInterleave);
    assert_eq!(
        policy.flags().collect::<Vec<_>>(),
        [api::MpolFlag::NumaBalancing]
    );
    let scheduler = linux.scheduler.unwrap();
    assert_eq!(scheduler.policy(), api::LinuxSchedulerPolicy::Deadline);
    let flags: Vec<_> = scheduler.flags().collect();
    assert_eq!(flags, [api::LinuxSchedulerFlag::UtilClampMax]);
    assert_eq!(linux.io_priority.unwrap().class(), api::IoPrioClass::Idle);

    let request = api::CreateContainerRequest::decode(&*read("CreateContainerRequest")).unwrap();
    let container = request.container.unwrap();
    assert_eq!(container.state(), api::ContainerState::Stopped);
    let profile = container.linux.unwrap().seccomp_profile.unwrap();
    assert_eq!(profile.profile_type(), api::ProfileType::Localhost);

    let change = api::StateChangeEvent::decode(&*read("StateChangeEvent")).unwrap();
    let last = api::Event::ValidateContainerAdjustment as i32;
    assert_eq!(change.event, last + 1, "upstream's LAST");
}
