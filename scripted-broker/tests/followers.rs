//! Reading from followers that are near (KIP-392): whom a consumer asks, and when it goes back to the leader. On a virtual
//! clock.

use std::time::Duration;

use kafka_blocking::{
    ErrorCode,
    protocol::{fetch::FetchRequest, list_offsets::ListOffsetsRequest, metadata::MetadataRequest},
};
use scripted_broker::{Follower, Reach, Simulation};

const MINUTE: Duration = Duration::from_secs(60);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// `t-0` is led by node 1, in rack a; node 2 is in rack b, as the consumer, and node 3 in c.
fn near_node_2() -> Simulation {
    let mut sim = Simulation::new(3, 1, |o| {
        o.bootstrap_servers("10.0.0.1:9092").auto_offset_reset("earliest").client_rack("b")
    });
    sim.cluster.state.create_topic("t", 1);
    sim.cluster.state.rack_aware = true;
    for (node, rack) in [(1, "a"), (2, "b"), (3, "c")] {
        sim.cluster.state.node_mut(node).rack = Some(rack.to_owned());
    }
    append(&mut sim, 1);
    sim.assign([("t", 0)]);
    sim
}

/// The same, when the follower has been read from for a second.
fn following() -> Simulation {
    let mut sim = near_node_2();
    sim.run_until(MINUTE, |sim| sim.received().len() == 1);
    sim.run_for(ms(1_000));
    assert_eq!(fetched_from(&sim, 0).last(), Some(&2));
    sim
}

fn append(sim: &mut Simulation, records: usize) {
    for _ in 0..records {
        let end = sim.cluster.state.partition_mut("t", 0).log.end();
        sim.cluster.state.append("t", 0, [end.to_string()]);
    }
    sim.cluster.changed();
}

/// The nodes that were asked for records, in order, but for the first so many.
fn fetched_from(sim: &Simulation, but: usize) -> Vec<i32> {
    let fetches = sim.cluster.requests().iter().filter(|r| r.is::<FetchRequest>());
    fetches.skip(but).map(|r| r.node).collect()
}

fn fetches(sim: &Simulation) -> usize {
    fetched_from(sim, 0).len()
}

/// Appends a record, which must come soon; gives the nodes that were asked, and how long it took.
fn next_comes(sim: &mut Simulation, within: Duration) -> (Vec<i32>, Duration) {
    let (before, had) = (fetches(sim), sim.received().len());
    append(sim, 1);
    let took = sim.run_until(within, |sim| sim.received().len() > had);
    (fetched_from(sim, before), took)
}

/// Every record came once, in order, and nothing was reset or told to the caller.
fn all_is_well(sim: &Simulation) {
    let offsets: Vec<i64> = sim.received().iter().map(|r| r.offset).collect();
    let end = sim.cluster.state.partition("t", 0).unwrap().log.end();
    assert_eq!(offsets, (0..end).collect::<Vec<_>>());
    assert_eq!(sim.cluster.requests_of::<ListOffsetsRequest>().len(), 1, "no reset");
    assert!(sim.errors().is_empty() && sim.spins().is_empty(), "{:?}", sim.errors());
}

#[test]
fn behaviour_48_the_rack_is_sent_and_the_replica_that_the_leader_names_is_read() {
    let sim = following();
    assert!(sim.cluster.requests_of::<FetchRequest>().iter().all(|r| r.rack_id == "b"));
    let asked = fetched_from(&sim, 0);
    assert_eq!(asked[0], 1, "the leader first");
    assert!(asked[1..].iter().all(|node| *node == 2), "then the follower: {asked:?}");
    all_is_well(&sim);
}

#[test]
fn behaviour_48_without_a_rack_the_leader_is_read() {
    let mut sim = Simulation::new(2, 1, |o| o.auto_offset_reset("earliest"));
    sim.cluster.state.create_topic("t", 1);
    sim.cluster.state.rack_aware = true;
    sim.cluster.state.node_mut(2).rack = Some("b".to_owned());
    append(&mut sim, 1);
    sim.assign([("t", 0)]);
    sim.run_for(ms(3_000));
    assert!(fetched_from(&sim, 0).iter().all(|node| *node == 1));
    all_is_well(&sim);
}

#[test]
fn behaviour_48_the_leader_is_asked_again_when_the_time_is_over() {
    let mut sim = following();
    // metadata_max_age_ms is five minutes.
    sim.run_for(Duration::from_secs(290));
    assert_eq!(fetched_from(&sim, 0).iter().filter(|node| **node == 1).count(), 1);
    sim.run_for(ms(20_000));
    let asked = fetched_from(&sim, 0);
    assert_eq!(asked.iter().filter(|node| **node == 1).count(), 2, "once more");
    assert_eq!(asked.last(), Some(&2), "and it names the follower again");
    next_comes(&mut sim, ms(600));
    all_is_well(&sim);
}

#[test]
fn behaviour_48_answers_of_the_replica_do_not_extend_the_time() {
    let mut sim = following();
    sim.cluster.on::<FetchRequest>().node(2).rewrite(|response| {
        for p in response.responses.iter_mut().flat_map(|t| t.partitions.iter_mut()) {
            p.preferred_read_replica = 2;
        }
    });
    for _ in 0..31 {
        sim.run_for(ms(10_000));
        append(&mut sim, 1);
    }
    let leader = fetched_from(&sim, 0).iter().filter(|node| **node == 1).count();
    assert_eq!(leader, 2, "the leader was asked again within 310 s");
    sim.run_for(ms(1_000));
    all_is_well(&sim);
}

#[test]
fn behaviour_48_a_replica_that_is_none_any_more_is_left() {
    let mut sim = following();
    sim.cluster.state.partition_mut("t", 0).replicas = vec![1, 3];
    sim.machines.metadata.request_update();
    sim.run_for(ms(2_000));
    let before = fetches(&sim);
    sim.run_for(ms(2_000));
    assert!(fetched_from(&sim, before).iter().all(|node| *node == 1));
    let (_, took) = next_comes(&mut sim, ms(600));
    assert!(took < ms(50), "{took:?}");
    all_is_well(&sim);
}

#[test]
fn behaviour_48_a_seek_goes_back_to_the_leader() {
    let mut sim = following();
    let before = fetches(&sim);
    sim.seek(("t", 0), 0);
    sim.run_until(MINUTE, |sim| sim.received().len() == 2);
    let asked = fetched_from(&sim, before);
    assert_eq!(asked[0], 1, "{asked:?}");
    assert_eq!(asked.last(), Some(&2), "which names the follower again");
}

#[test]
fn behaviour_48_a_reset_goes_back_to_the_leader() {
    let mut sim = following();
    let before = fetches(&sim);
    let all = [("t", 0).into()].into();
    sim.machines.subscriptions.seek_to(&all, kafka_blocking::OffsetReset::Earliest).unwrap();
    sim.machines.follow();
    sim.run_until(MINUTE, |sim| sim.received().len() == 2);
    assert_eq!(fetched_from(&sim, before)[0], 1);
}

#[test]
fn behaviour_48_a_new_epoch_of_the_leader_ends_the_preference() {
    let mut sim = following();
    let before = fetches(&sim);
    sim.cluster.state.move_leader("t", 0, Some(3));
    sim.cluster.changed();
    sim.run_for(ms(3_000));
    let asked = fetched_from(&sim, before);
    let new = asked.iter().position(|node| *node == 3).expect("the new leader is asked");
    assert!(asked[new + 1..].iter().all(|node| *node == 2), "and names the follower: {asked:?}");
    next_comes(&mut sim, ms(600));
    all_is_well(&sim);
}

#[test]
fn behaviour_48_out_of_range_at_the_replica_is_no_reset_the_leader_knows() {
    let mut sim = following();
    // What the follower has ends before the position.
    *sim.cluster.state.follower_mut("t", 0, 2) = Follower { end: Some(0), ..Default::default() };
    let (asked, took) = next_comes(&mut sim, ms(2_000));
    assert!(asked.contains(&1) && took < ms(700), "{asked:?} in {took:?}");
    all_is_well(&sim);
}

#[test]
fn behaviour_48_a_replica_that_was_refused_is_read_again_half_a_minute_later() {
    let mut sim = following();
    *sim.cluster.state.follower_mut("t", 0, 2) = Follower { end: Some(0), ..Default::default() };
    next_comes(&mut sim, ms(2_000));
    *sim.cluster.state.follower_mut("t", 0, 2) = Follower::default();
    sim.run_for(ms(20_000));
    assert_eq!(fetched_from(&sim, 0).last(), Some(&1));
    sim.run_for(ms(20_000));
    assert_eq!(fetched_from(&sim, 0).last(), Some(&2));
    next_comes(&mut sim, ms(600));
    all_is_well(&sim);
}

/// From now on the leader names node 2 for every partition, whatever it is told of racks, and gives no records itself.
fn leader_insists_on_node_2(sim: &mut Simulation) {
    sim.cluster.on::<FetchRequest>().node(1).rewrite(|response| {
        for p in response.responses.iter_mut().flat_map(|t| t.partitions.iter_mut()) {
            p.preferred_read_replica = 2;
            p.records = Vec::new().into();
        }
    });
}

#[test]
fn behaviour_48_a_replica_that_failed_is_left_alone_although_the_leader_insists() {
    let mut sim = following();
    leader_insists_on_node_2(&mut sim);
    sim.cluster.on::<FetchRequest>().node(2).rewrite(|response| {
        response.error_code = ErrorCode::UNKNOWN_SERVER_ERROR.0;
        response.responses.clear();
    });
    sim.run_for(ms(2_000));
    let before = fetches(&sim);
    sim.run_for(ms(20_000));
    let asked = fetched_from(&sim, before);
    assert!(asked.iter().all(|node| *node == 1), "{asked:?}");
    sim.cluster.clear_rules();
    next_comes(&mut sim, ms(600));
    sim.run_for(ms(30_000));
    assert_eq!(fetched_from(&sim, 0).last(), Some(&2), "it may be well by now");
    all_is_well(&sim);
}

#[test]
fn behaviour_48_a_replica_that_has_left_the_cluster_is_not_read_although_the_leader_insists() {
    let mut sim = near_node_2();
    sim.stop(2);
    leader_insists_on_node_2(&mut sim);
    sim.run_for(ms(10_000));
    assert!(fetches(&sim) <= 100, "{} fetches in ten seconds", fetches(&sim));
    assert!(fetched_from(&sim, 0).iter().all(|node| *node == 1));
    sim.cluster.clear_rules();
    sim.run_until(MINUTE, |sim| sim.received().len() == 1);
    all_is_well(&sim);
}

#[test]
fn behaviour_48_a_replica_that_is_not_so_far_yet_is_waited_for_without_spinning() {
    let mut sim = following();
    let behind = Follower {
        high_watermark: Some(1),
        ahead: Some(ErrorCode::OFFSET_NOT_AVAILABLE),
        ..Default::default()
    };
    *sim.cluster.state.follower_mut("t", 0, 2) = behind;
    append(&mut sim, 3);
    let before = fetches(&sim);
    sim.run_for(ms(2_000));
    assert!(fetches(&sim) - before < 30, "{} fetches in two seconds", fetches(&sim) - before);
    *sim.cluster.state.follower_mut("t", 0, 2) = Follower::default();
    sim.cluster.changed();
    sim.run_until(ms(1_000), |sim| sim.received().len() == 4);
    all_is_well(&sim);
}

/// What holds when the follower fails in a way; the leader goes on naming it.
fn replica_fails(fail: impl Fn(&mut Simulation), within: Duration) {
    let mut sim = following();
    fail(&mut sim);
    let (_, took) = next_comes(&mut sim, 2 * MINUTE);
    assert!(took <= within, "{took:?}");
    let before = fetches(&sim);
    sim.run_for(ms(10_000));
    let again = fetched_from(&sim, before);
    assert!(again.len() < 40, "{} fetches in ten seconds", again.len());
    assert!(again.iter().all(|node| *node == 1), "no going back and forth: {again:?}");
    for _ in 0..20 {
        let (_, took) = next_comes(&mut sim, 2 * MINUTE);
        assert!(took <= within, "later, when the leader is told the rack again: {took:?}");
        sim.run_for(ms(5_000));
    }
    all_is_well(&sim);
}

#[test]
fn behaviour_48_a_replica_that_dies_is_left_for_the_leader() {
    replica_fails(|sim| sim.stop(2), ms(2_000));
}

#[test]
fn behaviour_48_a_replica_that_falls_silent_is_left_for_the_leader() {
    replica_fails(|sim| sim.cluster.set_paused(2, true), ms(2_000));
}

#[test]
fn behaviour_48_a_replica_that_cannot_be_reached_is_left_for_the_leader() {
    replica_fails(|sim| sim.set_reach(Simulation::address(2), Reach::Lost), ms(2_000));
}

#[test]
fn behaviour_48_a_replica_that_answers_with_errors_is_left_for_the_leader() {
    let codes = [
        ErrorCode::NOT_LEADER_OR_FOLLOWER,
        ErrorCode::REPLICA_NOT_AVAILABLE,
        ErrorCode::KAFKA_STORAGE_ERROR,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode::UNKNOWN_LEADER_EPOCH,
        ErrorCode::UNKNOWN_SERVER_ERROR,
    ];
    for code in codes {
        for whole in [false, true] {
            let mut sim = following();
            sim.cluster.on::<FetchRequest>().node(2).rewrite(move |response| {
                response.error_code = if whole { code.0 } else { 0 };
                for p in response.responses.iter_mut().flat_map(|t| t.partitions.iter_mut()) {
                    p.error_code = code.0;
                    p.records = Vec::new().into();
                }
            });
            // What is under way comes without an error.
            sim.run_for(ms(600));
            let (_, took) = next_comes(&mut sim, ms(2_000));
            assert!(took < ms(500), "{code}: {took:?}");
            let before = fetches(&sim);
            sim.run_for(ms(10_000));
            let again = fetched_from(&sim, before);
            assert!(again.len() < 40 && again.iter().all(|node| *node == 1), "{code}: back again");
            all_is_well(&sim);
        }
    }
}

#[test]
fn behaviour_48_a_replica_that_cannot_be_reached_from_the_start_is_left_for_the_leader() {
    for reach in [Reach::Refuse, Reach::Lost] {
        let mut sim = near_node_2();
        sim.set_reach(Simulation::address(2), reach);
        let took = sim.run_until(2 * MINUTE, |sim| sim.received().len() == 1);
        assert!(took < ms(3_000), "{reach:?}: {took:?}");
    }
}

#[test]
fn behaviour_48_a_replica_that_metadata_do_not_know_is_not_read() {
    let mut sim = Simulation::new(1, 1, |o| o.auto_offset_reset("earliest").client_rack("b"));
    sim.cluster.state.create_topic("t", 1);
    sim.cluster.on::<FetchRequest>().rewrite(|response| {
        for p in response.responses.iter_mut().flat_map(|t| t.partitions.iter_mut()) {
            p.preferred_read_replica = 77;
            p.records = Vec::new().into();
        }
    });
    append(&mut sim, 1);
    sim.assign([("t", 0)]);
    sim.run_for(ms(3_000));
    assert!(fetches(&sim) < 40, "{} fetches in three seconds", fetches(&sim));
    sim.cluster.clear_rules();
    sim.run_until(MINUTE, |sim| sim.received().len() == 1);
    all_is_well(&sim);
}

#[test]
fn behaviour_48_a_replica_whose_log_parts_from_the_leaders_is_left() {
    let mut sim = following();
    sim.cluster.on::<FetchRequest>().node(2).rewrite(|response| {
        for p in response.responses.iter_mut().flat_map(|t| t.partitions.iter_mut()) {
            (p.diverging_epoch.epoch, p.diverging_epoch.end_offset) = (0, 0);
            p.records = Vec::new().into();
        }
    });
    sim.run_for(ms(1_000));
    next_comes(&mut sim, ms(2_000));
    let (asked, _) = next_comes(&mut sim, ms(2_000));
    assert!(asked.iter().all(|node| *node == 1), "{asked:?}");
    all_is_well(&sim);
}

#[test]
fn behaviour_48_a_replica_of_which_metadata_do_not_know_yet_is_not_asked_for_in_vain() {
    let mut sim = near_node_2();
    sim.cluster.on::<MetadataRequest>().rewrite(|response| {
        for p in response.topics.iter_mut().flat_map(|t| t.partitions.iter_mut()) {
            p.replica_nodes.retain(|node| *node != 2);
        }
    });
    let took = sim.run_until(MINUTE, |sim| sim.received().len() == 1);
    assert!(took < ms(1_000), "{took:?}");
    sim.run_for(ms(3_000));
    assert!(fetches(&sim) < 20, "{} fetches in three seconds", fetches(&sim));
    all_is_well(&sim);
}

#[test]
fn behaviour_48_a_partition_that_the_replica_does_not_have_leaves_others_there() {
    let mut sim = near_node_2();
    sim.cluster.state.add_partitions("t", 1);
    sim.cluster.state.append("t", 1, ["other"]);
    sim.cluster.changed();
    sim.assign([("t", 0), ("t", 1)]);
    sim.run_until(MINUTE, |sim| sim.received().len() == 2);
    sim.run_for(ms(1_000));
    // Only of the first partition the follower says that it does not have it.
    sim.cluster.on::<FetchRequest>().node(2).once().rewrite(|response| {
        for p in response.responses.iter_mut().flat_map(|t| t.partitions.iter_mut()) {
            if p.partition_index == 0 {
                p.error_code = ErrorCode::OFFSET_OUT_OF_RANGE.0;
                p.records = Vec::new().into();
            }
        }
    });
    append(&mut sim, 1);
    sim.run_until(MINUTE, |sim| sim.received().len() == 3);
    let before = fetches(&sim);
    sim.cluster.state.append("t", 1, ["other"]);
    sim.cluster.changed();
    sim.run_until(MINUTE, |sim| sim.received().len() == 4);
    assert!(fetched_from(&sim, before - 1).contains(&2), "{:?}", fetched_from(&sim, before - 1));
    assert!(sim.errors().is_empty() && sim.spins().is_empty(), "{:?}", sim.errors());
}
