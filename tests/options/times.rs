//! Times that machines are told, on a clock that jumps: nothing here waits.

use std::time::Duration;

use kafka_blocking::{
    ErrorCode,
    protocol::{
        Request, fetch::FetchRequest, list_offsets::ListOffsetsRequest, metadata::MetadataRequest,
    },
};
use scripted_broker::{Reach, Simulation};

use crate::support::{append, millis, simulation};

#[test]
fn option_request_timeout_ms() {
    let mut sim = simulation(|o| o.request_timeout_ms(5_000));
    sim.cluster.on::<FetchRequest>().once().silence();
    append(&mut sim, "a");
    let took = sim.run_until(Duration::from_secs(60), |s| !s.received().is_empty());
    // The request, and what its failure costs: a backoff and a new connection.
    assert!((5_000.0..5_500.0).contains(&millis(took)), "{took:?}");
}

#[test]
fn option_retry_backoff_ms() {
    let mut sim = simulation(|o| o.retry_backoff_ms(700));
    sim.cluster.on::<ListOffsetsRequest>().times(3).fail(ErrorCode::NOT_LEADER_OR_FOLLOWER);
    append(&mut sim, "a");
    sim.run_until(Duration::from_secs(60), |s| !s.received().is_empty());
    let gaps = gaps_between::<ListOffsetsRequest>(&sim);
    assert_eq!(gaps.len(), 3);
    assert!(gaps.iter().all(|gap| (700.0..750.0).contains(gap)), "{gaps:?}");
}

#[test]
fn option_reconnect_backoff_ms() {
    let gaps = gaps_between_attempts(Reach::Refuse, 3, |o| o.reconnect_backoff_ms(400));
    // Each twice the last, by 20 % more or less; a refusal takes two milliseconds.
    for (gap, exact) in gaps.iter().zip([400.0, 800.0, 1_600.0]) {
        assert!((0.8 * exact..=1.2 * exact + 5.0).contains(gap), "{gaps:?}");
    }
}

#[test]
fn option_reconnect_backoff_max_ms() {
    let gaps = gaps_between_attempts(Reach::Refuse, 10, |o| {
        o.reconnect_backoff_ms(400).reconnect_backoff_max_ms(1_000)
    });
    for gap in &gaps[2..] {
        assert!((800.0..=1_005.0).contains(gap), "{gaps:?}");
    }
}

#[test]
fn option_socket_connection_setup_timeout_ms() {
    let gaps = gaps_between_attempts(Reach::Lost, 1, |o| {
        o.socket_connection_setup_timeout_ms(2_000).reconnect_backoff_max_ms(50)
    });
    // Up to 20 % less, so that many clients do not give up at once; then the backoff.
    assert!((1_600.0..=2_055.0).contains(&gaps[0]), "{gaps:?}");
}

#[test]
fn option_socket_connection_setup_timeout_max_ms() {
    let gaps = gaps_between_attempts(Reach::Lost, 6, |o| {
        o.socket_connection_setup_timeout_ms(2_000)
            .socket_connection_setup_timeout_max_ms(3_000)
            .reconnect_backoff_max_ms(50)
    });
    for gap in &gaps[1..] {
        assert!((2_400.0..=3_055.0).contains(gap), "{gaps:?}");
    }
}

#[test]
fn option_metadata_max_age_ms() {
    let mut sim = simulation(|o| o.metadata_max_age_ms(10_000));
    sim.run_for(Duration::from_secs(45));
    let gaps = gaps_between::<MetadataRequest>(&sim);
    let refreshes: Vec<_> = gaps.iter().filter(|gap| **gap > 1_000.0).collect();
    assert_eq!(refreshes.len(), 4, "{gaps:?}");
    assert!(refreshes.iter().all(|gap| (10_000.0..10_100.0).contains(*gap)), "{gaps:?}");
}

#[test]
fn option_connections_max_idle_ms() {
    let mut sim = simulation(|o| o.connections_max_idle_ms(40_000));
    sim.run_for(Duration::from_secs(39));
    assert_eq!(sim.cluster.open_connections(1), 2, "one for fetches and one for all else");
    sim.run_for(Duration::from_secs(2));
    assert_eq!(sim.cluster.open_connections(1), 1, "fetches go on, all else was idle");
}

/// Milliseconds between the requests of one API.
fn gaps_between<R: Request>(sim: &Simulation) -> Vec<f64> {
    let times: Vec<_> =
        sim.cluster.requests().iter().filter(|r| r.is::<R>()).map(|r| r.at).collect();
    times.windows(2).map(|pair| millis(pair[1] - pair[0])).collect()
}

/// Milliseconds between the first attempts to connect to a broker that cannot be reached.
fn gaps_between_attempts(
    reach: Reach,
    count: usize,
    options: impl FnOnce(kafka_blocking::ConsumerBuilder) -> kafka_blocking::ConsumerBuilder,
) -> Vec<f64> {
    let mut sim = simulation(options);
    sim.set_reach(Simulation::address(1), reach);
    sim.run_until(Duration::from_secs(600), |s| s.attempts().len() > count);
    let pairs = sim.attempts().windows(2);
    pairs.map(|pair| millis(pair[1].at - pair[0].at)).collect()
}
