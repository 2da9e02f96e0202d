use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The network between a service and a server, which can be cut: what is open breaks off and nothing new
/// gets through until it is mended.
pub struct Wire {
    url: String,
    server: String,
    near: String,
    state: Arc<State>,
}

struct State {
    condition: watch::Sender<Condition>,
    open: watch::Sender<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Condition {
    Whole,
    /// Connections stay and are made, and carry nothing.
    Stalled,
    Cut,
}

impl Wire {
    /// To the server of `url`: `scheme://user:password@host:port/…`.
    pub fn to(url: &str) -> Self {
        let authority = url.split("://").nth(1).unwrap().split('/').next().unwrap();
        let server = authority.rsplit('@').next().unwrap().to_owned();
        let listener = crate::listen();
        let near = listener.local_addr().unwrap().to_string();
        let state = Arc::new(State { condition: watch::Sender::new(Condition::Whole), open: watch::Sender::new(0) });
        let (far, carried) = (server.clone(), state.clone());
        crate::apart(async move || carry(TcpListener::from_std(listener).unwrap(), far, carried).await);
        Self { url: url.to_owned(), server, near, state }
    }

    /// The server's URL through this wire.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of(&self.url)
    }

    /// Another URL of the same server through this wire.
    #[must_use]
    pub fn url_of(&self, url: &str) -> String {
        url.replacen(&self.server, &self.near, 1)
    }

    /// Returns when nothing is open any more.
    pub async fn cut(&self) {
        self.state.condition.send_replace(Condition::Cut);
        self.state.open.subscribe().wait_for(|open| *open == 0).await.unwrap();
    }

    /// What is open stays open, and nothing moves; what comes meanwhile waits too.
    pub fn stall(&self) {
        self.state.condition.send_replace(Condition::Stalled);
    }

    pub fn mend(&self) {
        self.state.condition.send_replace(Condition::Whole);
    }
}

#[allow(clippy::disallowed_methods)] // ends with its thread
async fn carry(listener: TcpListener, server: String, state: Arc<State>) {
    while let Ok((near, _)) = listener.accept().await {
        let (server, state, mut cut) = (server.clone(), state.clone(), state.condition.subscribe());
        state.open.send_modify(|open| *open += 1);
        tokio::spawn(async move {
            let through = async {
                let _ = state.condition.subscribe().wait_for(|c| *c != Condition::Stalled).await;
                let far = TcpStream::connect(&server).await?;
                let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                tokio::try_join!(pass(near_in, far_out, &state), pass(far_in, near_out, &state))
            };
            tokio::select! { _ = through => {}, _ = cut.wait_for(|c| *c == Condition::Cut) => {} }
            state.open.send_modify(|open| *open -= 1);
        });
    }
}

/// Until either end closes.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, state: &State) -> std::io::Result<()> {
    let (mut condition, mut buffer) = (state.condition.subscribe(), vec![0; 64 << 10]);
    loop {
        let read = from.read(&mut buffer).await?;
        let _ = condition.wait_for(|c| *c != Condition::Stalled).await;
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..read]).await?;
    }
}
