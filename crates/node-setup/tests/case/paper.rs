//! A node that exists on paper: its files are those of a fixture, and its runtime answers what is stored.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output};

use kubefence_node_setup::host::Host;

use super::Case;

/// A node on paper.
pub(crate) struct PaperHost<'a> {
    case: &'a Case,
    /// The files, by their path on the node.
    pub(crate) files: BTreeMap<PathBuf, String>,
    /// What the runtime says of its configuration, if not what is stored.
    pub(crate) effective: Option<String>,
}

impl<'a> PaperHost<'a> {
    pub(crate) fn new(case: &'a Case) -> Self {
        Self {
            case,
            files: case.before(),
            effective: None,
        }
    }

    fn followed(&self, path: &Path) -> PathBuf {
        let text = path.to_string_lossy();
        let link = self.case.links.get(text.as_ref());
        link.map_or_else(|| path.to_owned(), PathBuf::from)
    }
}

fn answer(code: i32, stdout: String, stderr: &str) -> Output {
    Output {
        status: ExitStatus::from_raw(code << 8),
        stdout: stdout.into_bytes(),
        stderr: stderr.as_bytes().to_vec(),
    }
}

impl Host for PaperHost<'_> {
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        let text = self.files.get(&self.followed(path));
        Ok(text.map(|text| text.clone().into_bytes()))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let mut children: Vec<PathBuf> = self
            .files
            .keys()
            .filter_map(|path| {
                let name = path.strip_prefix(dir).ok()?.components().next()?;
                Some(dir.join(name))
            })
            .collect();
        children.dedup();
        Ok(children)
    }

    fn resolve(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        let followed = self.followed(path);
        let is_socket = self
            .case
            .sockets
            .iter()
            .any(|socket| Path::new(socket) == path);
        Ok((self.files.contains_key(&followed) || is_socket).then_some(followed))
    }

    fn find_program(&self, name: &str) -> Option<PathBuf> {
        let programs = self.case.programs.iter().chain([&self.case.program]);
        let mut paths = programs.map(Path::new);
        paths
            .find(|path| match name.starts_with('/') {
                true => *path == Path::new(name),
                false => {
                    let usual = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"];
                    let in_path = usual
                        .iter()
                        .any(|dir| path.parent() == Some(Path::new(dir)));
                    in_path && path.ends_with(name)
                }
            })
            .map(Path::to_owned)
    }

    fn run(&self, program: &Path, args: &[&str]) -> io::Result<Output> {
        assert_eq!(program, Path::new(&self.case.program), "{args:?}");
        if args == ["--version"] {
            let says = self.case.says.clone().unwrap_or_else(|| {
                let tool = self.case.tool.as_deref().expect("tool or says");
                format!("{} {}", self.case.program, tool.rsplit('-').next().unwrap())
            });
            return Ok(answer(0, says, ""));
        }
        if let Some(effective) = &self.effective {
            return Ok(answer(0, effective.clone(), ""));
        }
        let effective = self.case.directory.join("effective.toml");
        Ok(match std::fs::read_to_string(effective) {
            Ok(effective) => answer(0, effective, ""),
            Err(_) => answer(
                1,
                String::new(),
                "first line\ncontainerd: no dump for this case\n",
            ),
        })
    }
}
