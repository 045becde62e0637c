//! Variables, links and deny places: what the image says is judged.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::harness::*;

/// Reads a secret that stands in for all that the image may not open up.
const READ_SHADOW: &str = "/etc/shadow";

#[test]
fn home_is_granted_where_it_lies() {
    let node = Node::new(
        &plan()
            .optional("$HOME/.cache", all_rights())
            .optional("$HOME", READ),
    );
    let home = node.work().join("home");
    fs::create_dir_all(home.join(".cache")).unwrap();
    let script = "ls $HOME && echo x > $HOME/.cache/x && cat $HOME/.cache/x && ! echo x > $HOME/y";
    for home in [home.clone(), home.join(".//.cache/./").join("./")] {
        let script = if home.ends_with(".cache") {
            "ls $HOME"
        } else {
            script
        };
        let outcome = run(node.wrap_sh(script).env("HOME", &home));
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
    }
    run(node.wrap_sh("ls $HOME").env("HOME", node.path("nono"))).succeeded();
}

#[test]
fn variables_that_lead_to_the_system_are_refused() {
    let node = Node::new(
        &plan()
            .optional("$HOME", all_rights())
            .optional("$TMPDIR", all_rights()),
    );
    let link = node.work().join("link");
    symlink("/etc", &link).unwrap();
    let dotted = node.work().join("../../../etc");
    let values: [&OsStr; 10] = [
        "/etc".as_ref(),
        "/".as_ref(),
        "//".as_ref(),
        "/etc/../etc".as_ref(),
        "etc".as_ref(),
        "".as_ref(),
        "/usr/../etc".as_ref(),
        "/proc/self/root/etc".as_ref(),
        link.as_ref(),
        dotted.as_ref(),
    ];
    for name in ["HOME", "TMPDIR"] {
        for value in values {
            let mut command = node.wrap(&["cat", READ_SHADOW]);
            command
                .env_remove("HOME")
                .env_remove("TMPDIR")
                .env(name, value)
                .current_dir("/");
            let outcome = run(&mut command).denied();
            assert!(
                outcome.stderr.contains("Permission denied"),
                "{value:?} {outcome:?}"
            );
        }
    }
    run(&mut node.bare(&["cat", READ_SHADOW])).succeeded();
}

#[test]
fn the_root_as_working_directory_is_not_granted() {
    let node = Node::new(&plan().require("$WORKDIR", all_rights()));
    run(node.wrap(&["cat", READ_SHADOW]).current_dir("/")).denied();
    run(node.wrap(&["ls", "."]).current_dir("/etc")).denied();
    run(node.bare(&["ls", "."]).current_dir("/etc")).succeeded();
    run(&mut node.wrap_sh("echo x > y && cat y")).succeeded();
}

#[test]
fn a_leaked_descriptor_is_no_home() {
    let node = Node::new(&plan().optional("$HOME", READ));
    let secret = node.path("secret");
    fs::create_dir(&secret).unwrap();
    let script = "exec 7< $1; shift; HOME=/proc/self/fd/7 exec \"$@\"";
    let secret = secret.to_str().unwrap().to_owned();
    let through = |tail: &[&str]| {
        let argv = [&["/bin/bash", "-c", script, "bash", &secret], tail].concat();
        run(&mut node.bare(&argv))
    };
    let nono = node.nono();
    through(&[
        nono.to_str().unwrap(),
        "wrap",
        "--profile",
        PROFILE,
        "ls",
        &secret,
    ])
    .denied();
    run(node.wrap(&["ls", &secret]).env("HOME", &secret)).succeeded();
}

#[test]
fn required_places_must_exist_and_optional_ones_need_not() {
    let missing = "$HOME/missing";
    let node = Node::new(&plan().optional(missing, READ).optional("/none/x", READ));
    run(node.wrap(&["true"]).env("HOME", node.work())).succeeded();
    run(node.wrap(&["true"]).env("HOME", "/etc/passwd")).succeeded(); // ENOTDIR
    run(node.wrap(&["true"]).env_remove("HOME")).succeeded();
    install(&node.nono_dir(), &plan().require(missing, READ));
    let home = node.work();
    run(node.wrap(&["true"]).env("HOME", home)).refused(125, &[missing, "test rule", "ENOENT"]);
    run(node.wrap(&["true"]).env_remove("HOME"))
        .refused(125, &[missing, "test rule", "does not exist"]);
    install(&node.nono_dir(), &plan().require("/none/x", READ));
    run(&mut node.wrap(&["true"])).refused(125, &["/none/x", "test rule", "ENOENT"]);
}

#[test]
fn a_loop_of_links_grants_nothing() {
    let node = Node::new(&plan().optional("$HOME", READ));
    let link = node.work().join("loop");
    symlink(&link, &link).unwrap();
    run(node.wrap(&["ls", "."]).env("HOME", &link)).denied();
    run(node.wrap(&["ls", "."]).env("HOME", node.work())).succeeded();
}

#[test]
fn a_name_that_is_too_long_names_no_place() {
    let node = Node::new(&plan().optional("$HOME", READ));
    let long = format!("/{}", "x".repeat(300));
    run(node.wrap(&["true"]).env("HOME", long)).succeeded();
}

#[test]
fn another_error_ends_the_launch() {
    let long = format!("/{}", "x".repeat(300));
    let node = Node::new(&plan().optional(&long, READ));
    run(&mut node.wrap(&["true"])).refused(125, &["ENAMETOOLONG"]);
}

#[test]
fn an_unreachable_optional_place_is_left_out() {
    let node = Node::with(|work| plan().optional(&format!("{work}/closed/x"), READ));
    fs::create_dir_all(node.work().join("closed/x")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    fs::set_permissions(node.work().join("closed"), mode).unwrap();
    run(node.wrap(&["true"]).uid(65532).gid(65532)).succeeded();
}

#[test]
fn a_link_in_place_of_a_fixed_path_earns_nothing() {
    let node = Node::new(&plan());
    let (link, data) = (node.path("opt"), node.path("data"));
    fs::create_dir(&data).unwrap();
    fs::write(data.join("token"), "public").unwrap();
    let token = link.join("token");
    let argv = ["cat", token.to_str().unwrap()];
    symlink(&data, &link).unwrap();
    install(
        &node.nono_dir(),
        &plan().optional(link.to_str().unwrap(), all_rights()),
    );
    run(&mut node.bare(&argv)).succeeded();
    run(&mut node.wrap(&argv)).denied();
    // Unless what it leads to is granted itself.
    install(
        &node.nono_dir(),
        &plan()
            .optional(link.to_str().unwrap(), all_rights())
            .optional(data.to_str().unwrap(), READ),
    );
    run(&mut node.wrap(&argv)).succeeded();
}

#[test]
fn the_service_account_token_stays_shut_where_var_run_is_a_directory() {
    // As in busybox images: /opt -> /var/run/secrets, and /var/run is no link.
    let root = scratch();
    let root = root.path();
    install(
        &root.join("nono"),
        &plan()
            .optional("/opt", all_rights())
            .optional("$WORKDIR", RX),
    );
    for dir in ["bin", "proc", "var/run/secrets", "app"] {
        fs::create_dir_all(root.join(dir)).unwrap();
    }
    copy_program("/bin/busybox", root.join("bin/busybox"));
    fs::write(root.join("var/run/secrets/token"), "secret").unwrap();
    symlink("/var/run/secrets", root.join("opt")).unwrap();
    let cat = |dir: &str, nono: &str| {
        let chroot = format!("cd $1{dir}; exec perl -e 'chroot(shift) or die; exec(@ARGV)' $1");
        let script =
            format!("mount -t proc proc $1/proc; {chroot} {nono} /bin/busybox cat /opt/token");
        run_in_mount_namespace(&script, &[root.to_str().unwrap()])
    };
    let nono = "/nono/nono wrap --profile test --";
    cat("/app", nono).denied();
    cat("/var/run/secrets", nono).denied();
    cat("/app", "").succeeded();
}

#[test]
fn deny_places_drop_what_would_open_them() {
    let deny = |path: &str| plan().optional("$HOME", READ).deny(path);
    let node = Node::new(&plan());
    let home = node.work();
    fs::create_dir_all(home.join(".ssh")).unwrap();
    symlink(&home, node.path("link")).unwrap();
    fs::create_dir(node.path("keys")).unwrap();
    symlink(node.path("keys"), home.join("keys")).unwrap();
    let via_link = format!("{}/.ssh", node.path("link").display());
    let direct = home.join(".ssh");
    let list = |home: &std::path::Path| run(node.wrap_sh("ls $HOME").env("HOME", home));
    for (denied, home) in [
        ("$HOME/.ssh", &home),
        (direct.to_str().unwrap(), &home),
        (via_link.as_str(), &home),
        (via_link.as_str(), &direct),
        ("$HOME/keys", &home),
    ] {
        install(&node.nono_dir(), &deny(denied));
        list(home).denied();
        install(&node.nono_dir(), &deny("$HOME/absent"));
        list(home).succeeded();
    }
    // What a denied link leads to is denied as well.
    let link = home.join("keys");
    install(&node.nono_dir(), &deny(link.to_str().unwrap()));
    list(&node.path("keys")).denied();
    // A rule for a fixed path does not change that.
    let fixed = |denied| deny(denied).require(home.to_str().unwrap(), READ);
    install(&node.nono_dir(), &fixed("$HOME/.ssh"));
    list(&home).denied();
    install(&node.nono_dir(), &fixed("$HOME/absent"));
    list(&home).succeeded();
}

#[test]
fn no_link_leads_to_a_place() {
    for (variable, link) in [
        ("HOME", ""),
        ("HOME", "/.npm"),
        ("TMPDIR", ""),
        ("XDG_CACHE_HOME", ""),
        ("XDG_CACHE_HOME", "/.npm"),
    ] {
        let place = format!("${variable}{link}");
        let node = Node::new(&plan().optional(&place, all_rights()));
        let (scratch, app) = (node.work().join("t"), node.path("app"));
        fs::create_dir(&app).unwrap();
        fs::write(app.join("main"), "code").unwrap();
        fs::create_dir_all(node.work()).unwrap();
        let at = std::path::PathBuf::from(format!("{}{link}", scratch.display()));
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        let script = format!("cat {0}/main && echo x > {0}/x", app.display());
        symlink(&app, &at).unwrap();
        run(node.wrap_sh(&script).env(variable, &scratch)).denied();
        run(&mut node.bare_sh(&script)).succeeded();
        // The twin: the place itself.
        fs::remove_file(&at).unwrap();
        fs::rename(&app, &at).unwrap();
        let script = "cat $0/main && echo x > $0/x".replace("$0", at.to_str().unwrap());
        run(node.wrap_sh(&script).env(variable, &scratch)).succeeded();
    }
}

#[test]
fn no_link_below_the_working_directory_is_followed() {
    let node = Node::new(&plan().optional("$WORKDIR/cache", all_rights()));
    let (app, link) = (node.path("app"), node.work().join("cache"));
    fs::create_dir(&app).unwrap();
    symlink(&app, &link).unwrap();
    run(&mut node.wrap_sh("echo x > cache/x")).denied();
    run(&mut node.bare_sh("echo x > cache/x")).succeeded();
    fs::remove_file(&link).unwrap();
    fs::create_dir(&link).unwrap();
    run(&mut node.wrap_sh("echo x > cache/x")).succeeded();
}

#[test]
fn a_program_behind_a_link_does_not_open_its_directory() {
    let node = Node::new(
        &plan()
            .optional("$ENTRYPOINT", RX)
            .optional("$ENTRYPOINT_DIR", RX),
    );
    let dir = node.path("tools");
    fs::create_dir(&dir).unwrap();
    write_program(&dir.join("run"), "#!/bin/sh\ncat \"$1\"\n", 0o755);
    fs::write(dir.join("notes"), "text").unwrap();
    symlink(dir.join("run"), node.path("link")).unwrap();
    symlink(&dir, node.path("linked")).unwrap();
    let start = |program: &str, file: &str, wrapped: bool| {
        let (program, file) = (node.path(program), dir.join(file));
        let argv = [program.to_str().unwrap(), file.to_str().unwrap()];
        match wrapped {
            true => run(&mut node.wrap(&argv)),
            false => run(&mut node.bare(&argv)),
        }
    };
    start("tools/run", "notes", true).succeeded();
    for link in ["link", "linked/run"] {
        start(link, "notes", false).succeeded();
        start(link, "notes", true).denied();
        start(link, "run", true).succeeded();
    }
}

#[test]
fn a_working_directory_outside_the_root_is_refused() {
    let root = scratch();
    let root = root.path();
    install(&root.join("nono"), &plan().optional("$ENTRYPOINT", RX));
    fs::create_dir_all(root.join("proc")).unwrap();
    fs::create_dir_all(root.join("bin")).unwrap();
    copy_program("/bin/busybox", root.join("bin/busybox"));
    // chroot(2) leaves the working directory where it is.
    let chroot =
        "exec perl -e 'chroot(shift) or die; exec(@ARGV)' $1 /nono/nono wrap --profile test";
    let start = |cd: &str| {
        let script = format!("mount -t proc proc $1/proc; {cd}; {chroot} /bin/busybox echo hi");
        run_in_mount_namespace(&script, &[root.to_str().unwrap()])
    };
    start("cd /srv").refused(125, &["outside the root", "(unreachable)/srv"]);
    start("mkdir /tmp/nono-gone; cd /tmp/nono-gone; rmdir /tmp/nono-gone")
        .refused(125, &["outside the root"]);
    assert_eq!(start("cd $1/bin").succeeded().text(), "hi");
    assert_eq!(
        start("mkdir $1/gone; cd $1/gone; rmdir $1/gone")
            .succeeded()
            .text(),
        "hi"
    );
}

#[test]
fn a_deleted_working_directory_stays_the_working_directory() {
    let node = Node::new(&plan().optional("$WORKDIR", all_rights()));
    let script = "mkdir a a/b && cd a/b && rm -r ../../a && \"$@\"";
    let nono = node.nono();
    let argv = [
        "/bin/sh",
        "-c",
        script,
        "sh",
        nono.to_str().unwrap(),
        "wrap",
        "--profile",
        PROFILE,
    ];
    let argv = [&argv[..], &["readlink", "/proc/self/cwd"]].concat();
    let outcome = run(Command::new(argv[0])
        .args(&argv[1..])
        .current_dir(node.work()))
    .succeeded();
    assert!(
        outcome.text().ends_with("/work/a/b (deleted)"),
        "{outcome:?}"
    );
}
