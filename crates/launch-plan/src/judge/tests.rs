use super::*;

const RX: FsRights = FsRights::of(&[FsRight::ReadFile, FsRight::ReadDir, FsRight::Execute]);
const RW: FsRights = FsRights::of(&[FsRight::ReadFile, FsRight::WriteFile]);
const READ: FsRights = FsRights::of(&[FsRight::ReadFile]);

fn rule(path: &str, rights: FsRights) -> PathRule {
    PathRule {
        path: Place::parse(path).unwrap(),
        rights,
        optional: false,
        create: None,
        origin: "test".into(),
    }
}

#[test]
fn places_of_a_workload_are_granted() {
    for path in [
        "/app",
        "/srv",
        "/opt",
        "/workspace",
        "/home/u",
        "/root",
        "/tmp",
        "/tmp/x",
        "/mnt/v",
        "/var/tmp",
        "/var/lib/app",
        "/var/www",
        "/var/cache/x",
        "/var/runner",
        "/etcetera",
        "/users",
        "/binary",
        "/developer",
        "/process",
        "/system",
        "/running",
        "/nonono",
        "/bootstrap",
        "/data/etc",
        "/data/usr/bin",
        "/a (deleted)/b",
        "/a b",
        "/data/nono",
        "/var/locksmith",
    ] {
        assert_eq!(untrusted(path.as_bytes()), Ok(()), "{path}");
    }
    assert_eq!(untrusted(b"/data/\xff"), Ok(()));
}

#[test]
fn system_places_are_not() {
    for path in [
        "/etc",
        "/etc/x",
        "/usr",
        "/usr/local",
        "/usr/local/lib/x",
        "/bin",
        "/bin/x",
        "/sbin",
        "/lib",
        "/lib/x",
        "/lib32",
        "/lib64",
        "/lib64/x",
        "/libx32",
        "/libexec",
        "/proc",
        "/proc/1/root",
        "/proc/self",
        "/sys",
        "/sys/fs/cgroup",
        "/dev",
        "/dev/shm",
        "/dev/shm/x",
        "/boot",
        "/run",
        "/run/user/0",
        "/run/secrets/kubernetes.io/serviceaccount",
        "/nono",
        "/nono/profiles",
        "/var/run",
        "/var/run/secrets/kubernetes.io/serviceaccount",
        "/var/lock",
        "/var/lock/x",
    ] {
        assert_eq!(untrusted(path.as_bytes()), Err(Refusal::System), "{path}");
    }
}

#[test]
fn places_above_everything_are_not() {
    for path in ["/", "/home", "/var", "/var/lib"] {
        assert_eq!(untrusted(path.as_bytes()), Err(Refusal::TooBroad), "{path}");
    }
}

#[test]
fn what_has_no_path_is_not() {
    let cases = [
        ("", Refusal::Unreachable),
        ("(unreachable)/home", Refusal::Unreachable),
        ("(unreachable)", Refusal::Unreachable),
        ("pipe:[4026]", Refusal::Unreachable),
        ("anon_inode:[eventfd]", Refusal::Unreachable),
        ("home/u", Refusal::Unreachable),
        ("/home/u (deleted)", Refusal::Deleted),
        ("/ (deleted)", Refusal::Deleted),
        ("/memfd:x (deleted)", Refusal::Deleted),
    ];
    for (path, refusal) in cases {
        assert_eq!(untrusted(path.as_bytes()), Err(refusal), "{path}");
        let program = libc::S_IFREG | 0o755;
        assert_eq!(entrypoint(path.as_bytes(), program), Err(refusal), "{path}");
    }
}

#[test]
fn a_place_is_related_to_what_it_holds_and_to_what_holds_it() {
    for path in ["/home", "/home/u", "/home/u/.ssh", "/home/u/.ssh/x", "/"] {
        assert!(related(path.as_bytes(), b"/home/u/.ssh"), "{path}");
    }
    for path in ["/home/u/.sshd", "/home/u/.config", "/home/v", "/homes"] {
        assert!(!related(path.as_bytes(), b"/home/u/.ssh"), "{path}");
    }
}

#[test]
fn what_a_fixed_rule_holds_is_opened_up() {
    let rules = [rule("/opt", READ), rule("$HOME", RX)];
    for (path, expected) in [
        ("/opt", true),
        ("/opt/x", true),
        ("/optional", false),
        ("/", false),
        ("$HOME", false),
    ] {
        assert_eq!(opened_up(path.as_bytes(), &rules), expected, "{path}");
    }
}

#[test]
fn secrets_lie_below_run() {
    for path in ["/run/secrets", "/var/run/secrets/x"] {
        assert!(in_run(path.as_bytes()), "{path}");
    }
    for path in ["/runs", "/opt/run/secrets", "/var/runs", "/"] {
        assert!(!in_run(path.as_bytes()), "{path}");
    }
}

#[test]
fn a_program_may_lie_anywhere_but_in_kernel_file_systems() {
    let program = libc::S_IFREG | 0o100;
    for path in [
        "/usr/bin/x",
        "/x",
        "/run/x",
        "/etc/x",
        "/var/run/x",
        "/nono/nono",
        "/lib/ld.so",
    ] {
        assert_eq!(entrypoint(path.as_bytes(), program), Ok(()), "{path}");
    }
    for path in ["/proc/1/exe", "/sys/x", "/dev/shm/x", "/dev"] {
        assert_eq!(
            entrypoint(path.as_bytes(), program),
            Err(Refusal::NoProgram),
            "{path}"
        );
    }
}

#[test]
fn only_an_executable_regular_file_is_a_program() {
    for mode in [
        libc::S_IFREG | 0o644,
        libc::S_IFDIR | 0o755,
        libc::S_IFCHR | 0o777,
        libc::S_IFIFO | 0o777,
        libc::S_IFSOCK | 0o777,
        libc::S_IFLNK | 0o777,
        libc::S_IFBLK | 0o777,
    ] {
        assert_eq!(
            entrypoint(b"/app/x", mode),
            Err(Refusal::NoProgram),
            "{mode:o}"
        );
    }
}

#[test]
fn a_link_to_what_is_granted_anyway_is_covered() {
    let rules = [rule("/usr", RX), rule("/lib", RX), rule("/proc", READ)];
    let cases = [
        ("/usr/lib", RX, true),
        ("/usr", RX, true),
        ("/usr/share/zoneinfo/UTC", READ, true),
        ("/proc/7/fd", READ, true),
        ("/proc/7/fd", RX, false),
        ("/usr/lib", RW, false),
        ("/usrlocal", RX, false),
        ("/", RX, false),
        ("/var/run/secrets", RX, false),
        ("pipe:[1]", RW, false),
        ("/usr (deleted)", RX, false),
    ];
    for (resolved, rights, expected) in cases {
        assert_eq!(
            covered(resolved.as_bytes(), rights, &rules),
            expected,
            "{resolved}"
        );
    }
}

#[test]
fn a_variable_rule_covers_no_link() {
    assert!(!covered(b"$HOME/x", RX, &[rule("$HOME", RX)]));
}

#[test]
fn components_are_not_prefixes() {
    let cases = [
        ("/a", "/a", true),
        ("/a/b", "/a", true),
        ("/ab", "/a", false),
        ("/", "/a", false),
        ("/a", "/", true),
        ("/", "/", true),
        ("", "/", false),
    ];
    for (path, base, expected) in cases {
        assert_eq!(
            at_or_below(path.as_bytes(), base.as_bytes()),
            expected,
            "{path} {base}"
        );
    }
}

#[test]
fn volumes_are_what_the_pod_mounts() {
    for (point, most) in [
        ("/data", Some(Volumes::AsMounted)),
        ("/home/u", Some(Volumes::AsMounted)),
        ("/var/lib/app", Some(Volumes::AsMounted)),
        ("/etc/config", Some(Volumes::Read)),
        ("/usr/share/x", Some(Volumes::Read)),
        ("/lib64/x", Some(Volumes::Read)),
        ("/run/app", Some(Volumes::Read)),
        ("/", None),
        ("/home", None),
        ("/etc", None),
        ("/run", None),
        ("/proc/bus", None),
        ("/sys/fs/cgroup", None),
        ("/dev/shm", None),
        ("/dev/termination-log", None),
        ("/nono", None),
        ("/etc/hosts", None),
        ("/etc/resolv.conf", None),
        ("/run/.containerenv", None),
        ("/run/secrets/x", None),
        ("/var/run/secrets/kubernetes.io/serviceaccount", None),
        ("(unreachable)/x", None),
    ] {
        assert_eq!(volume(point.as_bytes()).ok(), most, "{point}");
    }
}
