//! The command line, the command, and exit codes.

use std::fs;
use std::process::Command;

use crate::harness::*;

#[test]
fn version_and_help_are_printed() {
    let node = Node::new(&plan());
    let version = run(Command::new(node.nono()).arg("--version")).succeeded();
    let expected = concat!("nono ", env!("CARGO_PKG_VERSION"), " (kubefence)");
    assert_eq!(version.text(), expected);
    assert!(
        run(Command::new(node.nono()).arg("--help"))
            .succeeded()
            .text()
            .starts_with("usage: nono wrap")
    );
}

#[test]
fn bad_usage_is_refused() {
    let node = Node::new(&plan());
    let cases: [(&[&str], &str); 7] = [
        (&[], "no subcommand"),
        (&["run", "x"], "unknown subcommand \"run\""),
        (&["wrap", "--", "true"], "no profile"),
        (&["wrap", "--profile", "test", "--"], "no command to run"),
        (&["wrap", "--profile", "test", "--", ""], "empty string"),
        (
            &["wrap", "--profile", "../test", "--", "true"],
            "not a profile name",
        ),
        (
            &["wrap", "--allow", "/etc", "--", "true"],
            "unknown option \"--allow\"",
        ),
    ];
    for (args, part) in cases {
        run(Command::new(node.nono()).args(args)).refused(125, &[part]);
    }
}

#[test]
fn the_workloads_end_is_the_launchers() {
    let node = Node::new(&plan());
    for code in [0, 1, 7, 125, 255] {
        assert_eq!(
            run(&mut node.wrap_sh(&format!("exit {code}"))).code,
            Some(code)
        );
    }
    assert_eq!(
        run(&mut node.wrap_sh("kill -TERM $$")).signal,
        Some(libc::SIGTERM)
    );
}

#[test]
fn a_missing_command_is_127() {
    let node = Node::new(&plan());
    for command in ["no-such-command", "/no/such", "./nope", "/bin/sh/x"] {
        run(&mut node.wrap(&[command])).refused(127, &[command, "not found"]);
    }
    run(node.wrap(&["sh"]).env("PATH", "/none:/nowhere"))
        .refused(127, &["\"sh\" not found in PATH"]);
}

#[test]
fn a_command_that_is_no_program_is_126() {
    let node = Node::with(|work| plan().require(work, RX));
    write_program(&node.work().join("data"), "text", 0o644);
    write_program(
        &node.work().join("script"),
        "#!/no/such/interpreter\n",
        0o755,
    );
    run(&mut node.wrap(&["./data"])).refused(126, &["./data", "EACCES"]);
    run(&mut node.wrap(&["/usr"])).refused(126, &["\"/usr\"", "EISDIR"]);
    run(&mut node.wrap(&["/dev/null"])).refused(126, &["/dev/null"]);
    run(node.wrap(&["data"]).env("PATH", node.work())).refused(126, &["work/data"]);
    run(&mut node.wrap(&["./script"])).refused(126, &["./script", "interpreter"]);
}

#[test]
fn a_command_that_is_not_granted_is_126() {
    let node = Node::new(&plan());
    copy_program("/bin/true", node.work().join("prog"));
    run(&mut node.wrap(&["./prog"])).refused(126, &["./prog", "profile does not allow"]);
    run(&mut node.bare(&["./prog"])).succeeded();
    install(&node.nono_dir(), &plan().require("$ENTRYPOINT", RX));
    run(&mut node.wrap(&["./prog"])).succeeded();
}

#[test]
fn the_command_is_found_as_execvp_finds_it() {
    let node = Node::with(|work| plan().require(work, RX));
    let work = node.work();
    fs::create_dir(work.join("bin")).unwrap();
    write_program(&work.join("here"), "#!/bin/sh\necho here\n", 0o755);
    write_program(
        &work.join("bin/both"),
        "#!/bin/sh\necho executable\n",
        0o755,
    );
    write_program(&work.join("both"), "not executable", 0o644);
    let path = format!("{0}:/no:{0}/bin", work.display());
    let echo = |command: &str, path: &str| {
        let outcome = run(node.wrap(&[command]).env("PATH", path)).succeeded();
        outcome.text().to_owned()
    };
    assert_eq!(echo("./here", "/none"), "here");
    assert_eq!(echo("bin/both", "/none"), "executable");
    assert_eq!(echo("both", &path), "executable");
    assert_eq!(echo("here", "/none:"), "here");
    assert_eq!(echo("here", ""), "here");
    let bare = run(node
        .wrap(&["sh", "-c", "echo $0 $1", "a", "b"])
        .env_remove("PATH"))
    .succeeded();
    assert_eq!(bare.text(), "a b");
}

#[test]
fn a_script_without_interpreter_line_is_run_by_sh() {
    let node = Node::with(|work| plan().require(work, RX));
    write_program(&node.work().join("script"), "echo \"$0\" \"$@\"\n", 0o755);
    let outcome = run(&mut node.wrap(&["./script", "a", "b c"])).succeeded();
    assert_eq!(outcome.text(), "./script a b c");
    write_program(&node.work().join("false"), "exit 3\n", 0o755);
    assert_eq!(run(&mut node.wrap(&["./false"])).code, Some(3));
}

#[test]
fn sixteen_sandboxes_nest_and_the_next_is_refused() {
    // On a kernel with a nested limit of 16, and unless this test itself runs in a sandbox.
    let node = Node::new(&plan());
    let nono = node.nono();
    install(
        &node.nono_dir(),
        &plan().require(node.nono_dir().to_str().unwrap(), RX),
    );
    let nested = |layers: usize| {
        let layer = [nono.to_str().unwrap(), "wrap", "--profile", PROFILE, "--"];
        let mut argv: Vec<&str> = layer.repeat(layers);
        argv.extend(["echo", "hi"]);
        run(&mut node.bare(&argv))
    };
    assert_eq!(nested(2).succeeded().text(), "hi");
    assert_eq!(nested(16).succeeded().text(), "hi");
    nested(17).refused(125, &["landlock_restrict_self", "16 sandboxes are nested"]);
}

#[test]
fn a_hostile_name_stays_on_one_line() {
    let node = Node::new(&plan());
    let command = "/a\nnono: fine\x1b[2J\u{202e}";
    let outcome =
        run(&mut node.wrap(&[command])).refused(127, &[r"/a\nnono: fine\u{1b}[2J\u{202e}"]);
    assert!(outcome.stderr.trim_end().chars().all(|c| !c.is_control()));
}
