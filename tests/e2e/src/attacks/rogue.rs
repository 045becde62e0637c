//! A second NRI plugin, called after ours, that changes what ours has made of a container. It runs as a process of its
//! own: this program again, with an argument that nobody else uses.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nri_plugin::api::{Container, ContainerUpdate, Hook, Hooks, Mount, PodSandbox};
use nri_plugin::{
    Adjustment, CallContext, Event, EventSet, Handler, HandlerError, PluginRunner, RuntimeInfo,
};

use crate::node::Node;
use crate::subprocess::Background;
use crate::wait;

/// The argument that makes this program the plugin.
pub const VERB: &str = "rogue-plugin";

const LIMIT: Duration = Duration::from_secs(15);
const CONNECTED: &str = "rogue: connected";
/// The containers that it touches.
const VICTIM: &str = "main";

/// What it does to containers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Edit {
    /// Another command, without the launcher.
    Args,
    /// Variables that profiles use.
    Variables,
    /// Variables that ours sets.
    OurVariables,
    /// A directory of the host's over the launcher's.
    MountOver,
    /// One below it.
    MountBelow,
    /// The launcher's mount taken away.
    Unmount,
    /// A hook that runs a program of the image before the container's command.
    Hook,
    /// Annotations that guard and runtime look at.
    Annotations,
}

impl Edit {
    const ALL: [(&'static str, Self); 8] = [
        ("args", Self::Args),
        ("variables", Self::Variables),
        ("our-variables", Self::OurVariables),
        ("mount-over", Self::MountOver),
        ("mount-below", Self::MountBelow),
        ("unmount", Self::Unmount),
        ("hook", Self::Hook),
        ("annotations", Self::Annotations),
    ];

    fn word(self) -> &'static str {
        let mut all = Self::ALL.into_iter();
        let same = |edit: &Self| std::mem::discriminant(edit) == std::mem::discriminant(&self);
        all.find(|(_, edit)| same(edit))
            .map_or("", |(word, _)| word)
    }

    fn adjustment(self, directory: &str) -> Adjustment {
        let edit = Adjustment::new();
        match self {
            Self::Args => edit.override_args(["/app/tool", "read", "/secret/flag", "trap", "0"]),
            Self::Variables => edit.env("HOME", "/etc").env("TMPDIR", "/etc"),
            Self::OurVariables => edit.env("NONO_PROFILE", "claude-code"),
            Self::MountOver => edit.mount(mount(directory, "/nono")),
            Self::MountBelow => edit.mount(mount(directory, "/nono/plans")),
            Self::Unmount => edit.remove_mount("/nono"),
            Self::Hook => edit.hooks(Hooks {
                start_container: vec![Hook {
                    path: "/app/tool".to_owned(),
                    args: ["/app/tool", "write", "/etc/attacked"]
                        .map(str::to_owned)
                        .to_vec(),
                    ..Hook::default()
                }],
                ..Hooks::default()
            }),
            Self::Annotations => [
                ("io.kubernetes.cri.container-type", "sandbox"),
                ("io.kubernetes.cri-o.ContainerType", "sandbox"),
                ("nono.sh/profile", "claude-code"),
            ]
            .into_iter()
            .fold(edit, |edit, (key, value)| edit.annotation(key, value)),
        }
    }
}

fn mount(source: &str, destination: &str) -> Mount {
    Mount {
        source: source.to_owned(),
        destination: destination.to_owned(),
        r#type: "bind".to_owned(),
        options: vec!["rbind".to_owned(), "rw".to_owned()],
    }
}

/// The plugin, as long as this lives.
#[derive(Debug)]
pub(super) struct Rogue(Background);

impl Rogue {
    /// Starts it and waits until the runtime has taken it.
    pub(super) fn start(node: &Node, edit: Edit) -> Result<Self> {
        let home = node.scratch();
        let directory = home.join("attacked/rogue");
        fs::create_dir_all(&directory).context("cannot make the plugin's directory")?;
        fs::write(directory.join("file"), "flag:rogue\n")?;
        let log = home.join(format!("logs/rogue-{}.log", edit.word()));
        // Also if somebody has built this program anew meanwhile.
        let mut command = Command::new("/proc/self/exe");
        command
            .args([VERB, edit.word()])
            .arg(home.join("nri.sock"))
            .arg(&directory);
        let rogue = Self(Background::spawn("the second plugin", &mut command, &log)?);
        wait::until("the second plugin to connect", LIMIT, || {
            rogue.0.check_alive()?;
            let text = fs::read_to_string(&log).unwrap_or_default();
            Ok(text.contains(CONNECTED).then_some(()))
        })?;
        Ok(rogue)
    }
}

impl Drop for Rogue {
    fn drop(&mut self) {
        let _ = self.0.stop(LIMIT);
    }
}

/// The plugin's own process: `EDIT SOCKET DIRECTORY`.
pub fn run(arguments: &[String]) -> Result<()> {
    let [edit, socket, directory] = arguments else {
        bail!("{VERB} takes EDIT, SOCKET and DIRECTORY");
    };
    let mut all = Edit::ALL.into_iter();
    let edit = all.find_map(|(word, found)| (word == edit).then_some(found));
    let plugin = Plugin {
        edit: edit.context("no such edit")?,
        directory: PathBuf::from(directory),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let runner = PluginRunner::new("rogue", "90", Arc::new(plugin))?
            .socket(socket)
            .from_environment()?;
        // It is ended by a signal.
        Ok(runner.run(std::future::pending()).await?)
    })
}

struct Plugin {
    edit: Edit,
    directory: PathBuf,
}

impl Handler for Plugin {
    fn events(&self) -> EventSet {
        EventSet::from(Event::CreateContainer)
    }

    fn synchronize(
        &self,
        _: &CallContext,
        _: Vec<PodSandbox>,
        _: Vec<Container>,
    ) -> Result<Vec<ContainerUpdate>, HandlerError> {
        Ok(Vec::new())
    }

    fn create_container(
        &self,
        _: &CallContext,
        _: &PodSandbox,
        container: &Container,
    ) -> Result<Adjustment, HandlerError> {
        if container.name != VICTIM {
            return Ok(Adjustment::new());
        }
        Ok(self.edit.adjustment(&self.directory.to_string_lossy()))
    }

    fn connected(&self, _: &RuntimeInfo) {
        println!("{CONNECTED}");
    }
}
