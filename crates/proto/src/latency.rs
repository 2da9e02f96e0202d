//! How latencies are counted: the same bounds wherever they are added up.

/// Upper bounds of the buckets, in milliseconds; one more bucket is for what took longer.
pub const BOUNDS_MS: [f64; 16] =
    [1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 2_500.0, 5_000.0, 10_000.0];
pub const BUCKETS: usize = BOUNDS_MS.len() + 1;

/// The bucket a latency belongs to.
#[must_use]
pub fn bucket(ms: f64) -> usize {
    BOUNDS_MS.partition_point(|bound| *bound < ms)
}

/// The latency that this share of those counted did not exceed, evenly within its bucket; the last bound for what is above it. None
/// when nothing was counted.
#[must_use]
#[allow(clippy::cast_precision_loss)] // counts
pub fn quantile_ms(buckets: &[u64], share: f64) -> Option<f64> {
    let all: u64 = buckets.iter().sum();
    let wanted = all as f64 * share;
    let mut below = 0_u64;
    for (i, count) in buckets.iter().enumerate().filter(|(_, count)| **count > 0) {
        if (below + count) as f64 >= wanted {
            let lower = i.checked_sub(1).and_then(|i| BOUNDS_MS.get(i)).copied().unwrap_or(0.0);
            let upper = BOUNDS_MS.get(i).copied().unwrap_or(lower);
            return Some(lower + (upper - lower) * ((wanted - below as f64) / *count as f64).max(0.0));
        }
        below += count;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_within_their_buckets() {
        let mut buckets = [0; BUCKETS];
        assert_eq!(quantile_ms(&buckets, 0.5), None);
        for ms in [0.5, 1.0, 4.0, 4.0, 40.0, 20_000.0] {
            buckets[bucket(ms)] += 1;
        }
        assert_eq!((buckets[0], buckets[3], buckets[8], buckets[16]), (2, 2, 1, 1));
        assert_eq!(quantile_ms(&buckets, 0.5), Some(4.0));
        assert_eq!(quantile_ms(&buckets, 1.0), Some(10_000.0), "above the last bound only that is known");
    }
}
