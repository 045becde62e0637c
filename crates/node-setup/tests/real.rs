//! The pinned runtimes themselves: do they still answer as `fixtures/` has it, and do they take what is planned?
//!
//! Needs root (for chroot) and the tools of `cargo xtask setup`. Each fixture is laid out as a root file system of its own,
//! in which the real program stands.

mod case;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Output};

use case::{Case, Golden, manifest, prepare, relevant, revert};
use kubefence_node_setup::host::Host;
use kubefence_node_setup::runtime::{EditKind, FileEdit, Wanted, confirm, detect};

/// A node in a directory.
struct ChrootHost<'a> {
    case: &'a Case,
    root: PathBuf,
}

impl ChrootHost<'_> {
    /// Follows a link of the last component; these nodes have no others.
    fn outside(&self, path: &Path) -> PathBuf {
        let place = self
            .root
            .join(path.strip_prefix("/").expect("an absolute path"));
        match fs::read_link(&place) {
            Ok(target) => self
                .root
                .join(target.strip_prefix("/").expect("an absolute link")),
            Err(_) => place,
        }
    }

    fn inside(&self, path: &Path) -> PathBuf {
        Path::new("/").join(path.strip_prefix(&self.root).expect("below the root"))
    }
}

impl Host for ChrootHost<'_> {
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.outside(path)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(self.outside(dir)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let paths = entries.map(|entry| entry.map(|entry| self.inside(&entry.path())));
        let paths: BTreeSet<PathBuf> = paths.collect::<io::Result<_>>()?;
        Ok(paths.into_iter().collect())
    }

    fn resolve(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        let place = self.outside(path);
        Ok(place.exists().then(|| self.inside(&place)))
    }

    fn find_program(&self, name: &str) -> Option<PathBuf> {
        let usual = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"];
        let mut paths: Vec<PathBuf> = usual.iter().map(|dir| Path::new(dir).join(name)).collect();
        if name.starts_with('/') {
            paths = vec![PathBuf::from(name)];
        }
        paths.into_iter().find(|path| self.outside(path).exists())
    }

    fn run(&self, program: &Path, args: &[&str]) -> io::Result<Output> {
        let mut output = Command::new("chroot")
            .arg(&self.root)
            .arg(program)
            .args(args)
            .output()?;
        if let (Some(says), ["--version"]) = (&self.case.says, args) {
            output.stdout = says.clone().into_bytes();
        }
        Ok(output)
    }
}

/// The libraries that a program loads.
fn libraries(program: &Path) -> Vec<PathBuf> {
    let output = Command::new("ldd").arg(program).output().expect("ldd");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let paths = text.split_whitespace().filter(|word| word.starts_with('/'));
    paths.map(PathBuf::from).collect()
}

/// Programs are big: they are copied once, and linked into the nodes.
fn link(cache: &Path, source: &Path, target: &Path) {
    let name: Vec<String> = source
        .components()
        .filter(|part| !matches!(part, Component::RootDir))
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect();
    let cached = cache.join(name.join("+"));
    if !cached.exists() {
        fs::copy(source, &cached).expect("copy a program");
    }
    fs::create_dir_all(target.parent().expect("a parent")).expect("create a directory");
    fs::hard_link(&cached, target).expect("link a program");
}

fn lay_out<'a>(case: &'a Case, tool: &str, scratch: &Path) -> ChrootHost<'a> {
    let root = scratch.join(&case.name);
    let cache = scratch.join("programs");
    fs::create_dir_all(&cache).expect("create a directory");
    let below = |path: &str| root.join(path.trim_start_matches('/'));
    let name = Path::new(&case.program).file_name().expect("a name");
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/tools");
    let program = tools.join(tool).join(name);
    assert!(
        program.exists(),
        "{} is missing: run `cargo xtask setup`",
        program.display()
    );
    link(&cache, &program, &below(&case.program));
    for library in libraries(&program) {
        link(&cache, &library, &below(&library.to_string_lossy()));
    }
    for program in &case.programs {
        let place = below(program);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(&place, "").unwrap();
    }
    for (path, text) in case.before() {
        write(&below(&path.to_string_lossy()), &text);
    }
    for (from, to) in &case.links {
        let place = below(from);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(to, place).unwrap();
    }
    // CRI-O asks for it; there is no /proc here.
    write(&root.join("proc/sys/kernel/cap_last_cap"), "41\n");
    ChrootHost { case, root }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn install(host: &ChrootHost<'_>, edits: &[FileEdit]) {
    for edit in edits {
        write(&host.outside(&edit.path), &edit.after);
    }
}

#[test]
fn the_pinned_runtimes_answer_so_and_take_what_is_planned() {
    let scratch = tempfile::tempdir().expect("a directory");
    let mut golden = Golden::new();
    let mut seen = BTreeMap::new();
    for case in Case::all() {
        let Some(tool) = case.tool.clone() else {
            continue;
        };
        let host = lay_out(&case, &tool, scratch.path());
        check(&host, &mut golden);
        *seen.entry(tool).or_insert(0) += 1;
        fs::remove_dir_all(&host.root).expect("remove a node");
    }
    golden.finish();
    assert_eq!(seen.len(), 4, "{seen:?}");
}

fn check(host: &ChrootHost<'_>, golden: &mut Golden) {
    let case = host.case;
    if let Ok(detected) = detect(host, &case.wanted) {
        let answer = relevant(&detected.effective, case.is_crio());
        golden.check(&case.directory.join("effective.toml"), &answer);
    }
    let (detected, plan) = match (prepare(host, &case.wanted), &case.error) {
        (Ok(prepared), None) => prepared,
        (Err(said), Some(error)) if said == *error => return,
        (prepared, error) => {
            let said = prepared.err();
            golden.fail(format!("{}: {said:?}, not {error:?}", case.name));
            return;
        }
    };
    for edit in &plan.edits {
        let place = edit.path.strip_prefix("/").unwrap();
        golden.check(&case.directory.join("after").join(place), &edit.after);
    }
    // Before, the handler is not in force; afterwards it is, and nothing else has changed.
    let before = detected.effective.clone();
    assert!(
        confirm(&before, &detected, &case.wanted).is_err() || is_manual(case),
        "{}",
        case.name
    );
    install(host, &plan.edits);
    render(host, &plan.edits);
    let after = dump(host, &detected.dump);
    if let Err(error) = confirm(&after, &detected, &case.wanted) {
        golden.fail(format!("{}: {}", case.name, case::chain(&error)));
    }
    for line in of_handlers(&before, case) {
        if !of_handlers(&after, case).contains(&line) {
            golden.fail(format!("{}: {line:?} is gone", case.name));
        }
    }
    let again = Wanted {
        owned: manifest(&plan),
        ..case.wanted.clone()
    };
    let (_, second) = prepare(host, &again).expect("a second plan");
    for edit in &second.edits {
        assert_eq!(edit.before.as_ref(), Some(&edit.after), "{}", case.name);
    }
    let first_keys: Vec<_> = plan.edits.iter().map(|edit| &edit.keys).collect();
    let second_keys: Vec<_> = second.edits.iter().map(|edit| &edit.keys).collect();
    assert_eq!(first_keys, second_keys, "{}", case.name);
    for edit in plan.edits.iter().filter(|edit| edit.kind == EditKind::Own) {
        fs::remove_file(host.outside(&edit.path)).expect("remove our file");
    }
    for (path, text) in revert(&plan) {
        write(&host.outside(&path), &text);
    }
    // k3s renders its file anew.
    for (path, text) in case.before() {
        if path.starts_with("/var/lib/rancher") {
            write(&host.outside(&path), &text);
        }
    }
    let reverted = detect(host, &case.wanted).expect("the node as it was");
    // The rest has lists in no certain order.
    let [before, reverted] = [before, reverted.effective].map(|all| relevant(&all, case.is_crio()));
    assert_eq!(before, reverted, "{}", case.name);
}

/// What is said of the handlers of others: all of it must still be said afterwards.
fn of_handlers(output: &str, case: &Case) -> BTreeSet<String> {
    let relevant = relevant(output, case.is_crio());
    let lines = relevant.lines().map(|line| line.trim_start_matches("# "));
    let lines = lines.filter(|line| line.contains(".runtimes.") || line.starts_with("default_"));
    let ours = |line: &str| case.wanted.handlers.iter().any(|name| line.contains(name));
    // What is not said is zero.
    let zeros = ["= \"\"", "= ''", "= 0", "= false", "= []"];
    let is_zero = |line: &str| zeros.iter().any(|zero| line.ends_with(zero));
    let lines = lines.filter(|line| !is_zero(line) && !ours(line));
    lines.map(str::to_owned).collect()
}

/// The handler is there before we come.
fn is_manual(case: &Case) -> bool {
    case.name.contains("manual")
}

/// What k3s does at its start, as far as the block of a template goes: it is added to what is rendered.
fn render(host: &ChrootHost<'_>, edits: &[FileEdit]) {
    for edit in edits
        .iter()
        .filter(|edit| edit.path.extension() == Some("tmpl".as_ref()))
    {
        let config = host.outside(&edit.path.with_file_name("config.toml"));
        let block = edit
            .after
            .split("# kubefence: begin")
            .nth(1)
            .expect("a block");
        let rendered = fs::read_to_string(&config).unwrap();
        fs::write(&config, format!("{rendered}\n# kubefence: begin{block}")).unwrap();
    }
}

fn dump(host: &ChrootHost<'_>, command: &[String]) -> String {
    let arguments: Vec<&str> = command[1..].iter().map(String::as_str).collect();
    let output = host
        .run(Path::new(&command[0]), &arguments)
        .expect("run the runtime");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", host.case.name);
    String::from_utf8_lossy(&output.stdout).into_owned()
}
