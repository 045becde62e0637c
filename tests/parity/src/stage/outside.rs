//! What the probe meets outside of its sandbox: a process, a TCP listener, an abstract socket.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use anyhow::{Context, Result, ensure};

use super::PROBE;
use crate::runs::User;

/// As targets.toml has it.
const PORT: u16 = 8080;
/// As targets.toml has it.
const NAME: &str = "socket-outside";

/// All of it, as long as this is not dropped.
pub(super) struct Outside {
    process: Child,
    _tcp: TcpListener,
    _abstract: UnixListener,
}

impl Outside {
    /// Brings the loopback interface up and starts everything.
    pub(super) fn start(user: User) -> Result<Self> {
        let up = Command::new(PROBE).args(["loopback", "lo"]).output()?;
        ensure!(
            up.stdout == b"0 ok\n",
            "cannot bring the loopback interface up"
        );
        let tcp = TcpListener::bind(("127.0.0.1", PORT)).context("cannot listen")?;
        let name = SocketAddr::from_abstract_name(NAME)?;
        Ok(Self {
            process: Command::new(PROBE)
                .args(["pause", "-"])
                .uid(user.id())
                .gid(user.id())
                .spawn()
                .context("cannot start the probe")?,
            _tcp: tcp,
            _abstract: UnixListener::bind_addr(&name).context("cannot bind a socket")?,
        })
    }

    /// The process.
    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
