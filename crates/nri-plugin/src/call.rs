//! Running a handler method under the runtime's deadline.
//!
//! Invariants: every call ends in a value or a [`Failure`] before 80 % of the runtime's time limit has passed,
//! whatever the method does; at most a fixed number of methods run at once, counting those whose result is no
//! longer awaited.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, watch};
use tokio::time::timeout_at;

use crate::handler::HandlerError;
use crate::status::Failure;

/// What a handler method knows about the call it serves.
#[derive(Debug, Clone)]
pub struct CallContext {
    deadline: Instant,
}

impl CallContext {
    /// A context with the given deadline, for tests of handlers.
    pub fn with_deadline(deadline: Instant) -> Self {
        Self { deadline }
    }

    /// When the result stops being awaited.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether the runtime has been told that the call failed: side effects are too late now.
    pub fn is_expired(&self) -> bool {
        self.remaining().is_zero()
    }

    /// Time left, zero if there is none.
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// The time a method may take, and when that started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    started: tokio::time::Instant,
    limit: Duration,
}

impl Budget {
    /// 80 % of what the runtime allows, from now on. A limit that is absent from the request, so not positive,
    /// is the one that the runtime advertised.
    pub(crate) fn start(timeout_nano: i64, advertised: Duration) -> Self {
        let allowed = match u64::try_from(timeout_nano) {
            Ok(0) | Err(_) => advertised,
            Ok(nanoseconds) => Duration::from_nanos(nanoseconds),
        };
        Self {
            started: tokio::time::Instant::now(),
            limit: allowed.mul_f64(0.8),
        }
    }

    fn deadline(&self) -> tokio::time::Instant {
        // A limit too large to add is no limit; a day is as good.
        let day = Duration::from_secs(86_400);
        self.started + self.limit.min(day)
    }
}

/// The blocking threads that handler methods may occupy.
#[derive(Debug, Clone)]
pub(crate) struct Workers {
    permits: Arc<Semaphore>,
}

impl Workers {
    pub(crate) fn new(count: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(count.max(1))),
        }
    }

    /// Runs `method` on a blocking thread. On overrun the method keeps its thread until it returns.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        budget: Budget,
        method: impl FnOnce(&CallContext) -> Result<T, HandlerError> + Send + 'static,
    ) -> Result<T, Failure> {
        let deadline = budget.deadline();
        let limit = budget.limit;
        let Ok(permit) = timeout_at(deadline, self.permits.clone().acquire_owned()).await else {
            return Err(Failure::late(format!(
                "all handler threads were busy for {limit:?}; earlier calls may hang"
            )));
        };
        let context = CallContext::with_deadline(deadline.into_std());
        let running = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let result = method(&context);
            // A method that saw its context expire may have acted on that, so its result must not count even if
            // it outruns the timer below.
            (!context.is_expired()).then_some(result)
        });
        match timeout_at(deadline, running).await {
            Err(_) | Ok(Ok(None)) => Err(Failure::late(format!(
                "the handler did not finish within {limit:?}"
            ))),
            Ok(Err(join)) => Err(Failure::panicked(describe_join(join))),
            Ok(Ok(Some(Err(error)))) => Err(Failure::refused(describe(&*error))),
            Ok(Ok(Some(Ok(value)))) => Ok(value),
        }
    }
}

/// How many requests are being served.
#[derive(Debug, Clone)]
pub(crate) struct InFlight {
    count: watch::Sender<usize>,
}

/// A request that is being served, until dropped.
pub(crate) struct Entered<'a>(&'a watch::Sender<usize>);

impl InFlight {
    /// Time for a reply to get from the service to the socket.
    const SETTLING: Duration = Duration::from_millis(50);

    pub(crate) fn new() -> Self {
        let (count, _) = watch::channel(0);
        Self { count }
    }

    pub(crate) fn enter(&self) -> Entered<'_> {
        self.count.send_modify(|count| *count += 1);
        Entered(&self.count)
    }

    /// Waits until nothing is being served and the replies are sent.
    pub(crate) async fn drained(&self) {
        let mut count = self.count.subscribe();
        loop {
            // The sender outlives this call, so waiting cannot fail.
            let _ = count.wait_for(|count| *count == 0).await;
            tokio::time::sleep(Self::SETTLING).await;
            if *count.borrow() == 0 {
                return;
            }
        }
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

fn describe_join(error: tokio::task::JoinError) -> String {
    match error.try_into_panic() {
        Ok(panic) => describe_panic("the handler", &*panic),
        Err(_) => "the handler was cancelled because the plugin is shutting down".to_owned(),
    }
}

/// Says that `who` panicked, and with what message.
pub(crate) fn describe_panic(who: &str, panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("{who} panicked: {}", text.unwrap_or("(no message)"))
}

/// An error and its sources, once each.
fn describe(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_four_fifths_of_what_the_runtime_allows() {
        let advertised = Duration::from_secs(2);
        let limit = |timeout_nano| Budget::start(timeout_nano, advertised).limit;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let _guard = runtime.enter();
        assert_eq!(limit(1_000_000_000), Duration::from_millis(800));
        assert_eq!(limit(0), Duration::from_millis(1600));
        assert_eq!(limit(-1), Duration::from_millis(1600));
        // Adding the largest limit to the clock must not overflow.
        let _ = Budget::start(i64::MAX, advertised).deadline();
    }

    #[tokio::test]
    async fn a_saturated_pool_fails_at_the_deadline() {
        let workers = Workers::new(1);
        let (release, blocked) = std::sync::mpsc::channel::<()>();
        let budget = || Budget::start(20_000_000, Duration::ZERO);
        let first = workers.run(budget(), move |_| Ok(blocked.recv()?)).await;
        assert!(format!("{first:?}").contains("did not finish"));
        let second = workers.run(budget(), |_| Ok(())).await;
        assert!(format!("{second:?}").contains("busy"));
        release.send(()).unwrap();
        let long = Budget::start(60_000_000_000, Duration::ZERO);
        assert_eq!(workers.run(long, |_| Ok(7)).await, Ok(7));
    }

    #[tokio::test]
    async fn a_result_from_after_the_deadline_does_not_count() {
        let workers = Workers::new(1);
        for _ in 0..20 {
            let budget = Budget::start(2_000_000, Duration::ZERO);
            let result = workers.run(budget, |context| {
                while !context.is_expired() {}
                Ok(())
            });
            assert!(result.await.is_err());
        }
    }

    #[tokio::test]
    async fn the_context_expires_at_the_deadline() {
        let context = CallContext::with_deadline(Instant::now());
        assert!(context.is_expired());
        let context = CallContext::with_deadline(Instant::now() + Duration::from_secs(3600));
        assert!(!context.is_expired() && context.remaining() <= Duration::from_secs(3600));
    }

    #[test]
    fn sources_are_told_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("reading failed")]
        struct Outer(#[source] std::io::Error);
        let error = Outer(std::io::Error::other("disk on fire"));
        assert_eq!(describe(&error), "reading failed: disk on fire");
    }
}
