//! How long to wait before the next attempt: exponential, with jitter.

use std::time::Duration;

/// The waits between attempts that fail one after the other: each twice the last, up to a limit, and each spread by
/// 20 % to either side, so that many clients do not come back at once.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    /// Waits that begin with `first` and grow up to `max`.
    #[must_use]
    pub fn new(first: Duration, max: Duration) -> Self {
        Self { first, max, failures: 0 }
    }

    /// How long to wait now that an attempt has failed.
    pub fn next_delay(&mut self, random: &mut fastrand::Rng) -> Duration {
        let factor = 2_u32.saturating_pow(self.failures.min(31));
        self.failures = self.failures.saturating_add(1);
        // As good as for ever, and small enough to be multiplied.
        const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);
        let delay = self.first.saturating_mul(factor).min(self.max).min(LONGEST);
        let spread = delay.mul_f64(0.8 + 0.4 * random.f64());
        spread.min(self.max.max(self.first))
    }

    /// Forgets the failures: an attempt has succeeded.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// How many attempts have failed since the last success.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_from_the_first_to_the_limit_within_twenty_percent() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..100 {
            let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
            for exact in [50, 100, 200, 400, 800, 1000, 1000, 1000] {
                let delay = backoff.next_delay(&mut random).as_secs_f64() * 1000.0;
                let exact = f64::from(exact);
                assert!(
                    (0.8 * exact..=(1.2 * exact).min(1000.0) + 0.001).contains(&delay),
                    "{delay} for {exact}"
                );
            }
        }
    }

    #[test]
    fn a_success_starts_over() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
        for _ in 0..10 {
            backoff.next_delay(&mut random);
        }
        backoff.reset();
        assert!(backoff.next_delay(&mut random) <= Duration::from_millis(60));
    }

    #[test]
    fn many_failures_do_not_overflow() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::MAX);
        for _ in 0..200 {
            backoff.next_delay(&mut random);
        }
    }
}
