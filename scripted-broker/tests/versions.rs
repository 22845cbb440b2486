//! Which versions a client and a broker agree on, and what becomes of it where they cannot. On a virtual clock.

use std::time::Duration;

use kafka_blocking::{
    Error,
    protocol::{
        Request,
        api_versions::{ApiVersionsRequest, ApiVersionsResponse},
        fetch::FetchRequest,
        metadata::MetadataRequest,
    },
};
use scripted_broker::Simulation;

const MINUTE: Duration = Duration::from_secs(60);

fn with_versions(rows: &[(i16, i16, i16)]) -> Simulation {
    let mut sim = Simulation::new(1, 1, |o| o.auto_offset_reset("earliest"));
    sim.cluster.state.create_topic("t", 1);
    sim.cluster.state.partition_mut("t", 0).log.append(&["first".into()], 0);
    sim.cluster.state.node_mut(1).versions = rows.to_vec();
    sim.assign([("t", 0)]);
    sim
}

/// The versions of the requests of an API on the first connection.
fn asked<R: Request>(sim: &Simulation) -> Vec<i16> {
    let requests = sim.cluster.requests().iter();
    requests.filter(|r| r.is::<R>() && r.connection == 1).map(|r| r.header.api_version).collect()
}

#[test]
fn fault_61_a_broker_that_gives_its_range_of_api_versions_is_asked_again_in_it() {
    let mut sim = with_versions(&[(18, 0, 2), (3, 0, 7), (2, 1, 4), (1, 4, 11)]);
    sim.run_until(MINUTE, |sim| sim.received().len() == 1);
    assert_eq!(asked::<ApiVersionsRequest>(&sim), [*ApiVersionsRequest::VERSIONS.end(), 2]);
    assert_eq!(asked::<MetadataRequest>(&sim)[0], 7);
    let fetches = sim.cluster.requests().iter().filter(|r| r.is::<FetchRequest>());
    assert!(fetches.into_iter().all(|r| r.header.api_version == 11));
}

#[test]
fn fault_62_a_broker_that_gives_no_range_is_asked_in_version_0() {
    let mut sim = with_versions(&[(18, 0, 0), (3, 0, 7), (2, 1, 4), (1, 4, 11)]);
    sim.cluster
        .on::<ApiVersionsRequest>()
        .once()
        .respond(|_| ApiVersionsResponse { error_code: 35, ..ApiVersionsResponse::default() });
    sim.run_until(MINUTE, |sim| sim.received().len() == 1);
    assert_eq!(asked::<ApiVersionsRequest>(&sim), [*ApiVersionsRequest::VERSIONS.end(), 0]);
}

#[test]
fn fault_62_a_broker_that_refuses_every_version_is_not_asked_for_ever() {
    let mut sim = with_versions(&[]);
    sim.cluster
        .on::<ApiVersionsRequest>()
        .respond(|_| ApiVersionsResponse { error_code: 35, ..ApiVersionsResponse::default() });
    sim.run_for(MINUTE);
    let asked = sim.cluster.requests_of::<ApiVersionsRequest>().len();
    assert!(asked <= 2 * sim.attempts().len() && asked < 40, "{asked} requests");
    let text = sim.machines.client.describe_failures(sim.now());
    assert!(text.contains("UNSUPPORTED_VERSION"), "{text}");
}

#[test]
fn fault_63_a_broker_that_hangs_up_on_new_api_versions_is_asked_in_version_0_every_other_time() {
    let mut sim = with_versions(&[(18, 0, 0), (3, 0, 7), (2, 1, 4), (1, 4, 11)]);
    sim.cluster.on::<ApiVersionsRequest>().times(3).close();
    sim.run_until(MINUTE, |sim| sim.received().len() == 1);
    let newest = *ApiVersionsRequest::VERSIONS.end();
    // One on each connection, until one was answered.
    let asked = sim.cluster.requests().iter().filter(|r| r.is::<ApiVersionsRequest>());
    let asked: Vec<i16> = asked.map(|r| r.header.api_version).take(4).collect();
    assert_eq!(asked, [newest, 0, newest, 0]);
    assert!(sim.spins().is_empty(), "{:?}", sim.spins());
}

#[test]
fn fault_64_rows_that_make_no_sense_are_ignored_and_the_rest_is_used() {
    let nonsense = [(1, 9, 4), (-1, 0, 3), (2, -5, -1), (999, 0, 1), (3, 0, i16::MAX)];
    let good = [(18, 0, i16::MAX), (2, 1, 4), (1, 4, 11)];
    let mut sim = with_versions(&[&nonsense[..], &good].concat());
    sim.run_until(MINUTE, |sim| sim.received().len() == 1);
    assert_eq!(asked::<MetadataRequest>(&sim)[0], *MetadataRequest::VERSIONS.end());
}

#[test]
fn fault_64_a_broker_without_fetch_is_an_error_of_reading_and_of_nothing_else() {
    let mut sim = with_versions(&[(18, 0, 3), (3, 0, 12), (2, 1, 4)]);
    sim.run_for(MINUTE);
    assert!(sim.machines.metadata.answers() > 0);
    let (_, error) = &sim.errors()[0];
    assert!(matches!(error, Error::UnsupportedVersion { api: "Fetch", .. }), "{error}");
    assert!(error.to_string().contains("none"), "{error}");
    let errors = sim.errors().len();
    assert!(errors <= 61, "{errors} errors in a minute");
    assert_eq!(sim.spins(), []);
}

#[test]
fn fault_65_a_broker_with_no_common_version_is_an_error_with_both_ranges() {
    let mut sim = with_versions(&[(18, 0, 3), (3, 90, 99)]);
    sim.run_until(MINUTE, |sim| sim.machines.metadata.last_error().is_some());
    let error = sim.machines.metadata.last_error().unwrap().to_string();
    assert_eq!(error, "10.0.0.1:9092 speaks versions 90 to 99 of Metadata, this client 0 to 13");
}
