use std::time::Duration;

use titan_error::{Error, Result};
use titan_identity::{Principal, PrincipalId};

use super::App;

const WINDOW: Duration = Duration::from_secs(60);

impl App {
    /// Lets the request of `who` through, if it is not one too many. Agents and services are limited by the tasks they have.
    pub(crate) async fn admit(&self, who: &Principal) -> Result<()> {
        let PrincipalId::User(user) = &who.id else { return Ok(()) };
        if self.requests_per_minute == 0 {
            return Ok(());
        }
        let counted = self.counters.count(&format!("requests:{user}"), WINDOW).await;
        if counted.count <= self.requests_per_minute.into() {
            return Ok(());
        }
        let wait = u32::try_from(counted.ends_in.as_secs()).unwrap_or(0) + 1;
        let message = format!("more than {} requests in a minute; try again in {wait} s", self.requests_per_minute);
        Err(Error::exhausted(message, wait))
    }
}
