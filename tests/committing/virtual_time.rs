//! Races of commits that take long, on a clock that jumps: coordinators that fall silent, answers that come late.

use std::time::Duration;

use kafka_blocking::{
    Error, ErrorCode,
    coordinator::{CommitId, Finished, Step},
    protocol::{offset_commit::OffsetCommitRequest, offset_fetch::OffsetFetchRequest},
};
use scripted_broker::Simulation;

use crate::GROUP;

/// With so many orders of events.
const SEEDS: u64 = 6;

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Two nodes, and a consumer in the group to which partition 0 of `t` is assigned; the first node coordinates.
fn simulation(seed: u64) -> Simulation {
    let mut sim = Simulation::new(2, seed, |builder| {
        builder.group_id(GROUP).enable_auto_commit(false).auto_offset_reset("earliest")
    });
    sim.cluster.state.create_topic("t", 1);
    sim.group(GROUP).set_coordinator(1);
    sim.assign([("t", 0)]);
    sim
}

fn commit(sim: &mut Simulation, offset: i64, timeout: Duration) -> CommitId {
    let now = sim.now();
    let offsets = [(("t", 0).into(), offset.into())].into();
    let committed = sim.machines.with_group(now, |group, cx| group.commit(offsets, timeout, cx));
    committed.expect("a group").expect("nothing against it")
}

/// What has become of commits.
fn finished(sim: &mut Simulation) -> Vec<Finished> {
    match sim.machines.step() {
        Some(Step::Committed(finished)) => finished,
        None => Vec::new(),
        Some(other) => panic!("{other:?}"),
    }
}

/// Lets time pass until something has become of as many commits; gives how long it took.
fn outcomes(sim: &mut Simulation, count: usize) -> (Vec<Finished>, Duration) {
    let mut all = Vec::new();
    let took = sim.run_until(seconds(120), |sim| {
        all.extend(finished(sim));
        all.len() == count
    });
    (all, took)
}

/// Asks what is committed; gives how long it took as well.
fn ask(sim: &mut Simulation) -> (Option<i64>, Duration) {
    let now = sim.now();
    sim.machines.with_group(now, |group, _| group.ask_committed(("t", 0).into()));
    let mut answer = None;
    let took = sim.run_until(seconds(60), |sim| {
        let now = sim.now();
        answer = sim.machines.with_group(now, |group, _| group.take_committed()).flatten();
        answer.is_some()
    });
    (answer.expect("awaited").expect("no error").map(|c| c.offset()), took)
}

fn committed(sim: &mut Simulation) -> Option<i64> {
    sim.group(GROUP).view().committed(("t", 0))
}

#[test]
fn fault_139_a_coordinator_that_falls_silent_is_left_for_its_successor_long_before_its_time_is_over()
 {
    for seed in 0..SEEDS {
        let mut sim = simulation(seed);
        commit(&mut sim, 1, seconds(60));
        outcomes(&mut sim, 1);
        sim.cluster.set_paused(1, true);
        commit(&mut sim, 2, seconds(60));
        sim.run_for(Duration::from_millis(500));
        sim.group(GROUP).set_coordinator(2);
        let (all, took) = outcomes(&mut sim, 1);
        assert!(all[0].result.is_ok(), "seed {seed}: {all:?}");
        assert!(took < seconds(4), "seed {seed}: {took:?}");
        assert_eq!(committed(&mut sim), Some(2));
        // What the old one has read and not answered means nothing any more.
        commit(&mut sim, 3, seconds(60));
        outcomes(&mut sim, 1);
        sim.cluster.set_paused(1, false);
        sim.run_for(seconds(40));
        assert_eq!(committed(&mut sim), Some(3), "seed {seed}");
        assert!(sim.spins().is_empty(), "seed {seed}: {:?}", sim.spins());
    }
}

#[test]
fn fault_146_a_question_is_put_to_the_successor_of_a_coordinator_that_falls_silent() {
    for seed in 0..SEEDS {
        let mut sim = simulation(seed);
        sim.group(GROUP).set_committed(("t", 0), 2);
        assert_eq!(ask(&mut sim).0, Some(2));
        sim.cluster.set_paused(1, true);
        sim.group(GROUP).set_coordinator(2);
        let (offset, took) = ask(&mut sim);
        assert_eq!(offset, Some(2), "seed {seed}");
        assert!(took < seconds(4), "seed {seed}: {took:?}");
    }
}

#[test]
fn fault_98_a_coordinator_that_cannot_do_what_it_is_asked_is_left_for_its_successor() {
    let mut sim = simulation(1);
    sim.group(GROUP).set_committed(("t", 0), 2);
    assert_eq!(ask(&mut sim).0, Some(2));
    // It cannot reach the replicas any more, and does not know yet that another one is the coordinator.
    sim.cluster.on::<OffsetFetchRequest>().node(1).fail(ErrorCode::REQUEST_TIMED_OUT);
    sim.cluster.on::<OffsetCommitRequest>().node(1).fail(ErrorCode::REQUEST_TIMED_OUT);
    sim.group(GROUP).set_coordinator(2);
    let (offset, took) = ask(&mut sim);
    assert!(offset == Some(2) && took < seconds(1), "{offset:?} after {took:?}");
    sim.group(GROUP).set_coordinator(1);
    sim.cluster.clear_rules();
    commit(&mut sim, 3, seconds(60));
    outcomes(&mut sim, 1);
    sim.cluster.on::<OffsetCommitRequest>().node(1).fail(ErrorCode::REQUEST_TIMED_OUT);
    sim.group(GROUP).set_coordinator(2);
    commit(&mut sim, 4, seconds(60));
    let (all, took) = outcomes(&mut sim, 1);
    assert!(all[0].result.is_ok() && took < seconds(1), "{all:?} after {took:?}");
}

#[test]
fn fault_142_answers_that_come_later_than_their_time_change_nothing_of_newer_commits() {
    for seed in 0..SEEDS {
        let mut sim = simulation(seed);
        sim.cluster.on::<OffsetCommitRequest>().once().delay(seconds(45));
        commit(&mut sim, 4, seconds(300));
        sim.run_for(seconds(1));
        commit(&mut sim, 9, seconds(300));
        let (all, _) = outcomes(&mut sim, 2);
        assert!(all.iter().all(|f| f.result.is_ok()), "seed {seed}: {all:?}");
        assert!(all[0].id < all[1].id, "in their order");
        sim.run_for(seconds(50));
        assert_eq!(committed(&mut sim), Some(9), "seed {seed}");
        let sent = sim.cluster.requests_of::<OffsetCommitRequest>();
        assert_eq!(sent.last().map(|r| r.topics[0].partitions[0].committed_offset), Some(9));
    }
}

#[test]
fn fault_139_a_commit_in_the_midst_of_a_load_waits_for_it_without_a_storm_of_requests() {
    let mut sim = simulation(1);
    sim.group(GROUP).set_error(Some(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS));
    commit(&mut sim, 1, seconds(60));
    sim.run_for(seconds(20));
    let tries = sim.cluster.requests_of::<OffsetCommitRequest>().len();
    assert!((10..=205).contains(&tries), "{tries} in 20 s at retry_backoff_ms = 100");
    sim.group(GROUP).set_error(None);
    let (all, took) = outcomes(&mut sim, 1);
    assert!(all[0].result.is_ok() && took < seconds(1), "{all:?} after {took:?}");
}

#[test]
fn fault_139_a_coordinator_that_has_answered_is_trusted_however_often_others_were_lost_before() {
    let mut sim = simulation(1);
    commit(&mut sim, 1, seconds(60));
    outcomes(&mut sim, 1);
    for offset in 2..12 {
        sim.cluster.on::<OffsetCommitRequest>().once().fail(ErrorCode::NOT_COORDINATOR);
        commit(&mut sim, offset, seconds(60));
        let (all, took) = outcomes(&mut sim, 1);
        assert!(all[0].result.is_ok(), "{all:?}");
        assert!(took < Duration::from_millis(200), "{took:?} for commit {offset}");
    }
}

#[test]
fn fault_139_answers_that_cannot_be_read_are_asked_for_again_with_pauses_and_named() {
    let mut sim = simulation(1);
    // The length of its list of topics.
    sim.cluster.on::<OffsetCommitRequest>().corrupt(13, 0xff);
    commit(&mut sim, 1, seconds(5));
    let (all, _) = outcomes(&mut sim, 1);
    let error = all[0].result.as_ref().unwrap_err().to_string();
    assert!(error.contains("OffsetCommit response"), "{error}");
    let tries = sim.cluster.requests_of::<OffsetCommitRequest>().len();
    assert!((3..=51).contains(&tries), "{tries} in 5 s at retry_backoff_ms = 100");
}

#[test]
fn fault_139_a_commit_that_is_refused_until_its_time_is_over_says_the_refusal() {
    let mut sim = simulation(1);
    sim.group(GROUP).set_error(Some(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS));
    commit(&mut sim, 1, seconds(5));
    let (all, _) = outcomes(&mut sim, 1);
    let error = all[0].result.as_ref().unwrap_err().to_string();
    assert!(error.contains("COORDINATOR_LOAD_IN_PROGRESS"), "{error}");
}

#[test]
fn fault_139_a_commit_whose_time_is_over_says_what_stood_in_the_way_and_where() {
    let mut sim = simulation(1);
    sim.run_for(seconds(1));
    sim.cluster.set_paused(1, true);
    commit(&mut sim, 1, seconds(5));
    let (all, took) = outcomes(&mut sim, 1);
    assert!((5.0..5.01).contains(&took.as_secs_f64()), "{took:?}");
    match all[0].result.as_ref().unwrap_err() {
        Error::Timeout { operation: "commit", after, cause } => {
            assert_eq!(*after, seconds(5));
            let words = ["10.0.0.1:9092", "OffsetCommit"];
            assert!(words.iter().all(|word| cause.contains(word)), "{cause}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn fault_155_an_offset_that_arrives_after_a_seek_is_no_position() {
    for seed in 0..SEEDS {
        let mut sim = simulation(seed);
        for n in 0..10 {
            let record = scripted_broker::Record::value(n.to_string());
            sim.cluster.state.partition_mut("t", 0).log.append(&[record], 0);
        }
        sim.group(GROUP).set_committed(("t", 0), 4);
        sim.cluster.on::<OffsetFetchRequest>().once().delay(seconds(3));
        sim.run_for(seconds(1));
        assert_eq!(sim.cluster.requests_of::<OffsetFetchRequest>().len(), 1);
        sim.seek(("t", 0), 7);
        sim.run_for(seconds(10));
        let offsets: Vec<i64> = sim.received().iter().map(|r| r.offset).collect();
        assert_eq!(offsets, [7, 8, 9], "seed {seed}");
    }
}
