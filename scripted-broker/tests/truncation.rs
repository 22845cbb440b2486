//! What becomes of positions when leaders change: checked, kept, or taken back to where logs part. On a virtual clock.

use std::time::Duration;

use kafka_blocking::{
    Error, ErrorCode,
    protocol::{
        Request,
        fetch::{FetchPartition, FetchRequest},
        list_offsets::ListOffsetsRequest,
        metadata::MetadataRequest,
        offset_for_leader_epoch::OffsetForLeaderEpochRequest,
    },
    subscriptions::Place,
};
use scripted_broker::Simulation;

const MINUTE: Duration = Duration::from_secs(60);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A consumer of `t-0`, which node 1 leads in epoch 1, with so many records.
fn reading(reset: &str, records: usize) -> Simulation {
    let mut sim = Simulation::new(3, 1, |o| o.auto_offset_reset(reset));
    sim.cluster.state.create_topic("t", 1);
    sim.cluster.state.move_leader("t", 0, Some(1));
    append(&mut sim, "old", records);
    sim.assign([("t", 0)]);
    sim
}

/// The same, when all has been read.
fn having_read(reset: &str, records: usize) -> Simulation {
    let mut sim = reading(reset, records);
    if reset == "none" {
        sim.seek(("t", 0), 0);
    }
    sim.run_until(MINUTE, |sim| sim.received().len() == records);
    sim.run_for(ms(100));
    sim
}

/// Records of a batch each: `name0`, `name1`, …
fn append(sim: &mut Simulation, name: &str, records: usize) {
    for n in 0..records {
        sim.cluster.state.append("t", 0, [format!("{name}{n}")]);
    }
    sim.cluster.changed();
}

fn elect_unclean(sim: &mut Simulation, leader: i32, truncate_to: i64) {
    sim.cluster.state.elect_unclean("t", 0, leader, truncate_to);
    sim.cluster.changed();
}

fn move_leader(sim: &mut Simulation, leader: i32) {
    sim.cluster.state.move_leader("t", 0, Some(leader));
    sim.cluster.changed();
}

fn offsets(sim: &Simulation) -> Vec<i64> {
    sim.received().iter().map(|r| r.offset).collect()
}

/// The epochs that leaders were asked about.
fn asked_epochs(sim: &Simulation) -> Vec<i32> {
    let all = sim.cluster.requests_of::<OffsetForLeaderEpochRequest>();
    let partitions = all.iter().flat_map(|r| &r.topics).flat_map(|t| &t.partitions);
    partitions.map(|p| p.leader_epoch).collect()
}

fn resets(sim: &Simulation) -> usize {
    sim.cluster.requests_of::<ListOffsetsRequest>().len()
}

fn fetches(sim: &Simulation) -> usize {
    sim.cluster.requests_of::<FetchRequest>().len()
}

/// What fetches said of the partition: offset, the leader's epoch, and the epoch that was fetched last.
fn told(sim: &Simulation) -> Vec<(i64, i32, i32)> {
    let all = sim.cluster.requests_of::<FetchRequest>();
    let partitions = all.iter().flat_map(|r| &r.topics).flat_map(|t| &t.partitions);
    let said = |p: &FetchPartition| (p.fetch_offset, p.current_leader_epoch, p.last_fetched_epoch);
    partitions.map(said).collect()
}

fn seek_with_epoch(sim: &mut Simulation, offset: i64, epoch: Option<i32>) {
    let place = Place { offset, epoch };
    sim.machines.subscriptions.seek(&("t", 0).into(), place).unwrap();
    sim.machines.follow();
}

fn position(sim: &Simulation) -> Option<i64> {
    let subscriptions = &sim.machines.subscriptions;
    let id = subscriptions.id(&("t", 0).into()).unwrap();
    subscriptions.state(id).and_then(|state| state.offset())
}

#[test]
fn fault_156_a_log_that_was_cut_below_the_position_is_read_from_where_the_logs_part() {
    // With the new log shorter than the position, as long, and longer.
    for new in [2, 4, 9] {
        for reset in ["earliest", "latest"] {
            let mut sim = having_read("earliest", 10);
            if reset == "latest" {
                sim = reading(reset, 10);
                sim.seek(("t", 0), 0);
                sim.run_until(MINUTE, |sim| sim.received().len() == 10);
            }
            let before = resets(&sim);
            elect_unclean(&mut sim, 2, 6);
            append(&mut sim, "new", new);
            sim.run_until(MINUTE, |sim| sim.received().len() == 10 + new);
            sim.run_for(ms(2_000));
            let expected: Vec<String> = (0..new).map(|n| format!("new{n}")).collect();
            assert_eq!(sim.values()[10..], expected, "{reset}, {new} new");
            assert_eq!(offsets(&sim)[10], 6, "from the divergence, not from the start");
            assert_eq!(resets(&sim), before, "no reset");
            assert!(sim.errors().is_empty() && sim.spins().is_empty(), "{:?}", sim.errors());
        }
    }
}

#[test]
fn fault_156_the_same_leader_that_comes_back_with_less_is_noticed_too() {
    let mut sim = having_read("earliest", 10);
    elect_unclean(&mut sim, 1, 6);
    append(&mut sim, "new", 9);
    sim.run_until(MINUTE, |sim| sim.received().len() == 19);
    assert_eq!(offsets(&sim)[10..], [6, 7, 8, 9, 10, 11, 12, 13, 14]);
    assert_eq!(resets(&sim), 1);
}

#[test]
fn fault_156_without_a_policy_a_truncation_is_an_error_that_says_where_until_a_seek() {
    let mut sim = having_read("none", 10);
    elect_unclean(&mut sim, 2, 6);
    append(&mut sim, "new", 9);
    sim.run_for(ms(2_000));
    let stuck = sim.machines.subscriptions.stuck();
    let Some(Error::LogTruncation { partition, offset: 10, divergent: Some(6) }) = stuck else {
        panic!("{stuck:?}")
    };
    assert_eq!(partition, ("t", 0).into());
    assert_eq!((sim.received().len(), position(&sim)), (10, Some(10)), "nothing of it was read");
    let before = fetches(&sim);
    sim.run_for(ms(5_000));
    assert_eq!(fetches(&sim), before, "it is not asked for meanwhile");
    sim.seek(("t", 0), 6);
    sim.run_until(MINUTE, |sim| sim.received().len() == 19);
    assert!(sim.machines.subscriptions.stuck().is_none());
}

#[test]
fn behaviour_45_what_is_buffered_of_a_log_that_was_cut_is_not_handed_out() {
    let mut sim = reading("earliest", 10);
    sim.set_consuming(false);
    sim.run_for(ms(500));
    assert!(sim.machines.fetcher.has_ready(), "ten records are ready");
    elect_unclean(&mut sim, 2, 4);
    append(&mut sim, "new", 2);
    sim.run_for(ms(2_000));
    sim.set_consuming(true);
    sim.run_until(MINUTE, |sim| sim.received().len() == 6);
    sim.run_for(ms(1_000));
    assert_eq!(sim.values(), ["old0", "old1", "old2", "old3", "new0", "new1"]);
    assert!(sim.errors().is_empty());
}

#[test]
fn behaviour_44_a_position_is_checked_when_the_leaders_epoch_is_later_than_its_own() {
    let mut sim = having_read("earliest", 5);
    sim.run_for(MINUTE);
    assert_eq!(asked_epochs(&sim), [] as [i32; 0], "the same epoch, or none");
    move_leader(&mut sim, 2);
    append(&mut sim, "next", 1);
    sim.run_until(MINUTE, |sim| sim.received().len() == 6);
    assert_eq!(asked_epochs(&sim), [1]);
    // A seek without an epoch has nothing to compare; one with an older epoch has.
    seek_with_epoch(&mut sim, 0, None);
    sim.run_until(MINUTE, |sim| sim.received().len() == 12);
    assert_eq!(asked_epochs(&sim), [1]);
    seek_with_epoch(&mut sim, 3, Some(1));
    sim.run_until(MINUTE, |sim| sim.received().len() == 15);
    assert_eq!(asked_epochs(&sim), [1, 1]);
    assert_eq!(offsets(&sim)[12..], [3, 4, 5]);
}

#[test]
fn behaviour_44_nothing_is_fetched_before_the_answer() {
    let mut sim = having_read("earliest", 5);
    sim.cluster.on::<OffsetForLeaderEpochRequest>().delay(ms(900));
    move_leader(&mut sim, 2);
    append(&mut sim, "next", 1);
    sim.run_until(MINUTE, |sim| !asked_epochs(sim).is_empty());
    let before = fetches(&sim);
    sim.run_for(ms(800));
    assert_eq!(fetches(&sim), before);
    sim.run_until(MINUTE, |sim| sim.received().len() == 6);
}

#[test]
fn behaviour_45_an_epoch_that_the_leader_does_not_know_is_a_reset_by_policy() {
    let mut sim = having_read("earliest", 5);
    sim.cluster.on::<OffsetForLeaderEpochRequest>().once().rewrite(|response| {
        let p = &mut response.topics[0].partitions[0];
        (p.leader_epoch, p.end_offset) = (-1, -1);
    });
    move_leader(&mut sim, 2);
    sim.run_until(MINUTE, |sim| sim.received().len() == 10);
    assert_eq!((offsets(&sim)[5], resets(&sim)), (0, 2), "from the start, as the policy says");
}

#[test]
fn behaviour_45_an_epoch_that_the_leader_does_not_know_is_an_error_without_a_policy() {
    let mut sim = having_read("none", 5);
    sim.cluster.on::<OffsetForLeaderEpochRequest>().once().rewrite(|response| {
        let p = &mut response.topics[0].partitions[0];
        (p.leader_epoch, p.end_offset) = (-1, -1);
    });
    move_leader(&mut sim, 2);
    sim.run_for(ms(3_000));
    let stuck = sim.machines.subscriptions.stuck();
    assert!(matches!(stuck, Some(Error::LogTruncation { offset: 5, divergent: None, .. })));
    assert_eq!((resets(&sim), position(&sim)), (0, Some(5)));
}

#[test]
fn behaviour_46_a_position_is_checked_once_though_the_answer_names_an_older_epoch() {
    let mut sim = having_read("earliest", 5);
    for _ in 0..4 {
        move_leader(&mut sim, 2);
    }
    sim.run_for(ms(5_000));
    assert_eq!(asked_epochs(&sim), [1], "for epoch 5, though the records stay of epoch 1");
    sim.run_for(20 * MINUTE);
    assert_eq!(asked_epochs(&sim), [1], "not again after new metadata");
    append(&mut sim, "next", 1);
    sim.run_until(ms(1_000), |sim| sim.received().len() == 6);
}

#[test]
fn behaviour_47_a_fenced_or_unknown_epoch_in_a_fetch_is_looked_into_and_loses_nothing() {
    for code in [ErrorCode::FENCED_LEADER_EPOCH, ErrorCode::UNKNOWN_LEADER_EPOCH] {
        // Without a session every answer is about every partition.
        let mut sim = Simulation::new(1, 1, |o| {
            o.auto_offset_reset("earliest").enable_incremental_fetch_sessions(false)
        });
        sim.cluster.state.create_topic("t", 1);
        append(&mut sim, "old", 5);
        sim.assign([("t", 0)]);
        sim.run_until(MINUTE, |sim| sim.received().len() == 5);
        let before = sim.cluster.requests_of::<MetadataRequest>().len();
        sim.cluster.on::<FetchRequest>().times(3).fail(code);
        sim.run_for(ms(2_000));
        append(&mut sim, "next", 1);
        sim.run_until(ms(1_000), |sim| sim.received().len() == 6);
        assert!(sim.cluster.requests_of::<MetadataRequest>().len() > before, "{code}");
        assert_eq!((resets(&sim), offsets(&sim)), (1, vec![0, 1, 2, 3, 4, 5]), "{code}");
        assert!(sim.errors().is_empty() && sim.spins().is_empty(), "{code}");
    }
}

#[test]
fn fault_157_a_lower_epoch_that_ends_behind_the_position_is_no_truncation_and_reading_goes_on() {
    // A position at the end of a log in an epoch in which nothing was written yet, as a broker gives it for "latest".
    // The next leader has never heard of that epoch, and says so of every fetch that names it.
    let mut sim = reading("latest", 10);
    move_leader(&mut sim, 2);
    sim.run_for(ms(2_000));
    assert_eq!(told(&sim).last(), Some(&(10, 2, 2)));
    move_leader(&mut sim, 3);
    sim.run_for(ms(2_000));
    let before = fetches(&sim);
    sim.run_for(ms(2_000));
    assert!(fetches(&sim) - before < 10, "{} fetches in two seconds", fetches(&sim) - before);
    append(&mut sim, "next", 2);
    sim.run_until(ms(2_000), |sim| sim.received().len() == 2);
    assert_eq!((offsets(&sim), resets(&sim)), (vec![10, 11], 1));
    assert!(asked_epochs(&sim).len() <= 3, "{:?}", asked_epochs(&sim));
}

#[test]
fn fault_157_a_leader_that_contradicts_itself_is_not_asked_without_pause() {
    let mut sim = having_read("earliest", 5);
    sim.cluster.on::<FetchRequest>().rewrite(|response| {
        for p in response.responses.iter_mut().flat_map(|t| t.partitions.iter_mut()) {
            (p.diverging_epoch.epoch, p.diverging_epoch.end_offset) = (1, 3);
            p.records = Vec::new().into();
        }
    });
    sim.run_for(ms(1_000));
    append(&mut sim, "next", 1);
    let before = fetches(&sim);
    sim.run_for(ms(3_000));
    let made = fetches(&sim) - before;
    assert!(made <= 40, "{made} fetches in three seconds, with a backoff of 100 ms");
    assert_eq!(offsets(&sim), [0, 1, 2, 3, 4]);
    sim.cluster.clear_rules();
    sim.run_until(ms(1_000), |sim| sim.received().len() == 6);
}

#[test]
fn fault_159_an_answer_that_lands_while_the_position_is_checked_gives_no_record_twice() {
    for (fetch_delay, check_delay) in [(5, 200), (100, 50), (150, 300), (300, 100)] {
        let mut sim = having_read("earliest", 5);
        sim.cluster.on::<FetchRequest>().times(2).delay(ms(fetch_delay));
        sim.cluster.on::<OffsetForLeaderEpochRequest>().delay(ms(check_delay));
        append(&mut sim, "next", 3);
        sim.run_for(ms(10));
        move_leader(&mut sim, 2);
        // Whatever makes metadata be asked for.
        sim.cluster.on::<FetchRequest>().node(1).fail(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        append(&mut sim, "last", 2);
        sim.run_until(MINUTE, |sim| sim.received().len() >= 10);
        sim.run_for(ms(3_000));
        assert_eq!(offsets(&sim), (0..10).collect::<Vec<_>>(), "{fetch_delay}, {check_delay}");
    }
}

#[test]
fn fault_160_whatever_stands_in_the_way_of_the_check_it_is_no_reset_and_no_error() {
    for fault in 0..4 {
        let mut sim = having_read("earliest", 5);
        let rule = sim.cluster.on::<OffsetForLeaderEpochRequest>().times(4);
        match fault {
            0 => rule.close(),
            1 => rule.fail(ErrorCode::UNKNOWN_SERVER_ERROR),
            2 => rule.fail(ErrorCode::INVALID_REQUEST),
            _ => rule.fail(ErrorCode::OFFSET_NOT_AVAILABLE),
        }
        move_leader(&mut sim, 2);
        append(&mut sim, "next", 1);
        sim.run_until(MINUTE, |sim| sim.received().len() == 6);
        assert_eq!((resets(&sim), offsets(&sim)), (1, vec![0, 1, 2, 3, 4, 5]), "{fault}");
        assert!(sim.errors().is_empty() && sim.spins().is_empty(), "{fault}: {:?}", sim.errors());
    }
}

#[test]
fn fault_161_without_the_api_or_the_right_to_it_reading_goes_on_unchecked() {
    for without_right in [false, true] {
        let mut sim = having_read("earliest", 5);
        if without_right {
            let code = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
            sim.cluster.on::<OffsetForLeaderEpochRequest>().fail(code);
        } else {
            let old = OffsetForLeaderEpochRequest::KEY;
            sim.cluster.state.node_mut(2).versions.retain(|row| row.0 != old);
        }
        move_leader(&mut sim, 2);
        append(&mut sim, "next", 1);
        sim.run_until(ms(3_000), |sim| sim.received().len() == 6);
        assert!(sim.errors().is_empty(), "{:?}", sim.errors());
    }
}

#[test]
fn behaviour_49_fetches_name_the_leaders_epoch_and_the_one_that_was_read_last() {
    let mut sim = reading("earliest", 2);
    sim.run_until(MINUTE, |sim| sim.received().len() == 2);
    sim.run_for(ms(1_000));
    assert_eq!(told(&sim).last(), Some(&(2, 1, 1)));
    move_leader(&mut sim, 2);
    sim.run_for(ms(2_000));
    assert_eq!(told(&sim).last(), Some(&(2, 2, 1)), "a new leader, and records of the one before");
    append(&mut sim, "next", 1);
    sim.run_for(ms(2_000));
    assert_eq!(told(&sim).last(), Some(&(3, 2, 2)));
    seek_with_epoch(&mut sim, 1, None);
    sim.run_for(ms(20));
    assert!(told(&sim).contains(&(1, 2, -1)), "a seek without an epoch: {:?}", told(&sim));
}

#[test]
fn behaviour_49_epochs_that_are_not_known_are_minus_one() {
    let mut sim = Simulation::new(1, 1, |o| o);
    sim.cluster.state.create_topic("t", 1);
    // Metadata before version 7 has no epochs.
    for row in &mut sim.cluster.state.node_mut(1).versions {
        if row.0 == MetadataRequest::KEY {
            row.2 = 6;
        }
    }
    append(&mut sim, "old", 1);
    sim.assign([("t", 0)]);
    sim.seek(("t", 0), 0);
    sim.run_until(MINUTE, |sim| sim.received().len() == 1);
    assert_eq!(told(&sim)[0], (0, -1, -1));
}

#[test]
fn behaviour_49_logs_that_part_are_looked_into_though_metadata_name_no_epoch() {
    let mut sim = Simulation::new(1, 1, |o| o.auto_offset_reset("earliest"));
    sim.cluster.state.create_topic("t", 1);
    sim.cluster.on::<MetadataRequest>().rewrite(|response| {
        response.topics.iter_mut().flat_map(|t| &mut t.partitions).for_each(|p| {
            p.leader_epoch = -1;
        });
    });
    append(&mut sim, "old", 10);
    sim.assign([("t", 0)]);
    sim.run_until(MINUTE, |sim| sim.received().len() == 10);
    elect_unclean(&mut sim, 1, 6);
    sim.run_for(ms(2_000));
    append(&mut sim, "new", 9);
    sim.run_until(ms(1_000), |sim| sim.received().len() == 19);
    assert_eq!((offsets(&sim)[10], resets(&sim)), (6, 1));
    assert!(fetches(&sim) < 40, "{} fetches", fetches(&sim));
}

#[test]
fn behaviour_49_where_a_fetch_says_that_logs_part_the_leader_is_asked_where() {
    let mut sim = having_read("earliest", 10);
    // The same epoch, but a shorter log: only the fetch can tell.
    let log = &mut sim.cluster.state.partition_mut("t", 0).log;
    log.truncate(6);
    sim.cluster.close_connections(1);
    sim.cluster.changed();
    sim.run_for(ms(2_000));
    append(&mut sim, "new", 1);
    sim.run_until(MINUTE, |sim| sim.received().len() == 11);
    assert_eq!((offsets(&sim)[10], asked_epochs(&sim)), (6, vec![1]));
    assert_eq!(resets(&sim), 1);
}

#[test]
fn behaviour_49_a_hint_at_a_newer_leader_is_followed_at_once() {
    let mut sim = having_read("earliest", 2);
    sim.cluster.on::<MetadataRequest>().delay(ms(4_000));
    move_leader(&mut sim, 3);
    append(&mut sim, "next", 1);
    let took = sim.run_until(MINUTE, |sim| sim.received().len() == 3);
    assert!(took < ms(1_000), "{took:?}");
}

#[test]
fn behaviour_49_a_hint_at_an_older_leader_or_at_an_unknown_node_makes_metadata_be_asked_for() {
    for (epoch, leader) in [(1, 3), (0, 3), (2, 77)] {
        let mut sim = having_read("earliest", 2);
        sim.cluster.on::<FetchRequest>().node(1).rewrite(move |response| {
            for p in response.responses.iter_mut().flat_map(|t| t.partitions.iter_mut()) {
                p.error_code = ErrorCode::NOT_LEADER_OR_FOLLOWER.0;
                p.records = Vec::new().into();
                (p.current_leader.leader_id, p.current_leader.leader_epoch) = (leader, epoch);
            }
        });
        sim.cluster.on::<MetadataRequest>().delay(ms(500));
        sim.run_for(ms(600));
        let before = sim.cluster.requests_of::<MetadataRequest>().len();
        append(&mut sim, "next", 1);
        sim.run_for(ms(3_000));
        assert_eq!(sim.received().len(), 2, "{leader} in {epoch} is not believed");
        let (asked, fetched) =
            (sim.cluster.requests_of::<MetadataRequest>().len() - before, fetches(&sim));
        assert!(asked > 0 && asked < 10 && fetched < 50, "{asked} and {fetched} requests");
        let to = sim.cluster.requests().iter().filter(|r| r.is::<FetchRequest>()).map(|r| r.node);
        assert!(to.clone().all(|node| node == 1), "only the leader that metadata name");
        move_leader(&mut sim, 3);
        sim.run_until(MINUTE, |sim| sim.received().len() == 3);
        assert!(sim.errors().is_empty() && sim.spins().is_empty());
    }
}
