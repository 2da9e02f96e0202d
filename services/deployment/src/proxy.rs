//! The door to the apps: `/<project>/…` for production, `/<project>--<environment>/…` for the others.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Response, header};
use axum::response::{IntoResponse as _, Redirect};
use axum_reverse_proxy::ReverseProxy;
use hyper_util::client::legacy::connect::HttpConnector;
use titan_error::Error;
use titan_ids::DeploymentId;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::store::deployments::Route;

/// Where traffic goes, by the first part of the path. The client behind each keeps connections open.
#[derive(Default)]
pub(crate) struct Routes {
    rows: Vec<Route>,
    by_name: HashMap<String, Place>,
}

/// An environment of a project.
#[derive(Default)]
struct Place {
    serving: Option<Arc<Way>>,
    /// What is tried out, with so many percent of the requests.
    tried_out: Option<(Arc<Way>, usize)>,
    requests: AtomicUsize,
}

impl Place {
    /// Where the next request goes; the share is spread evenly.
    fn next(&self) -> Option<Arc<Way>> {
        // Its data is being taken over: nobody else's turn.
        if let Some(held) = self.serving.as_ref().filter(|serving| serving.held) {
            return Some(held.clone());
        }
        let number = self.requests.fetch_add(1, Relaxed);
        let tried_out = self.tried_out.as_ref().filter(|(_, share)| self.serving.is_none() || number.wrapping_mul(*share) % 100 < *share);
        tried_out.map(|(way, _)| way).or(self.serving.as_ref()).cloned()
    }
}

struct Way {
    deployment: DeploymentId,
    port: u16,
    proxy: ReverseProxy<HttpConnector>,
    /// Requests wait until there is another way.
    held: bool,
}

/// How many requests are on their way to each port.
#[derive(Clone, Default)]
pub(crate) struct InFlight(Arc<Mutex<HashMap<u16, watch::Sender<usize>>>>);

impl InFlight {
    fn of(&self, port: u16) -> watch::Sender<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(port).or_default().clone()
    }

    fn begin(&self, port: u16) -> OnItsWay {
        let count = self.of(port);
        count.send_modify(|count| *count += 1);
        OnItsWay(count)
    }

    /// Until nothing is on its way there, for a while at the most.
    pub(crate) async fn idle(&self, port: u16) {
        let mut count = self.of(port).subscribe();
        let _ = tokio::time::timeout(IDLE_WITHIN, count.wait_for(|count| *count == 0)).await; // then it is cut off
    }
}

struct OnItsWay(watch::Sender<usize>);

impl Drop for OnItsWay {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

const IDLE_WITHIN: Duration = Duration::from_secs(10);
/// A request that waits for its app to be taken over waits so long.
const HELD_MOST: Duration = Duration::from_secs(45);

impl Routes {
    /// In place of `before`, whose shares go on.
    pub(crate) fn new(rows: Vec<Route>, before: &Self) -> Self {
        let mut by_name: HashMap<String, Place> = HashMap::new();
        for row in &rows {
            let name = route_name(&row.project_slug, &row.environment);
            let proxy = ReverseProxy::new(format!("/{name}"), format!("http://127.0.0.1:{}", row.port));
            let way = Arc::new(Way { deployment: row.id, port: u16::try_from(row.port).unwrap_or(0), proxy, held: row.held });
            let requests = || before.by_name.get(&name).map_or(0, |place| place.requests.load(Relaxed));
            let place = by_name.entry(name.clone()).or_insert_with(|| Place { requests: requests().into(), ..Place::default() });
            match row.share.and_then(|share| usize::try_from(share).ok()) {
                // The newest of those that are tried out.
                Some(share) => place.tried_out = Some((way, share)),
                None => place.serving = Some(way),
            }
        }
        Self { by_name, rows }
    }

    pub(crate) fn same(&self, rows: &[Route]) -> bool {
        self.rows == rows
    }
}

pub(crate) fn route_name(project_slug: &str, environment: &str) -> String {
    if environment == "production" { project_slug.to_owned() } else { format!("{project_slug}--{environment}") }
}

pub(crate) async fn serve(listener: TcpListener, app: Arc<App>, shutdown: CancellationToken) -> anyhow::Result<()> {
    let router = axum::Router::new().fallback(forward).with_state(app);
    axum::serve(titan_service::without_delay(listener), router)
        .with_graceful_shutdown(shutdown.cancelled_owned())
        .await
        .context("the reverse proxy")
}

async fn forward(State(app): State<Arc<App>>, mut request: Request) -> Response<Body> {
    let path = request.uri().path();
    let (name, rest) = path.trim_start_matches('/').split_once('/').map_or((path.trim_start_matches('/'), None), |(n, r)| (n, Some(r)));
    if rest.is_none() {
        // Relative links of the app need the slash.
        let known = app.routes.load().by_name.contains_key(name);
        return if known { Redirect::permanent(&format!("/{name}/")).into_response() } else { unknown(name) };
    }
    let Some((way, on_its_way)) = way(&app, name).await else { return unknown(name) };
    if way.held {
        return Error::unavailable("the app is being changed; try again").into_response();
    }
    let proxy = &way.proxy;
    if let Ok(prefix) = format!("/{name}").parse() {
        request.headers_mut().insert("x-forwarded-prefix", prefix);
    }
    // Our own credential is not the app's business; the app's own scheme is.
    if request.headers().get(header::AUTHORIZATION).is_some_and(|v| v.as_bytes().starts_with(b"Bearer titan_key_")) {
        request.headers_mut().remove(header::AUTHORIZATION);
    }
    let probe = request.headers().get(header::USER_AGENT).is_some_and(|agent| agent == titan_proto::PROBE_AGENT);
    let asked = (!probe).then(|| app.meter.ask(way.deployment));
    let answered = proxy.proxy_request(request).await;
    drop(on_its_way);
    let Ok(response) = answered;
    if let Some(asked) = asked {
        asked.answered(response.status().is_server_error());
    }
    response
}

fn unknown(name: &str) -> Response<Body> {
    Error::not_found(format!("an app at /{name}/")).into_response()
}

/// The way by which a request goes on, counted as on its way: whoever ends an app after the routes have changed sees it. It waits while
/// the app's data is handed over.
async fn way(app: &App, name: &str) -> Option<(Arc<Way>, OnItsWay)> {
    let until = tokio::time::Instant::now() + HELD_MOST;
    let mut changed = app.routes_changed.subscribe();
    loop {
        changed.mark_unchanged();
        let routes = app.routes.load_full();
        let way = routes.by_name.get(name)?.next()?;
        let on_its_way = app.in_flight.begin(way.port);
        // Counted before anybody could have changed it, or else once more.
        if !Arc::ptr_eq(&routes, &app.routes.load_full()) {
            continue;
        }
        if !way.held {
            return Some((way, on_its_way));
        }
        drop(on_its_way);
        if tokio::time::timeout_at(until, changed.changed()).await.is_err() {
            return Some((way, app.in_flight.begin(0)));
        }
    }
}
