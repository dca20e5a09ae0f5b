//! Reads the bodies of responses, so that their connections can be reused, without delaying the next request.
//!
//! The status line decides about a request. Its response may have a body that is never used. Some receivers send head and
//! body in two packets, and the second one can take 40 ms (a delayed acknowledgement). A body that has arrived with the
//! head is read at once. A background task reads any other body. Meanwhile the next request uses another connection.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tokio::task::spawn_local;
use tokio::time::timeout;

/// Limit of the bytes read of a body. After a shorter body the connection is reused; after a longer one it is closed.
pub(super) const MAX_BODY_BYTES: usize = 64 << 10;

/// How often a body may be found incomplete before a background task reads it. The connection is a task of its own: it
/// needs one turn to hand over a body that has arrived, and one to notice its end.
const TURNS: usize = 2;

/// Timeout of a background task. The connection is then closed.
const MAX_BACKGROUND: Duration = Duration::from_secs(5);

/// Limit of the background tasks. The connections of further responses are closed instead.
const MAX_TASKS: usize = 256;

/// The background tasks for the responses of one receiver.
#[derive(Clone, Default)]
pub(super) struct Drains(Rc<Cell<usize>>);

impl Drains {
    /// Runs `read`, which reads a body to its end or to [`MAX_BODY_BYTES`]. Returns when it has ended or continues in
    /// the background. Requires a `LocalSet`.
    pub(super) async fn run(&self, mut read: impl Future<Output = ()> + Unpin + 'static) {
        let mut turns = 0;
        let is_over = std::future::poll_fn(|context| match pin!(&mut read).poll(context) {
            Poll::Ready(()) => Poll::Ready(true),
            Poll::Pending if turns == TURNS => Poll::Ready(false),
            Poll::Pending => {
                turns += 1;
                // The tasks that are ready now run first, the one of the connection among them.
                context.waker().wake_by_ref();
                Poll::Pending
            }
        });
        if !is_over.await && self.0.get() < MAX_TASKS {
            let task = Task::start(&self.0);
            spawn_local(async move {
                // Dropping what is left of the body closes the connection.
                timeout(MAX_BACKGROUND, read).await.ok();
                drop(task);
            });
        }
    }
}

/// Counts as a background task until it is dropped.
struct Task(Rc<Cell<usize>>);

impl Task {
    fn start(count: &Rc<Cell<usize>>) -> Task {
        count.set(count.get() + 1);
        Task(Rc::clone(count))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::runtime::Builder;
    use tokio::task::LocalSet;

    use super::*;

    #[test]
    fn an_endless_body_is_left_to_a_bounded_number_of_tasks() {
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        LocalSet::new().block_on(&runtime, async {
            let drains = Drains::default();
            drains.run(Box::pin(async {})).await;
            assert_eq!(drains.0.get(), 0);
            let held = Rc::new(());
            for _ in 0..MAX_TASKS + 10 {
                let held = Rc::clone(&held);
                let endless = async move {
                    pending::<()>().await;
                    drop(held);
                };
                drains.run(Box::pin(endless)).await;
            }
            assert_eq!(drains.0.get(), MAX_TASKS);
            assert_eq!(Rc::strong_count(&held), 1 + MAX_TASKS, "the others are closed");
        });
    }
}
