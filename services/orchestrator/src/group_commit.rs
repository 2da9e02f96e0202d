//! Group commit: what arrives while a batch is being written makes the next one. An idle writer writes at
//! once, a busy one in batches as large as the load; after more than a few items it rests for a while, for many small batches
//! cost the machine more than they gain.

use std::sync::Arc;
use std::time::{Duration, Instant};

use titan_error::{Code, Error, Result};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Hands items to the batch writer. The queue is bounded: callers wait when it is full.
pub(crate) struct Writer<I, O>(mpsc::Sender<Waiting<I, O>>);

pub(crate) struct Queue<I, O> {
    waiting: mpsc::Receiver<Waiting<I, O>>,
    /// Of a batch.
    most: usize,
    pace: Pace,
}

struct Waiting<I, O> {
    item: Arc<I>,
    reply: oneshot::Sender<Result<O>>,
}

/// A deadlock or a broken connection: everything written here may be written again.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(20);

/// How a writer rests after a batch, so that the next one is larger.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// A batch of this few says that there is no hurry.
    few: usize,
    /// As long as the batch took, and between these.
    least: Duration,
    most: Duration,
}

impl Pace {
    /// For what somebody waits for.
    pub(crate) const QUICK: Self = Self { few: 16, least: Duration::ZERO, most: Duration::from_millis(10) };
    /// For what few wait for: most of it is news.
    pub(crate) const CALM: Self = Self { few: 2, least: Duration::from_millis(10), most: Duration::from_millis(20) };

    pub(crate) fn rest(self, written: usize, took: Duration) -> Duration {
        if written > self.few { took.clamp(self.least, self.most) } else { Duration::ZERO }
    }
}

/// For batches of at most `most` items, four of which may wait.
pub(crate) fn channel<I, O>(most: usize, pace: Pace) -> (Writer<I, O>, Queue<I, O>) {
    let (send, waiting) = mpsc::channel(most * 4);
    (Writer(send), Queue { waiting, most, pace })
}

impl<I, O> Writer<I, O> {
    /// Returns when the item is committed, or was refused.
    pub(crate) async fn write(&self, item: I) -> Result<O> {
        self.hand_in(item).await?.outcome().await
    }

    /// Returns when the item has its place: items are written in the order in which these calls return.
    pub(crate) async fn hand_in(&self, item: I) -> Result<Written<O>> {
        let (reply, written) = oneshot::channel();
        self.0.send(Waiting { item: Arc::new(item), reply }).await.map_err(|_| stopping())?;
        Ok(Written(written))
    }
}

/// An item on its way.
pub(crate) struct Written<O>(oneshot::Receiver<Result<O>>);

impl<O> Written<O> {
    /// Returns when the item is committed, or was refused.
    pub(crate) async fn outcome(self) -> Result<O> {
        self.0.await.map_err(|_| stopping())?
    }
}

fn stopping() -> Error {
    Error::unavailable("the service is stopping; try again")
}

/// Writes batches until `shutdown`; what is queued by then is written too. `commit` gives an outcome for each item, or an
/// error for the whole batch, of which nothing is written then.
pub(crate) async fn run<I, O, F>(queue: Queue<I, O>, commit: impl Fn(Vec<Arc<I>>) -> F, shutdown: CancellationToken)
where
    F: Future<Output = Result<Vec<Result<O>>>>,
{
    let Queue { waiting: mut queue, most, pace } = queue;
    let mut batch = Vec::with_capacity(most);
    loop {
        tokio::select! {
            biased;
            taken = queue.recv_many(&mut batch, most) => if taken == 0 { return },
            () = shutdown.cancelled() => return,
        }
        let (began, written) = (Instant::now(), batch.len());
        let (items, replies): (Vec<_>, Vec<_>) = batch.drain(..).map(|waiting| (waiting.item, waiting.reply)).unzip();
        for (reply, outcome) in replies.into_iter().zip(write(&items, &commit).await) {
            let _ = reply.send(outcome); // nobody waits any more
        }
        if queue.len() < most {
            tokio::select! { () = tokio::time::sleep(pace.rest(written, began.elapsed())) => {}, () = shutdown.cancelled() => {} }
        }
    }
}

/// Halves a batch that fails until only what is wrong with it is left.
async fn write<I, O, F>(items: &[Arc<I>], commit: &impl Fn(Vec<Arc<I>>) -> F) -> Vec<Result<O>>
where
    F: Future<Output = Result<Vec<Result<O>>>>,
{
    let mut parts = vec![items];
    let mut outcomes = Vec::with_capacity(items.len());
    while let Some(part) = parts.pop() {
        match patiently(part, commit).await {
            Ok(written) => outcomes.extend(written),
            Err(error) if part.len() == 1 => outcomes.push(Err(error)),
            Err(error) if error.code() == Code::Unavailable => {
                outcomes.extend(part.iter().map(|_| Err(Error::unavailable(error.message()))));
            }
            Err(_) => {
                let (first, second) = part.split_at(part.len() / 2);
                parts.push(second);
                parts.push(first);
            }
        }
    }
    outcomes
}

async fn patiently<I, O, F>(part: &[Arc<I>], commit: &impl Fn(Vec<Arc<I>>) -> F) -> Result<Vec<Result<O>>>
where
    F: Future<Output = Result<Vec<Result<O>>>>,
{
    let mut tries = 1;
    loop {
        match commit(part.to_vec()).await {
            Err(error) if error.code() == Code::Unavailable && tries < TRIES => {
                tries += 1;
                tokio::time::sleep(PAUSE).await;
            }
            written => return written,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Refuses batches with an odd one out: 13 always, 7 the first time.
    async fn outcomes(items: Vec<u32>) -> (Vec<std::result::Result<u32, Code>>, Vec<usize>) {
        let (writer, queue) = channel(100, Pace::QUICK);
        let (sizes, away) = (Mutex::new(Vec::new()), Mutex::new(true));
        let commit = async |batch: Vec<Arc<u32>>| {
            sizes.lock().unwrap().push(batch.len());
            if batch.iter().any(|item| **item == 7) && std::mem::take(&mut *away.lock().unwrap()) {
                return Err(Error::unavailable("away"));
            }
            if batch.iter().any(|item| **item == 13) {
                return Err(Error::invalid("item", "is 13"));
            }
            Ok(batch.iter().map(|item| if **item == 5 { Err(Error::not_found("5")) } else { Ok(**item * 2) }).collect())
        };
        let stop = CancellationToken::new();
        let asking = async {
            let outcomes = futures::future::join_all(items.into_iter().map(|item| writer.write(item))).await;
            stop.cancel();
            outcomes.into_iter().map(|outcome| outcome.map_err(|e| e.code())).collect()
        };
        let (outcomes, ()) = tokio::join!(asking, run(queue, commit, stop.clone()));
        (outcomes, sizes.into_inner().unwrap())
    }

    #[tokio::test]
    async fn one_batch_for_what_waits_and_an_outcome_for_each() {
        let (outcomes, sizes) = outcomes(vec![1, 5, 3]).await;
        assert_eq!(outcomes, [Ok(2), Err(Code::NotFound), Ok(6)]);
        assert_eq!(sizes, [3]);
    }

    #[tokio::test]
    async fn a_bad_item_takes_no_other_with_it() {
        let (outcomes, _) = outcomes(vec![1, 2, 13, 4, 6]).await;
        assert_eq!(outcomes, [Ok(2), Ok(4), Err(Code::InvalidArgument), Ok(8), Ok(12)]);
    }

    #[tokio::test]
    async fn a_short_outage_is_nobodys_error() {
        let (outcomes, sizes) = outcomes(vec![7, 1]).await;
        assert_eq!(outcomes, [Ok(14), Ok(2)]);
        assert_eq!(sizes, [2, 2]);
    }
}
