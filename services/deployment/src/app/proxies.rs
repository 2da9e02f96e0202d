//! The proxies in front of this host's apps: they go by the table's routes, and are asked when it matters when.

use std::time::Duration;

use futures::future::join_all;
use titan_error::{Code, Error, Result};
use titan_ids::{DeploymentId, OrgId};
use titan_proto::deployment::proxy_service_client::ProxyServiceClient;
use titan_proto::deployment::{GetTrafficRequest, GetTrafficResponse, SettleRequest, Traffic};
use titan_proto::latency::quantile_ms;
use tonic::transport::{Channel, Endpoint};

use super::App;
use crate::domain::rollout::{Did, rival};
use crate::proxy::routes::IDLE_WITHIN;
use crate::store::proxies;

/// One that was not seen for so long, and does not answer, is no more.
const SEEN_WITHIN: Duration = Duration::from_secs(30);
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// How long what is on its way to an app is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// Others wait: after ten seconds it is cut off.
    Short,
    /// An error while something is.
    Long,
}

struct Proxy {
    client: ProxyServiceClient<Channel>,
    /// It has not been seen for a while, perhaps because the database was away.
    stale: bool,
}

impl App {
    async fn proxies(&self) -> Result<Vec<Proxy>> {
        let known = proxies::known(&self.db, &self.apps.host, SEEN_WITHIN).await?;
        let client = |(url, stale): (String, bool)| {
            let endpoint = Endpoint::from_shared(url).map_err(Error::internal)?.connect_timeout(ANSWER_WITHIN).tcp_nodelay(true);
            Ok(Proxy { client: ProxyServiceClient::new(endpoint.connect_lazy()), stale })
        };
        known.into_iter().map(client).collect()
    }

    /// Requests go by the routes as they are now. A proxy that cannot be asked reads them a moment later.
    pub(super) async fn reroute(&self, org: OrgId) {
        if let Err(error) = self.settle(org, 0, ANSWER_WITHIN).await {
            tracing::warn!(%error, "a proxy has the new routes a moment later");
        }
    }

    /// Nothing new comes to this port any more, and what was on its way has been waited for: an error when a proxy did not say so.
    pub(super) async fn idle(&self, org: OrgId, port: i32, patience: Patience) -> Result<()> {
        let busy = self.settle(org, u32::try_from(port).unwrap_or(0), IDLE_WITHIN + ANSWER_WITHIN).await?;
        if busy && patience == Patience::Long {
            return Err(Error::unavailable("something is still on its way to it"));
        }
        Ok(())
    }

    /// Whether something is on its way to the port.
    async fn settle(&self, org: OrgId, port: u32, within: Duration) -> Result<bool> {
        let settle = async |Proxy { mut client, stale }: Proxy| {
            let request = self.signer.service_request(org, SettleRequest { port })?;
            let settled = tokio::time::timeout(within, client.settle(request)).await;
            match settled.map_err(|_| Error::unavailable("a proxy does not answer"))?.map_err(Error::from) {
                Ok(settled) => Ok(settled.into_inner().busy),
                // It is no more.
                Err(error) if stale && error.code() == Code::Unavailable => Ok(false),
                Err(error) => Err(error),
            }
        };
        let settled = join_all(self.proxies().await?.into_iter().map(settle)).await.into_iter().collect::<Result<Vec<bool>>>()?;
        Ok(settled.contains(&true))
    }

    /// What came to two deployments, and for how long that was counted; none when a proxy does not say.
    pub(super) async fn traffic(&self, org: OrgId, of: [DeploymentId; 2]) -> Result<Option<(Duration, [Did; 2])>> {
        let ask = async |Proxy { client: mut proxy, .. }: Proxy| {
            let request = GetTrafficRequest { deployment_ids: of.iter().map(ToString::to_string).collect() };
            let request = self.signer.service_request(org, request)?;
            let answer = tokio::time::timeout(ANSWER_WITHIN, proxy.get_traffic(request)).await;
            answer.map_err(|_| Error::unavailable("a proxy does not answer"))?.map_err(Error::from)
        };
        let mut answers: Vec<GetTrafficResponse> = Vec::new();
        let proxies = self.proxies().await?.into_iter().filter(|proxy| !proxy.stale);
        for answer in join_all(proxies.map(ask)).await {
            match answer {
                Ok(answer) => answers.push(answer.into_inner()),
                Err(error) if error.code() == Code::Unavailable => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        let up = answers.iter().map(|answer| Duration::from_millis(answer.up_ms)).min();
        let beside = did(answers.iter().filter_map(|answer| answer.beside.as_ref()));
        let nth = |n: usize| did(answers.iter().filter_map(|answer| answer.traffic.get(n)));
        Ok(up.map(|up| (up, [rival(nth(0), beside), nth(1)])))
    }
}

/// What the proxies say, as one.
fn did<'a>(said: impl Iterator<Item = &'a Traffic>) -> Did {
    let (mut did, mut latencies) = (Did::default(), Vec::new());
    for traffic in said {
        did = Did { requests: did.requests + traffic.requests, errors: did.errors + traffic.errors, ..did };
        latencies.resize(latencies.len().max(traffic.latencies.len()), 0);
        latencies.iter_mut().zip(&traffic.latencies).for_each(|(sum, count)| *sum += count);
    }
    Did { p95_ms: quantile_ms(&latencies, 0.95), ..did }
}
