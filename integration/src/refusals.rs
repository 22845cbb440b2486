//! What tests ask of an error: that it comes soon, and names the node, the step and the cause.
use std::time::{Duration, Instant};

use kafka_blocking::{Error, KafkaConsumer, Result};

/// Why `build` is refused: it comes soon, and names the node, and the step.
///
/// # Panics
/// Where it is not.
pub fn refusal(
    address: &str,
    wanted: &str,
    build: impl FnOnce() -> Result<KafkaConsumer>,
) -> String {
    let began = Instant::now();
    let error = build().expect_err("nobody should be let in");
    assert!(began.elapsed() < PATIENCE, "{:?}: {error}", began.elapsed());
    let Error::AuthenticationFailed { node, step, reason } = error else {
        panic!("not a refusal: {error:?}")
    };
    assert_eq!((&*node, step), (address, wanted), "{reason}");
    reason.into()
}

/// Asserts that all of these words are in a text.
///
/// # Panics
/// Where one is not.
#[track_caller]
pub fn assert_says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word:?} is not in {text:?}");
    }
}

/// Far longer than any of these attempts takes, and less than the 10 s that tests give `build()`.
const PATIENCE: Duration = Duration::from_secs(8);
