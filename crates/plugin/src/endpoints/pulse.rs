//! Whether the event loop answers: it is asked, and has so long to do so.

use std::future::Future;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// How long an answer may take. The event loop only hands requests on, so it has none to wait for.
pub(super) const PATIENCE: Duration = Duration::from_millis(800);

/// Most questions that wait.
const QUEUE: usize = 64;

/// What answers for the event loop: a task that it is to run.
pub type Heart = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// Asks the event loop whether it is alive.
#[derive(Clone, Debug)]
pub struct Pulse(mpsc::Sender<oneshot::Sender<()>>);

/// A pulse, and the heart that belongs on the event loop.
pub fn pulse() -> (Pulse, Heart) {
    let (sender, mut questions) = mpsc::channel::<oneshot::Sender<()>>(QUEUE);
    let heart = async move {
        while let Some(question) = questions.recv().await {
            // Whoever asked may have given up.
            let _ = question.send(());
        }
    };
    (Pulse(sender), Box::pin(heart))
}

impl Pulse {
    /// Whether the event loop answers in time.
    pub async fn beats(&self) -> bool {
        let (answer, answered) = oneshot::channel();
        let ask = async { self.0.send(answer).await.is_ok() && answered.await.is_ok() };
        timeout(PATIENCE, ask).await.unwrap_or(false)
    }
}
