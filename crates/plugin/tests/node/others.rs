//! What other plugins, and the node's devices, do to a container besides.

use nri_plugin::NriVersion;
use nri_plugin::api::{
    ContainerAdjustment, Event, Hook, Hooks, KeyValue, LinuxContainer, LinuxContainerAdjustment,
    LinuxDevice, LinuxSeccomp, PosixRlimit,
};
use test_support::{ContainerBuilder, FakeError};

use crate::harness::{Node, adjusted, applied, container, mount, pod, refusal, verdict};

type Tampering = fn(&mut ContainerAdjustment);

#[tokio::test]
async fn what_another_plugin_changed_is_rejected() {
    let node = Node::new(NriVersion::V0_12).await;
    let (_plugin, session) = node.connect().await;
    let pod = pod();
    let bare = container(&pod);
    let ours = adjusted(&session, &pod, &bare).await;
    let tamperings: [(&str, Tampering); 8] = [
        ("does not begin with", |a| a.args = vec!["myapp".to_owned()]),
        ("does not begin with", |a| a.args.clear()),
        ("mounted from \"/evil\"", |a| a.mounts.push(mount("/nono"))),
        ("covers /nono", |a| a.mounts.push(mount("/nono/nono"))),
        ("nothing is mounted at /nono", |a| {
            a.mounts.push(mount("-/nono"))
        }),
        ("mounted as bind (bind,rprivate,nosuid,nodev)", |a| {
            a.mounts[0].options.retain(|o| o != "ro")
        }),
        ("mounted as bind (bind,ro,rprivate,nosuid,nodev,rw)", |a| {
            a.mounts[0].options.push("rw".to_owned())
        }),
        ("does not begin with", |a| a.args.insert(0, String::new())),
    ];
    for (reason, tamper) in tamperings {
        let mut adjust = ours.clone();
        tamper(&mut adjust);
        let rejected = verdict(&session, &pod, &bare, adjust).await.unwrap_err();
        assert!(
            rejected.contains(reason) && rejected.contains("prod/web"),
            "{rejected:?} lacks {reason:?}"
        );
    }
    verdict(&session, &pod, &bare, ours).await.unwrap();
}

fn start_hook() -> Hooks {
    Hooks {
        start_container: vec![hook()],
        ..Hooks::default()
    }
}

fn hook() -> Hook {
    Hook {
        path: "/bin/hook".to_owned(),
        ..Hook::default()
    }
}

fn device(path: &str) -> LinuxDevice {
    LinuxDevice {
        path: path.to_owned(),
        r#type: "c".to_owned(),
        ..LinuxDevice::default()
    }
}

fn linux(adjust: &mut ContainerAdjustment) -> &mut LinuxContainerAdjustment {
    adjust.linux.get_or_insert_default()
}

fn annotate(adjust: &mut ContainerAdjustment, key: &str) {
    adjust.annotations.insert(key.to_owned(), "x".to_owned());
}

#[tokio::test]
async fn what_runs_before_the_launcher_or_deceives_the_guard_is_rejected() {
    let node = Node::new(NriVersion::V0_12).await;
    let (_plugin, session) = node.connect().await;
    let pod = pod();
    let bare = container(&pod);
    let ours = adjusted(&session, &pod, &bare).await;
    let tamperings: [(&str, Tampering); 9] = [
        ("annotation \"run.oci.handler\"", |a| {
            annotate(a, "run.oci.handler")
        }),
        ("startContainer hook \"/bin/hook\"", |a| {
            a.hooks = Some(start_hook())
        }),
        ("device node at \"/nono/nono\"", |a| {
            linux(a).devices.push(device("/nono/nono"))
        }),
        ("device node at \"/x/../nono\"", |a| {
            linux(a).devices.push(device("/x/../nono"))
        }),
        ("annotation \"nono.sh/profile\"", |a| {
            annotate(a, "nono.sh/profile")
        }),
        ("annotation \"container.nono.sh/app\"", |a| {
            annotate(a, "container.nono.sh/app")
        }),
        ("annotation \"io.kubernetes.cri.container-type\"", |a| {
            annotate(a, "io.kubernetes.cri.container-type")
        }),
        ("annotation \"-io.kubernetes.cri.sandbox-id\"", |a| {
            annotate(a, "-io.kubernetes.cri.sandbox-id")
        }),
        ("annotation \"io.kubernetes.cri-o.ContainerType\"", |a| {
            annotate(a, "io.kubernetes.cri-o.ContainerType")
        }),
    ];
    for (reason, tamper) in tamperings {
        let mut adjust = ours.clone();
        tamper(&mut adjust);
        let rejected = verdict(&session, &pod, &bare, adjust).await.unwrap_err();
        assert!(
            rejected.contains(reason) && rejected.contains("prod/web"),
            "{rejected:?} lacks {reason:?}"
        );
    }
}

/// The launcher takes nothing from its environment, and if limits or filters keep it from making the sandbox, it
/// ends the launch.
#[tokio::test]
async fn what_cannot_undo_the_sandbox_is_left_to_other_plugins() {
    let node = Node::new(NriVersion::V0_12).await;
    let (_plugin, session) = node.connect().await;
    let pod = pod();
    let bare = container(&pod);
    let ours = adjusted(&session, &pod, &bare).await;
    let changes: [Tampering; 7] = [
        |a| {
            for (key, value) in [
                ("NONO_PROFILE", "other"),
                ("PATH", "/evil"),
                ("LD_PRELOAD", "/evil.so"),
                ("-HOME", ""),
            ] {
                a.env.retain(|variable| variable.key != key);
                a.env.push(KeyValue {
                    key: key.to_owned(),
                    value: value.to_owned(),
                });
            }
        },
        |a| a.mounts.push(mount("/data")),
        |a| linux(a).devices.push(device("/dev/fuse")),
        |a| linux(a).devices.push(device("-/nono/nono")),
        |a| linux(a).seccomp_policy = Some(LinuxSeccomp::default()),
        |a| {
            a.rlimits.push(PosixRlimit {
                r#type: "RLIMIT_NOFILE".to_owned(),
                hard: 64,
                soft: 64,
            })
        },
        |a| {
            annotate(a, "example.org/note");
            a.hooks = Some(Hooks {
                create_runtime: vec![hook()],
                create_container: vec![hook()],
                poststop: vec![hook()],
                ..Hooks::default()
            });
        },
    ];
    for (i, change) in changes.into_iter().enumerate() {
        let mut adjust = ours.clone();
        change(&mut adjust);
        let verdict = verdict(&session, &pod, &bare, adjust).await;
        assert_eq!(verdict, Ok(()), "change {i}");
    }
}

#[tokio::test]
async fn hooks_devices_and_engines_that_come_without_a_plugin_are_refused() {
    let node = Node::new(NriVersion::V0_12).await;
    let (plugin, session) = node.connect().await;
    let pod = pod();
    let mut covering = container(&pod);
    covering.linux = Some(LinuxContainer {
        devices: vec![device("/dev/null"), device("/nono/profiles/default.json")],
        ..LinuxContainer::default()
    });
    let message = refusal(&session, &pod, &covering).await;
    assert!(message.contains("/nono/profiles/default.json"), "{message}");
    let mut hooked = container(&pod);
    hooked.hooks = Some(start_hook());
    let message = refusal(&session, &pod, &hooked).await;
    assert!(message.contains("startContainer"), "{message}");
    let engine = ContainerBuilder::new(&pod, "app").annotation("run.oci.handler", "wasm");
    let message = refusal(&session, &pod, &engine.build()).await;
    assert!(message.contains("run.oci.handler"), "{message}");

    // Device specifications of the node (CDI) are applied after validation, and show in the runtime's own spec only.
    let bare = ContainerBuilder::new(&pod, "cdi").build();
    let adjust = adjusted(&session, &pod, &bare).await;
    verdict(&session, &pod, &bare, adjust.clone())
        .await
        .unwrap();
    let mut created = applied(&bare, &adjust);
    session
        .event(Event::StartContainer, &pod, Some(&created))
        .await
        .unwrap();
    created.hooks = Some(start_hook());
    session
        .event(Event::PostCreateContainer, &pod, Some(&created))
        .await
        .unwrap();
    plugin.logged("created without its sandbox", &bare.id).await;
    let started = session
        .event(Event::StartContainer, &pod, Some(&created))
        .await;
    assert!(matches!(started, Err(FakeError::Rpc { .. })), "{started:?}");
}
