//! What ends a connection, what goes down with it, and what comes after. On a virtual clock.

use std::time::Duration;

use kafka_blocking::protocol::{
    api_versions::ApiVersionsRequest, fetch::FetchRequest, list_offsets::ListOffsetsRequest,
    metadata::MetadataRequest,
};
use scripted_broker::Simulation;

const MINUTE: Duration = Duration::from_secs(60);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// One node with one record in `t-0`, which nobody reads yet.
fn one_record(seed: u64) -> Simulation {
    let mut sim = Simulation::new(1, seed, |o| o.auto_offset_reset("earliest"));
    sim.cluster.state.create_topic("t", 1);
    append(&mut sim, "first");
    sim
}

fn append(sim: &mut Simulation, value: &str) {
    sim.cluster.state.partition_mut("t", 0).log.append(&[value.into()], 0);
    sim.cluster.changed();
}

fn reading(seed: u64) -> Simulation {
    let mut sim = one_record(seed);
    sim.assign([("t", 0)]);
    sim.run_until(MINUTE, |sim| sim.received().len() == 1);
    sim
}

/// One more record comes through, once.
fn assert_goes_on(sim: &mut Simulation, within: Duration) {
    append(sim, "next");
    sim.run_until(within, |sim| sim.received().len() >= 2);
    sim.run_for(ms(2_000));
    assert_eq!(sim.values(), ["first", "next"]);
    assert!(sim.errors().is_empty(), "{:?}", sim.errors());
}

#[test]
fn fault_8_a_request_that_times_out_closes_its_connection_and_fails_all_that_is_on_it() {
    let mut sim = one_record(1);
    sim.cluster.on::<ListOffsetsRequest>().once().silence();
    sim.assign([("t", 0)]);
    sim.run_until(MINUTE, |sim| !sim.cluster.requests_of::<ListOffsetsRequest>().is_empty());
    let silent = sim.cluster.requests().last().unwrap().connection;
    // This one is sent on the same connection, behind it.
    sim.machines.metadata.request_update();
    sim.run_for(ms(29_900));
    assert!(sim.cluster.is_open(silent) && sim.received().is_empty());
    sim.run_for(ms(200));
    assert!(!sim.cluster.is_open(silent));
    sim.run_until(ms(1_000), |sim| sim.received().len() == 1);
    assert!(sim.errors().is_empty(), "{:?}", sim.errors());
}

#[test]
fn fault_16_an_answer_that_comes_after_its_time_out_is_taken_for_no_other() {
    let mut sim = one_record(1);
    sim.cluster.on::<ListOffsetsRequest>().once().delay(ms(31_000));
    sim.assign([("t", 0)]);
    sim.run_until(MINUTE, |sim| sim.received().len() == 1);
    assert!(sim.elapsed() >= ms(30_000));
    assert_goes_on(&mut sim, ms(5_000));
}

#[test]
fn fault_13_a_wrong_correlation_id_closes_the_connection() {
    for seed in 0..10 {
        let mut sim = one_record(seed);
        sim.cluster.on::<ListOffsetsRequest>().once().corrupt(7, 1);
        sim.assign([("t", 0)]);
        let took = sim.run_until(MINUTE, |sim| sim.received().len() == 1);
        assert!(took < ms(1_000), "seed {seed}: {took:?}");
        assert_eq!(sim.cluster.requests_of::<ListOffsetsRequest>().len(), 2);
        assert_goes_on(&mut sim, ms(5_000));
    }
}

#[test]
fn fault_14_swapped_answers_close_the_connection_and_go_to_nobody() {
    let mut sim = one_record(1);
    sim.cluster.on::<ListOffsetsRequest>().once().swap_with_next();
    sim.assign([("t", 0)]);
    sim.run_until(MINUTE, |sim| !sim.cluster.requests_of::<ListOffsetsRequest>().is_empty());
    let (answers, attempts) = (sim.machines.metadata.answers(), sim.attempts().len());
    sim.machines.metadata.request_update();
    sim.run_until(ms(300), |sim| sim.attempts().len() > attempts);
    assert_eq!(sim.machines.metadata.answers(), answers);
    sim.run_until(ms(1_000), |sim| sim.received().len() == 1);
    assert_goes_on(&mut sim, ms(5_000));
}

#[test]
fn fault_15_an_answer_that_nobody_asked_for_closes_the_connection() {
    let mut sim = reading(1);
    let attempts = sim.attempts().len();
    sim.cluster.send_unasked(1, &[0, 0, 0, 4, 0, 0, 0, 9]);
    sim.run_for(ms(20));
    assert_eq!(sim.attempts().len(), attempts, "the backoff comes first");
    assert_goes_on(&mut sim, ms(1_000));
    assert!(sim.attempts().len() > attempts);
}

#[test]
fn fault_18_an_idle_connection_is_closed_quietly_and_opened_again_when_it_is_needed() {
    let mut sim =
        Simulation::new(1, 1, |o| o.auto_offset_reset("earliest").connections_max_idle_ms(40_000));
    sim.cluster.state.create_topic("t", 1);
    append(&mut sim, "first");
    sim.run_until(MINUTE, |sim| sim.machines.metadata.answers() > 0);
    sim.run_for(ms(1_000));
    let attempts = sim.attempts().len();
    sim.run_for(MINUTE);
    assert_eq!((sim.cluster.open_connections(1), sim.attempts().len()), (0, attempts));
    sim.assign([("t", 0)]);
    let took = sim.run_until(MINUTE, |sim| sim.received().len() == 1);
    assert!(took < ms(200), "{took:?}");
    assert!(sim.errors().is_empty());
    assert_eq!(sim.spins(), []);
}

#[test]
fn fault_18_a_broker_that_closes_idle_connections_is_not_taken_for_dead() {
    let mut sim = Simulation::new(1, 1, |o| o.auto_offset_reset("earliest"));
    sim.cluster.state.create_topic("t", 1);
    append(&mut sim, "first");
    sim.run_until(MINUTE, |sim| sim.machines.metadata.answers() > 0);
    for _ in 0..10 {
        sim.run_for(ms(1_000));
        sim.cluster.close_connections(1);
    }
    sim.run_for(ms(1_000));
    sim.assign([("t", 0)]);
    let took = sim.run_until(MINUTE, |sim| sim.received().len() == 1);
    assert!(took < ms(200), "{took:?}");
    assert!(sim.errors().is_empty());
}

#[test]
fn fault_211_a_frame_whose_length_cannot_be_closes_the_connection_with_an_error_that_says_so() {
    for (length, hint) in
        [(-1, ""), (0, ""), (3, ""), (100_000_001, ""), (0x4854_5450, "HTTP"), (0x1503_0300, "TLS")]
    {
        let mut sim = one_record(1);
        sim.cluster.on::<MetadataRequest>().once().bytes(i32::to_be_bytes(length));
        sim.run_until(MINUTE, |sim| sim.machines.metadata.last_error().is_some());
        let text = sim.machines.metadata.last_error().unwrap().to_string();
        assert!(text.contains(&format!("a frame of {length} bytes")), "{text}");
        assert!(text.contains("10.0.0.1:9092") && text.contains(hint), "{text}");
        let took = sim.run_until(MINUTE, |sim| sim.machines.metadata.answers() > 0);
        assert!(took < ms(200), "{length}: {took:?}");
    }
}

#[test]
fn fault_40_what_answers_like_a_web_server_is_named_so() {
    let mut sim = one_record(1);
    sim.cluster.on_any().bytes("HTTP/1.1 400 Bad Request\r\n\r\n");
    sim.run_for(ms(1_000));
    let text = sim.machines.client.describe_failures(sim.now());
    assert!(text.contains("10.0.0.1:9092") && text.contains("HTTP"), "{text}");
    let attempts = sim.attempts().len();
    assert!((3..8).contains(&attempts), "{attempts} attempts in a second");
}

#[test]
fn an_answer_that_is_cut_at_any_byte_costs_a_new_connection_and_no_record() {
    for cut in (0..140).step_by(7) {
        let mut sim = one_record(cut);
        let cut = usize::try_from(cut).unwrap();
        sim.cluster.on::<FetchRequest>().once().cut_at(cut);
        sim.cluster.on::<ListOffsetsRequest>().once().cut_at(cut);
        sim.cluster.on::<ApiVersionsRequest>().after(1).once().cut_at(cut);
        sim.assign([("t", 0)]);
        sim.run_until(MINUTE, |sim| sim.received().len() == 1);
        assert_goes_on(&mut sim, ms(5_000));
    }
}
