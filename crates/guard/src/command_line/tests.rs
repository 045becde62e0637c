//! What callers really send, what none may send, and that no runtime reads otherwise what is let through.

mod models;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use self::models::Reading;
use super::{
    Create, CreateKind, Delete, Exec, ExecForm, Global, Invocation, LogFormat, PASSED_ON,
    UsageError, global, parse,
};

/// The words of `line` behind the program; `''` is an empty one.
fn argv(line: &str) -> Vec<OsString> {
    let words = line
        .split_whitespace()
        .map(|word| if word == "''" { "" } else { word });
    std::iter::once("nono-runc")
        .chain(words)
        .map(OsString::from)
        .collect()
}

fn read(line: &str) -> Result<Invocation, UsageError> {
    parse(&argv(line))
}

fn refusal(line: &str) -> String {
    match read(line) {
        Err(error) => error.to_string(),
        Ok(invocation) => panic!("{line:?} was read as {invocation:?}"),
    }
}

fn root(root: &str) -> Global {
    Global {
        root: Some(PathBuf::from(root)),
        ..Global::default()
    }
}

fn shim() -> Global {
    Global {
        root: Some(PathBuf::from("/run/containerd/runc/k8s.io")),
        log: Some(PathBuf::from("/b/log.json")),
        log_format: LogFormat::Json,
    }
}

const SHIM: &str = "--root /run/containerd/runc/k8s.io --log /b/log.json --log-format json";

fn created(
    global: Global,
    bundle: &str,
    id: &str,
    preserve_fds: u32,
    command: CreateKind,
) -> Invocation {
    let (bundle, id) = (PathBuf::from(bundle), id.to_owned());
    Invocation::Create(Create {
        global,
        bundle,
        id,
        preserve_fds,
        command,
    })
}

fn executed(global: Global, id: &str, preserve_fds: u32, form: ExecForm) -> Invocation {
    Invocation::Exec(Exec {
        global,
        id: id.to_owned(),
        preserve_fds,
        form,
    })
}

fn file(path: &str) -> ExecForm {
    ExecForm::File {
        path: PathBuf::from(path),
    }
}

fn deleted(global: Global, id: Option<&str>) -> Invocation {
    Invocation::Delete(Delete {
        global,
        id: id.map(str::to_owned),
    })
}

#[test]
fn what_the_shim_of_containerd_sends_is_read() {
    let create = |fds| created(shim(), "/b", "c1", fds, CreateKind::Create);
    let exec = |fds| executed(shim(), "c1", fds, file("/tmp/runc-process1"));
    let cases = [
        (
            "--systemd-cgroup create --bundle /b --pid-file /b/init.pid c1",
            create(0),
        ),
        (
            "create --bundle /b --pid-file /b/init.pid --console-socket /tmp/pty1/pty.sock c1",
            create(0),
        ),
        (
            "--rootless=true create --bundle /b --pid-file /b/init.pid --no-new-keyring c1",
            create(0),
        ),
        (
            "--debug create --bundle /b --pid-file /b/init.pid --preserve-fds 2 c1",
            create(2),
        ),
        (
            "exec --process /tmp/runc-process1 --detach --pid-file /b/e.pid c1",
            exec(0),
        ),
        (
            "exec --process /tmp/runc-process1 --console-socket /p/pty.sock --detach --pid-file /b/e.pid c1",
            exec(0),
        ),
        (
            "exec --process /tmp/runc-process1 --preserve-fds 1 c1",
            exec(1),
        ),
        (
            "run --bundle /b --pid-file /b/p --detach c1",
            created(shim(), "/b", "c1", 0, CreateKind::Run),
        ),
        ("delete c1", deleted(shim(), Some("c1"))),
        (
            "--systemd-cgroup delete --force c1",
            deleted(shim(), Some("c1")),
        ),
    ];
    for (line, wanted) in cases {
        assert_eq!(read(&format!("{SHIM} {line}")), Ok(wanted), "{line}");
    }
}

#[test]
fn what_cri_o_and_its_conmon_send_is_read() {
    let cases = [
        (
            "--systemd-cgroup --root=/run/runc create --bundle /b --pid-file /b/pidfile c1",
            created(root("/run/runc"), "/b", "c1", 0, CreateKind::Create),
        ),
        (
            "--root=/run/runc create --bundle /b --pid-file /b/pidfile --console-socket /p/s c1",
            created(root("/run/runc"), "/b", "c1", 0, CreateKind::Create),
        ),
        (
            "--root=/run/runc exec --pid-file /b/p --process /b/exec-1 --detach --console-socket /p/s c1",
            executed(root("/run/runc"), "c1", 0, file("/b/exec-1")),
        ),
        (
            "--root /run/runc --systemd-cgroup exec --process /b/exec-1 c1",
            executed(root("/run/runc"), "c1", 0, file("/b/exec-1")),
        ),
        (
            "--root /run/runc --systemd-cgroup delete --force c1",
            deleted(root("/run/runc"), Some("c1")),
        ),
    ];
    for (line, wanted) in cases {
        assert_eq!(read(line), Ok(wanted), "{line}");
    }
}

#[test]
fn what_podman_and_its_conmon_send_is_read() {
    let logged = |line: &str| format!("--log-format=json --log /u/oci-log {line}");
    let json = Global {
        log: Some(PathBuf::from("/u/oci-log")),
        log_format: LogFormat::Json,
        root: None,
    };
    let cases = [
        (
            logged("create --bundle /u --pid-file /r/pidfile --no-new-keyring c1"),
            created(json.clone(), "/u", "c1", 0, CreateKind::Create),
        ),
        (
            logged("exec --pid-file /u/p --process /u/exec-process-1 --detach --preserve-fds 1 c1"),
            executed(json, "c1", 1, file("/u/exec-process-1")),
        ),
        (
            "create --bundle /u --pid-file /r/pidfile c1".to_owned(),
            created(Global::default(), "/u", "c1", 0, CreateKind::Create),
        ),
        (
            "delete --force c1".to_owned(),
            deleted(Global::default(), Some("c1")),
        ),
    ];
    for (line, wanted) in cases {
        assert_eq!(read(&line), Ok(wanted), "{line}");
    }
}

#[test]
fn what_people_type_is_read() {
    let here = |kind| created(Global::default(), ".", "c1", 0, kind);
    let argv = |command| executed(Global::default(), "c1", 0, ExecForm::Argv { command });
    let cases = [
        ("create c1", here(CreateKind::Create)),
        ("run --keep --no-subreaper -d c1", here(CreateKind::Run)),
        (
            "run -b /b c1",
            created(Global::default(), "/b", "c1", 0, CreateKind::Run),
        ),
        (
            "run --bundle=/b --preserve-fds=0 c1",
            created(Global::default(), "/b", "c1", 0, CreateKind::Run),
        ),
        ("exec c1 sh", argv(3)),
        ("exec c1 sh -c -- --process", argv(3)),
        (
            "exec -t -u 0:0 -e A=1 -e B= --cap CAP_KILL --cap CAP_CHOWN -g 7 -g 8 c1 ls -l",
            argv(18),
        ),
        (
            "exec --tty --cwd=/ --no-new-privs --ignore-paused --cgroup=/x --apparmor p --process-label l c1 ls",
            argv(12),
        ),
        (
            "exec -p /p.json -d c1",
            executed(Global::default(), "c1", 0, file("/p.json")),
        ),
    ];
    for (line, wanted) in cases {
        assert_eq!(read(line), Ok(wanted), "{line}");
    }
}

#[test]
fn what_starts_nothing_is_passed_on_whatever_stands_behind_it() {
    let from_callers = [
        "",
        "--version",
        "--root /r --log /l --log-format json --version",
        "--help",
        "features",
        "--root=/r start c1",
        "kill --all c1 9",
        "kill -a c1 9",
        "kill c1 KILL",
        "state c1",
        "ps --format json c1",
        "events --stats c1",
        "update --resources=- c1",
        "--root /r update --resources - c1",
        "pause c1",
        "resume c1",
        "list --format=json",
        "checkpoint --image-path /i --leave-running c1",
        "create --help",
        "exec -h",
    ];
    for line in from_callers {
        assert_eq!(read(line), Ok(Invocation::PassOn), "{line}");
    }
    for command in PASSED_ON {
        let line = format!("{command} --what -ever -- c1 '' exec");
        assert_eq!(read(&line), Ok(Invocation::PassOn), "{line}");
    }
}

#[test]
fn kill_and_delete_work_whatever_the_global_flags_say_as_long_as_the_command_can_be_told() {
    let odd = [
        "--root ''",
        "--root /a --root /b",
        "--debug=true",
        "--log --log",
        "--log-format yaml",
        "--root=-x",
    ];
    for globals in odd {
        assert_eq!(
            read(&format!("{globals} kill c1 9")),
            Ok(Invocation::PassOn),
            "{globals}"
        );
        let delete = read(&format!("{globals} delete c1"));
        assert!(
            matches!(delete, Ok(Invocation::Delete(_))),
            "{globals}: {delete:?}"
        );
    }
    for globals in [
        "--unknown",
        "--unknown=1",
        "--",
        "-",
        "-root /r",
        "-r /r",
        "--roo /r",
        "--version",
        "--root",
    ] {
        refusal(&format!("{globals} kill c1 9"));
        refusal(&format!("{globals} create c1"));
    }
}

#[test]
fn the_id_of_a_delete_is_told_only_if_it_is_certain() {
    for line in [
        "delete c1",
        "delete --force c1",
        "delete -f c1",
        "delete c1 --force",
        "--root /r delete c1",
    ] {
        assert!(
            matches!(read(line), Ok(Invocation::Delete(Delete { id: Some(id), .. })) if id == "c1"),
            "{line}"
        );
    }
    let unclear = [
        "delete",
        "delete --force",
        "delete c1 c2",
        "delete --regex c",
        "delete -- c1",
        "delete ../c1",
        "delete --help",
        "--root /a --root /b delete c1",
    ];
    for line in unclear {
        assert!(
            matches!(read(line), Ok(Invocation::Delete(Delete { id: None, .. }))),
            "{line}"
        );
    }
}

#[test]
fn other_commands_are_refused() {
    for line in [
        "restore c1",
        "init",
        "mounts add c1",
        "info",
        "completion",
        "h",
        "Create c1",
        "exe c1 sh",
        "'' create c1",
    ] {
        let message = refusal(line);
        assert!(
            message.starts_with("command ") && message.contains("start, kill, state"),
            "{message}"
        );
    }
}

#[test]
fn every_trick_is_refused_with_the_argument_that_is_wrong() {
    let cases = [
        (
            "create --unknown c1",
            "create flag \"--unknown\" is not let through: nono-runc takes --bundle (-b), ",
        ),
        ("create -bundle /b c1", "create flag \"-bundle\""),
        ("create -b/b c1", "create flag \"-b/b\""),
        ("create -b=/b c1", "create flag \"-b=/b\""),
        ("create --bun /b c1", "create flag \"--bun\""),
        ("create -p /pid c1", "create flag \"-p\""),
        (
            "create --no-pivot c1",
            "a container whose root was changed by chroot",
        ),
        (
            "run --no-pivot=false c1",
            "a container whose root was changed by chroot",
        ),
        ("create --config /c.json c1", "this names another file"),
        ("run -f /c.json c1", "this names another file"),
        ("create --detach c1", "create flag \"--detach\""),
        (
            "create c1 --bundle /b",
            "create has \"--bundle\" behind the container's ID \"c1\"",
        ),
        ("create c1 c2", "create has \"c2\" behind"),
        ("run c1 -d", "run has \"-d\" behind"),
        ("create", "create names no container"),
        ("create --bundle /b", "create names no container"),
        ("create --bundle", "create flag --bundle has no value"),
        (
            "create --bundle '' c1",
            "create flag --bundle has the value \"\"",
        ),
        (
            "create --bundle= c1",
            "create flag --bundle has the value \"\"",
        ),
        (
            "create --bundle --pid-file /p c1",
            "create flag --bundle has the value \"--pid-file\"",
        ),
        (
            "create --bundle /a --bundle /b c1",
            "create flag --bundle is given more than once",
        ),
        (
            "create -b /a --bundle /b c1",
            "create flag --bundle is given more than once",
        ),
        (
            "run -d --detach c1",
            "run flag --detach is given more than once",
        ),
        (
            "run --detach=false c1",
            "run flag --detach has the value \"false\"",
        ),
        ("create -- c1", "create flag \"--\""),
        ("create - c1", "create flag \"-\""),
        ("create --help c1", "create flag \"--help\""),
        ("create -h --bundle /b c1", "create flag \"-h\""),
        ("create ''", "create names container \"\""),
        ("create .", "create names container \".\""),
        ("create ..", "create names container \"..\""),
        ("create a/b", "create names container \"a/b\""),
        (
            "create --preserve-fds 010 c1",
            "--preserve-fds has the value \"010\"",
        ),
        (
            "create --preserve-fds 0x1 c1",
            "--preserve-fds has the value \"0x1\"",
        ),
        (
            "create --preserve-fds +1 c1",
            "--preserve-fds has the value \"+1\"",
        ),
        (
            "create --preserve-fds 2147483648 c1",
            "--preserve-fds has the value \"2147483648\"",
        ),
        (
            "exec --preserve-fds 1_0 c1 sh",
            "--preserve-fds has the value \"1_0\"",
        ),
        (
            "exec --process /p c1 sh",
            "exec has both --process and the command \"sh\"",
        ),
        ("exec --proc /p c1", "exec flag \"--proc\""),
        ("exec -process /p c1", "exec flag \"-process\""),
        ("exec -p/p c1", "exec flag \"-p/p\""),
        ("exec -td c1 sh", "exec flag \"-td\""),
        (
            "exec --tty=false c1 sh",
            "exec flag --tty has the value \"false\"",
        ),
        ("exec -- c1 sh", "exec flag \"--\""),
        ("exec c1 -- sh", "exec has \"--\" behind"),
        ("exec c1 --process /p", "exec has \"--process\" behind"),
        ("exec c1 '' sh", "exec has \"\" behind"),
        (
            "exec c1",
            "exec into container \"c1\" names nothing to start",
        ),
        ("exec --process /p", "exec names no container"),
        ("exec --env c1", "exec names no container"),
        (
            "exec --process /p --process /q c1",
            "exec flag --process is given more than once",
        ),
        (
            "--root /a --root /b create c1",
            "global flag --root is given more than once",
        ),
        (
            "--root '' exec c1 sh",
            "global flag --root has the value \"\"",
        ),
        (
            "--debug=true run c1",
            "global flag --debug has the value \"true\"",
        ),
        (
            "--log --log-format json create c1",
            "command \"json\" is not let through",
        ),
    ];
    for (line, wanted) in cases {
        let message = refusal(line);
        assert!(message.contains(wanted), "{line}: {message}");
    }
}

#[test]
fn an_id_has_at_most_1024_bytes() {
    assert!(read(&format!("create {}", "a".repeat(1024))).is_ok());
    refusal(&format!("create {}", "a".repeat(1025)));
    assert!(read("create A-Z_a.z+09").is_ok());
}

#[test]
fn what_is_not_utf_8_is_refused_only_where_the_guard_has_to_understand_it() {
    let with = |line: &str| -> Vec<OsString> {
        let other = |word: OsString| match word.to_str() {
            Some(word) => OsString::from_vec(
                word.bytes()
                    .map(|b| if b == b'?' { 0xff } else { b })
                    .collect(),
            ),
            None => word,
        };
        argv(line).into_iter().map(other).collect()
    };
    for line in [
        "create --bundle /? c1",
        "--root /? create c1",
        "--root=/? exec c1 sh",
        "exec --process=/? c1",
        "exec --preserve-fds ? c1 sh",
        "create c?",
        "create --bundle? /b c1",
        "?",
    ] {
        assert!(parse(&with(line)).is_err(), "{line}");
    }
    for line in [
        "exec --cwd /? --env A=? c1 sh ? -?",
        "create --pid-file=/? c1",
        "--log /? run c1",
        "kill ? --?",
        "--root /? delete c1",
    ] {
        assert!(parse(&with(line)).is_ok(), "{line}");
    }
    let Ok(Invocation::Exec(Exec {
        form: ExecForm::Argv { command },
        ..
    })) = parse(&with("exec c1 ? a"))
    else {
        panic!("not read as a command");
    };
    assert_eq!(with("exec c1 ? a")[command], OsString::from_vec(vec![0xff]));
}

#[test]
fn the_log_is_known_even_if_the_rest_of_the_line_is_refused() {
    assert_eq!(
        global(&argv(&format!("{SHIM} --unknown create c1"))),
        shim()
    );
    assert_eq!(global(&argv(&format!("{SHIM} restore c1"))), shim());
    assert_eq!(
        global(&argv("--log=file:/l create c1")).log,
        Some(PathBuf::from("/l"))
    );
    assert_eq!(global(&argv("--log journald:c1 create c1")).log, None);
    assert_eq!(
        global(&argv("--log /a --log /b create")).log,
        Some(PathBuf::from("/b"))
    );
    assert_eq!(global(&argv("create --log /l c1")), Global::default());
    assert_eq!(global(&[]), Global::default());
}

/// A generator that needs no crate: xorshift.
struct Dice(u64);

impl Dice {
    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        from[(self.0 % from.len() as u64) as usize]
    }
}

/// Words of which lines are made, those that mislead included.
const WORDS: &str = "create run exec exec kill delete c1 c2 sh /b . -- - --bundle --bundle=/b --bundle=-x -b -b/b -b=/b --bun=/q \
    -bundle --config --config=/c -f --conf=/c --process --process=/p --proc=/p -process -p -p/p -p=/p --process-label \
    --pid-file --pid-file=/f --pidfd-socket --console-socket=/s --detach --detach=true -d -td -t --tty --tty=no --env -e \
    -e=A=1 A=1 --cap -c -cX --preserve-fds --preserve-fds=3 --preserve-fds=010 010 0x3 2 --root --root=/r --roo=/r -root -r --rootless true \
    --debug --debug=0 --log --log=/l --log-format=json --keep --no-subreaper --no-new-keyring --no-pivot --help -h --version \
    --user=0 -u 0 --cwd=/ --cgroup=/x --systemd-cgroup -s -g 7";

fn lines(count: usize) -> impl Iterator<Item = String> {
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    (0..count).map(move |_| {
        // Most lines of words alone would end at the first: a command, mostly after good globals, makes many go on.
        let globals = dice.pick(&["", "", "", "--root=/r", "--root /r --debug", "*"]);
        let command = dice.pick(&["create", "run", "exec", "exec", "exec", "*", "delete"]);
        let length = dice.pick(&["*", "* *", "* * *", "* * * *", "* * * * * *"]);
        let line = format!("{globals} {command} {length}");
        line.split_whitespace()
            .map(|word| if word == "*" { dice.pick(&words) } else { word }.to_owned() + " ")
            .collect()
    })
}

#[test]
fn a_command_of_exec_is_never_empty() {
    let mut read_so = 0;
    for line in lines(60_000) {
        let argv = argv(&line);
        if let Ok(Invocation::Exec(Exec {
            id,
            form: ExecForm::Argv { command },
            ..
        })) = parse(&argv)
        {
            assert!(!argv[command..].is_empty(), "{line}");
            assert_eq!(argv[command - 1], OsString::from(id), "{line}");
            read_so += 1;
        }
    }
    assert!(
        read_so > 500,
        "only {read_so} lines were of that form: the test says nothing"
    );
}

/// The guard's reading in the terms of the models.
fn ours(argv: &[OsString], invocation: &Invocation) -> Reading {
    let text = |path: &PathBuf| path.to_str().map(str::to_owned);
    let root = |global: &Global| global.root.as_ref().and_then(text);
    match invocation {
        Invocation::Create(create) => Reading {
            root: root(&create.global),
            bundle: text(&create.bundle).filter(|bundle| bundle != "."),
            preserve_fds: u64::from(create.preserve_fds),
            words: vec![create.id.clone()],
            ..Reading::of(if create.command == CreateKind::Run {
                "run"
            } else {
                "create"
            })
        },
        Invocation::Exec(exec) => {
            let (process, behind) = match &exec.form {
                ExecForm::File { path } => (text(path), [].as_slice()),
                ExecForm::Argv { command } => (None, &argv[*command..]),
            };
            let behind = behind.iter().map(|word| word.to_str().unwrap().to_owned());
            Reading {
                root: root(&exec.global),
                process,
                preserve_fds: u64::from(exec.preserve_fds),
                words: std::iter::once(exec.id.clone()).chain(behind).collect(),
                ..Reading::of("exec")
            }
        }
        Invocation::PassOn | Invocation::Delete(_) => panic!("nothing to compare"),
    }
}

#[test]
fn no_runtime_reads_otherwise_what_the_guard_lets_through() {
    let (mut agreed, mut passed_on) = ([0; 3], 0);
    for line in lines(150_000) {
        let argv = argv(&line);
        let Ok(invocation) = parse(&argv) else {
            continue;
        };
        let words: Vec<&str> = argv[1..]
            .iter()
            .map(|word| word.to_str().unwrap())
            .collect();
        for ((name, model), agreed) in models::RUNTIMES.iter().zip(&mut agreed) {
            let Some(theirs) = model(&words) else {
                continue;
            };
            match &invocation {
                Invocation::PassOn => assert!(
                    PASSED_ON.contains(&theirs.command.as_str()),
                    "{name}: {line}: {theirs:?}"
                ),
                Invocation::Delete(_) => assert_eq!(theirs.command, "delete", "{name}: {line}"),
                _ => {
                    let mut theirs = theirs;
                    theirs.bundle = theirs.bundle.filter(|bundle| bundle != ".");
                    assert_eq!(theirs, ours(&argv, &invocation), "{name}: {line}");
                    *agreed += 1;
                    continue;
                }
            }
            passed_on += 1;
        }
    }
    assert!(
        agreed.iter().all(|count| *count > 500) && passed_on > 500,
        "compared too little: {agreed:?} {passed_on}"
    );
}

#[test]
fn the_models_of_the_runtimes_do_differ_where_the_guard_refuses() {
    let [(_, runc), (_, crun), (_, youki)] = models::RUNTIMES;
    let words = |line: &'static str| line.split_whitespace().collect::<Vec<_>>();
    let bundle = |reading: Option<Reading>| reading.and_then(|reading| reading.bundle);
    let process = |reading: Option<Reading>| reading.and_then(|reading| reading.process);
    assert_eq!(
        bundle(runc(&words("create -b=/b c1"))).as_deref(),
        Some("/b")
    );
    assert_eq!(
        bundle(crun(&words("create -b=/b c1"))).as_deref(),
        Some("=/b")
    );
    assert_eq!(
        bundle(crun(&words("create --bun /b c1"))).as_deref(),
        Some("/b")
    );
    assert_eq!(
        bundle(runc(&words("create c1 -bundle /b"))).as_deref(),
        Some("/b")
    );
    assert_eq!(
        bundle(youki(&words("create c1 --bundle /b"))).as_deref(),
        Some("/b")
    );
    assert_eq!(process(runc(&words("exec c1 --process /p"))), None);
    assert_eq!(
        process(youki(&words("exec c1 --process /p"))).as_deref(),
        Some("/p")
    );
    assert_eq!(
        runc(&words("create --preserve-fds 010 c1")).map(|reading| reading.preserve_fds),
        Some(8)
    );
    assert_eq!(
        crun(&words("create --preserve-fds 010 c1")).map(|reading| reading.preserve_fds),
        Some(10)
    );
    assert_eq!(
        runc(&words("exec c1 -- sh")).map(|reading| reading.words.len()),
        Some(3)
    );
    assert_eq!(
        youki(&words("exec c1 -- sh")).map(|reading| reading.words.len()),
        Some(2)
    );
}
