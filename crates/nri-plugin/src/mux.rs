//! Two ttrpc connections over one byte stream.
//!
//! Each direction carries frames of an 8-byte header (big-endian connection id and payload length) and a payload.
//! Connection 1 is the Plugin service (the runtime calls), connection 2 the Runtime service (the plugin calls).
//!
//! # Framing
//!
//! Upstream's reader hands each frame to one `Read` call, which fails when the frame is longer than the buffer
//! it is offered, and that failure drops the connection. The buffer is 4096 bytes at the start of a ttrpc message
//! and the rest of the message afterwards, if that is 4096 bytes or more. The reader also queues at most 256
//! frames and drops the connection when it falls behind. Hence this writer sends a message as one frame of at
//! most 4096 bytes and, if something is left, one more frame with all of it; frames never span messages. (Frames
//! of 4096 bytes throughout would fit every buffer too, but a message beyond 1 MiB could overflow the queue.)
//!
//! # Invariants
//!
//! - Nothing is allocated by a peer's word: payloads stream through fixed buffers, and a slow consumer slows the
//!   peer down.
//! - The reserved id 0 and a length beyond that of the largest message end the connection; payloads for unknown
//!   ids are read and dropped.
//! - When either side of an endpoint goes away the whole mux ends, so that no call is left without an answer on a
//!   connection that looks alive.

use std::io;

use tokio::io::{
    AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader,
    DuplexStream, ReadHalf, WriteHalf,
};
use tokio::sync::Mutex;

/// Connection id of the Plugin service.
pub const PLUGIN_CONNECTION: u32 = 1;
/// Connection id of the Runtime service.
pub const RUNTIME_CONNECTION: u32 = 2;
/// Length of a ttrpc message header in bytes.
pub const MESSAGE_HEADER: usize = 10;
/// Length of the largest ttrpc message in bytes, without its header.
pub const MESSAGE_LIMIT: usize = 4 << 20;
/// Length of the longest frame payload in bytes.
pub const FRAME_LIMIT: usize = MESSAGE_HEADER + MESSAGE_LIMIT;
/// Length of the longest first frame of a message in bytes.
pub const FIRST_FRAME_LIMIT: usize = 4096;

const FRAME_HEADER: usize = 8;
const RESERVED_CONNECTION: u32 = 0;
/// Bytes buffered per endpoint and direction.
const ENDPOINT_BUFFER: usize = 16 << 10;

/// One logical connection: a byte stream that can be a ttrpc `Socket`.
pub type Endpoint = DuplexStream;

/// Why a mux ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MuxError {
    /// The peer hung up between two frames.
    #[error("the peer closed the connection")]
    Closed,
    /// The peer hung up inside a frame.
    #[error("the peer closed the connection inside a frame")]
    Truncated,
    /// The stream failed.
    #[error("the connection failed: {0}")]
    Io(io::Error),
    /// The peer used connection id 0.
    #[error("the peer used the reserved connection id 0")]
    ReservedConnection,
    /// The peer announced a frame beyond [`FRAME_LIMIT`].
    #[error("the peer announced a frame of {length} bytes, more than the {FRAME_LIMIT} allowed")]
    FrameTooLong {
        /// The announced length in bytes.
        length: u32,
    },
    /// The local user of an endpoint sent a message beyond [`MESSAGE_LIMIT`].
    #[error(
        "connection {connection} sent a message of {length} bytes, more than the {MESSAGE_LIMIT} allowed"
    )]
    MessageTooLong {
        /// The endpoint's connection id.
        connection: u32,
        /// The message's length in bytes.
        length: usize,
    },
    /// The local user of an endpoint dropped it.
    #[error("connection {connection} was closed on this side")]
    EndpointClosed {
        /// The endpoint's connection id.
        connection: u32,
    },
}

/// A multiplexed byte stream. It does nothing until [`drive`](Self::drive) is polled.
#[derive(Debug)]
pub struct Mux<S> {
    trunk: S,
    plugin: DuplexStream,
    runtime: DuplexStream,
}

impl<S: AsyncRead + AsyncWrite> Mux<S> {
    /// Multiplexes `trunk`; returns the mux and the endpoints of the Plugin and the Runtime connection.
    pub fn new(trunk: S) -> (Self, Endpoint, Endpoint) {
        let (plugin, plugin_endpoint) = tokio::io::duplex(ENDPOINT_BUFFER);
        let (runtime, runtime_endpoint) = tokio::io::duplex(ENDPOINT_BUFFER);
        let mux = Self {
            trunk,
            plugin,
            runtime,
        };
        (mux, plugin_endpoint, runtime_endpoint)
    }

    /// Carries data until the connection or an endpoint ends, and says why it did.
    pub async fn drive(self) -> MuxError {
        let (trunk_reader, trunk_writer) = tokio::io::split(self.trunk);
        let trunk_writer = Mutex::new(trunk_writer);
        let (plugin_reader, plugin_writer) = tokio::io::split(self.plugin);
        let (runtime_reader, runtime_writer) = tokio::io::split(self.runtime);
        let ended = tokio::select! {
            ended = read_frames(BufReader::new(trunk_reader), plugin_writer, runtime_writer) => ended,
            ended = write_messages(PLUGIN_CONNECTION, plugin_reader, &trunk_writer) => ended,
            ended = write_messages(RUNTIME_CONNECTION, runtime_reader, &trunk_writer) => ended,
        };
        let Err(reason) = ended;
        reason
    }
}

type Never = std::convert::Infallible;

async fn read_frames(
    mut trunk: impl AsyncBufRead + Unpin,
    mut plugin: WriteHalf<DuplexStream>,
    mut runtime: WriteHalf<DuplexStream>,
) -> Result<Never, MuxError> {
    loop {
        let (connection, length) = read_header(&mut trunk).await?;
        let sink = match connection {
            RESERVED_CONNECTION => return Err(MuxError::ReservedConnection),
            _ if length as usize > FRAME_LIMIT => return Err(MuxError::FrameTooLong { length }),
            PLUGIN_CONNECTION => Some(&mut plugin),
            RUNTIME_CONNECTION => Some(&mut runtime),
            _ => None,
        };
        copy_payload(&mut trunk, length as usize, sink)
            .await
            .map_err(|error| match error {
                PayloadError::Trunk(error) => error,
                PayloadError::Sink => MuxError::EndpointClosed { connection },
            })?;
    }
}

async fn read_header(trunk: &mut (impl AsyncBufRead + Unpin)) -> Result<(u32, u32), MuxError> {
    if trunk.fill_buf().await.map_err(MuxError::Io)?.is_empty() {
        return Err(MuxError::Closed);
    }
    let connection = trunk.read_u32().await.map_err(inside_frame)?;
    let length = trunk.read_u32().await.map_err(inside_frame)?;
    Ok((connection, length))
}

fn inside_frame(error: io::Error) -> MuxError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => MuxError::Truncated,
        _ => MuxError::Io(error),
    }
}

enum PayloadError {
    Trunk(MuxError),
    Sink,
}

/// Moves `left` bytes from the trunk's buffer to `sink`, or drops them.
async fn copy_payload(
    trunk: &mut (impl AsyncBufRead + Unpin),
    mut left: usize,
    mut sink: Option<&mut WriteHalf<DuplexStream>>,
) -> Result<(), PayloadError> {
    while left > 0 {
        let buffered = trunk.fill_buf().await;
        let buffered = buffered.map_err(|error| PayloadError::Trunk(MuxError::Io(error)))?;
        if buffered.is_empty() {
            return Err(PayloadError::Trunk(MuxError::Truncated));
        }
        let taken = left.min(buffered.len());
        if let Some(sink) = &mut sink {
            let written = sink.write_all(&buffered[..taken]).await;
            written.map_err(|_| PayloadError::Sink)?;
        }
        trunk.consume(taken);
        left -= taken;
    }
    Ok(())
}

/// Frames the messages of one endpoint; the module documentation says how and why.
async fn write_messages<S: AsyncRead + AsyncWrite>(
    connection: u32,
    mut endpoint: ReadHalf<DuplexStream>,
    trunk: &Mutex<WriteHalf<S>>,
) -> Result<Never, MuxError> {
    let closed = |_| MuxError::EndpointClosed { connection };
    let mut buffer = [0; FRAME_HEADER + FIRST_FRAME_LIMIT];
    loop {
        let (frame_header, payload) = buffer.split_at_mut(FRAME_HEADER);
        let message_header = &mut payload[..MESSAGE_HEADER];
        endpoint.read_exact(message_header).await.map_err(closed)?;
        let total = MESSAGE_HEADER + announced_length(connection, message_header)?;
        let first = total.min(FIRST_FRAME_LIMIT);
        let body = &mut payload[MESSAGE_HEADER..first];
        endpoint.read_exact(body).await.map_err(closed)?;
        write_header(frame_header, connection, first);

        let mut trunk = trunk.lock().await;
        let frame = &buffer[..FRAME_HEADER + first];
        trunk.write_all(frame).await.map_err(MuxError::Io)?;
        write_rest(connection, &mut endpoint, &mut *trunk, total - first).await?;
        trunk.flush().await.map_err(MuxError::Io)?;
    }
}

fn announced_length(connection: u32, message_header: &[u8]) -> Result<usize, MuxError> {
    let length = message_header[..4]
        .iter()
        .fold(0, |length, byte| (length << 8) | usize::from(*byte));
    if length > MESSAGE_LIMIT {
        return Err(MuxError::MessageTooLong { connection, length });
    }
    Ok(length)
}

fn write_header(header: &mut [u8], connection: u32, length: usize) {
    header[..4].copy_from_slice(&connection.to_be_bytes());
    header[4..].copy_from_slice(&(length as u32).to_be_bytes());
}

/// Sends the remaining `left` bytes of a message as one frame.
async fn write_rest(
    connection: u32,
    endpoint: &mut ReadHalf<DuplexStream>,
    trunk: &mut (impl AsyncWrite + Unpin),
    mut left: usize,
) -> Result<(), MuxError> {
    if left == 0 {
        return Ok(());
    }
    let mut header = [0; FRAME_HEADER];
    write_header(&mut header, connection, left);
    trunk.write_all(&header).await.map_err(MuxError::Io)?;
    let mut buffer = [0; FIRST_FRAME_LIMIT];
    while left > 0 {
        let chunk = &mut buffer[..left.min(FIRST_FRAME_LIMIT)];
        let read = endpoint.read_exact(chunk).await;
        read.map_err(|_| MuxError::EndpointClosed { connection })?;
        trunk.write_all(chunk).await.map_err(MuxError::Io)?;
        left -= chunk.len();
    }
    Ok(())
}

#[cfg(test)]
mod tests;
