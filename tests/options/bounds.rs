//! What is never exceeded, whatever a broker sends or a program asks for.

use std::time::Duration;

use kafka_blocking::{
    ErrorCode,
    protocol::{list_offsets::ListOffsetsRequest, metadata::MetadataRequest},
};

use scripted_broker::Simulation;

use crate::support::{append, simulation};

#[test]
fn option_max_in_flight_requests_per_connection() {
    // Metadata that is not answered, and a partition more that wants to know meanwhile where it begins.
    let most_unanswered = |allowed: usize| {
        let mut sim = Simulation::new(1, 7, |o| {
            o.max_in_flight_requests_per_connection(allowed)
                .request_timeout_ms(2_000)
                .metadata_max_age_ms(10_000)
                .auto_offset_reset("earliest")
        });
        sim.cluster.state.create_topic("t", 2);
        sim.cluster.state.partition_mut("t", 1).log.append(&["a".into()], 0);
        sim.assign([("t", 0)]);
        sim.run_for(Duration::from_secs(5));
        let before = asked(&sim);
        sim.cluster.on::<MetadataRequest>().once().silence();
        sim.run_until(Duration::from_secs(6), |s| asked(s) > before);
        sim.assign([("t", 0), ("t", 1)]);
        sim.run_until(Duration::from_secs(60), |s| s.values() == ["a"]);
        sim.cluster.most_unanswered()
    };
    assert_eq!(most_unanswered(1), 1);
    assert_eq!(most_unanswered(5), 2);
}

#[test]
fn one_request_in_flight_means_one_on_every_connection_whatever_fails() {
    for seed in 1..=5 {
        let mut sim = Simulation::new(3, seed, |o| {
            o.max_in_flight_requests_per_connection(1)
                .request_timeout_ms(1_500)
                .metadata_max_age_ms(1_000)
                .auto_offset_reset("earliest")
        });
        sim.cluster.state.create_topic("t", 6);
        for partition in 0..6 {
            sim.cluster.state.partition_mut("t", partition).log.append(&["a".into()], 0);
        }
        sim.cluster.on_any().after(12).times(3).swallow();
        sim.cluster.on::<ListOffsetsRequest>().once().fail(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        for partitions in 1..=6 {
            sim.assign((0..partitions).map(|n| ("t", n)));
            sim.run_for(Duration::from_millis(700));
        }
        sim.run_until(Duration::from_secs(60), |s| s.received().len() == 6);
        assert_eq!(sim.cluster.most_unanswered(), 1, "seed {seed}");
    }
}

#[test]
fn option_receive_message_max_bytes() {
    let received = |limit: i32| {
        let mut sim = simulation(|o| {
            o.fetch_max_bytes(1_000)
                .max_partition_fetch_bytes(1_000)
                .receive_message_max_bytes(limit)
        });
        // A first batch comes whole, however small the limits of the fetch are.
        append(&mut sim, "x".repeat(8_000));
        sim.run_for(Duration::from_secs(5));
        (sim.received().len(), sim.attempts().len())
    };
    let (records, attempts) = received(5_000);
    assert_eq!(records, 0);
    assert!(attempts > 3, "the connection is closed each time: {attempts} attempts");
    assert_eq!(received(9_000), (1, 3));
}

#[cfg(feature = "gzip")]
#[test]
fn option_max_decompressed_batch_bytes() {
    use kafka_blocking::{
        Error,
        records::{BatchWriter, Codec},
    };

    let broker = crate::support::broker(&[]);
    let mut batch = BatchWriter::new(0);
    batch.codec = Codec::Gzip;
    batch.append(0, 0, None, Some(&[b'x'; 8_000]), &[]);
    broker.append_batch("t", 0, batch.finish().unwrap());
    let consumer = |limit: usize| {
        crate::support::reader(&broker).max_decompressed_batch_bytes(limit).build().unwrap()
    };
    let error = consumer(5_000).next().unwrap().unwrap_err();
    let Error::RecordTooLarge { limit, option, .. } = &error else { panic!("{error}") };
    assert_eq!((*limit, *option), (5_000, "max_decompressed_batch_bytes"));
    let whole = crate::support::next(&consumer(9_000));
    assert_eq!(whole.value().map(<[u8]>::len), Some(8_000));
}

#[test]
fn a_silent_broker_is_no_reason_to_ask_the_others_without_end() {
    let mut sim =
        Simulation::new(2, 7, |o| o.metadata_max_age_ms(10_000).auto_offset_reset("earliest"));
    sim.cluster.state.create_topic("t", 2);
    sim.subscribe(&["t"]);
    sim.run_for(Duration::from_secs(9));
    let before = asked(&sim);
    sim.cluster.on::<MetadataRequest>().once().silence();
    sim.run_for(Duration::from_secs(20));
    let asked = asked(&sim) - before;
    assert!(asked < 10, "{asked}");
}

/// How often what the cluster looks like was asked.
fn asked(sim: &Simulation) -> usize {
    sim.cluster.requests_of::<MetadataRequest>().len()
}
