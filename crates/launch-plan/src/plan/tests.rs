use super::*;

fn plan() -> LaunchPlan {
    let mut handled = Handled::every_fs_right();
    let tcp = Handled {
        abi: 4,
        fs: FsRights::EMPTY,
        net: vec![NetRight::ConnectTcp],
        scopes: vec![],
    };
    handled.insert(3, tcp);
    LaunchPlan {
        format: FORMAT,
        profile: ProfileName::parse("default").unwrap(),
        min_abi: 1,
        log_denials: true,
        handled,
        rules: vec![PathRule {
            path: Place::parse("/usr").unwrap(),
            rights: FsRights::of(&[FsRight::ReadFile]),
            optional: true,
            create: None,
            origin: "system".into(),
        }],
        ports: vec![],
        deny: vec![],
        volumes: Volumes::None,
        seccomp: Vec::new(),
    }
}

fn json(plan: &LaunchPlan) -> Vec<u8> {
    serde_json::to_vec(plan).unwrap()
}

#[test]
fn decodes_what_it_encodes() {
    assert_eq!(LaunchPlan::decode(&json(&plan())).unwrap(), plan());
}

#[test]
fn rules_that_say_the_same_stand_together() {
    let mut plan = plan();
    let rule = plan.rules[0].clone();
    for (path, optional) in [
        ("/bin", true),
        ("/lib", false),
        ("/lib64", false),
        ("/sbin", true),
    ] {
        let path = Place::parse(path).unwrap();
        plan.rules.push(PathRule {
            path,
            optional,
            ..rule.clone()
        });
    }
    let text = String::from_utf8(json(&plan)).unwrap();
    for group in [r#"["/usr","/bin"]"#, r#"["/lib","/lib64"]"#, r#"["/sbin"]"#] {
        assert!(text.contains(group), "{text} lacks {group}");
    }
    assert_eq!(LaunchPlan::decode(text.as_bytes()).unwrap(), plan);
}

#[test]
fn a_right_counts_from_its_abi_on() {
    assert!(plan().handled_net(3).is_empty());
    assert_eq!(plan().handled_net(4), [NetRight::ConnectTcp]);
}

#[test]
fn unknown_fields_rights_and_formats_are_refused() {
    let text = String::from_utf8(json(&plan())).unwrap();
    for (from, to) in [
        ("\"min_abi\"", "\"min_abl\""),
        (",\"deny\":[]", ""),
        ("\"read_file\"", "\"read_files\""),
        ("\"format\":1", "\"format\":2"),
        ("\"format\":1", "\"format\":0"),
        ("\"/usr\"", "\"/usr/../etc\""),
        ("\"default\"", "\"../default\""),
    ] {
        let broken = text.replacen(from, to, 1);
        assert_ne!(broken, text, "{from} is not in the plan");
        assert!(
            LaunchPlan::decode(broken.as_bytes()).is_err(),
            "{to} was accepted"
        );
    }
    for cut in [0, 1, text.len() / 2, text.len() - 1] {
        assert!(
            LaunchPlan::decode(&text.as_bytes()[..cut]).is_err(),
            "a plan cut at {cut} was accepted"
        );
    }
}

#[test]
fn contradictions_are_refused() {
    let broken = |edit: fn(&mut LaunchPlan)| {
        let mut plan = plan();
        edit(&mut plan);
        LaunchPlan::decode(&json(&plan)).unwrap_err().to_string()
    };
    assert!(broken(|p| p.min_abi = 0).contains("min_abi 0"));
    assert!(broken(|p| p.handled.swap(0, 1)).contains("ascending"));
    assert!(broken(|p| p.handled[4].abi = 9).contains("belongs to ABI 5"));
    assert!(broken(|p| p.handled.truncate(0)).contains("does not handle execute"));
    assert!(broken(|p| p.handled.truncate(4)).contains("does not handle ioctl_dev"));
    for node in [FsRight::MakeChar, FsRight::MakeBlock] {
        let mut plan = plan();
        plan.rules[0].rights = FsRights::of(&[node]);
        let error = LaunchPlan::decode(&json(&plan)).unwrap_err().to_string();
        assert!(error.contains("no rule may create device nodes"), "{error}");
    }
    assert!(broken(|p| p.rules[0].rights = FsRights::EMPTY).contains("/usr grants nothing"));
    assert!(
        broken(|p| p.ports.push(PortRule {
            port: 80,
            rights: vec![NetRight::BindTcp],
            origin: String::new(),
        }))
        .contains("TCP port 80 grants bind_tcp")
    );
}

#[cfg(feature = "digest")]
#[test]
fn the_digest_follows_the_content() {
    let first = plan().encode().unwrap();
    assert_eq!(first, plan().encode().unwrap());
    let mut other = plan();
    other.log_denials = false;
    assert_ne!(first.digest, other.encode().unwrap().digest);
    assert_eq!(first.digest.to_string().len(), 64);
}

#[test]
fn every_place_of_a_plan_is_made_out_to_the_user() {
    let mut plan = plan();
    plan.rules[0].path = Place::parse("/run/user/$UID").unwrap();
    plan.deny = vec![Place::parse("$HOME/$UID/x").unwrap()];
    let plan = plan.for_user(7);
    assert_eq!(plan.rules[0].path.to_string(), "/run/user/7");
    assert_eq!(plan.deny[0].to_string(), "$HOME/7/x");
}
