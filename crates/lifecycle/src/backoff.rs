use std::time::Duration;

/// Exponential backoff with full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter"): each
/// delay is drawn evenly from zero to the doubled bound.
#[derive(Clone, Debug)]
pub struct Backoff {
    base: Duration,
    max: Duration,
    tries: u32,
}

impl Backoff {
    #[must_use]
    pub const fn new(base: Duration, max: Duration) -> Self {
        Self { base, max, tries: 0 }
    }

    pub fn reset(&mut self) {
        self.tries = 0;
    }

    pub fn next_delay(&mut self) -> Duration {
        let bound = self.base.saturating_mul(1 << self.tries.min(16)).min(self.max);
        self.tries = self.tries.saturating_add(1);
        bound.mul_f64(random_unit())
    }

    pub async fn sleep(&mut self) {
        tokio::time::sleep(self.next_delay()).await;
    }
}

/// Evenly from 0 to 1. The hasher's keys are random and change with each call, which is enough for jitter.
fn random_unit() -> f64 {
    use std::hash::{BuildHasher as _, RandomState};
    #[allow(clippy::cast_precision_loss)] // 53 bits are kept
    let value = (RandomState::new().hash_one(0_u8) >> 11) as f64;
    value / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_the_bound_and_starts_over() {
        let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(80));
        for bound in [10, 20, 40, 80, 80, 80] {
            assert!(backoff.next_delay() <= Duration::from_millis(bound));
        }
        backoff.reset();
        assert!(backoff.next_delay() <= Duration::from_millis(10));
    }
}
