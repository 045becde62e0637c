//! Restarting a unit through systemd's D-Bus interface.
//!
//! `systemctl` of the node would need more of the node than a socket; and it does not tell a unit that is not there
//! from one that does not start.

use std::path::PathBuf;
use std::time::Duration;

use futures::StreamExt as _;
use tokio::net::UnixStream;
use tokio::time::timeout;
use zbus::zvariant::OwnedObjectPath;

use crate::root::Root;

/// Where the bus listens.
const SOCKETS: [&str; 2] = [
    "/run/dbus/system_bus_socket",
    "/var/run/dbus/system_bus_socket",
];

/// Why systemd did not restart the runtime.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SystemdError {
    /// There is no bus.
    #[error("no D-Bus socket at {}: where systemd does not run the container runtime, say with --restart-command how it is restarted, or --restart none", SOCKETS[0])]
    NoBus,
    /// The bus cannot be reached.
    #[error("cannot connect to D-Bus at {socket}")]
    Connect {
        /// Its socket.
        socket: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The bus or systemd answers with an error.
    #[error("systemd does not {what}")]
    Call {
        /// What it was asked to do.
        what: String,
        /// Why.
        #[source]
        source: Box<zbus::Error>,
    },
    /// None of the units is there.
    #[error(
        "none of the units {units} is active: say with --restart-command how the container runtime is restarted, or --restart none"
    )]
    NoUnit {
        /// Those that were looked for.
        units: String,
    },
    /// The unit does not start.
    #[error("systemd could not restart {unit} ({result}): look at `journalctl -u {unit}`")]
    Failed {
        /// The unit.
        unit: String,
        /// systemd's word for it.
        result: String,
    },
    /// It takes too long.
    #[error(
        "systemd did not restart the container runtime within {0} seconds: --timeout gives it more"
    )]
    TimedOut(u64),
    /// No thread can wait for the bus.
    #[error("cannot wait for D-Bus")]
    Wait(#[source] std::io::Error),
}

#[zbus::proxy(
    interface = "org.freedesktop.systemd1.Manager",
    default_service = "org.freedesktop.systemd1",
    default_path = "/org/freedesktop/systemd1",
    gen_blocking = false
)]
trait Manager {
    fn subscribe(&self) -> zbus::Result<()>;
    fn get_unit(&self, name: &str) -> zbus::Result<OwnedObjectPath>;
    fn restart_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    #[zbus(signal)]
    fn job_removed(
        &self,
        id: u32,
        job: OwnedObjectPath,
        unit: String,
        result: String,
    ) -> zbus::Result<()>;
}

#[zbus::proxy(
    interface = "org.freedesktop.systemd1.Unit",
    default_service = "org.freedesktop.systemd1",
    gen_blocking = false
)]
trait Unit {
    #[zbus(property)]
    fn active_state(&self) -> zbus::Result<String>;
}

/// Restarts the first of `units` that runs, and waits until it has started; returns its name.
pub(super) fn restart(
    root: &Root,
    units: &[String],
    limit: Duration,
) -> Result<String, SystemdError> {
    let socket = SOCKETS
        .iter()
        .find_map(|socket| root.locate(socket.as_ref()).ok().flatten())
        .ok_or(SystemdError::NoBus)?;
    let socket = root.outside(&socket);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(SystemdError::Wait)?;
    runtime.block_on(async {
        let late = || SystemdError::TimedOut(limit.as_secs());
        timeout(limit, restart_on(socket, units))
            .await
            .map_err(|_| late())?
    })
}

async fn restart_on(socket: PathBuf, units: &[String]) -> Result<String, SystemdError> {
    let stream = UnixStream::connect(&socket).await;
    let stream = stream.map_err(|source| SystemdError::Connect { socket, source })?;
    let connection = zbus::connection::Builder::unix_stream(stream).build().await;
    let connection = connection.map_err(refused("answer on D-Bus"))?;
    let manager = ManagerProxy::new(&connection).await;
    let manager = manager.map_err(refused("answer on D-Bus"))?;
    // Without it, nobody tells of jobs.
    let subscribed = manager.subscribe().await;
    subscribed.map_err(refused("tell of its jobs"))?;
    let unit = active(&connection, &manager, units).await?;
    let ended = manager.receive_job_removed().await;
    let mut ended = ended.map_err(refused("tell of its jobs"))?;
    let job = manager.restart_unit(&unit, "replace").await;
    let job = job.map_err(refused(&format!("restart {unit}")))?;
    while let Some(signal) = ended.next().await {
        let Ok(args) = signal.args() else { continue };
        if *args.job() == job {
            return match args.result().as_str() {
                "done" => Ok(unit),
                result => Err(SystemdError::Failed {
                    unit,
                    result: result.to_owned(),
                }),
            };
        }
    }
    let result = "the bus went away".to_owned();
    Err(SystemdError::Failed { unit, result })
}

async fn active(
    connection: &zbus::Connection,
    manager: &ManagerProxy<'_>,
    units: &[String],
) -> Result<String, SystemdError> {
    let mut states = Vec::new();
    for name in units {
        // systemd answers with an error for units that it has not loaded.
        if let Ok(path) = manager.get_unit(name).await {
            states.push((name.as_str(), state(connection, name, path).await?));
        }
    }
    let chosen = choose(&states).map(str::to_owned);
    chosen.ok_or_else(|| SystemdError::NoUnit {
        units: units.join(", "),
    })
}

/// The first unit that runs, or tries to; else the first that has failed, as one does that was just given a configuration
/// with which it does not start.
fn choose<'a>(states: &[(&'a str, String)]) -> Option<&'a str> {
    let first = |wanted: &[&str]| {
        let mut states = states.iter();
        let is_wanted = |(_, state): &&(&str, String)| wanted.contains(&state.as_str());
        states.find(is_wanted).map(|(name, _)| *name)
    };
    first(&["active", "activating", "reloading"]).or_else(|| first(&["failed"]))
}

async fn state(
    connection: &zbus::Connection,
    name: &str,
    path: OwnedObjectPath,
) -> Result<String, SystemdError> {
    let what = format!("tell the state of {name}");
    let builder = UnitProxy::builder(connection).path(path);
    let unit = builder.map_err(refused(&what))?.build().await;
    let state = unit.map_err(refused(&what))?.active_state().await;
    state.map_err(refused(&what))
}

fn refused(what: &str) -> impl FnOnce(zbus::Error) -> SystemdError {
    let what = what.to_owned();
    move |source| SystemdError::Call {
        what,
        source: Box::new(source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_that_has_failed_is_started_if_none_runs() {
        let chosen = |states: [&str; 2]| {
            let [a, b] = states.map(str::to_owned);
            choose(&[("a", a), ("b", b)])
        };
        assert_eq!(chosen(["failed", "active"]), Some("b"));
        assert_eq!(chosen(["inactive", "failed"]), Some("b"));
        assert_eq!(chosen(["failed", "failed"]), Some("a"));
        assert_eq!(chosen(["inactive", "inactive"]), None);
    }
}
