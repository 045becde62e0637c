//! Connections: accepting them, and ending them in time.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::warn;

use super::{Views, routes};

/// Most connections at once. One more ends the oldest: who holds connections open keeps nobody else out.
pub(super) const CONNECTIONS: usize = 64;
/// What every connection gets before another one may end it: whoever asks at once, as probes do, is answered, however many others come.
const LEAST: Duration = Duration::from_millis(50);
/// What a connection may take altogether, from its first byte to its last.
pub(super) const CONNECTION_LIMIT: Duration = Duration::from_secs(10);
/// What the head of a request may take of it.
const HEAD_LIMIT: Duration = Duration::from_secs(5);
/// Most bytes of a request's head.
pub(super) const HEAD_SIZE: usize = 8192;
/// Most headers in it.
const HEADERS: usize = 64;
/// Pause after a connection could not be accepted, for lack of descriptors for example.
const PAUSE: Duration = Duration::from_millis(200);

/// Serves for ever.
pub(super) fn run(socket: std::net::TcpListener, views: &Views) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::from_std(socket)?;
        accept_all(&listener, views).await;
        Ok(())
    })
}

async fn accept_all(listener: &TcpListener, views: &Views) {
    let mut open = VecDeque::with_capacity(CONNECTIONS);
    let mut last_failed = false;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                make_room(&mut open).await;
                open.push_back(Open {
                    since: Instant::now(),
                    task: tokio::spawn(serve(stream, views.clone())),
                });
                last_failed = false;
            }
            Err(error) => {
                if !last_failed {
                    let reason = error.to_string();
                    warn!(
                        reason,
                        "endpoints cannot accept connections; it is tried again"
                    );
                }
                last_failed = true;
                sleep(PAUSE).await;
            }
        }
    }
}

/// A connection that is served.
struct Open {
    since: Instant,
    task: JoinHandle<()>,
}

async fn make_room(open: &mut VecDeque<Open>) {
    open.retain(|connection| !connection.task.is_finished());
    if open.len() >= CONNECTIONS
        && let Some(oldest) = open.pop_front()
    {
        sleep_until(oldest.since + LEAST).await;
        oldest.task.abort();
    }
}

/// Serves one request. What goes wrong on the way is the other side's business.
async fn serve(stream: TcpStream, views: Views) {
    let service = service_fn(|request| {
        let views = &views;
        async move { Ok::<_, Infallible>(routes::answer(&request, views).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .keep_alive(false)
        .max_buf_size(HEAD_SIZE)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    let _ = timeout(CONNECTION_LIMIT, connection).await;
}
