//! Mounts that a link led away from where the runtime was told to put them.

use std::fs;
use std::os::unix::fs::symlink;

use kubefence_launch_plan::Volumes;

use crate::pod::*;

/// A pod with a volume at `/data`, and a secret that is to be mounted below it.
fn with_secret() -> Pod {
    let pod = Pod::new(&with(Volumes::Read))
        .with_mount("v", "/data")
        .with_mount("secret", "/data/certs");
    fs::create_dir(pod.path("/stolen")).unwrap();
    pod.volume("v", &[]);
    pod.volume("secret", &[("key", "text")]);
    pod
}

const BOTH: [&str; 4] = ["--mounted", "/data", "--mounted", "/data/certs"];

#[test]
fn a_mount_that_a_link_led_away_ends_the_launch() {
    let pod = with_secret();
    pod.wrap_with(&BOTH, "cat /data/certs/key").succeeded();

    let certs = pod.volume("v", &[]).join("certs");
    fs::remove_dir(&certs).unwrap();
    symlink("../stolen", certs).unwrap();
    pod.bare("cat /stolen/key").succeeded();
    pod.wrap_with(&BOTH, "true")
        .refused(125, &["the mount for \"/data/certs\"", "repair the volume"]);
    // Those that are where they belong are not named, and what is not asked for is not looked at.
    pod.wrap_with(&BOTH[..2], "true").succeeded();
    pod.wrap_with(&["--mounted", "/stolen"], "true").succeeded();
}

#[test]
fn a_place_without_a_mount_ends_the_launch_before_all_else() {
    let pod = with_secret();
    for (options, path) in [
        (["--mounted", "/app", "--mounted", "/data"], "/app"),
        (["--mounted", "/data", "--mounted", "/absent"], "/absent"),
        (["--mounted", "/data", "--mounted", "/dat"], "/dat"),
        (
            ["--plan", &"0".repeat(64), "--mounted", "/nowhere"],
            "/nowhere",
        ),
    ] {
        let expected = format!("the mount for \"{path}\" lies elsewhere");
        pod.wrap_with(&options, "true").refused(125, &[&expected]);
    }
    pod.wrap_with(&["--mounted", "data"], "true")
        .refused(125, &["option --mounted", "\"data\""]);
}

#[test]
fn mounts_count_whatever_they_are_and_whatever_covers_them() {
    let pod = Pod::new(&with(Volumes::Read))
        .with_mount("v/file", "/app/config")
        .with_mount("v", "/covered/in")
        .with_tmpfs("/covered", &[])
        .with_mount("v", "/twice")
        .with_mount("v", "/twice")
        .with_set_up(
            "name=$(printf 'a b\\tc\\n\\\\040#')
             mkdir -p \"$root/$name\"; mount --bind $dir/v \"$root/$name\"",
        );
    pod.volume("v", &[("file", "text")]);
    let odd = "/a b\tc\n\\040#";
    let paths = [
        "/",
        "/proc",
        "/app/config",
        "/covered/in",
        "/covered",
        "/twice",
        odd,
    ];
    let options: Vec<&str> = paths.iter().flat_map(|path| ["--mounted", path]).collect();
    pod.wrap_with(&options, "cat /app/config").succeeded();
    pod.wrap_with(&["--mounted", "/app"], "true")
        .refused(125, &["the mount for \"/app\""]);
    pod.wrap_with(&["--mounted", "/a b\tc\n #"], "true")
        .refused(125, &["the mount for"]);
}
