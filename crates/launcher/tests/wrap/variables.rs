//! A plan by its digest, and variables from the command line: how processes join a container.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use kubefence_launch_plan::{LaunchPlan, ProfileName};

use crate::harness::*;

/// `nono wrap --profile test flags… -- argv…`, with nothing in the environment but a usual `PATH`.
fn wrap(node: &Node, flags: &[String], argv: &[&str]) -> Command {
    let mut command = Command::new(node.nono());
    command
        .args(["wrap", "--profile", PROFILE])
        .args(flags)
        .arg("--")
        .args(argv)
        .current_dir(node.work())
        .env_clear()
        .env("PATH", "/usr/bin:/bin");
    command
}

fn variables(assignments: &[(&str, &Path)]) -> Vec<String> {
    let flags = assignments
        .iter()
        .flat_map(|(name, value)| ["--var".to_owned(), format!("{name}={}", value.display())]);
    flags.collect()
}

fn dir(node: &Node, name: &str, files: &[&str]) -> PathBuf {
    let dir = node.work().join(name);
    for file in files {
        let file = dir.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, "text").unwrap();
    }
    dir
}

fn text(path: impl AsRef<Path>) -> String {
    path.as_ref().to_str().unwrap().to_owned()
}

#[test]
fn the_environment_of_a_process_that_joins_moves_nothing() {
    let node = Node::new(
        &plan()
            .optional("$HOME/.cache", all_rights())
            .optional("$TMPDIR", READ)
            .optional("$XDG_CONFIG_HOME", READ)
            .optional("$XDG_RUNTIME_DIR", READ),
    );
    let files = [".cache/x", ".config/x", "tmp/x", "run/x"];
    let (home, other) = (dir(&node, "home", &files), dir(&node, "other", &files));
    let given = variables(&[("HOME", &home), ("TMPDIR", &home.join("tmp"))]);
    let with_env = |flags: &[String], home: &Path, argv: &[&str]| {
        let mut command = wrap(&node, flags, argv);
        command
            .env("HOME", home)
            .env("TMPDIR", home.join("tmp"))
            .env("XDG_CONFIG_HOME", home.join(".config"))
            .env("XDG_RUNTIME_DIR", home.join("run"));
        run(&mut command)
    };
    for file in files {
        let (own, others) = (text(home.join(file)), text(other.join(file)));
        with_env(&[], &other, &["cat", &others]).succeeded();
        with_env(&given, &other, &["cat", &others]).denied();
        for env in [&other, &home, Path::new("/etc"), Path::new("/")] {
            let outcome = with_env(&given, env, &["cat", &own]);
            // What was not given is not there, even if this process has it.
            match file {
                "run/x" => drop(outcome.denied()),
                _ => drop(outcome.succeeded()),
            }
        }
    }
    with_env(&given, Path::new("/etc"), &["cat", "/etc/shadow"]).denied();
    let create = format!("echo x > {}/.cache/new", home.display());
    with_env(&given, &other, &["/bin/sh", "-c", &create]).succeeded();
    with_env(
        &given,
        &other,
        &["/bin/sh", "-c", "echo x > $HOME/.cache/new"],
    )
    .denied();
    with_env(&[], &other, &["/bin/sh", "-c", "echo x > $HOME/.cache/new"]).succeeded();
}

#[test]
fn what_is_given_is_judged_like_what_the_environment_says() {
    let node = Node::new(
        &plan()
            .optional("$HOME", READ)
            .optional("$WORKDIR", READ)
            .optional("$TMPDIR", READ),
    );
    let real = dir(&node, "real", &["x"]);
    symlink("/etc", node.work().join("etc")).unwrap();
    for name in ["HOME", "WORKDIR", "TMPDIR"] {
        for value in [
            "/etc",
            "/",
            "etc",
            "",
            ".",
            "/usr/../etc",
            &text(node.work().join("etc")),
        ] {
            let flags = variables(&[(name, Path::new(value))]);
            run(wrap(&node, &flags, &["cat", "/etc/shadow"]).current_dir("/")).denied();
        }
        let flags = variables(&[(name, &real)]);
        run(&mut wrap(&node, &flags, &["cat", &text(real.join("x"))])).succeeded();
    }
    run(&mut node.bare(&["cat", "/etc/shadow"])).succeeded();
}

#[test]
fn a_link_at_the_working_directory_earns_nothing() {
    let node = Node::new(&plan().optional("$WORKDIR", all_rights()));
    let (real, secret) = (dir(&node, "real", &["x"]), dir(&node, "secret", &["x"]));
    let (link, above) = (node.work().join("link"), node.work().join("above"));
    symlink(&secret, &link).unwrap();
    symlink(node.work(), &above).unwrap();
    let cat = |workdir: &Path, file: &Path| {
        let flags = variables(&[("WORKDIR", workdir)]);
        run(&mut wrap(&node, &flags, &["cat", &text(file.join("x"))]))
    };
    cat(&link, &secret).denied();
    cat(&above.join("secret"), &secret).denied();
    cat(&secret, &secret).succeeded();
    cat(&real, &real).succeeded();
    cat(&real, &secret).denied();
}

#[test]
fn the_working_directory_of_a_process_that_joins_is_not_granted() {
    let node = Node::new(&plan().optional("$WORKDIR", READ));
    let (given, own) = (dir(&node, "given", &["x"]), dir(&node, "own", &["x"]));
    let in_own = |flags: &[String], file: &Path| {
        run(wrap(&node, flags, &["cat", &text(file.join("x"))]).current_dir(&own))
    };
    let flags = variables(&[("WORKDIR", &given)]);
    in_own(&[], &own).succeeded();
    in_own(&flags, &own).denied();
    in_own(&flags, &given).succeeded();
    // With any variable: what is not given is not there.
    in_own(&variables(&[("HOME", &given)]), &own).denied();
}

fn program_plan() -> LaunchPlan {
    plan()
        .optional("$ENTRYPOINT", RX)
        .optional("$ENTRYPOINT_DIR", READ)
}

#[test]
fn the_program_of_the_container_is_granted_and_not_the_one_that_joins() {
    let node = Node::new(&program_plan());
    let (app, other) = (dir(&node, "app", &["data"]), dir(&node, "other", &["data"]));
    for dir in [&app, &other] {
        copy_program("/bin/cat", dir.join("main"));
    }
    let flags = |entrypoint: &Path| variables(&[("ENTRYPOINT", entrypoint)]);
    let (main, tool) = (text(app.join("main")), text(other.join("main")));
    let (data, others) = (text(app.join("data")), text(other.join("data")));
    let given = flags(&app.join("main"));
    run(&mut wrap(&node, &given, &["cat", &data])).succeeded();
    run(&mut wrap(&node, &given, &[&main, &data])).succeeded();
    run(&mut wrap(&node, &given, &["cat", &others])).denied();
    run(&mut wrap(&node, &given, &[&main, &others])).denied();
    run(&mut wrap(&node, &given, &[&tool, &data])).refused(126, &["does not allow to execute it"]);
    run(&mut wrap(&node, &[], &[&tool, &others])).succeeded();
    // The program itself may be a link, as it may be when the container starts; its directory is none then.
    symlink(app.join("main"), other.join("link")).unwrap();
    let given = flags(&other.join("link"));
    run(&mut wrap(&node, &given, &[&main, "/dev/null"])).succeeded();
    run(&mut wrap(&node, &given, &["cat", &others])).denied();
    run(&mut wrap(&node, &given, &["cat", &data])).denied();
}

#[test]
fn the_program_is_looked_for_as_the_container_did() {
    let node = Node::new(&program_plan());
    let app = dir(&node, "app", &["data"]);
    copy_program("/bin/cat", app.join("main"));
    symlink(&app, node.work().join("link")).unwrap();
    let work = node.work();
    let (bare, relative) = (Path::new("main"), Path::new("./app/main"));
    let none = Path::new("");
    for (entrypoint, path, workdir, is_found) in [
        (bare, &*app, None, true),
        (bare, none, Some(&*app), true),
        (bare, Path::new("/usr/bin"), Some(&*app), false),
        (bare, none, None, false),
        (relative, none, Some(&*work), true),
        (relative, none, None, false),
        (bare, none, Some(&*work.join("link")), false),
        (relative, none, Some(&*app), false),
        (Path::new("/nonexistent"), none, None, false),
    ] {
        let mut given = vec![("ENTRYPOINT", entrypoint), ("PATH", path)];
        given.extend(workdir.map(|workdir| ("WORKDIR", workdir)));
        // Neither this process's directory nor its PATH helps.
        let mut command = wrap(&node, &variables(&given), &["cat", &text(app.join("data"))]);
        command.env("PATH", format!("/usr/bin:/bin:{}", app.display()));
        let outcome = run(&mut command);
        match is_found {
            true => drop(outcome.succeeded()),
            false => drop(outcome.denied()),
        }
    }
}

#[test]
fn a_program_by_a_relative_path_is_not_reached_through_a_link() {
    let node = Node::new(&program_plan());
    let app = dir(&node, "app", &["data"]);
    copy_program("/bin/cat", app.join("main"));
    let link = node.work().join("link");
    symlink(&app, &link).unwrap();
    let from = |workdir: &Path| {
        let given = [("ENTRYPOINT", Path::new("./main")), ("WORKDIR", workdir)];
        let main = text(app.join("main"));
        run(&mut wrap(&node, &variables(&given), &[&main, "/dev/null"]))
    };
    from(&app).succeeded();
    from(&link).refused(126, &["does not allow to execute it"]);
}

#[test]
fn state_is_made_in_the_home_that_is_given() {
    let node = Node::new(
        &plan()
            .create("$HOME/state", all_rights())
            .create("$WORKDIR/state", all_rights()),
    );
    let [home, own, workdir] = ["home", "own", "workdir"].map(|name| dir(&node, name, &["x"]));
    let flags = variables(&[("HOME", &home), ("WORKDIR", &workdir)]);
    let mut command = wrap(&node, &flags, &["/bin/sh", "-c", "echo x > $STATE/x"]);
    command.env("HOME", &own).env("STATE", home.join("state"));
    run(command.current_dir(&own)).succeeded();
    assert!(home.join("state/x").exists());
    // Below the working directory nothing is made, be it given or not.
    assert!(!own.join("state").exists() && !workdir.join("state").exists());
    run(command.env("STATE", own.join("state"))).denied();
    let mut alone = wrap(&node, &[], &["/bin/sh", "-c", "echo x > $HOME/state/x"]);
    run(alone.env("HOME", &own).current_dir(&workdir)).succeeded();
    assert!(!workdir.join("state").exists());
}

#[test]
fn secrets_of_the_containers_home_stay_shut_whatever_a_process_calls_its_home() {
    let nowhere = Path::new("/nonexistent");
    for place in ["$WORKDIR", "fixed"] {
        let node = Node::with(|work| {
            let place = place.replace("fixed", work);
            plan().optional(&place, READ).deny("$HOME/.netrc")
        });
        let home = dir(&node, "home", &[".netrc"]);
        let cat = |given: &Path, own: &Path| {
            let flags = variables(&[("WORKDIR", &node.work()), ("HOME", given)]);
            let mut command = wrap(&node, &flags, &["cat", &text(home.join(".netrc"))]);
            run(command.env("HOME", own))
        };
        cat(&home, &home).denied();
        cat(&home, nowhere).denied();
        // That of the process itself is denied, too.
        cat(nowhere, &home).denied();
        cat(nowhere, nowhere).succeeded();
    }
}

/// The digest of a plan that lies among those of `node`.
fn add(node: &Node, plan: &LaunchPlan) -> String {
    let encoded = plan.encode().unwrap();
    let file = format!("plans/{}.json", encoded.digest);
    fs::write(node.nono_dir().join(file), encoded.bytes).unwrap();
    encoded.digest.to_string()
}

fn with_plan(node: &Node, digest: &str, argv: &[&str]) -> Outcome {
    run(&mut wrap(node, &["--plan".into(), digest.into()], argv))
}

#[test]
fn the_plan_of_the_digest_counts_whatever_the_name_leads_to() {
    let node = Node::new(&plan());
    let narrow = add(&node, &plan());
    let wide = add(&node, &plan().optional("/etc", READ));
    let cat = ["cat", "/etc/passwd"];
    run(&mut wrap(&node, &[], &cat)).denied();
    with_plan(&node, &wide, &cat).succeeded();
    install(&node.nono_dir(), &plan().optional("/etc", READ));
    run(&mut wrap(&node, &[], &cat)).succeeded();
    with_plan(&node, &narrow, &cat).denied();
    // Nor does it matter whether the name leads anywhere.
    fs::remove_file(node.plan_file()).unwrap();
    with_plan(&node, &wide, &cat).succeeded();
    with_plan(&node, &narrow, &cat).denied();
}

#[test]
fn a_digest_that_names_no_plan_of_the_profile_is_refused() {
    let node = Node::new(&plan());
    let good = add(&node, &plan());
    let argv = ["true"];
    with_plan(&node, &good, &argv).succeeded();
    let missing = "0".repeat(64);
    with_plan(&node, &missing, &argv).refused(125, &["has no plan", &missing]);
    let in_dir = format!("../plans/{good}");
    let upper = good.to_uppercase();
    fs::copy(
        node.plan_file(),
        node.nono_dir().join(format!("plans/{upper}.json")),
    )
    .unwrap();
    let slash = format!("./{}", &good[2..]);
    for bad in [&in_dir, &slash, &upper, "", &good[1..], "../profiles/test"] {
        with_plan(&node, bad, &argv).refused(125, &["no digest of a plan"]);
    }
    let other = LaunchPlan {
        profile: ProfileName::parse("other").unwrap(),
        ..plan()
    };
    let other = add(&node, &other);
    with_plan(&node, &other, &argv).refused(125, &["that of profile \"other\""]);
    let link = node.nono_dir().join(format!("plans/{missing}.json"));
    symlink(format!("{good}.json"), link).unwrap();
    with_plan(&node, &missing, &argv).refused(125, &[&missing, "ELOOP"]);
}
