use super::*;
use crate::Mount;

fn profile(name: &str) -> ProfileName {
    ProfileName::parse(name).unwrap()
}

fn dir() -> LauncherDir {
    LauncherDir::of_launcher(Path::new("/opt/nono-nri/nono")).unwrap()
}

fn strings(values: &[&str]) -> Vec<String> {
    values.iter().map(|v| (*v).to_owned()).collect()
}

fn plan(args: &[&str], env: &[&str], destinations: &[&str]) -> Result<Injection, Refusal> {
    let mounts: Vec<Mount<'_>> = destinations
        .iter()
        .map(|destination| Mount {
            destination,
            source: "/x",
            kind: "bind",
            options: &[],
        })
        .collect();
    let (args, env) = (strings(args), strings(env));
    let container = Container {
        args: &args,
        env: &env,
        mounts: &mounts,
    };
    Injection::plan(container, &profile("default"), &dir())
}

#[test]
fn wraps_as_the_contract_says() {
    let injection = plan(
        &["myapp", "--flag"],
        &["PATH=/bin", "A=b"],
        &["/proc", "/data"],
    )
    .unwrap();
    assert_eq!(
        injection.args,
        [
            "/nono/nono",
            "wrap",
            "--profile",
            "default",
            "--",
            "myapp",
            "--flag"
        ]
    );
    assert_eq!(injection.mount.destination, "/nono");
    assert_eq!(injection.mount.source, "/opt/nono-nri");
    assert_eq!(
        injection.mount.options,
        ["bind", "ro", "rprivate", "nosuid", "nodev"]
    );
    let env: Vec<_> = injection
        .env
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    assert_eq!(env, ["NONO_PROFILE=default", "PATH=/nono:/bin"]);
}

#[test]
fn path_is_never_left_with_an_empty_component() {
    let path = |env: &[&str]| plan(&["a"], env, &[]).unwrap().env[1].1.clone();
    assert_eq!(path(&[]), format!("/nono:{USUAL_PATH}"));
    assert_eq!(path(&["PATH="]), "/nono");
    assert_eq!(path(&["PATH=/a", "PATH=/b", "XPATH=/x"]), "/nono:/b");
}

#[test]
fn path_gets_the_launcher_only_once() {
    let path = |env: &str| plan(&["a"], &[env], &[]).unwrap().env[1].1.clone();
    for wrapped in ["/nono", "/nono:/bin", "/nono:/bin:/nono"] {
        assert_eq!(path(&format!("PATH={wrapped}")), wrapped);
    }
    assert_eq!(path("PATH=/nono2:/bin"), "/nono:/nono2:/bin");
    assert_eq!(path("PATH=/bin:/nono"), "/nono:/bin:/nono");
}

#[test]
fn arguments_are_kept_to_the_letter() {
    let odd = ["", "--", "a b", "--profile", "$(x)", "ü"];
    assert_eq!(plan(&odd, &[], &[]).unwrap().args[5..], strings(&odd));
}

#[test]
fn refuses_what_could_replace_the_launcher() {
    for destination in ["/nono", "/nono/nono", "/x/../nono", "/"] {
        let refusal = plan(&["a"], &[], &["/data", destination]).unwrap_err();
        assert!(
            refusal.to_string().contains(&format!("{destination:?}")),
            "{refusal}"
        );
    }
}

#[test]
fn refuses_an_empty_command() {
    assert_eq!(plan(&[], &[], &[]), Err(Refusal::NoCommand));
}

#[test]
fn reads_the_profile_back_from_wrapped_args() {
    assert_eq!(
        wrapped_profile(&plan(&["a"], &[], &[]).unwrap().args),
        Some(profile("default"))
    );
    for bare in [
        &["sleep", "1"][..],
        &[],
        &["/nono/nono", "wrap", "--profile", "default", "--"],
        &["/nono/nono", "wrap", "--profile", "../x", "--", "a"],
        &["nono", "wrap", "--profile", "default", "--", "a"],
        &["/nono/nono", "run", "--profile", "default", "--", "a"],
        &["/nono/nono", "wrap", "--profile", "default", "a", "b"],
        &[
            "/nono/nono",
            "wrap",
            "--profile",
            "default",
            "--var",
            "HOME=/",
            "--",
            "a",
        ],
    ] {
        assert_eq!(wrapped_profile(&strings(bare)), None, "{bare:?}");
    }
}

#[test]
fn the_launcher_must_be_where_the_args_look_for_it() {
    for (path, error) in [
        ("nono", InvalidLauncherPath::Relative),
        ("/opt/nono-nri/nono2", InvalidLauncherPath::FileName),
        ("/opt/nono-nri/", InvalidLauncherPath::NotNormal),
        ("/opt//nono", InvalidLauncherPath::NotNormal),
        ("/opt/x/../nono", InvalidLauncherPath::NotNormal),
        ("/nono", InvalidLauncherPath::FileName),
    ] {
        assert_eq!(
            LauncherDir::of_launcher(Path::new(path)),
            Err(error),
            "{path}"
        );
    }
}
