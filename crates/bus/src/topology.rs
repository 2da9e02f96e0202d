/// A durable queue and what it is interested in: topic patterns over event names.
#[derive(Debug)]
pub struct Queue {
    pub name: &'static str,
    pub bindings: &'static [&'static str],
}

/// Everything, for the event log that sockets read.
pub const GATEWAY_EVENTS: Queue = Queue { name: "gateway.events", bindings: &["#"] };
/// What there is to watch.
pub const MONITORING_DEPLOYMENTS: Queue = Queue { name: "monitoring.deployments", bindings: &["deployment.*"] };

/// The whole topology. Every process declares all of it, so nothing published before a consumer's first
/// start is lost.
pub const QUEUES: &[&Queue] = &[&GATEWAY_EVENTS, &MONITORING_DEPLOYMENTS];

impl Queue {
    pub(crate) fn wants(&self, event: &str) -> bool {
        self.bindings.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(prefix) => event.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty() && !rest.contains('.')),
            None => *pattern == "#" || *pattern == event,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bindings_select_by_event_name() {
        assert!(GATEWAY_EVENTS.wants("task.completed"));
        assert!(MONITORING_DEPLOYMENTS.wants("deployment.succeeded"));
        assert!(!MONITORING_DEPLOYMENTS.wants("task.completed"));
        assert!(!MONITORING_DEPLOYMENTS.wants("deployment.a.b"));
    }
}
