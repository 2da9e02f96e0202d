//! How long claims take, as the orchestrators count them.

/// A histogram, or what was added to one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Claims {
    pub(crate) count: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

/// Upper bounds in seconds, with how many were at most as long.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buckets(Vec<(f64, f64)>);

impl Buckets {
    /// Of a page in the text format of Prometheus.
    pub(crate) fn parse(page: &str) -> Self {
        let bucket = |line: &str| {
            let (bound, count) = line.strip_prefix("titan_claim_seconds_bucket{le=\"")?.split_once("\"} ")?;
            Some((bound.parse().ok()?, count.parse().ok()?))
        };
        Self(page.lines().filter_map(bucket).collect())
    }

    /// Of two services.
    pub(crate) fn plus(self, other: &Self) -> Self {
        if self.0.is_empty() {
            return other.clone();
        }
        Self(self.0.into_iter().zip(&other.0).map(|((bound, a), (_, b))| (bound, a + b)).collect())
    }

    pub(crate) fn since(&self, before: &Self) -> Claims {
        let added: Vec<(f64, f64)> = self.0.iter().zip(&before.0).map(|((bound, now), (_, then))| (*bound, now - then)).collect();
        let count = added.last().map_or(0.0, |(_, count)| *count);
        let at = |share: f64| {
            let wanted = count * share;
            let mut last = (0.0, 0.0);
            for (bound, below) in &added {
                if *below >= wanted && *below > last.1 {
                    // Evenly within its bucket; of what is above the last bound nothing is known but that.
                    let within = (wanted - last.1) / (below - last.1);
                    return if bound.is_finite() { (last.0 + (bound - last.0) * within) * 1e3 } else { f64::INFINITY };
                }
                last = (*bound, *below);
            }
            0.0
        };
        Claims { count, p50_ms: at(0.5), p99_ms: at(0.99) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_what_was_added() {
        let page = |counts: [u32; 4]| {
            let line = |(bound, count)| format!("titan_claim_seconds_bucket{{le=\"{bound}\"}} {count}\n");
            ["0.001", "0.002", "0.004", "+Inf"].into_iter().zip(counts).map(line).collect::<String>()
        };
        let (before, after) = (Buckets::parse(&page([100, 100, 100, 100])), Buckets::parse(&page([150, 199, 200, 200])));
        let claims = after.since(&before);
        assert_eq!((claims.count, claims.p50_ms), (100.0, 1.0));
        assert!((claims.p99_ms - 2.0).abs() < 1e-9);
    }
}
