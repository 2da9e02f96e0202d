//! The door to the apps: `/<project>/…` for production, `/<project>--<environment>/…` for the others.
//!
//! A process of its own, or a part of the service. It goes on by the routes it has read last while the service and the database
//! are away. It is in the table of proxies, and whoever moves an app's requests asks each of them to read the routes anew.

pub(crate) mod meter;
pub(crate) mod routes;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use arc_swap::ArcSwap;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::{Response, header};
use axum::response::{IntoResponse as _, Redirect};
use http_body_util::BodyExt as _;
use sea_orm::DatabaseConnection;
use titan_error::{Error, Result};
use titan_ids::{DeploymentId, OrgId};
use titan_proto::monitoring::Usage;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

use self::meter::{Meter, Traffic};
use self::routes::{InFlight, OnItsWay, Routes, Way};
use crate::store::{deployments, proxies};

/// A request that waits for its app to be taken over waits so long.
pub(crate) const HELD_MOST: Duration = Duration::from_secs(45);
/// The routes are read so often, should nobody ask for it.
const EVERY: Duration = Duration::from_secs(1);
/// Who asks for a name that is not known waits so long for the routes to be read anew.
const LOOKED_FOR_MOST: Duration = Duration::from_secs(1);

pub(crate) struct Door {
    db: DatabaseConnection,
    host: String,
    /// Where the service asks it.
    url: String,
    routes: ArcSwap<Routes>,
    changed: watch::Sender<()>,
    /// What was read first is used first. When the last reading began.
    reading: Mutex<Option<Instant>>,
    in_flight: InFlight,
    meter: Meter,
    started: Instant,
}

impl Door {
    /// With the routes as they are now. `control`: where its gRPC listens.
    pub(crate) async fn open(db: DatabaseConnection, host: &str, control: &TcpListener) -> anyhow::Result<Arc<Self>> {
        // Who asks is on the same host.
        let mut address = control.local_addr()?;
        if address.ip().is_unspecified() {
            address.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        let url = format!("http://{address}");
        let door = Self {
            db,
            host: host.to_owned(),
            url,
            routes: ArcSwap::default(),
            changed: watch::Sender::default(),
            reading: Mutex::default(),
            in_flight: InFlight::default(),
            meter: Meter::default(),
            started: Instant::now(),
        };
        // Whoever ends an app from now on asks this one too.
        proxies::seen(&door.db, &door.url, host).await?;
        door.read().await?;
        Ok(Arc::new(door))
    }

    /// Reads the routes; requests go by them from now on.
    async fn read(&self) -> Result<()> {
        let asked = Instant::now();
        let mut last_began = self.reading.lock().await;
        // Begun by another one after this was asked for, it has all that this one is to see.
        if last_began.is_some_and(|began| began >= asked) {
            return Ok(());
        }
        let began = Instant::now();
        let rows = deployments::routes(&self.db, &self.host).await?;
        if !self.routes.load().same(&rows) {
            let routes = Routes::new(rows, &self.routes.load());
            for (org, serving, tried_out) in routes.tried_out() {
                self.meter.try_out(org, serving, tried_out);
            }
            self.routes.store(Arc::new(routes));
            self.changed.send_replace(());
        }
        *last_began = Some(began);
        Ok(())
    }

    /// Whether there is an app of this name. Who was told of one may ask before this one is.
    async fn knows(&self, name: &str) -> bool {
        if self.routes.load().knows(name) {
            return true;
        }
        // It takes longer when the database is away.
        if let Ok(Err(error)) = tokio::time::timeout(LOOKED_FOR_MOST, self.read()).await {
            tracing::warn!(%error, "the routes are as they were");
        }
        self.routes.load().knows(name)
    }

    /// Requests go by the routes as they are now. Whether nothing is on its way to `port` any more, after a while at the most.
    pub(crate) async fn settle(&self, port: Option<u16>) -> Result<bool> {
        self.read().await?;
        match port {
            Some(port) => Ok(self.in_flight.idle(port).await),
            None => Ok(true),
        }
    }

    pub(crate) fn counted(&self, deployment: DeploymentId) -> Traffic {
        self.meter.of(deployment)
    }

    /// What came to what serves since another one is tried out beside it.
    pub(crate) fn beside(&self, serving: DeploymentId, tried_out: DeploymentId) -> Traffic {
        self.meter.beside(serving, tried_out)
    }

    pub(crate) fn up(&self) -> Duration {
        self.started.elapsed()
    }

    /// What came to each deployment since this was asked last.
    pub(crate) fn usages(&self) -> BTreeMap<OrgId, Vec<Usage>> {
        let mut usages: BTreeMap<OrgId, Vec<Usage>> = BTreeMap::new();
        for (org, deployment, traffic) in self.meter.take(&self.routes.load().deployments()) {
            let Traffic { requests, errors, latencies, received: received_bytes, sent: sent_bytes } = traffic;
            let (deployment_id, latencies) = (deployment.to_string(), latencies.to_vec());
            let usage = Usage { deployment_id, requests, errors, latencies, received_bytes, sent_bytes, ..Usage::default() };
            usages.entry(org).or_default().push(usage);
        }
        usages
    }

    /// Reads the routes again and again, until shutdown.
    pub(crate) async fn follow(self: Arc<Self>, shutdown: CancellationToken) {
        while shutdown.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
            let followed = async {
                proxies::seen(&self.db, &self.url, &self.host).await?;
                self.read().await
            };
            if let Err(error) = followed.await {
                tracing::warn!(%error, "the routes are as they were");
            }
        }
    }

    /// Answers until shutdown.
    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener, shutdown: CancellationToken) -> anyhow::Result<()> {
        let router = axum::Router::new().fallback(forward).with_state(self.clone());
        let served = axum::serve(titan_service::without_delay(listener), router)
            .with_graceful_shutdown(shutdown.cancelled_owned())
            .await
            .context("the reverse proxy");
        if let Err(error) = proxies::forget(&self.db, &self.url).await {
            tracing::warn!(%error, "it is thought of as there for a while");
        }
        served
    }

    /// The way by which a request goes on, counted as on its way: whoever ends an app after the routes have changed sees it. It waits
    /// while the app's data is handed over.
    async fn way(&self, name: &str) -> Option<(Arc<Way>, OnItsWay)> {
        let until = tokio::time::Instant::now() + HELD_MOST;
        let mut changed = self.changed.subscribe();
        loop {
            changed.mark_unchanged();
            let routes = self.routes.load_full();
            let way = routes.next(name)?;
            let on_its_way = self.in_flight.begin(way.port);
            // Counted before anybody could have changed it, or else once more.
            if !Arc::ptr_eq(&routes, &self.routes.load_full()) {
                continue;
            }
            if !way.held {
                return Some((way, on_its_way));
            }
            drop(on_its_way);
            if tokio::time::timeout_at(until, changed.changed()).await.is_err() {
                return Some((way, self.in_flight.begin(0)));
            }
        }
    }
}

pub(crate) fn route_name(project_slug: &str, environment: &str) -> String {
    if environment == "production" { project_slug.to_owned() } else { format!("{project_slug}--{environment}") }
}

async fn forward(State(door): State<Arc<Door>>, mut request: Request) -> Response<Body> {
    let path = request.uri().path();
    let (name, rest) = path.trim_start_matches('/').split_once('/').map_or((path.trim_start_matches('/'), None), |(n, r)| (n, Some(r)));
    if !door.knows(name).await {
        return unknown(name);
    }
    if rest.is_none() {
        // Relative links of the app need the slash.
        return Redirect::permanent(&format!("/{name}/")).into_response();
    }
    let Some((way, on_its_way)) = door.way(name).await else { return unknown(name) };
    if way.held {
        return Error::unavailable("the app is being changed; try again").into_response();
    }
    if let Ok(prefix) = format!("/{name}").parse() {
        request.headers_mut().insert("x-forwarded-prefix", prefix);
    }
    // Our own credential is not the app's business; the app's own scheme is.
    if request.headers().get(header::AUTHORIZATION).is_some_and(|v| v.as_bytes().starts_with(b"Bearer titan_key_")) {
        request.headers_mut().remove(header::AUTHORIZATION);
    }
    let probe = request.headers().get(header::USER_AGENT).is_some_and(|agent| agent == titan_proto::PROBE_AGENT);
    let asked = (!probe).then(|| door.meter.ask(way.org, way.deployment));
    let passed = (!probe).then(|| Arc::new(door.meter.pass(way.org, way.deployment)));
    if let Some(passed) = passed.clone() {
        request = request.map(|body| {
            counted(body, move |bytes| {
                passed.received.fetch_add(bytes, Relaxed);
            })
        });
    }
    let Ok(response) = way.proxy.proxy_request(request).await;
    if let Some(asked) = asked {
        asked.answered(response.status().is_server_error());
    }
    // It is on its way until its last byte.
    response.map(|body| {
        counted(body, move |bytes| {
            let _ = &on_its_way;
            if let Some(passed) = &passed {
                passed.sent.fetch_add(bytes, Relaxed);
            }
        })
    })
}

/// The body, whose bytes are told as they pass.
fn counted<B>(body: B, pass: impl Fn(u64) + Send + 'static) -> Body
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    Body::new(body.map_frame(move |frame| {
        pass(frame.data_ref().map_or(0, |data| data.len() as u64));
        frame
    }))
}

fn unknown(name: &str) -> Response<Body> {
    Error::not_found(format!("an app at /{name}/")).into_response()
}
