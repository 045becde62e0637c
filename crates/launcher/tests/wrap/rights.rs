//! Rights on files: what a rule grants works, everything else is denied.

use std::fs;

use kubefence_launch_plan::FsRights;

use crate::harness::*;

/// One operation in the directory `$1`, which holds `file`, `prog`, `dir` and `empty`.
const OPERATIONS: [&str; 14] = [
    r#"cat "$1/file""#,
    r#"ls "$1""#,
    r#"echo x >> "$1/file""#,
    r#": > "$1/file""#,
    r#"truncate -s 1 "$1/file""#,
    r#": > "$1/new""#,
    r#"mkdir "$1/newdir""#,
    r#"rm "$1/file""#,
    r#"rmdir "$1/empty""#,
    r#"ln -s x "$1/link""#,
    r#"mkfifo "$1/fifo""#,
    r#"mv "$1/file" "$1/dir/file""#,
    r#"mv "$1/file" "$1/renamed""#,
    r#""$1/prog""#,
];

fn populate(dir: &std::path::Path) {
    let _ = fs::remove_dir_all(dir);
    fs::create_dir_all(dir.join("dir")).unwrap();
    fs::create_dir(dir.join("empty")).unwrap();
    fs::write(dir.join("file"), "text").unwrap();
    copy_program("/bin/true", dir.join("prog"));
}

fn operation<'a>(script: &'a str, dir: &'a str) -> [&'a str; 5] {
    ["/bin/sh", "-c", script, "sh", dir]
}

#[test]
fn operations_work_where_granted_and_nowhere_else() {
    let node = Node::with(|work| plan().require(work, all_rights()));
    let outside = node.path("outside");
    for script in OPERATIONS {
        for (dir, granted) in [(node.work(), true), (outside.clone(), false)] {
            let argv = operation(script, dir.to_str().unwrap());
            populate(&outside);
            populate(&node.work());
            run(&mut node.bare(&argv)).succeeded();
            populate(&outside);
            populate(&node.work());
            let outcome = run(&mut node.wrap(&argv));
            if granted {
                outcome.succeeded()
            } else {
                outcome.denied()
            };
        }
    }
}

#[test]
fn reading_is_not_writing_nor_executing() {
    let node = Node::with(|work| plan().require(work, READ));
    let work = node.work();
    populate(&work);
    for (script, granted) in OPERATIONS
        .iter()
        .zip([true, true].into_iter().chain([false; 12]))
    {
        let argv = operation(script, work.to_str().unwrap());
        let outcome = run(&mut node.wrap(&argv));
        if granted {
            outcome.succeeded()
        } else {
            outcome.denied()
        };
        run(&mut node.bare(&argv)).succeeded();
        populate(&work);
    }
}

#[test]
fn devices_cannot_be_created_even_in_a_writable_directory() {
    let node = Node::with(|work| plan().require(work, all_rights()));
    for (kind, name) in [("c 1 3", "char"), ("b 7 0", "block")] {
        let script = format!("mknod {name} {kind}");
        run(&mut node.wrap_sh(&script)).denied();
        run(&mut node.bare_sh(&script)).succeeded();
    }
    run(&mut node.wrap_sh("mknod fifo p && test -p fifo")).succeeded();
}

#[test]
fn directory_rights_in_a_rule_for_a_file_are_left_out() {
    let node = Node::with(|work| plan().require(&format!("{work}/file"), all_rights()));
    // The file has to exist for the required rule; without it the launch is refused.
    run(&mut node.wrap_sh("true")).refused(125, &["work/file", "test rule", "ENOENT"]);
    populate(&node.work());
    run(&mut node.wrap_sh("cat file && echo x > file")).succeeded();
    run(&mut node.wrap_sh("ls .")).denied();
    run(&mut node.wrap_sh("rm -f file && test ! -e file")).denied();
}

#[test]
fn privileges_cannot_be_gained() {
    let node = Node::new(&plan());
    let argv = ["grep", "NoNewPrivs", "/proc/self/status"];
    assert_eq!(
        run(&mut node.wrap(&argv)).succeeded().text(),
        "NoNewPrivs:\t1"
    );
    assert_eq!(
        run(&mut node.bare(&argv)).succeeded().text(),
        "NoNewPrivs:\t0"
    );
}

#[test]
fn device_ioctls_need_their_right() {
    // TIOCGPTN on a terminal, RNDGETENTCNT on a random device; exits with the error number.
    let script = |path: &str, request: &str| {
        let open = format!("open(F, '+<', '{path}') or exit 99; $b = pack('L', 0);");
        format!("{open} exit(defined ioctl(F, {request}, $b) ? 0 : $!)")
    };
    let tty = script("/dev/pts/ptmx", "0x80045430");
    let random = script("/dev/urandom", "0x80045200");
    let ioctl = FsRights::of(&[kubefence_launch_plan::FsRight::IoctlDev]);
    let node = Node::new(
        &plan()
            .require("/dev/pts", READ.union(RW_FILE).union(ioctl))
            .require("/dev/urandom", RW_FILE),
    );
    for (script, code) in [(&tty, 0), (&random, libc::EACCES)] {
        let argv = ["perl", "-e", script];
        assert_eq!(run(&mut node.wrap(&argv)).code, Some(code), "{script}");
        run(&mut node.bare(&argv)).succeeded();
    }
}

#[test]
fn a_rule_for_a_file_opens_no_directory() {
    let node = Node::with(|work| plan().require(&format!("{work}/place"), RW_FILE));
    let place = node.work().join("place");
    fs::write(&place, "text").unwrap();
    run(&mut node.wrap_sh("cat place && echo x >> place")).succeeded();

    fs::remove_file(&place).unwrap();
    fs::create_dir(&place).unwrap();
    fs::write(place.join("file"), "text").unwrap();
    run(&mut node.bare_sh("cat place/file")).succeeded();
    run(&mut node.wrap_sh("cat place/file")).denied();
    run(&mut node.wrap_sh("echo x >> place/file")).denied();
}
