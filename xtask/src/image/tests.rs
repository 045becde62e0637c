use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::content::PROGRAMS;
use super::*;

/// Binaries and profiles in a directory of their own.
fn tree() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (i, name) in PROGRAMS.iter().enumerate() {
        let mut program = elf::tests::program(62, 1);
        program.extend(std::iter::repeat_n(i as u8, 5000));
        fs::write(dir.path().join(name), program).unwrap();
    }
    fs::create_dir(dir.path().join("profiles")).unwrap();
    for name in ["strict.json", "default.json"] {
        fs::write(dir.path().join("profiles").join(name), name).unwrap();
    }
    dir
}

fn archive(dir: &Path, epoch: u64) -> Archive {
    let files = content::files(dir, &dir.join("profiles"), Arch::Amd64).unwrap();
    let name = "nono-nri:latest".parse().unwrap();
    Archive::of(&files, &name, Arch::Amd64, epoch).unwrap()
}

/// Path, kind and mode, owner, date, content.
type Entry = (String, (tar::EntryType, u32), (u64, u64), u64, Vec<u8>);

fn entries(bytes: &[u8]) -> Vec<Entry> {
    let mut archive = tar::Archive::new(bytes);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        let header = entry.header();
        (
            path,
            (header.entry_type(), header.mode().unwrap()),
            (header.uid().unwrap(), header.gid().unwrap()),
            header.mtime().unwrap(),
            content,
        )
    });
    entries.collect()
}

/// The archive's files by path.
fn members(archive: &Archive) -> BTreeMap<String, Vec<u8>> {
    let entries = entries(&archive.bytes).into_iter();
    entries
        .map(|(path, _, _, _, content)| (path, content))
        .collect()
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256:{hex}")
}

/// The bytes that a descriptor stands for, checked.
fn blob<'a>(members: &'a BTreeMap<String, Vec<u8>>, descriptor: &Value) -> &'a [u8] {
    let digest = descriptor["digest"].as_str().unwrap();
    let found = &members[&format!("blobs/{}", digest.replace(':', "/"))];
    assert_eq!(sha256(found), digest);
    assert_eq!(descriptor["size"], found.len());
    found
}

fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let mut layer = Vec::new();
    flate2::read::GzDecoder::new(bytes)
        .read_to_end(&mut layer)
        .unwrap();
    layer
}

#[test]
fn the_same_content_gives_the_same_archive_wherever_and_whenever() {
    let (here, there) = (tree(), tree());
    let first = archive(here.path(), 0);
    // A file's own date, mode and place in its directory are no content.
    for name in PROGRAMS.iter().rev() {
        let path = there.path().join(name);
        let copy = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, copy).unwrap();
        let odd = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(&path, odd).unwrap();
    }
    let second = archive(there.path(), 0);
    assert_eq!(
        (&first.digest, &first.config),
        (&second.digest, &second.config)
    );
    assert!(first.bytes == second.bytes, "the archives differ");
    assert!(
        first.bytes == archive(here.path(), 0).bytes,
        "a second run differs"
    );
    fs::write(there.path().join("profiles/strict.json"), "other").unwrap();
    assert_ne!(
        archive(there.path(), 0).digest,
        first.digest,
        "control: other content"
    );
    assert_ne!(
        archive(here.path(), 1).digest,
        first.digest,
        "control: another date"
    );
}

#[test]
fn every_document_leads_to_what_it_names() {
    let dir = tree();
    let archive = archive(dir.path(), 0);
    let members = members(&archive);
    assert_eq!(json(&members["oci-layout"])["imageLayoutVersion"], "1.0.0");
    let index = json(&members["index.json"]);
    let image = &index["manifests"][0];
    assert_eq!(image["digest"], archive.digest.as_str());
    assert_eq!(
        image["platform"],
        serde_json::json!({ "architecture": "amd64", "os": "linux" })
    );
    let names = &image["annotations"];
    assert_eq!(
        names["io.containerd.image.name"],
        "docker.io/library/nono-nri:latest"
    );
    assert_eq!(names["org.opencontainers.image.ref.name"], "latest");
    let manifest = json(blob(&members, image));
    assert_eq!(manifest["config"]["digest"], archive.config.as_str());
    let config = json(blob(&members, &manifest["config"]));
    let layer = blob(&members, &manifest["layers"][0]);
    assert_eq!(
        config["rootfs"]["diff_ids"][0],
        sha256(&unpacked(layer)).as_str()
    );
    let docker = &json(&members["manifest.json"])[0];
    assert_eq!(docker["RepoTags"][0], "nono-nri:latest");
    for (path, descriptor) in [
        (&docker["Config"], &manifest["config"]),
        (&docker["Layers"][0], &manifest["layers"][0]),
    ] {
        assert_eq!(
            sha256(&members[path.as_str().unwrap()]),
            descriptor["digest"].as_str().unwrap()
        );
    }
    assert_eq!(
        members.len(),
        3 + 3,
        "something is in the archive that nothing names"
    );
}

#[test]
fn the_configuration_is_the_documented_one() {
    let dir = tree();
    let members = members(&archive(dir.path(), 1_700_000_000));
    let docker = &json(&members["manifest.json"])[0];
    let config = json(&members[docker["Config"].as_str().unwrap()]);
    assert_eq!(config["created"], "2023-11-14T22:13:20Z");
    assert_eq!(
        (&config["os"], &config["architecture"]),
        (&"linux".into(), &"amd64".into())
    );
    let execution = &config["config"];
    assert_eq!(
        execution["Entrypoint"],
        serde_json::json!(["/usr/bin/10-nono-nri"])
    );
    assert_eq!(execution["User"], "0");
    assert_eq!(execution["Env"], serde_json::json!(["PATH=/usr/bin"]));
    assert_eq!(execution["WorkingDir"], "/");
    let labels = execution["Labels"].as_object().unwrap();
    assert_eq!(labels.len(), layout::LABELS.len() + 1);
    assert_eq!(labels[layout::VERSION_LABEL], VERSION);
}

#[test]
fn the_layer_is_roots_sorted_and_dated_alike() {
    let dir = tree();
    let files = content::files(dir.path(), &dir.path().join("profiles"), Arch::Amd64).unwrap();
    let entries = entries(&layer::layer(&files, 7).unwrap());
    let shown: Vec<_> = entries
        .iter()
        .map(|(path, (_, mode), ..)| (path.as_str(), *mode))
        .collect();
    assert_eq!(
        shown,
        [
            ("profiles/", 0o755),
            ("profiles/default.json", 0o644),
            ("profiles/strict.json", 0o644),
            ("usr/", 0o755),
            ("usr/bin/", 0o755),
            ("usr/bin/10-nono-nri", 0o755),
            ("usr/bin/kubefence", 0o755),
            ("usr/bin/nono", 0o755),
            ("usr/bin/nono-runc", 0o755),
        ]
    );
    for (path, (kind, _), owner, date, content) in &entries {
        assert_eq!((*owner, *date), ((0, 0), 7), "{path}");
        assert_eq!(kind.is_dir(), path.ends_with('/'), "{path}");
        let source = path.strip_prefix("usr/bin/").unwrap_or(path);
        if !kind.is_dir() {
            assert!(
                *content == fs::read(dir.path().join(source)).unwrap(),
                "{path}"
            );
        }
    }
}

#[test]
fn what_could_not_run_is_not_packed() {
    let refusal = |dir: &Path| {
        let files = content::files(dir, &dir.join("profiles"), Arch::Amd64);
        format!("{:#}", files.unwrap_err())
    };
    let dir = tree();
    fs::write(dir.path().join("nono"), elf::tests::program(62, 3)).unwrap();
    let message = refusal(dir.path());
    assert!(
        message.contains("/nono cannot be in the image") && message.contains("loader"),
        "{message}"
    );
    fs::remove_file(dir.path().join("nono")).unwrap();
    assert!(refusal(dir.path()).contains("run `make build`, or set --binaries"));
    let dir = tree();
    fs::create_dir(dir.path().join("profiles/deeper")).unwrap();
    assert!(refusal(dir.path()).contains("profiles/deeper is no plain file"));
}

#[test]
fn an_archive_replaces_another_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/image.tar");
    replace(&path, b"first").unwrap();
    replace(&path, b"second").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"second");
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    let error = format!("{:#}", replace(dir.path(), b"x").unwrap_err());
    assert!(error.contains("is a directory"), "{error}");
}

/// The instructions of deploy/images/Dockerfile: name and rest.
fn dockerfile() -> Vec<(String, String)> {
    let text = fs::read_to_string(root().join("deploy/images/Dockerfile")).unwrap();
    let lines = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    let split = lines.map(|line| line.split_once(' ').unwrap());
    split
        .map(|(name, rest)| (name.to_owned(), rest.to_owned()))
        .collect()
}

fn instructions(name: &str) -> Vec<String> {
    let all = dockerfile().into_iter();
    all.filter_map(|(found, rest)| (found == name).then_some(rest))
        .collect()
}

#[test]
fn the_dockerfile_copies_what_is_in_the_image() {
    let root = root();
    let mut copied = BTreeSet::new();
    for line in instructions("COPY") {
        let (sources, target) = line.rsplit_once(' ').unwrap();
        let target = target.strip_prefix('/').unwrap();
        assert!(target.ends_with('/'), "{line}");
        for source in sources.split(' ') {
            match source.strip_suffix('/') {
                Some(directory) => copied.extend(
                    content::names(&root.join(directory))
                        .unwrap()
                        .iter()
                        .map(|name| format!("{target}{name}")),
                ),
                None => drop(copied.insert(format!("{target}{source}"))),
            }
        }
    }
    // Without the built binaries: others of their names will do.
    let binaries = tree();
    let files = content::files(binaries.path(), &root.join("profiles"), Arch::Amd64).unwrap();
    let packed: BTreeSet<String> = files.into_iter().map(|file| file.path).collect();
    assert_eq!(copied, packed);
}

#[test]
fn the_dockerfile_says_of_the_image_what_its_configuration_says() {
    assert_eq!(instructions("FROM"), ["scratch"]);
    assert_eq!(
        instructions("ENTRYPOINT"),
        [format!("[{:?}]", content::ENTRYPOINT)]
    );
    assert_eq!(instructions("USER"), [layout::USER]);
    assert_eq!(instructions("ENV"), [format!("PATH={}", layout::PATH)]);
    assert_eq!(instructions("WORKDIR"), ["/"]);
    let labels: BTreeSet<String> = instructions("LABEL").into_iter().collect();
    let version = (layout::VERSION_LABEL, "$VERSION");
    let expected = layout::LABELS.into_iter().chain([version]);
    let expected: BTreeSet<String> = expected
        .map(|(key, value)| format!("{key}={value:?}"))
        .collect();
    assert_eq!(labels, expected);
    let known = [
        "ARG",
        "COPY",
        "ENTRYPOINT",
        "ENV",
        "FROM",
        "LABEL",
        "USER",
        "WORKDIR",
    ];
    for (name, _) in dockerfile() {
        assert!(
            known.contains(&&*name),
            "{name} does what the image written without an engine does not"
        );
    }
}

#[test]
fn engines_are_given_what_the_dockerfile_copies_and_nothing_else() {
    let text = fs::read_to_string(root().join(".dockerignore")).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines[0], "*");
    let mut given: Vec<&str> = lines[1..]
        .iter()
        .map(|line| line.strip_prefix('!').unwrap())
        .collect();
    let copies = instructions("COPY");
    let mut copied: Vec<&str> = copies
        .iter()
        .flat_map(|line| line.rsplit_once(' ').unwrap().0.split(' '))
        .map(|source| source.trim_end_matches('/'))
        .collect();
    given.sort_unstable();
    copied.sort_unstable();
    assert_eq!(given, copied);
}
