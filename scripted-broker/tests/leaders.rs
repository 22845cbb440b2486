//! How leaders are found, kept and left: metadata, epochs and silence. On a virtual clock.

use std::time::Duration;

use kafka_blocking::{
    ErrorCode,
    protocol::{fetch::FetchRequest, list_offsets::ListOffsetsRequest, metadata::MetadataRequest},
};
use scripted_broker::{Reach, Simulation};

const MINUTE: Duration = Duration::from_secs(60);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Three nodes; the first leads `t-0` in epoch 5, and its record has been read.
fn reading(seed: u64) -> Simulation {
    let mut sim = Simulation::new(3, seed, |o| o.auto_offset_reset("earliest"));
    sim.cluster.state.create_topic("t", 1);
    sim.cluster.state.partition_mut("t", 0).epoch = 5;
    append(&mut sim, "first");
    sim.assign([("t", 0)]);
    sim.run_until(MINUTE, |sim| sim.received().len() == 1);
    sim
}

fn append(sim: &mut Simulation, value: &str) {
    let partition = sim.cluster.state.partition_mut("t", 0);
    partition.log.append(&[value.into()], partition.epoch);
    sim.cluster.changed();
}

/// How many fetches a node has got.
fn fetches(sim: &Simulation, node: i32) -> usize {
    sim.cluster.requests().iter().filter(|r| r.node == node && r.is::<FetchRequest>()).count()
}

#[test]
fn leaders_are_asked_with_the_epoch_in_which_they_are_known_to_lead() {
    let sim = reading(1);
    let asked = sim.cluster.requests_of::<ListOffsetsRequest>();
    let of_offsets = asked.iter().flat_map(|r| &r.topics).flat_map(|t| &t.partitions);
    assert_eq!(of_offsets.map(|p| p.current_leader_epoch).collect::<Vec<_>>(), [5]);
    let asked = sim.cluster.requests_of::<FetchRequest>();
    let mut of_records = asked.iter().flat_map(|r| &r.topics).flat_map(|t| &t.partitions);
    assert!(of_records.all(|p| p.current_leader_epoch == 5));
}

#[test]
fn a_leader_that_is_gone_when_its_partition_is_resumed_is_replaced_without_waiting() {
    let mut sim = reading(1);
    let all = [("t", 0).into()].into();
    sim.machines.subscriptions.pause(&all).unwrap();
    sim.run_for(ms(2_000));
    sim.stop(1);
    sim.cluster.state.move_leader("t", 0, Some(2));
    sim.run_for(ms(2_000));
    append(&mut sim, "second");
    sim.machines.subscriptions.resume(&all).unwrap();
    let took = sim.run_until(MINUTE, |sim| sim.received().len() == 2);
    assert!(took < ms(500), "{took:?}");
}

#[test]
fn fault_47_a_metadata_request_that_hangs_is_asked_of_another_node_within_a_second() {
    for seed in 0..10 {
        let mut sim = reading(seed);
        let answers = sim.machines.metadata.answers();
        sim.cluster.on::<MetadataRequest>().once().silence();
        sim.machines.metadata.request_update();
        let took = sim.run_until(MINUTE, |sim| sim.machines.metadata.answers() > answers);
        assert!(took < ms(1_200), "seed {seed}: {took:?}");
        let asked: Vec<i32> = sim
            .cluster
            .requests()
            .iter()
            .filter(|r| r.is::<MetadataRequest>())
            .map(|r| r.node)
            .collect();
        let [.., silent, other] = asked[..] else { panic!("{asked:?}") };
        assert_ne!(silent, other);
        sim.run_for(ms(20_000));
        let later = sim.cluster.requests_of::<MetadataRequest>().len();
        assert_eq!(later, asked.len(), "it was answered: nobody is asked again");
    }
}

#[test]
fn fault_48_metadata_with_an_older_epoch_does_not_move_the_fetch() {
    let mut sim = reading(1);
    sim.cluster.on::<MetadataRequest>().rewrite(|response| {
        let partition = &mut response.topics[0].partitions[0];
        (partition.leader_id, partition.leader_epoch) = (3, 2);
    });
    sim.machines.metadata.request_update();
    sim.run_for(ms(5_000));
    append(&mut sim, "next");
    sim.run_until(ms(1_000), |sim| sim.received().len() == 2);
    assert_eq!(fetches(&sim, 3), 0);
}

#[test]
fn a_newer_epoch_in_metadata_moves_the_fetch_at_once_though_the_old_leader_is_silent() {
    let mut sim = reading(1);
    sim.cluster.set_paused(1, true);
    sim.cluster.state.move_leader("t", 0, Some(2));
    append(&mut sim, "next");
    sim.machines.metadata.request_update();
    let took = sim.run_until(MINUTE, |sim| sim.received().len() == 2);
    assert!(took < ms(1_300), "one silent node may be asked for metadata first: {took:?}");
}

#[test]
fn silence_of_a_leader_is_a_sign_and_its_successor_is_found_within_two_seconds_and_a_half() {
    for seed in 0..20 {
        let mut sim = reading(seed);
        sim.run_for(ms(100 * seed));
        // The process is stopped: its connections stay, and say nothing.
        sim.cluster.set_paused(1, true);
        sim.cluster.state.move_leader("t", 0, Some(2));
        append(&mut sim, "next");
        let took = sim.run_until(MINUTE, |sim| sim.received().len() == 2);
        assert!(took < ms(2_600), "seed {seed}: {took:?}");
        assert_eq!(sim.values(), ["first", "next"]);
        assert!(sim.errors().is_empty());
    }
}

#[test]
fn a_leader_that_is_cut_off_is_left_for_its_successor_as_soon_as_it_is_elected() {
    for seed in 0..10 {
        let mut sim = reading(seed);
        sim.set_reach(Simulation::address(1), Reach::Lost);
        sim.run_for(ms(6_000));
        sim.cluster.state.move_leader("t", 0, Some(3));
        append(&mut sim, "next");
        let took = sim.run_until(MINUTE, |sim| sim.received().len() == 2);
        assert!(took < ms(3_000), "seed {seed}: {took:?}");
        assert_eq!(sim.spins(), []);
    }
}

#[test]
fn a_leader_that_dies_is_left_for_its_successor_as_soon_as_it_is_elected() {
    for seed in 0..10 {
        let mut sim = reading(seed);
        sim.stop(1);
        sim.cluster.state.move_leader("t", 0, None);
        sim.run_for(ms(6_000));
        sim.cluster.state.move_leader("t", 0, Some(2));
        append(&mut sim, "next");
        let took = sim.run_until(MINUTE, |sim| sim.received().len() == 2);
        assert!(took < ms(1_500), "seed {seed}: {took:?}");
        assert!(sim.errors().is_empty(), "{:?}", sim.errors());
    }
}

#[test]
fn a_leader_that_says_it_is_none_is_left_at_once() {
    for version in [11, 12, 13, 15, 17] {
        let mut sim = reading(1);
        for node in 1..=3 {
            sim.cluster.state.node_mut(node).versions =
                vec![(18, 0, 3), (3, 0, 12), (2, 1, 7), (1, 4, version)];
        }
        sim.cluster.close_connections(1);
        sim.run_for(ms(1_000));
        sim.cluster.state.move_leader("t", 0, Some(2));
        append(&mut sim, "next");
        let took = sim.run_until(MINUTE, |sim| sim.received().len() == 2);
        assert!(took < ms(300), "v{version}: {took:?}");
    }
}

#[test]
fn a_partition_without_a_leader_is_asked_about_until_it_has_one_and_not_too_often() {
    let mut sim = reading(1);
    sim.cluster.state.move_leader("t", 0, None);
    sim.cluster.changed();
    let before = sim.cluster.requests_of::<MetadataRequest>().len();
    sim.run_for(MINUTE);
    let asked = sim.cluster.requests_of::<MetadataRequest>().len() - before;
    assert!((30..100).contains(&asked), "{asked} metadata requests in a minute");
    assert!(sim.errors().is_empty(), "{:?}", sim.errors());
    assert_eq!(sim.spins(), []);
    sim.cluster.state.move_leader("t", 0, Some(2));
    append(&mut sim, "next");
    let took = sim.run_until(MINUTE, |sim| sim.received().len() == 2);
    assert!(took < ms(2_000), "{took:?}");
}

#[test]
fn errors_of_a_leader_that_pass_are_waited_out_with_backoff() {
    for code in [
        ErrorCode::UNKNOWN_LEADER_EPOCH,
        ErrorCode::OFFSET_NOT_AVAILABLE,
        ErrorCode::KAFKA_STORAGE_ERROR,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode::UNKNOWN_SERVER_ERROR,
    ] {
        let mut sim = reading(1);
        sim.cluster.on::<FetchRequest>().fail(code);
        append(&mut sim, "next");
        let before = fetches(&sim, 1);
        sim.run_for(ms(10_000));
        let asked = fetches(&sim, 1) - before;
        assert!((10..=105).contains(&asked), "{code}: {asked} fetches in 10 s");
        sim.cluster.clear_rules();
        sim.run_until(ms(1_000), |sim| sim.received().len() == 2);
        assert!(sim.errors().is_empty(), "{code}: {:?}", sim.errors());
    }
}
