//! Running the battery: one pod for each kind, one container for each role, both ways into each.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::battery::{BATTERY, Reach};
use super::disk::Disk;
use super::ground::NAME_LABEL;
use super::inside::{self, DYNAMIC, PROGRAM};
use super::outcome::{Outcome, Outcomes};
use super::place::{Place, Road};
use crate::images::ATTACK;
use crate::node::Node;
use crate::pod::{Container, ContainerRequest, Pod, PodRequest};
use crate::podman::Podman;
use crate::scratch::Scratch;

/// Pods of a kind of their own.
const SPECIAL: [Place; 4] = [
    Place::UserNamespace,
    Place::Privileged,
    Place::HostPid,
    Place::Isolated,
];
/// What makes attacks possible that need it; containerd gives them to every container, CRI-O does not.
const CAPABILITIES: [&str; 3] = ["MKNOD", "SYS_CHROOT", "SETFCAP"];
/// The profile of [`Place::Isolated`]: see [`super::stage`].
const ISOLATED: (&str, &str) = ("nono.sh/profile", "isolated");

/// What came out, cell by cell.
#[derive(Debug, Default)]
pub struct Cells {
    outcomes: BTreeMap<(Place, Road), Outcomes>,
    absent: BTreeMap<Place, String>,
    failed: BTreeMap<Place, String>,
}

impl Cells {
    /// The outcome of an attack in one cell.
    pub fn of(&self, place: Place, road: Road, name: &str) -> Outcome {
        let outcomes = self.outcomes.get(&(place, road));
        let found = outcomes.and_then(|outcomes| outcomes.of(name));
        found.unwrap_or_else(|| {
            let failure = self.failed.get(&place).map(String::as_str);
            Outcome::Broken(failure.unwrap_or("it printed nothing").to_owned())
        })
    }

    /// Notes why attacks in some places did not run.
    fn note(&mut self, places: &[Place], outcome: Result<()>) {
        if let Err(error) = outcome {
            for place in places {
                self.failed.insert(*place, format!("{error:#}"));
            }
        }
    }

    fn add(&mut self, place: Place, outcomes: [Outcomes; 2]) {
        for (road, found) in Road::ALL.into_iter().zip(outcomes) {
            self.outcomes
                .entry((place, road))
                .or_default()
                .extend(found);
        }
    }

    /// Why nothing can run in a place on this machine.
    pub fn absent(&self, place: Place) -> Option<&str> {
        self.absent.get(&place).map(String::as_str)
    }
}

/// Which of the named attacks the program is to run in a place.
fn names_in(place: Place, names: &[&str]) -> Vec<&'static str> {
    let chosen = BATTERY.iter().filter(|attack| {
        let by_program = matches!(attack.reach, Reach::Everywhere | Reach::Only(_));
        by_program && attack.places().contains(&place) && names.contains(&attack.name)
    });
    chosen.map(|attack| attack.name).collect()
}

/// Runs the battery's named attacks in containers of Podman's, which has no pods.
pub fn run_podman(podman: &Podman, names: &[&str]) -> Result<Cells> {
    let volumes = Volumes::create(podman.scratch())?;
    let container = |command: &[&str]| {
        let request = podman
            .container(ATTACK, command)
            .mount(&volumes.vault.to_string_lossy(), "/vault")
            .mount(&volumes.shm.to_string_lossy(), "/dev/shm")
            // As in pods without a seccomp profile.
            .option("--security-opt=seccomp=unconfined");
        let capabilities = CAPABILITIES.iter();
        capabilities.fold(request, |request, name| {
            request.option(&format!("--cap-add={name}"))
        })
    };
    let mut cells = Cells::default();
    let victim = container(&[PROGRAM, "victim"]).run()?;
    let names = names_in(Place::Main, names);
    let main = container(&inside::serve(&names))
        .option(&format!("--pid=container:{}", victim.id()))
        .run()?;
    cells.add(Place::Main, inside::attack(&main, &names)?);
    main.remove()?;
    victim.remove()?;
    let dynamic = container(&[DYNAMIC]).run()?;
    cells.add(Place::Main, inside::load(&dynamic)?);
    dynamic.remove()?;
    Ok(cells)
}

/// Runs the battery's named attacks in pods of a handler.
pub fn run(node: &Node, handler: &str, names: &[&str]) -> Result<Cells> {
    let run = Run::prepare(node, handler, names)?;
    let mut cells = Cells::default();
    let roles = [Place::Init, Place::Main, Place::Sidecar];
    let outcome = run.roles(&mut cells);
    cells.note(&roles, outcome);
    let outcome = run.ephemeral(&mut cells);
    cells.note(&[Place::Ephemeral], outcome);
    let outcome = run.loader(&mut cells);
    cells.note(&[Place::Main], outcome);
    for place in SPECIAL {
        let outcome = run.special(place, &mut cells);
        cells.note(&[place], outcome);
    }
    Ok(cells)
}

/// What the attacked containers have mounted.
struct Volumes {
    vault: PathBuf,
    shm: PathBuf,
}

impl Volumes {
    fn create(scratch: &Scratch) -> Result<Self> {
        let volumes = Self {
            vault: scratch.join("attacked/vault"),
            shm: scratch.join("attacked/shm"),
        };
        for directory in [&volumes.vault, &volumes.shm] {
            fs::create_dir_all(directory).context("cannot make a volume")?;
        }
        // Also for users of a user namespace.
        fs::set_permissions(&volumes.shm, Permissions::from_mode(0o777))?;
        // As long as a disk's block, for it is the disk's content, too.
        fs::write(volumes.flag(), format!("{:512}", "flag:volume"))?;
        Ok(volumes)
    }

    fn flag(&self) -> PathBuf {
        self.vault.join("flag")
    }
}

struct Run<'a> {
    node: &'a Node,
    handler: &'a str,
    names: &'a [&'a str],
    volumes: Volumes,
    disk: Disk,
}

impl<'a> Run<'a> {
    fn prepare(node: &'a Node, handler: &'a str, names: &'a [&'a str]) -> Result<Self> {
        let volumes = Volumes::create(node.scratch())?;
        Ok(Self {
            node,
            handler,
            names,
            disk: Disk::attach(&volumes.flag())?,
            volumes,
        })
    }

    fn pod(&self, name: &str) -> PodRequest<'a> {
        self.node.pod(name).handler(self.handler)
    }

    fn container<'p>(
        &self,
        pod: &'p Pod<'_>,
        name: &str,
        command: &[&str],
    ) -> ContainerRequest<'p> {
        pod.container(ATTACK, command)
            .name(name)
            .annotation(NAME_LABEL, name)
            .add_capabilities(&CAPABILITIES)
            .mount(&self.volumes.vault.to_string_lossy(), "/vault")
            // As pods do that need more shared memory; the runtime's own is mounted noexec.
            .mount(&self.volumes.shm.to_string_lossy(), "/dev/shm")
    }

    /// Init, main and sidecar see each other's processes, and those of a victim beside them.
    fn roles(&self, cells: &mut Cells) -> Result<()> {
        let pod = self.pod("roles").share_pid().run()?;
        let _victim = self
            .container(&pod, "victim", &[PROGRAM, "victim"])
            .start()?;
        let init = self.cell(&pod, Place::Init, |request| request, cells)?;
        init.stop(0)?;
        let _main = self.cell(&pod, Place::Main, |request| request, cells)?;
        let _sidecar = self.cell(&pod, Place::Sidecar, |request| request, cells)?;
        pod.remove()
    }

    fn ephemeral(&self, cells: &mut Cells) -> Result<()> {
        let pod = self.pod("target").run()?;
        let target = self
            .container(&pod, "target", &[PROGRAM, "victim"])
            .start()?;
        self.cell(
            &pod,
            Place::Ephemeral,
            |request| request.pid_of(&target),
            cells,
        )?;
        pod.remove()
    }

    /// A pod of a special kind, with a victim in it.
    fn special(&self, place: Place, cells: &mut Cells) -> Result<()> {
        if names_in(place, self.names).is_empty() {
            return Ok(());
        }
        let pod = self.pod("special");
        let pod = match place {
            Place::UserNamespace => pod.share_pid().user_namespace(),
            Place::Privileged => pod.share_pid().privileged(),
            Place::HostPid => pod.host_pid().privileged(),
            _ => pod.share_pid().annotation(ISOLATED.0, ISOLATED.1),
        };
        let pod = match pod.run() {
            // Where the machine or the runtime has no user namespaces for pods.
            Err(error) if place == Place::UserNamespace => {
                cells.absent.insert(place, format!("{error:#}"));
                return Ok(());
            }
            pod => pod?,
        };
        let adjust = |request| self.adjust(place, request);
        let _victim = adjust(self.container(&pod, "victim", &[PROGRAM, "victim"])).start()?;
        self.cell(&pod, place, adjust, cells)?;
        pod.remove()
    }

    fn adjust<'p>(&self, place: Place, request: ContainerRequest<'p>) -> ContainerRequest<'p> {
        match place {
            Place::Privileged => request.privileged().env(&[("KF_DISK", self.disk.device())]),
            Place::HostPid => request.privileged().env(&[
                ("KF_HOST_PID", &std::process::id().to_string()),
                ("KF_HOST_FLAG", &self.volumes.flag().to_string_lossy()),
            ]),
            _ => request,
        }
    }

    /// Attacks from one container of a pod.
    fn cell<'p>(
        &self,
        pod: &'p Pod<'_>,
        place: Place,
        adjust: impl FnOnce(ContainerRequest<'p>) -> ContainerRequest<'p>,
        cells: &mut Cells,
    ) -> Result<Container<'p>> {
        let names = names_in(place, self.names);
        let command = inside::serve(&names);
        let name = place.name().replace(' ', "-").to_lowercase();
        let container = adjust(self.container(pod, &name, &command))
            .start()
            .with_context(|| format!("the {place} container"))?;
        let outcomes = inside::attack(&container, &names).with_context(|| place.name())?;
        cells.add(place, outcomes);
        Ok(container)
    }

    fn loader(&self, cells: &mut Cells) -> Result<()> {
        let pod = self.pod("loader").run()?;
        let container = self.container(&pod, "main", &[DYNAMIC]).start()?;
        cells.add(Place::Main, inside::load(&container)?);
        pod.remove()
    }
}
