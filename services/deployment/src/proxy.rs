//! The door to the apps: `/<project>/…` for production, `/<project>--<environment>/…` for the others.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context as _;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Response, header};
use axum::response::{IntoResponse as _, Redirect};
use axum_reverse_proxy::ReverseProxy;
use hyper_util::client::legacy::connect::HttpConnector;
use titan_error::Error;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::store::deployments::Route;

/// Where traffic goes, by the first part of the path. The client behind each keeps connections open.
#[derive(Default)]
pub(crate) struct Routes {
    rows: Vec<Route>,
    by_name: HashMap<String, ReverseProxy<HttpConnector>>,
}

impl Routes {
    pub(crate) fn new(rows: Vec<Route>) -> Self {
        let route = |row: &Route| {
            let name = route_name(&row.project_slug, &row.environment);
            let proxy = ReverseProxy::new(format!("/{name}"), format!("http://127.0.0.1:{}", row.port));
            (name, proxy)
        };
        Self { by_name: rows.iter().map(route).collect(), rows }
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
    let routes = app.routes.load_full();
    let Some(proxy) = routes.by_name.get(name) else {
        return Error::not_found(format!("an app at /{name}/")).into_response();
    };
    if rest.is_none() {
        // Relative links of the app need the slash.
        return Redirect::permanent(&format!("/{name}/")).into_response();
    }
    if let Ok(prefix) = format!("/{name}").parse() {
        request.headers_mut().insert("x-forwarded-prefix", prefix);
    }
    // Our own credential is not the app's business; the app's own scheme is.
    if request.headers().get(header::AUTHORIZATION).is_some_and(|v| v.as_bytes().starts_with(b"Bearer titan_key_")) {
        request.headers_mut().remove(header::AUTHORIZATION);
    }
    match proxy.proxy_request(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}
