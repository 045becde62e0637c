//! Frames and ttrpc messages, independently of the code under test.

use prost::Message as _;

/// Connection id on which the runtime calls the plugin.
pub(super) const PLUGIN: u32 = 1;
/// Connection id on which the plugin calls the runtime.
pub(super) const RUNTIME: u32 = 2;
/// Message type of a request.
pub(super) const REQUEST: u8 = 1;
/// Message type of a response.
pub(super) const RESPONSE: u8 = 2;

const HEADER: usize = 10;
/// The buffer that upstream reads through.
const READ_BUFFER: usize = 4096;
/// Frames that upstream queues before it gives the connection up.
const READ_QUEUE: usize = 256;
const MESSAGE_LIMIT: usize = 4 << 20;

/// A ttrpc request.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Request {
    #[prost(string, tag = "1")]
    pub(super) service: String,
    #[prost(string, tag = "2")]
    pub(super) method: String,
    #[prost(bytes = "vec", tag = "3")]
    pub(super) payload: Vec<u8>,
    #[prost(int64, tag = "4")]
    pub(super) timeout_nano: i64,
}

/// A ttrpc response.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Response {
    #[prost(message, optional, tag = "1")]
    pub(super) status: Option<Status>,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) payload: Vec<u8>,
}

/// A gRPC status, without details.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Status {
    #[prost(int32, tag = "1")]
    pub(super) code: i32,
    #[prost(string, tag = "2")]
    pub(super) message: String,
}

/// A ttrpc message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Id that ties a response to its request.
    pub stream: u32,
    /// 1 for a request, 2 for a response.
    pub kind: u8,
    /// The encoded request or response.
    pub payload: Vec<u8>,
}

impl Message {
    pub(super) fn request(stream: u32, request: &Request) -> Self {
        Self {
            stream,
            kind: REQUEST,
            payload: request.encode_to_vec(),
        }
    }

    pub(super) fn response(stream: u32, response: &Response) -> Self {
        Self {
            stream,
            kind: RESPONSE,
            payload: response.encode_to_vec(),
        }
    }

    /// The message as it goes over a connection.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = (self.payload.len() as u32).to_be_bytes().to_vec();
        bytes.extend(self.stream.to_be_bytes());
        bytes.extend([self.kind, 0]);
        bytes.extend(&self.payload);
        bytes
    }
}

/// How the fake cuts its messages into frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Like upstream's buffered writer: 4096 bytes, then the rest.
    Upstream,
    /// Frames of this many bytes.
    Pieces(usize),
}

impl Framing {
    pub(super) fn frames(self, connection: u32, bytes: &[u8]) -> Vec<u8> {
        let mut framed = Vec::with_capacity(bytes.len() + 16);
        match self {
            Self::Upstream => {
                let (first, rest) = bytes.split_at(bytes.len().min(READ_BUFFER));
                framed.extend(frame(connection, first));
                if !rest.is_empty() {
                    framed.extend(frame(connection, rest));
                }
            }
            Self::Pieces(size) => {
                for piece in bytes.chunks(size) {
                    framed.extend(frame(connection, piece));
                }
            }
        }
        framed
    }
}

pub(super) fn frame(connection: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = connection.to_be_bytes().to_vec();
    frame.extend((payload.len() as u32).to_be_bytes());
    frame.extend(payload);
    frame
}

/// What upstream's reader would choke on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FramingError {
    /// A frame does not fit into the buffer that is offered to it.
    #[error("a frame of {frame} bytes came where the reader offers a buffer of {buffer}")]
    FrameTooLong {
        /// Length of the frame in bytes.
        frame: usize,
        /// Length of the buffer in bytes.
        buffer: usize,
    },
    /// A message comes in more frames than the reader queues.
    #[error(
        "a message came in more than {READ_QUEUE} frames, which can overflow the reader's queue"
    )]
    TooManyFrames,
    /// A message is longer than ttrpc allows.
    #[error("a message of {0} bytes is longer than ttrpc allows")]
    MessageTooLong(usize),
}

/// Upstream's way of reading messages from frames: each frame is taken by one read, into a 4096-byte buffer or
/// straight into the rest of the message if that is longer.
#[derive(Debug, Default)]
pub struct GoReader {
    pending: Vec<u8>,
    frames: usize,
}

impl GoReader {
    /// Takes a frame; returns the messages that it completes.
    ///
    /// # Errors
    ///
    /// Fails if upstream would drop the connection here.
    pub fn take(&mut self, frame: &[u8]) -> Result<Vec<Message>, FramingError> {
        let buffer = self.missing().max(READ_BUFFER);
        if frame.len() > buffer {
            let frame = frame.len();
            return Err(FramingError::FrameTooLong { frame, buffer });
        }
        self.frames += 1;
        if self.frames > READ_QUEUE {
            return Err(FramingError::TooManyFrames);
        }
        self.pending.extend(frame);
        let mut messages = Vec::new();
        while let Some(length) = self.announced() {
            if length > MESSAGE_LIMIT {
                return Err(FramingError::MessageTooLong(length));
            }
            if self.pending.len() < HEADER + length {
                break;
            }
            let message: Vec<u8> = self.pending.drain(..HEADER + length).collect();
            messages.push(Message {
                stream: u32::from_be_bytes([message[4], message[5], message[6], message[7]]),
                kind: message[8],
                payload: message[HEADER..].to_vec(),
            });
            self.frames = 0;
        }
        Ok(messages)
    }

    /// Bytes that the read in progress still waits for.
    fn missing(&self) -> usize {
        match self.announced() {
            Some(length) => HEADER + length - self.pending.len(),
            None => HEADER - self.pending.len(),
        }
    }

    fn announced(&self) -> Option<usize> {
        let length = self.pending.get(..HEADER)?;
        Some(u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(length: usize) -> Message {
        Message {
            stream: 1,
            kind: RESPONSE,
            payload: vec![7; length],
        }
    }

    #[test]
    fn the_reader_takes_what_upstream_writes() {
        for length in [0, 1, 4086, 4087, 100_000] {
            let bytes = message(length).encode();
            let mut reader = GoReader::default();
            let (first, rest) = bytes.split_at(bytes.len().min(4096));
            let mut messages = reader.take(first).unwrap();
            messages.extend(reader.take(rest).unwrap());
            assert_eq!(messages, [message(length)]);
        }
    }

    #[test]
    fn the_reader_refuses_a_long_first_frame() {
        let bytes = message(10_000).encode();
        assert!(GoReader::default().take(&bytes).is_err());
        let mut reader = GoReader::default();
        reader.take(&bytes[..10]).unwrap();
        assert_eq!(reader.take(&bytes[10..]).unwrap().len(), 1);
    }

    #[test]
    fn the_reader_refuses_a_flood_of_frames() {
        let bytes = message(2 << 20).encode();
        let mut reader = GoReader::default();
        let flood = bytes
            .chunks(4096)
            .try_for_each(|frame| reader.take(frame).map(drop));
        assert_eq!(flood, Err(FramingError::TooManyFrames));
    }
}
