//! What happens to a configuration that somebody changes after us: planning again, and taking everything back.

mod case;

use std::path::{Path, PathBuf};

use case::paper::PaperHost;
use case::{Case, GUARD, manifest, prepare};
use kubefence_node_setup::runtime::{
    ConfigPlan, ConfirmError, Detected, EditKind, Wanted, confirm, withdraw,
};

const MAIN: &str = "/etc/containerd/config.toml";

/// Installs on paper, and hands the plan on.
fn installed(name: &str, check: impl FnOnce(PaperHost<'_>, Detected, ConfigPlan, Wanted)) {
    let case = Case::named(name);
    let mut host = PaperHost::new(&case);
    let (detected, plan) = prepare(&host, &case.wanted).expect("a plan");
    for edit in &plan.edits {
        host.files.insert(edit.path.clone(), edit.after.clone());
    }
    let wanted = Wanted {
        owned: manifest(&plan),
        ..case.wanted.clone()
    };
    check(host, detected, plan, wanted);
}

#[test]
fn a_setting_that_got_another_value_is_left_and_named() {
    installed("containerd-1.7-systemd-commented", |_, _, plan, _| {
        let [edit] = plan.edits.as_slice() else {
            panic!("{:?}", plan.edits);
        };
        // The control: nothing is left if nobody has changed anything.
        assert!(withdraw(&edit.after, &edit.keys).unwrap().left.is_empty());
        let changed = edit.after.replace(
            "disable = false # until further notice",
            "disable = \"maybe\" # theirs",
        );
        assert_ne!(changed, edit.after);
        let withdrawn = withdraw(&changed, &edit.keys).unwrap();
        assert_eq!(
            withdrawn.left,
            [
                "plugins.\"io.containerd.nri.v1.nri\".disable is left: it is \"maybe\" now, not false"
            ]
        );
        let before = edit.before.as_deref().unwrap();
        let expected = before.replace(
            "disable = true # until further notice",
            "disable = \"maybe\" # theirs",
        );
        assert_eq!(withdrawn.text, expected);
    });
}

#[test]
fn everything_that_others_added_stays() {
    installed("containerd-2.2-crlf", |_, _, plan, _| {
        let edit = &plan.edits[0];
        let theirs = "\r\n# Theirs.\r\n[plugins.'io.containerd.cri.v1.images']\r\nsnapshotter = \"native\"\r\n";
        let added = edit.after.clone() + theirs;
        let withdrawn = withdraw(&added, &edit.keys).unwrap();
        assert_eq!(withdrawn.text, edit.before.clone().unwrap() + theirs);
        assert!(withdrawn.left.is_empty() && withdrawn.lost.is_empty());
    });
}

#[test]
fn what_others_put_into_our_handler_goes_with_it_and_is_named() {
    installed("containerd-2.2-schema-2", |_, _, plan, _| {
        let edit = &plan.edits[0];
        let changed = edit.after.replace(
            "sandboxer = 'podsandbox'",
            "sandboxer = 'podsandbox'\n# A comment of theirs.\ncni_conf_dir = \"/etc/theirs\"",
        );
        let withdrawn = withdraw(&changed, &edit.keys).unwrap();
        assert_eq!(withdrawn.lost.len(), 1, "{:?}", withdrawn.lost);
        assert!(withdrawn.lost[0].starts_with("cni_conf_dir = \"/etc/theirs\" is gone"));
        assert!(!withdrawn.text.contains("nono-runc"), "{}", withdrawn.text);
        assert!(
            withdrawn.text.contains("# A comment of theirs."),
            "{}",
            withdrawn.text
        );
    });
}

#[test]
fn a_default_handler_that_had_to_be_stated_is_the_operators_once_he_changes_it() {
    installed("containerd-1.6", |mut host, _, plan, wanted| {
        let edit = &plan.edits[0];
        let (old, new) = (
            "sandbox_mode = \"podsandbox\"\n",
            "sandbox_mode = \"theirs\"\n",
        );
        let changed = edit.after.replacen(old, new, 1);
        assert_ne!(changed, edit.after);
        let withdrawn = withdraw(&changed, &edit.keys).unwrap();
        assert!(
            withdrawn.text.contains("runtimes.runc]"),
            "{}",
            withdrawn.text
        );
        assert!(!withdrawn.text.contains("nono-runc"), "{}", withdrawn.text);
        assert!(withdrawn.left[0].ends_with("runc is left: it has been changed"));
        host.files.insert(MAIN.into(), changed.clone());
        let (_, again) = prepare(&host, &wanted).expect("a plan");
        assert_eq!(again.edits[0].after, changed);
        assert_eq!(again.edits[0].keys.len(), 1, "{:?}", again.edits[0].keys);
    });
}

#[test]
fn what_is_undone_by_hand_is_done_again_and_the_first_value_is_remembered() {
    installed("containerd-2.2-crlf", |mut host, _, plan, wanted| {
        let edit = &plan.edits[0];
        let undone = edit.after.replace("disable = false", "disable = true");
        host.files.insert(MAIN.into(), undone);
        let (_, again) = prepare(&host, &wanted).expect("a plan");
        assert_eq!(again.edits[0].after, edit.after);
        assert_eq!(again.edits[0].keys, edit.keys);
    });
}

#[test]
fn a_handler_that_is_no_longer_wanted_is_taken_out() {
    installed("containerd-2.3-two-handlers", |host, _, plan, wanted| {
        assert!(plan.edits[0].after.contains("\"nono.agents\""));
        let fewer = Wanted {
            handlers: vec!["nono-runc".into()],
            ..wanted
        };
        let (_, again) = prepare(&host, &fewer).expect("a plan");
        assert!(
            !again.edits[0].after.contains("nono.agents"),
            "{}",
            again.edits[0].after
        );
        assert!(again.edits[0].after.contains("nono-runc"));
        assert_eq!(again.edits[0].kind, EditKind::Own);
    });
}

#[test]
fn a_guard_that_moved_is_still_ours() {
    installed("containerd-2.2-schema-2", |mut host, _, plan, wanted| {
        // What containerd says now, with the guard where it was.
        host.effective = Some(printed(
            "nono-runc = { runtime_type = 'io.containerd.runc.v2', options = { BinaryName = '/opt/kubefence/bin/nono-runc' } }\n\
             runc = { runtime_type = 'io.containerd.runc.v2', snapshotter = 'native' }",
            false,
        ));
        let moved = Wanted {
            guard: "/var/lib/elsewhere/nono-runc".into(),
            ..wanted
        };
        let (_, again) = prepare(&host, &moved).expect("a plan");
        assert_eq!(again.real_runtime, plan.real_runtime);
        let text = &again.edits[0].after;
        assert!(
            text.contains("BinaryName = \"/var/lib/elsewhere/nono-runc\""),
            "{text}"
        );
        assert!(!text.contains(GUARD), "{text}");
        // The control: without the manifest, it is somebody else's.
        let stranger = Wanted {
            owned: Default::default(),
            ..moved
        };
        let error = prepare(&host, &stranger).expect_err("the handler is taken");
        assert!(error.contains("has a handler \"nono-runc\""), "{error}");
    });
}

#[test]
fn before_containerd_2_a_handler_that_is_no_longer_wanted_is_no_default() {
    let mut case = Case::named("containerd-1.7-no-file");
    case.wanted.handlers.push("nono-agents".into());
    let mut host = PaperHost::new(&case);
    let (_, plan) = prepare(&host, &case.wanted).expect("a plan");
    let edit = &plan.edits[0];
    host.files.insert(edit.path.clone(), edit.after.clone());
    let handler = format!(
        "{{ runtime_type = 'io.containerd.runc.v2', options = {{ BinaryName = '{GUARD}' }} }}"
    );
    host.effective = Some(format!(
        "version = 2\n[plugins.'io.containerd.nri.v1.nri']\ndisable = false\n\
         [plugins.'io.containerd.grpc.v1.cri'.containerd.runtimes]\n\
         runc = {{ runtime_type = 'io.containerd.runc.v2' }}\nnono-runc = {handler}\nnono-agents = {handler}\n"
    ));
    let fewer = Wanted {
        handlers: vec!["nono-runc".into()],
        owned: manifest(&plan),
        ..case.wanted.clone()
    };
    let (_, again) = prepare(&host, &fewer).expect("a plan");
    let text = &again.edits[0].after;
    assert!(
        edit.after.contains("nono-agents") && !text.contains("nono-agents"),
        "{text}"
    );
    assert!(
        text.contains("runtimes.runc]") && text.contains("runtimes.nono-runc]"),
        "{text}"
    );
}

#[test]
fn additions_of_others_to_our_own_file_survive_planning() {
    installed(
        "containerd-2.3-two-handlers",
        |mut host, _, plan, wanted| {
            let path = plan.edits[0].path.clone();
            let added = plan.edits[0].after.clone() + "\n# Theirs.\n[cgroup]\npath = \"theirs\"\n";
            host.files.insert(path, added.clone());
            let (_, again) = prepare(&host, &wanted).expect("a plan");
            assert_eq!(again.edits[0].after, added);
        },
    );
}

#[test]
fn once_the_main_file_imports_drop_ins_our_keys_move_there() {
    installed("containerd-2.0-v3", |mut host, _, plan, wanted| {
        let imports = "imports = ['/etc/containerd/conf.d/*.toml']";
        let before = plan.edits[0]
            .before
            .clone()
            .unwrap()
            .replace("imports = []", imports);
        let after = plan.edits[0].after.replace("imports = []", imports);
        assert_ne!(after, plan.edits[0].after);
        host.files.insert(MAIN.into(), after);
        let (_, again) = prepare(&host, &wanted).expect("a plan");
        let [drop_in, main] = again.edits.as_slice() else {
            panic!("{:?}", again.edits);
        };
        assert_eq!(
            drop_in.path,
            Path::new("/etc/containerd/conf.d/99-kubefence.toml")
        );
        assert_eq!((&main.path, &main.after), (&PathBuf::from(MAIN), &before));
        assert!(main.keys.is_empty());
    });
}

#[test]
fn a_changed_block_of_a_template_goes_as_a_whole() {
    installed("k3s-template-existing", |_, _, plan, _| {
        let edit = &plan.edits[0];
        let changed = edit
            .after
            .replace("SystemdCgroup = true", "SystemdCgroup = false");
        let withdrawn = withdraw(&changed, &edit.keys).unwrap();
        assert_eq!(Some(withdrawn.text), edit.before);
        assert_eq!(
            withdrawn.lost,
            ["SystemdCgroup = false is gone, together with the block"]
        );
        let open = edit.after.replace("# kubefence: end\n", "");
        let error = withdraw(&open, &edit.keys).expect_err("an open block");
        assert!(error.to_string().contains("has no matching"), "{error}");
    });
}

/// What containerd would print, as far as it matters here.
fn printed(handlers: &str, disable: bool) -> String {
    format!(
        "version = 3\n[plugins.'io.containerd.nri.v1.nri']\ndisable = {disable}\n\
         [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes]\n{handlers}\n"
    )
}

#[test]
fn what_is_in_force_is_compared_with_what_was_planned() {
    installed("containerd-2.2-default", |_, detected, _, wanted| {
        let handler = |program: &str| format!("nono-runc.options.BinaryName = '{program}'");
        let said =
            |handlers: &str, disable| confirm(&printed(handlers, disable), &detected, &wanted);
        assert!(said(&handler(GUARD), false).is_ok());
        let overridden = said(&handler("/usr/bin/theirs"), false);
        assert!(
            matches!(overridden, Err(ConfirmError::Unguarded { .. })),
            "{overridden:?}"
        );
        let hidden = said("", false);
        assert!(
            matches!(hidden, Err(ConfirmError::Missing { .. })),
            "{hidden:?}"
        );
        let off = said(&handler(GUARD), true);
        assert!(matches!(off, Err(ConfirmError::NoNri { .. })), "{off:?}");
        let unreadable = confirm("version = ", &detected, &wanted);
        assert!(
            matches!(unreadable, Err(ConfirmError::Output { .. })),
            "{unreadable:?}"
        );
    });
}

#[test]
fn the_same_holds_for_cri_o() {
    installed("crio-default", |_, detected, _, wanted| {
        let says = |nri: &str, program: &str| {
            let text = format!(
                "[crio.runtime.runtimes.nono-runc]\nruntime_path = \"{program}\"\n\n[crio.nri]\n{nri}\n"
            );
            confirm(&text, &detected, &wanted)
        };
        assert!(says("# enable_nri = true", GUARD).is_ok());
        assert!(says("enable_nri = true", GUARD).is_ok());
        let off = says("enable_nri = false", GUARD);
        assert!(matches!(off, Err(ConfirmError::NoNri { .. })), "{off:?}");
        let overridden = says("enable_nri = true", "/usr/bin/theirs");
        assert!(
            matches!(overridden, Err(ConfirmError::Unguarded { .. })),
            "{overridden:?}"
        );
    });
}

#[test]
fn keys_survive_the_manifest() {
    for name in ["containerd-1.6", "containerd-2.2-crlf", "k3s-template"] {
        installed(name, |_, _, plan, _| {
            let keys = &plan.edits[0].keys;
            let text = serde_json::to_string(keys).expect("JSON");
            let read: Vec<kubefence_node_setup::runtime::OwnedKey> =
                serde_json::from_str(&text).expect(&text);
            assert_eq!(&read, keys, "{text}");
        });
    }
}
