//! Whether a version that is tried out does worse than the one before it.

use sea_orm::{DeriveActiveEnum, EnumIter};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub(crate) enum Strategy {
    /// As soon as it is healthy it has all requests, and the one before it ends.
    #[default]
    Rolling,
    /// It has all requests, and the one before it stays ready until it has proved itself.
    BlueGreen,
    /// It has a share of them until then.
    Canary,
    /// It has a share of them, which grows.
    Gradual,
}

/// What is known of a version's requests.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Did {
    pub(crate) requests: u64,
    /// Answered with 5xx, or not at all.
    pub(crate) errors: u64,
    pub(crate) p95_ms: Option<f64>,
}

/// Errors of few requests say nothing.
const ERRORS_LEAST: u64 = 3;
/// More of its requests fail, by so much of all.
const ERROR_RATE_MORE: f64 = 0.01;
const ERROR_RATE_UNKNOWN: f64 = 0.05;
/// Latencies of few requests say nothing.
const REQUESTS_LEAST: u64 = 50;
/// Its 95th percentile is so many times as long, and so much longer.
const LATENCY_TIMES: f64 = 1.5;
const LATENCY_MORE_MS: f64 = 20.0;

/// What a version that is tried out is compared with: what came to the one before it meanwhile, or, of too few requests, `ever`; but how long
/// that took at another time says nothing of now.
pub(crate) fn rival(ever: Did, meanwhile: Did) -> Did {
    if meanwhile.requests < REQUESTS_LEAST { Did { p95_ms: None, ..ever } } else { meanwhile }
}

/// Why it does worse, in words.
pub(crate) fn worse(before: Did, new: Did) -> Option<String> {
    let (rate, rate_before) = (error_rate(new), error_rate(before));
    // Of one that nothing is known of, more is thought to be usual.
    let more = if before.requests < REQUESTS_LEAST { ERROR_RATE_UNKNOWN } else { ERROR_RATE_MORE };
    if new.errors >= ERRORS_LEAST && rate > rate_before + more {
        return Some(format!(
            "{} of its {} requests failed ({:.1} %), of the version before it {:.1} %",
            new.errors,
            new.requests,
            rate * 100.0,
            rate_before * 100.0
        ));
    }
    // An answer that fails is fast.
    if rate + ERROR_RATE_MORE < rate_before {
        return None;
    }
    if new.requests < REQUESTS_LEAST || before.requests < REQUESTS_LEAST {
        return None;
    }
    let (p95, p95_before) = (new.p95_ms?, before.p95_ms?);
    (p95 > p95_before * LATENCY_TIMES && p95 > p95_before + LATENCY_MORE_MS)
        .then(|| format!("95 % of its requests took up to {p95:.0} ms, of the version before it {p95_before:.0} ms"))
}

#[expect(clippy::cast_precision_loss, reason = "counts of requests")]
fn error_rate(of: Did) -> f64 {
    if of.requests == 0 { 0.0 } else { of.errors as f64 / of.requests as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn did(well: u64, errors: u64, p95_ms: f64) -> Did {
        Did { requests: well + errors, errors, p95_ms: Some(p95_ms) }
    }

    #[test]
    fn it_is_compared_with_the_same_time_where_enough_came() {
        let (bad_before, now) = (did(1_000, 500, 900.0), did(60, 0, 5.0));
        assert!(worse(rival(bad_before, now), did(90, 10, 5.0)).is_some(), "as before is not as meanwhile");
        assert!(worse(rival(bad_before, did(49, 0, 5.0)), did(90, 10, 5.0)).is_none(), "too few to say");
        assert!(worse(rival(did(1_000, 0, 5.0), did(9, 0, 5.0)), did(100, 0, 90.0)).is_none(), "it may take longer by now");
        assert!(worse(rival(did(1_000, 0, 90.0), did(60, 0, 5.0)), did(100, 0, 90.0)).is_some());
    }

    #[test]
    fn worse_is_what_fails_more_often_or_takes_clearly_longer() {
        let before = did(1_000, 10, 10.0);
        assert_eq!(worse(before, did(100, 1, 10.0)), None, "one error is no rate");
        assert_eq!(worse(before, did(1_000, 12, 10.0)), None, "as often as before");
        assert!(worse(before, did(100, 5, 10.0)).unwrap().contains("5 of its 105 requests failed (4.8 %)"));
        assert!(worse(Did::default(), did(7, 3, 10.0)).is_some(), "nothing is known of the one before it");
        assert_eq!(worse(Did::default(), did(97, 3, 10.0)), None, "it may have been so always");
        assert!(worse(before, did(100, 0, 90.0)).unwrap().contains("95 %"));
        assert_eq!(worse(before, did(40, 0, 90.0)), None, "too few to say");
        assert_eq!(worse(did(20, 80, 2.0), did(100, 0, 60.0)), None, "what fails is fast, and no better for it");
        assert_eq!(worse(did(100, 0, 2.0), did(100, 0, 14.0)), None, "a few milliseconds are nobody's business");
    }
}
