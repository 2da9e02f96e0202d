use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde_json::Value;

const CLIENTS: u64 = 8;

/// Programs that ask an app again and again while a test changes it; every answer must be good.
pub struct Clients {
    stop: Arc<AtomicBool>,
    asking: Vec<tokio::task::JoinHandle<Asked>>,
}

/// What became of their requests.
#[derive(Debug, Default)]
pub struct Asked {
    pub answered: u64,
    /// Of those, what was written.
    pub written: u64,
    failed: Vec<String>,
}

impl Clients {
    /// `written`: what each of them posts now and then.
    #[must_use]
    #[allow(clippy::disallowed_methods)] // joined below
    pub fn start(url: &str, written: Option<&Value>) -> Self {
        let (stop, turn) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let ask = |_| tokio::spawn(ask(url.to_owned(), written.cloned(), turn.clone(), stop.clone()));
        let asking = (0..CLIENTS).map(ask).collect();
        Self { stop, asking }
    }

    /// # Panics
    /// A request failed.
    pub async fn end(self) -> Asked {
        self.stop.store(true, Relaxed);
        let mut all = Asked::default();
        for client in self.asking {
            let asked = client.await.unwrap();
            all.answered += asked.answered;
            all.written += asked.written;
            all.failed.extend(asked.failed);
        }
        assert!(all.failed.is_empty(), "{} failed and {} did not; the first: {}", all.failed.len(), all.answered, all.failed[0]);
        all
    }
}

async fn ask(url: String, written: Option<Value>, turn: Arc<AtomicU64>, stop: Arc<AtomicBool>) -> Asked {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().unwrap();
    let mut asked = Asked::default();
    while !stop.load(Relaxed) {
        let writes = written.as_ref().filter(|_| turn.fetch_add(1, Relaxed).is_multiple_of(4));
        let (request, good) = match writes {
            Some(written) => (client.post(&url).json(written), 201),
            None => (client.get(&url), 200),
        };
        match request.send().await {
            Ok(answer) if answer.status() == good => {
                asked.answered += 1;
                asked.written += u64::from(writes.is_some());
            }
            Ok(answer) => asked.failed.push(format!("{} {}", answer.status(), answer.text().await.unwrap_or_default())),
            Err(error) => asked.failed.push(format!("{error:?}")),
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    asked
}
