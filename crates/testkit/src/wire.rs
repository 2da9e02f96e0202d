use std::sync::Arc;

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
    whole: watch::Sender<bool>,
    open: watch::Sender<usize>,
}

impl Wire {
    /// To the server of `url`: `scheme://user:password@host:port/…`.
    pub fn to(url: &str) -> Self {
        let authority = url.split("://").nth(1).unwrap().split('/').next().unwrap();
        let server = authority.rsplit('@').next().unwrap().to_owned();
        let listener = crate::listen();
        let near = listener.local_addr().unwrap().to_string();
        let state = Arc::new(State { whole: watch::Sender::new(true), open: watch::Sender::new(0) });
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
        self.state.whole.send_replace(false);
        self.state.open.subscribe().wait_for(|open| *open == 0).await.unwrap();
    }

    pub fn mend(&self) {
        self.state.whole.send_replace(true);
    }
}

#[allow(clippy::disallowed_methods)] // ends with its thread
async fn carry(listener: TcpListener, server: String, state: Arc<State>) {
    while let Ok((mut near, _)) = listener.accept().await {
        let (server, state, mut whole) = (server.clone(), state.clone(), state.whole.subscribe());
        state.open.send_modify(|open| *open += 1);
        tokio::spawn(async move {
            let through = async {
                let mut far = TcpStream::connect(&server).await?;
                tokio::io::copy_bidirectional(&mut near, &mut far).await
            };
            tokio::select! { _ = through => {}, _ = whole.wait_for(|whole| !whole) => {} }
            drop(near);
            state.open.send_modify(|open| *open -= 1);
        });
    }
}
