//! What the proxy is asked.

use std::sync::Arc;

use titan_error::Error;
use titan_identity::{Principal, Signer, authenticate};
use titan_ids::DeploymentId;
use titan_proto::deployment::proxy_service_server::{ProxyService, ProxyServiceServer};
use titan_proto::deployment::{GetTrafficRequest, GetTrafficResponse, SettleRequest, SettleResponse, Traffic};
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use super::id;
use crate::proxy::{Door, meter};

struct Api {
    door: Arc<Door>,
}

/// Beside what is in `routes`.
pub(crate) fn add(routes: Routes, door: Arc<Door>, signer: Signer) -> Routes {
    routes.add_service(ProxyServiceServer::with_interceptor(Api { door }, authenticate(signer)))
}

#[tonic::async_trait]
impl ProxyService for Api {
    async fn settle(&self, request: Request<SettleRequest>) -> Result<Response<SettleResponse>, Status> {
        Principal::of(&request)?.require_service()?;
        let port = request.get_ref().port;
        let port = u16::try_from(port).map_err(|_| Error::invalid("port", "must be at most 65535"))?;
        let busy = !self.door.settle((port > 0).then_some(port)).await?;
        Ok(Response::new(SettleResponse { busy }))
    }

    async fn get_traffic(&self, request: Request<GetTrafficRequest>) -> Result<Response<GetTrafficResponse>, Status> {
        Principal::of(&request)?.require_service()?;
        let told = |meter::Traffic { requests, errors, latencies, .. }: meter::Traffic| Traffic {
            requests,
            errors,
            latencies: latencies.to_vec(),
        };
        let ids = request.get_ref().deployment_ids.iter().map(|text| id(text)).collect::<Result<Vec<DeploymentId>, Error>>()?;
        let beside = match ids.as_slice() {
            [serving, tried_out] => Some(told(self.door.beside(*serving, *tried_out))),
            _ => None,
        };
        let traffic = ids.into_iter().map(|id| told(self.door.counted(id))).collect();
        let up_ms = u64::try_from(self.door.up().as_millis()).unwrap_or(u64::MAX);
        Ok(Response::new(GetTrafficResponse { up_ms, traffic, beside }))
    }
}
