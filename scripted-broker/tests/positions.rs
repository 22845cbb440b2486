//! Where partitions are read: first positions, seeks, and offsets that are out of range. On a virtual clock.

use std::time::Duration;

use kafka_blocking::{
    Error, ErrorCode,
    protocol::{fetch::FetchRequest, list_offsets::ListOffsetsRequest},
};
use scripted_broker::Simulation;

const MINUTE: Duration = Duration::from_secs(60);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// `t-0` with the records 0 to 9, a batch each.
fn ten_records(reset: &str) -> Simulation {
    let mut sim = Simulation::new(1, 1, |o| o.auto_offset_reset(reset));
    sim.cluster.state.create_topic("t", 1);
    for n in 0..10 {
        append(&mut sim, &n.to_string());
    }
    sim.assign([("t", 0)]);
    sim
}

fn append(sim: &mut Simulation, value: &str) {
    sim.cluster.state.partition_mut("t", 0).log.append(&[value.into()], 0);
    sim.cluster.changed();
}

fn delete_before(sim: &mut Simulation, offset: i64) {
    sim.cluster.state.partition_mut("t", 0).log.delete_before(offset);
    sim.cluster.changed();
}

fn offsets(sim: &Simulation) -> Vec<i64> {
    sim.received().iter().map(|r| r.offset).collect()
}

#[test]
fn the_policy_decides_where_a_partition_without_a_position_begins() {
    let mut sim = ten_records("earliest");
    sim.run_until(MINUTE, |sim| sim.received().len() == 10);
    let mut sim = ten_records("latest");
    sim.run_for(ms(1_000));
    append(&mut sim, "ten");
    sim.run_for(ms(1_000));
    assert_eq!(sim.values(), ["ten"]);
}

#[test]
fn what_stood_in_the_way_of_a_position_is_said_until_it_is_there_refused_or_not_wanted_any_more() {
    type Then = fn(&mut Simulation);
    let then: [(&str, Then); 3] = [
        ("it is there", |sim| sim.cluster.clear_rules()),
        ("it is refused", |sim| {
            sim.cluster.clear_rules();
            sim.cluster.on::<ListOffsetsRequest>().fail(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
        }),
        ("it is not wanted", |sim| sim.seek(("t", 0), 3)),
    ];
    for (what, then) in then {
        let mut sim = ten_records("earliest");
        sim.cluster.on::<ListOffsetsRequest>().fail(ErrorCode::OFFSET_NOT_AVAILABLE);
        sim.run_for(ms(1_000));
        let said = |sim: &Simulation| {
            let error = sim.machines.timeout("position", ms(1), "", sim.now());
            error.to_string().contains("OFFSET_NOT_AVAILABLE")
        };
        assert!(said(&sim));
        then(&mut sim);
        sim.run_for(ms(1_000));
        assert!(!said(&sim), "{what}");
    }
}

#[test]
fn a_position_is_asked_for_again_while_the_leader_cannot_tell_it() {
    let mut sim = ten_records("earliest");
    sim.cluster.on::<ListOffsetsRequest>().times(20).fail(ErrorCode::OFFSET_NOT_AVAILABLE);
    let took = sim.run_until(MINUTE, |sim| sim.received().len() == 10);
    assert!((ms(1_900)..ms(2_300)).contains(&took), "20 waits of 100 ms: {took:?}");
    assert!(sim.errors().is_empty() && sim.spins().is_empty());
}

#[test]
fn fault_148_out_of_range_without_a_policy_is_an_error_and_a_seek_repairs_it() {
    let mut sim = ten_records("none");
    sim.seek(("t", 0), 3);
    delete_before(&mut sim, 5);
    sim.run_for(ms(1_000));
    let (_, error) = &sim.errors()[0];
    assert!(matches!(error, Error::OffsetOutOfRange { offset: 3, .. }), "{error}");
    assert!(sim.errors().len() <= 11, "{} errors in a second", sim.errors().len());
    sim.seek(("t", 0), 5);
    sim.run_until(ms(1_000), |sim| sim.received().len() == 5);
    assert_eq!(offsets(&sim), [5, 6, 7, 8, 9]);
    assert!(sim.cluster.requests_of::<ListOffsetsRequest>().is_empty());
}

#[test]
fn fault_149_out_of_range_for_an_offset_that_was_left_by_a_seek_resets_nothing() {
    let mut sim = ten_records("latest");
    delete_before(&mut sim, 5);
    sim.seek(("t", 0), 3);
    sim.cluster.on::<FetchRequest>().once().delay(ms(300));
    sim.run_until(MINUTE, |sim| !sim.cluster.requests_of::<FetchRequest>().is_empty());
    sim.seek(("t", 0), 6);
    sim.run_until(ms(1_000), |sim| sim.received().len() == 4);
    assert_eq!(offsets(&sim), [6, 7, 8, 9]);
    assert!(sim.cluster.requests_of::<ListOffsetsRequest>().is_empty());
}

#[test]
fn fault_150_a_reader_that_was_passed_by_deletion_goes_on_at_the_start_of_the_log() {
    let mut sim = ten_records("earliest");
    sim.seek(("t", 0), 2);
    delete_before(&mut sim, 7);
    sim.run_until(MINUTE, |sim| sim.received().len() == 3);
    assert_eq!(offsets(&sim), [7, 8, 9]);
    assert!(sim.errors().is_empty());
}

#[test]
fn fault_155_a_seek_wins_over_a_reset_that_is_under_way() {
    let mut sim = ten_records("earliest");
    sim.cluster.on::<ListOffsetsRequest>().delay(ms(200));
    sim.run_until(MINUTE, |sim| !sim.cluster.requests_of::<ListOffsetsRequest>().is_empty());
    sim.seek(("t", 0), 8);
    sim.run_for(ms(2_000));
    assert_eq!(offsets(&sim), [8, 9]);
}

#[test]
fn fault_165_after_a_seek_no_record_of_the_fetch_before_it_comes() {
    for delay in [0, 1, 2, 50] {
        let mut sim = ten_records("earliest");
        sim.cluster.on::<FetchRequest>().once().delay(ms(delay));
        sim.run_until(MINUTE, |sim| !sim.cluster.requests_of::<FetchRequest>().is_empty());
        sim.seek(("t", 0), 8);
        sim.run_for(ms(1_000));
        assert_eq!(offsets(&sim), [8, 9], "delay {delay}");
    }
}

#[test]
fn a_seek_back_reads_again_from_there() {
    let mut sim = ten_records("earliest");
    sim.run_until(MINUTE, |sim| sim.received().len() == 10);
    sim.run_for(ms(100));
    sim.seek(("t", 0), 8);
    let took = sim.run_until(MINUTE, |sim| sim.received().len() == 12);
    assert!(took < ms(600), "{took:?}");
    assert_eq!(offsets(&sim)[10..], [8, 9]);
}

#[test]
fn gaps_and_batches_that_begin_before_the_position_are_passed() {
    let mut sim = Simulation::new(1, 1, |o| o);
    sim.cluster.state.create_topic("t", 1);
    let log = &mut sim.cluster.state.partition_mut("t", 0).log;
    log.append(&["0".into(), "1".into(), "2".into()], 0);
    log.skip_to(100);
    log.append(&["100".into()], 0);
    sim.assign([("t", 0)]);
    sim.seek(("t", 0), 1);
    sim.run_until(MINUTE, |sim| sim.received().len() == 3);
    assert_eq!(sim.values(), ["1", "2", "100"]);
    sim.seek(("t", 0), 50);
    sim.run_until(MINUTE, |sim| sim.received().len() == 4);
    assert_eq!(offsets(&sim), [1, 2, 100, 100]);
}
