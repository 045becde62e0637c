use super::*;

const DIGEST: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn profile() -> ProfileName {
    ProfileName::parse("default").unwrap()
}

/// `original` behind the prefix of those flags.
fn wrapped(flags: &Flags<'_>, original: &[String]) -> Vec<String> {
    [&wrap_prefix(&profile(), flags), original].concat()
}

fn strings(values: &[&str]) -> Vec<String> {
    values.iter().map(|v| (*v).to_owned()).collect()
}

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// `rest` behind the words that every wrap in `default` begins with.
fn after_profile(rest: &[&str]) -> Vec<String> {
    let begin = ["/nono/nono", "wrap", "--profile", "default"];
    strings(&[&begin, rest].concat())
}

#[test]
fn the_guard_says_plan_and_variables_in_front_of_the_command() {
    let digest = PlanDigest::parse(DIGEST).unwrap();
    let variables = variables(&[("HOME", "/root"), ("ENTRYPOINT", "a=b --")]);
    let flags = Flags {
        plan: Some(&digest),
        variables: &variables,
        mounted: &strings(&["/data", "/etc/hosts"]),
        preserve_fds: 2,
    };
    assert_eq!(
        wrapped(&flags, &strings(&["sh", "-c", "--"])),
        after_profile(&[
            "--plan",
            DIGEST,
            "--var",
            "HOME=/root",
            "--var",
            "ENTRYPOINT=a=b --",
            "--mounted",
            "/data",
            "--mounted",
            "/etc/hosts",
            "--preserve-fds",
            "2",
            "--",
            "sh",
            "-c",
            "--"
        ])
    );
}

#[test]
fn without_flags_the_guard_writes_what_the_plugin_writes() {
    assert_eq!(
        wrapped(&Flags::default(), &strings(&["a"])),
        after_profile(&["--", "a"])
    );
}

#[test]
fn what_the_guard_writes_is_read_back_to_the_element() {
    let digest = PlanDigest::parse(DIGEST).unwrap();
    let some = variables(&[("HOME", "--"), ("WORKDIR", ""), ("XDG_CACHE_HOME", "=")]);
    // Commands that look like more options, or like another wrap.
    let commands: [&[&str]; 5] = [
        &["a"],
        &[""],
        &["--"],
        &["--plan", DIGEST, "--", "a"],
        &["/nono/nono", "wrap", "--profile", "other", "--", "a"],
    ];
    for plan in [None, Some(&digest)] {
        for variables in [&[][..], &some] {
            for preserve_fds in [0, 1, u32::MAX] {
                let flags = Flags {
                    plan,
                    variables,
                    mounted: &[],
                    preserve_fds,
                };
                for command in commands.map(strings) {
                    let args = wrapped(&flags, &command);
                    let wrapping = wrapping(&args).unwrap();
                    assert_eq!(wrapping.profile, profile());
                    assert_eq!(wrapping.plan.as_ref(), plan);
                    assert_eq!(wrapping.variables, variables);
                    assert_eq!(args[wrapping.len..], command, "{args:?}");
                }
            }
        }
    }
}

#[test]
fn what_neither_plugin_nor_guard_writes_is_no_wrap() {
    let cases: [&[&str]; 18] = [
        &[],
        &["--"],
        &["a", "b"],
        &["--plan", DIGEST],
        &["--plan", DIGEST, "--"],
        &["--plan", "--", "a"],
        &["--plan", &DIGEST[1..], "--", "a"],
        &["--plan", &DIGEST.to_uppercase(), "--", "a"],
        &["--plan", DIGEST, "--plan", DIGEST, "--", "a"],
        &["--var", "HOME", "--", "a"],
        &["--var", "=x", "--", "a"],
        &["--var", "home=x", "--", "a"],
        &["--var", "HOME=x", "--var", "HOME=x", "--", "a"],
        &["--var", "HOME=x", "--plan", DIGEST, "--", "a"],
        &["--preserve-fds", "0", "--", "a"],
        &["--preserve-fds", "+1", "--", "a"],
        &["--preserve-fds", "1", "--var", "HOME=x", "--", "a"],
        &["--help", "--", "a"],
    ];
    for case in cases {
        assert_eq!(wrapping(&after_profile(case)), None, "{case:?}");
    }
    for other in [
        &[][..],
        &["sleep", "1"],
        &["nono", "wrap", "--profile", "default", "--", "a"],
        &["/nono/nono", "run", "--profile", "default", "--", "a"],
        &["/nono/nono", "wrap", "--profile=default", "--", "a"],
        &["/nono/nono", "wrap", "--profile", "../x", "--", "a"],
        &["/nono/nono", "wrap", "--profile"],
    ] {
        assert_eq!(wrapping(other), None, "{other:?}");
    }
}
