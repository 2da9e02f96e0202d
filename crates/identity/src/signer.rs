use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use titan_error::{Code, Error, Result};
use tonic::metadata::MetadataValue;

use crate::{Attempt, Principal};

/// How long one service may use a principal it was handed.
const PRINCIPAL_TTL: Duration = Duration::from_secs(60);
/// Clocks of two hosts may differ by this much.
const LEEWAY: Duration = Duration::from_secs(30);

/// Signs and verifies what services tell each other (JWT, HS256, one key an installation). The audience
/// keeps the kinds of token apart.
#[derive(Clone)]
pub struct Signer {
    service: &'static str,
    encoding: EncodingKey,
    decoding: DecodingKey,
}

#[derive(Serialize, Deserialize)]
struct Claims<T> {
    aud: String,
    iss: String,
    exp: u64,
    #[serde(flatten)]
    body: T,
}

const PRINCIPAL: &str = "titan/principal";
const ATTEMPT: &str = "titan/attempt";

impl Signer {
    #[must_use]
    pub fn new(service: &'static str, key: &str) -> Self {
        Self { service, encoding: EncodingKey::from_secret(key.as_bytes()), decoding: DecodingKey::from_secret(key.as_bytes()) }
    }

    /// A gRPC request on behalf of `principal`, with the trace it belongs to.
    ///
    /// # Errors
    /// The token could not be made.
    pub fn request<T>(&self, principal: &Principal, message: T) -> Result<tonic::Request<T>> {
        let mut request = tonic::Request::new(message);
        let token = self.sign(PRINCIPAL, PRINCIPAL_TTL, principal)?;
        let value = MetadataValue::try_from(format!("Bearer {token}")).map_err(Error::internal)?;
        request.metadata_mut().insert("authorization", value);
        if let Some(traceparent) = titan_telemetry::traceparent()
            && let Ok(value) = MetadataValue::try_from(traceparent)
        {
            request.metadata_mut().insert("traceparent", value);
        }
        Ok(request)
    }

    /// As the service itself.
    ///
    /// # Errors
    /// The token could not be made.
    pub fn service_request<T>(&self, org: titan_ids::OrgId, message: T) -> Result<tonic::Request<T>> {
        self.request(&Principal::service(self.service, org), message)
    }

    /// # Errors
    /// The token could not be made.
    pub fn sign_attempt(&self, attempt: &Attempt, ttl: Duration) -> Result<String> {
        self.sign(ATTEMPT, ttl, attempt)
    }

    /// # Errors
    /// `Unauthenticated`: not one of our attempt credentials, or expired.
    pub fn verify_attempt(&self, token: &str) -> Result<Attempt> {
        self.verify(ATTEMPT, token)
    }

    /// # Errors
    /// `Unauthenticated`: not one of our service tokens, or expired.
    pub fn verify_principal(&self, token: &str) -> Result<Principal> {
        self.verify(PRINCIPAL, token)
    }

    /// A service token for protocols that are not gRPC (git over HTTP).
    ///
    /// # Errors
    /// The token could not be made.
    pub fn sign_service(&self, org: titan_ids::OrgId) -> Result<String> {
        self.sign(PRINCIPAL, PRINCIPAL_TTL, &Principal::service(self.service, org))
    }

    fn sign<T: Serialize>(&self, audience: &str, ttl: Duration, body: &T) -> Result<String> {
        let exp = jsonwebtoken::get_current_timestamp() + ttl.as_secs();
        let claims = Claims { aud: audience.to_owned(), iss: self.service.to_owned(), exp, body };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.encoding).map_err(Error::internal)
    }

    fn verify<T: DeserializeOwned>(&self, audience: &str, token: &str) -> Result<T> {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[audience]);
        validation.leeway = LEEWAY.as_secs();
        match jsonwebtoken::decode::<Claims<T>>(token, &self.decoding, &validation) {
            Ok(token) => Ok(token.claims.body),
            Err(e) => Err(Error::new(Code::Unauthenticated, "the credential is not valid or has expired").with_source(e)),
        }
    }
}

/// A tonic interceptor: refuses calls without a valid service token, and puts the [`Principal`] where
/// [`Principal::of`] finds it.
pub fn authenticate(signer: Signer) -> impl Fn(tonic::Request<()>) -> Result<tonic::Request<()>, tonic::Status> + Clone {
    move |mut request| {
        let token = request.metadata().get("authorization").and_then(|v| v.to_str().ok()).and_then(|v| v.strip_prefix("Bearer "));
        let Some(token) = token else {
            return Err(Error::new(Code::Unauthenticated, "a service token is required in `authorization`").into());
        };
        let principal = signer.verify_principal(token)?;
        request.extensions_mut().insert(principal);
        Ok(request)
    }
}

impl Principal {
    /// The caller of a gRPC method.
    ///
    /// # Errors
    /// `Unauthenticated`: the service was mounted without [`authenticate`].
    pub fn of<T>(request: &tonic::Request<T>) -> Result<Self> {
        let principal = request.extensions().get::<Self>();
        principal.cloned().ok_or_else(|| Error::new(Code::Unauthenticated, "the call carries no principal"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Effects;
    use titan_ids::{OrgId, ProjectId, TaskId};

    fn attempt() -> Attempt {
        let (task, project) = (TaskId::generate(), ProjectId::generate());
        Attempt { task, attempt: 3, org: OrgId::DEFAULT, project, effects: Effects::Merge }
    }

    #[test]
    fn a_token_of_one_kind_is_refused_as_another() {
        let signer = Signer::new("test", &"k".repeat(32));
        let token = signer.sign_attempt(&attempt(), Duration::from_secs(60)).unwrap();
        assert!(signer.verify_attempt(&token).is_ok());
        assert_eq!(signer.verify_principal(&token).unwrap_err().code(), Code::Unauthenticated);
    }

    #[test]
    fn another_key_is_refused() {
        let token = Signer::new("test", &"k".repeat(32)).sign_attempt(&attempt(), Duration::from_secs(60)).unwrap();
        assert!(Signer::new("test", &"x".repeat(32)).verify_attempt(&token).is_err());
    }

    #[test]
    fn a_call_without_a_token_is_refused() {
        let check = authenticate(Signer::new("test", &"k".repeat(32)));
        assert_eq!(check(tonic::Request::new(())).unwrap_err().code(), tonic::Code::Unauthenticated);
    }
}
