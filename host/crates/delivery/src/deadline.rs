//! A time limit that costs next to nothing while it is kept.
//!
//! A timer per attempt would be put into the runtime's timer wheel and taken out of it some ten thousand times a second
//! for something that hardly ever happens. Here one timer serves all attempts of a worker: it is moved only when it
//! fires, which at most once per limit finds an attempt that has time left.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// The timer of one worker.
pub(super) struct Deadline {
    timer: Option<Pin<Box<Sleep>>>,
}

/// The time was over first.
#[derive(Debug, PartialEq)]
pub(super) struct TimeOver;

impl Deadline {
    /// A timer that does not run yet.
    pub(super) fn new() -> Deadline {
        Deadline { timer: None }
    }

    /// Waits for `future` until `limit` after `start`, then drops it.
    pub(super) async fn within<F: Future>(
        &mut self,
        start: Instant,
        limit: Duration,
        future: F,
    ) -> Result<F::Output, TimeOver> {
        /// Nobody waits longer; beyond, the clock might overflow.
        const LONGEST: Duration = Duration::from_secs(24 * 3600);
        let end = start + limit.min(LONGEST);
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(end)));
        if timer.deadline() > end {
            timer.as_mut().reset(end);
        }
        let mut future = pin!(future);
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            while timer.as_mut().poll(cx).is_ready() {
                if timer.deadline() >= end {
                    return Poll::Ready(Err(TimeOver));
                }
                timer.as_mut().reset(end);
            }
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use tokio::time::sleep;

    use super::*;

    #[tokio::test]
    async fn keeps_the_limit_of_each_call() {
        let mut deadline = Deadline::new();
        let hour = Duration::from_secs(3600);
        // After a long limit a short one, and the other way round: the timer moves both ways.
        for limit in [10, 3, 20, 5].map(Duration::from_millis) {
            let start = Instant::now();
            assert_eq!(deadline.within(start, limit, pending::<()>()).await, Err(TimeOver));
            assert!(start.elapsed() >= limit && start.elapsed() < hour);
            assert_eq!(deadline.within(Instant::now(), hour, ready(7)).await, Ok(7));
            // The timer of an earlier call fires during this one, which has time left.
            deadline.within(Instant::now(), limit, sleep(limit / 2)).await.unwrap();
            assert_eq!(deadline.within(Instant::now(), hour, sleep(limit)).await, Ok(()));
        }
    }
}
