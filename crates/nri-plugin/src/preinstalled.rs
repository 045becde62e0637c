//! Pre-installed mode: the runtime starts the plugin and hands it a connected socket.

use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};

/// Variable that holds the plugin's name.
const NAME: &str = "NRI_PLUGIN_NAME";
/// Variable that holds the plugin's index.
const INDEX: &str = "NRI_PLUGIN_IDX";
/// Variable that holds the number of the socket's descriptor.
const SOCKET: &str = "NRI_PLUGIN_SOCKET";

/// Why the environment of a pre-installed plugin cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvironmentError {
    /// The descriptor is not a number that can be one.
    #[error(
        "{SOCKET}={0:?} is not a descriptor of 3 or more: unset it to dial the runtime instead"
    )]
    NotADescriptor(String),
    /// The descriptor is not open, or not a socket.
    #[error("{SOCKET}={descriptor} is not an open socket: unset it to dial the runtime instead")]
    NotASocket {
        /// The descriptor's number.
        descriptor: RawFd,
    },
    /// The descriptor was adopted before.
    #[error(
        "the descriptor in {SOCKET} was adopted before: create one plugin runner from the environment"
    )]
    AlreadyAdopted,
    /// The socket could not be set up.
    #[error("the socket of {SOCKET} could not be set up")]
    Setup(#[source] std::io::Error),
    /// The name or index is not valid.
    #[error("{NAME} or {INDEX} is not valid")]
    Identity(#[from] crate::InvalidIdentity),
}

/// What a runtime tells the plugins that it starts.
pub(crate) struct Environment {
    pub(crate) name: Option<String>,
    pub(crate) index: Option<String>,
    pub(crate) socket: UnixStream,
}

/// Reads the environment; `None` if no runtime started this process as a plugin.
pub(crate) fn read() -> Result<Option<Environment>, EnvironmentError> {
    let Some(socket) = variable(SOCKET) else {
        return Ok(None);
    };
    Ok(Some(Environment {
        name: variable(NAME),
        index: variable(INDEX),
        socket: adopt(&socket)?,
    }))
}

fn variable(key: &str) -> Option<String> {
    let value = std::env::var_os(key)?.to_string_lossy().into_owned();
    (!value.is_empty()).then_some(value)
}

fn adopt(number: &str) -> Result<UnixStream, EnvironmentError> {
    static ADOPTED: AtomicBool = AtomicBool::new(false);
    let descriptor = parse(number)?;
    let metadata = std::fs::metadata(format!("/proc/self/fd/{descriptor}"));
    if !metadata.is_ok_and(|metadata| metadata.file_type().is_socket()) {
        return Err(EnvironmentError::NotASocket { descriptor });
    }
    if ADOPTED.swap(true, Ordering::SeqCst) {
        return Err(EnvironmentError::AlreadyAdopted);
    }
    // SAFETY: `descriptor` is open (checked above). Nothing else in this process owns it: the runtime passed it
    // for this very use, this is the only place that reads the variable, and `ADOPTED` lets it happen once.
    #[allow(unsafe_code)]
    let inherited = unsafe { OwnedFd::from_raw_fd(descriptor) };
    // The duplicate closes on exec, so children of the plugin do not keep the connection open.
    let socket = UnixStream::from(inherited.try_clone().map_err(EnvironmentError::Setup)?);
    socket
        .set_nonblocking(true)
        .map_err(EnvironmentError::Setup)?;
    Ok(socket)
}

fn parse(number: &str) -> Result<RawFd, EnvironmentError> {
    match number.parse() {
        Ok(descriptor) if descriptor >= 3 => Ok(descriptor),
        _ => Err(EnvironmentError::NotADescriptor(number.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_not_a_socket_of_its_own() {
        for number in ["", "x", "-1", "0", "2", "99999999999"] {
            assert!(matches!(
                adopt(number),
                Err(EnvironmentError::NotADescriptor(_))
            ));
        }
        let closed = adopt("1000000");
        assert!(matches!(closed, Err(EnvironmentError::NotASocket { .. })));
        let file = std::fs::File::open("/dev/null").unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&file).to_string();
        assert!(matches!(
            adopt(&number),
            Err(EnvironmentError::NotASocket { .. })
        ));
    }
}
