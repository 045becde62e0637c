//! One gRPC call over a unix socket.
//!
//! A call is one HTTP/2 request: a message with a five-byte header each way, and the outcome in the trailers. That is little
//! enough to do without a gRPC framework.

use std::io;
use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http2;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::UnixStream;
use tokio::time::timeout;

const SERVICE: &str = "runtime.v1.RuntimeService";
/// What a node full of pods does not reach.
const LARGEST: usize = 64 << 20;
/// One byte that says whether the message is compressed, four with its length.
const HEADER: usize = 5;

/// Why a call gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// Nobody listens.
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    /// The connection broke.
    #[error("the connection failed")]
    Http(#[from] hyper::Error),
    /// The body was cut short or is too large.
    #[error("the answer cannot be read: {0}")]
    Body(String),
    /// It is no gRPC.
    #[error("the answer is no gRPC: {0}")]
    Protocol(String),
    /// The service answers with an error.
    #[error("{method} failed with status {code}: {message}")]
    Status {
        /// The method.
        method: String,
        /// The gRPC status code.
        code: String,
        /// What it says.
        message: String,
    },
    /// No answer in time.
    #[error("no answer within {0} seconds")]
    TimedOut(u64),
}

impl CallError {
    /// Whether what was asked about does not exist.
    pub(super) fn is_absence(&self) -> bool {
        const NOT_FOUND: &str = "5";
        matches!(self, Self::Status { code, .. } if code == NOT_FOUND)
    }
}

/// Calls a method of CRI's runtime service.
pub(super) fn call<A: prost::Message + Default>(
    socket: &Path,
    method: &str,
    request: &impl prost::Message,
    limit: Duration,
) -> Result<A, CallError> {
    let mut framed = vec![0; HEADER];
    request
        .encode(&mut framed)
        .map_err(|error| CallError::Protocol(error.to_string()))?;
    let length = u32::try_from(framed.len() - HEADER);
    let length = length.map_err(|error| CallError::Protocol(error.to_string()))?;
    framed[1..HEADER].copy_from_slice(&length.to_be_bytes());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CallError::Connect)?;
    let answer = runtime.block_on(async {
        let late = |_| CallError::TimedOut(limit.as_secs());
        timeout(limit, exchange(socket, method, framed.into()))
            .await
            .map_err(late)?
    })?;
    A::decode(message(&answer)?).map_err(|error| CallError::Protocol(error.to_string()))
}

async fn exchange(socket: &Path, method: &str, body: Bytes) -> Result<Bytes, CallError> {
    let stream = UnixStream::connect(socket)
        .await
        .map_err(CallError::Connect)?;
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await?;
    // It ends with the runtime that this all runs on.
    tokio::spawn(connection);
    let request = Request::post(format!("http://localhost/{SERVICE}/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(body))
        .map_err(|error| CallError::Protocol(error.to_string()))?;
    read(method, sender.send_request(request).await?).await
}

async fn read(method: &str, response: Response<Incoming>) -> Result<Bytes, CallError> {
    let status = response.status();
    if !status.is_success() {
        return Err(CallError::Protocol(format!("HTTP status {status}")));
    }
    // An error without an answer comes in the headers.
    let headers = response.headers().clone();
    let body = Limited::new(response.into_body(), LARGEST).collect().await;
    let body = body.map_err(|error| CallError::Body(error.to_string()))?;
    let trailers = body.trailers().cloned().unwrap_or_default();
    let outcome = match trailers.contains_key("grpc-status") {
        true => trailers,
        false => headers,
    };
    check(method, &outcome)?;
    Ok(body.to_bytes())
}

fn check(method: &str, outcome: &HeaderMap) -> Result<(), CallError> {
    let text = |name| {
        outcome
            .get(name)
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
    };
    match text("grpc-status").as_deref() {
        Some("0") => Ok(()),
        Some(code) => Err(CallError::Status {
            method: method.to_owned(),
            code: code.to_owned(),
            message: decoded(&text("grpc-message").unwrap_or_default()),
        }),
        None => Err(CallError::Protocol("it has no grpc-status".to_owned())),
    }
}

/// The message in an answer.
fn message(answer: &Bytes) -> Result<Bytes, CallError> {
    let malformed = || CallError::Protocol("its message is cut short".to_owned());
    let header = answer.get(..HEADER).ok_or_else(malformed)?;
    if header[0] != 0 {
        return Err(CallError::Protocol("its message is compressed".to_owned()));
    }
    let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
    match answer.len() - HEADER == length {
        true => Ok(answer.slice(HEADER..)),
        false => Err(malformed()),
    }
}

/// gRPC messages come with `%XX` for what is not plain.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let digits = tail
            .get(..2)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        let coded = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match coded.filter(|_| first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_taken_out_of_their_frame() {
        let framed = Bytes::from_static(&[0, 0, 0, 0, 2, 7, 8]);
        assert_eq!(message(&framed).unwrap().as_ref(), [7, 8]);
        for broken in [
            &[0, 0, 0][..],
            &[0, 0, 0, 0, 3, 7, 8],
            &[1, 0, 0, 0, 2, 7, 8],
            &[],
        ] {
            assert!(
                message(&Bytes::copy_from_slice(broken)).is_err(),
                "{broken:?}"
            );
        }
    }

    #[test]
    fn coded_characters_are_decoded() {
        assert_eq!(decoded("100%25 of%0A50%"), "100% of\n50%");
        assert_eq!(decoded("%zz%4"), "%zz%4");
    }
}
