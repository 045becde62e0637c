//! One connection with a plugin: calls, replies and rude behaviour.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nri_plugin::NriVersion;
use nri_plugin::api::{Empty, RUNTIME_SERVICE, RegisterPluginRequest};
use prost::Message as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::wire::{self, Framing, GoReader, Message, Request, Response};
use super::{FakeError, FramingError, PATIENCE};

/// Calls that wait for a reply, by stream; `None` once no reply can come any more.
type Waiting = Arc<Mutex<Option<HashMap<u32, oneshot::Sender<Response>>>>>;

/// A connection with a plugin. Dropping it hangs up.
#[derive(Debug)]
pub struct Session {
    pub(super) version: NriVersion,
    pub(super) request_timeout: Duration,
    writer: tokio::sync::Mutex<OwnedWriteHalf>,
    framing: Mutex<Framing>,
    next_stream: AtomicU32,
    waiting: Waiting,
    calls: tokio::sync::Mutex<mpsc::UnboundedReceiver<(u32, Request)>>,
    violation: Arc<Mutex<Option<FramingError>>>,
    reader: JoinHandle<()>,
}

/// A RegisterPlugin call that has not been answered yet.
#[derive(Debug)]
pub struct Registering {
    stream: u32,
    /// What the plugin said.
    pub request: RegisterPluginRequest,
}

impl Session {
    pub(super) fn new(stream: UnixStream, version: NriVersion, request_timeout: Duration) -> Self {
        let (reader, writer) = stream.into_split();
        let (call_sender, calls) = mpsc::unbounded_channel();
        let waiting: Waiting = Arc::new(Mutex::new(Some(HashMap::new())));
        let violation = Arc::default();
        let inbound = Inbound {
            waiting: Arc::clone(&waiting),
            calls: call_sender,
            violation: Arc::clone(&violation),
        };
        Self {
            version,
            request_timeout,
            writer: writer.into(),
            framing: Framing::Upstream.into(),
            next_stream: AtomicU32::new(1),
            waiting,
            calls: calls.into(),
            violation,
            reader: tokio::spawn(inbound.read(reader)),
        }
    }

    /// Sets how messages to the plugin are cut into frames.
    pub fn set_framing(&self, framing: Framing) {
        *lock(&self.framing) = framing;
    }

    /// Waits for the plugin's RegisterPlugin call without answering it.
    ///
    /// # Errors
    ///
    /// Fails if the plugin calls something else, hangs up or does nothing.
    pub async fn expect_register(&mut self) -> Result<Registering, FakeError> {
        let call = timeout(PATIENCE, self.calls.get_mut().recv()).await;
        let Some((stream, call)) = call.map_err(|_| FakeError::NoReply)? else {
            return Err(self.hung_up());
        };
        if (call.service.as_str(), call.method.as_str()) != (RUNTIME_SERVICE, "RegisterPlugin") {
            let method = format!("{}/{}", call.service, call.method);
            let expected = "RegisterPlugin";
            return Err(FakeError::UnexpectedCall { method, expected });
        }
        let request = RegisterPluginRequest::decode(&*call.payload)?;
        Ok(Registering { stream, request })
    }

    /// Answers RegisterPlugin.
    ///
    /// # Errors
    ///
    /// Fails if the socket does.
    pub async fn accept_registration(&self, plugin: Registering) -> Result<(), FakeError> {
        let response = Response {
            status: None,
            payload: Empty {}.encode_to_vec(),
        };
        self.answer(plugin.stream, &response).await
    }

    /// Answers RegisterPlugin with an error.
    ///
    /// # Errors
    ///
    /// Fails if the socket does.
    pub async fn refuse_registration(
        &self,
        plugin: Registering,
        message: &str,
    ) -> Result<(), FakeError> {
        let status = wire::Status {
            code: 2,
            message: message.to_owned(),
        };
        let response = Response {
            status: Some(status),
            payload: Vec::new(),
        };
        self.answer(plugin.stream, &response).await
    }

    async fn answer(&self, stream: u32, response: &Response) -> Result<(), FakeError> {
        let message = Message::response(stream, response);
        self.send_message(wire::RUNTIME, &message).await
    }

    /// Calls any method of the plugin with an encoded request and the default time limit.
    ///
    /// # Errors
    ///
    /// Fails if the plugin replies with an error, breaks the framing rules, hangs up or does nothing.
    pub async fn call(
        &self,
        service: &str,
        method: &str,
        payload: Vec<u8>,
    ) -> Result<Vec<u8>, FakeError> {
        self.call_within(service, method, payload, self.request_timeout)
            .await
    }

    /// Calls any method of the plugin and tells it to reply within `limit`; waits for longer than that.
    ///
    /// # Errors
    ///
    /// Like [`call`](Self::call).
    pub async fn call_within(
        &self,
        service: &str,
        method: &str,
        payload: Vec<u8>,
        limit: Duration,
    ) -> Result<Vec<u8>, FakeError> {
        let reply = self.start_call(service, method, payload, limit).await?;
        let response = match timeout(PATIENCE, reply).await {
            Err(_) => return Err(FakeError::NoReply),
            Ok(Err(_)) => return Err(self.hung_up()),
            Ok(Ok(response)) => response,
        };
        match response.status {
            Some(wire::Status { code, message }) if code != 0 => {
                Err(FakeError::Rpc { code, message })
            }
            _ => Ok(response.payload),
        }
    }

    /// Sends a request; the receiver gets the reply, or an error if the plugin hangs up first.
    async fn start_call(
        &self,
        service: &str,
        method: &str,
        payload: Vec<u8>,
        limit: Duration,
    ) -> Result<oneshot::Receiver<Response>, FakeError> {
        let request = Request {
            service: service.to_owned(),
            method: method.to_owned(),
            payload,
            timeout_nano: i64::try_from(limit.as_nanos()).unwrap_or(i64::MAX),
        };
        let stream = self.next_stream.fetch_add(2, Ordering::Relaxed);
        let (sender, reply) = oneshot::channel();
        if let Some(waiting) = &mut *lock(&self.waiting) {
            waiting.insert(stream, sender);
        }
        let message = Message::request(stream, &request);
        self.send_message(wire::PLUGIN, &message).await?;
        Ok(reply)
    }

    async fn send_message(&self, connection: u32, message: &Message) -> Result<(), FakeError> {
        let framing = *lock(&self.framing);
        self.send_bytes(&framing.frames(connection, &message.encode()))
            .await
    }

    /// Sends a request and hangs up without waiting for the reply.
    ///
    /// # Errors
    ///
    /// Fails if the socket does.
    pub async fn call_and_hang_up(
        self,
        service: &str,
        method: &str,
        payload: Vec<u8>,
    ) -> Result<(), FakeError> {
        let limit = self.request_timeout;
        self.start_call(service, method, payload, limit)
            .await
            .map(drop)
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    ///
    /// Fails if the socket does.
    pub async fn send_bytes(&self, bytes: &[u8]) -> Result<(), FakeError> {
        self.writer.lock().await.write_all(bytes).await?;
        Ok(())
    }

    /// Sends one frame.
    ///
    /// # Errors
    ///
    /// Fails if the socket does.
    pub async fn send_frame(&self, connection: u32, payload: &[u8]) -> Result<(), FakeError> {
        self.send_bytes(&wire::frame(connection, payload)).await
    }

    /// Waits until the plugin hangs up.
    ///
    /// # Errors
    ///
    /// Fails if it does not, or if it broke the framing rules before.
    pub async fn wait_for_hang_up(&mut self) -> Result<(), FakeError> {
        let ended = timeout(PATIENCE, &mut self.reader).await;
        ended
            .map_err(|_| FakeError::NoReply)?
            .map_err(std::io::Error::other)?;
        match self.hung_up() {
            FakeError::HungUp => Ok(()),
            violation => Err(violation),
        }
    }

    fn hung_up(&self) -> FakeError {
        let violation = lock(&self.violation).clone();
        violation.map_or(FakeError::HungUp, FakeError::Framing)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// What arrives from the plugin.
struct Inbound {
    waiting: Waiting,
    calls: mpsc::UnboundedSender<(u32, Request)>,
    violation: Arc<Mutex<Option<FramingError>>>,
}

impl Inbound {
    async fn read(self, socket: OwnedReadHalf) {
        let mut socket = BufReader::new(socket);
        let mut connections = HashMap::<u32, GoReader>::new();
        while let Ok((connection, frame)) = read_frame(&mut socket).await {
            match connections.entry(connection).or_default().take(&frame) {
                Ok(messages) => messages
                    .into_iter()
                    .for_each(|message| self.dispatch(message)),
                Err(violation) => {
                    *lock(&self.violation) = Some(violation);
                    break;
                }
            }
        }
        // Whoever waits for a reply learns that none will come.
        *lock(&self.waiting) = None;
    }

    fn dispatch(&self, message: Message) {
        match message.kind {
            wire::REQUEST => {
                if let Ok(request) = Request::decode(&*message.payload) {
                    let _ = self.calls.send((message.stream, request));
                }
            }
            wire::RESPONSE => {
                let stream = message.stream;
                let waiting = lock(&self.waiting).as_mut().and_then(|w| w.remove(&stream));
                if let (Some(waiting), Ok(response)) =
                    (waiting, Response::decode(&*message.payload))
                {
                    let _ = waiting.send(response);
                }
            }
            _ => {}
        }
    }
}

async fn read_frame(socket: &mut BufReader<OwnedReadHalf>) -> std::io::Result<(u32, Vec<u8>)> {
    let connection = socket.read_u32().await?;
    let mut frame = vec![0; socket.read_u32().await? as usize];
    socket.read_exact(&mut frame).await?;
    Ok((connection, frame))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().expect("no test panics with the lock held")
}
