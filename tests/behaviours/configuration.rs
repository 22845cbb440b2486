//! Options that contradict each other, or do not exist: an error of `build()`, before anything is connected.

use kafka_blocking::{ConsumerBuilder, Error};

use crate::support::{broker_with, builder};

/// Checks that `build()` fails, connects nothing, and names these options.
fn contradicts(change: impl Fn(ConsumerBuilder) -> ConsumerBuilder, names: &[&str]) {
    let broker = broker_with(1, 1);
    let Err(Error::Configuration(error)) = change(builder(broker.address())).build() else {
        panic!("{names:?} fit together, or fail as something else");
    };
    assert_eq!(error.option, names[0], "{error}");
    for name in names {
        assert!(error.to_string().contains(name), "{name} is missing in: {error}");
    }
    assert!(broker.requests().is_empty() && broker.connections(1) == 0);
}

#[test]
fn behaviour_1_a_fetch_may_not_wait_longer_than_its_request() {
    contradicts(
        |b| b.fetch_max_wait_ms(50_000).request_timeout_ms(40_000),
        &["fetch_max_wait_ms", "50000", "request_timeout_ms"],
    );
    assert!(allowed(|b| b.fetch_max_wait_ms(39_999).request_timeout_ms(40_000)));
}

#[test]
fn behaviour_2_a_request_may_not_last_longer_than_an_idle_connection() {
    contradicts(
        |b| b.request_timeout_ms(30_000).connections_max_idle_ms(20_000),
        &["request_timeout_ms", "30000", "connections_max_idle_ms"],
    );
    assert!(allowed(|b| b.request_timeout_ms(30_000).connections_max_idle_ms(30_001)));
}

#[test]
fn behaviour_3_a_call_may_not_be_shorter_than_a_request() {
    contradicts(
        |b| b.default_api_timeout_ms(1_000).request_timeout_ms(2_000),
        &["request_timeout_ms", "2000", "default_api_timeout_ms"],
    );
    assert!(allowed(|b| b.default_api_timeout_ms(2_000).request_timeout_ms(2_000)));
}

#[test]
fn behaviour_4_an_option_that_does_not_exist_is_refused_by_its_name() {
    contradicts(|b| b.set("max_poll_timeout_ms", "1"), &["max_poll_timeout_ms"]);
    assert!(allowed(|b| b.set("max_poll_records", "1")));
}

fn allowed(change: impl Fn(ConsumerBuilder) -> ConsumerBuilder) -> bool {
    let broker = broker_with(1, 1);
    change(builder(broker.address())).build().is_ok()
}
