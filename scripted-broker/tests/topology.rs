//! Clusters that change, and metadata that makes little sense. On a virtual clock.

use std::time::Duration;

use kafka_blocking::{
    ErrorCode,
    net::servers::HostPort,
    protocol::{fetch::FetchRequest, metadata::MetadataRequest},
};
use scripted_broker::{Partition, Reach, Simulation};

const MINUTE: Duration = Duration::from_secs(60);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn new(nodes: u8) -> Simulation {
    let mut sim =
        Simulation::new(nodes, 1, |o| o.auto_offset_reset("earliest").metadata_max_age_ms(5_000));
    sim.cluster.state.create_topic("t", 1);
    append(&mut sim, 0, "first");
    sim
}

fn reading(nodes: u8) -> Simulation {
    let mut sim = new(nodes);
    sim.subscribe(&["t"]);
    sim.run_until(MINUTE, |sim| sim.received().len() == 1);
    sim
}

fn append(sim: &mut Simulation, partition: i32, value: &str) {
    let partition = sim.cluster.state.partition_mut("t", partition);
    partition.log.append(&[value.into()], partition.epoch);
    sim.cluster.changed();
}

fn assert_goes_on(sim: &mut Simulation, within: Duration) {
    let before = sim.received().len();
    append(sim, 0, "next");
    sim.run_until(within, |sim| sim.received().len() > before);
    assert!(sim.errors().is_empty(), "{:?}", sim.errors());
    assert_eq!(sim.spins(), []);
}

#[test]
fn fault_45_when_all_nodes_were_replaced_the_bootstrap_servers_are_asked_again() {
    let mut sim = Simulation::new(2, 1, |o| {
        o.auto_offset_reset("earliest").bootstrap_servers("10.0.0.1:9092")
    });
    sim.cluster.state.create_topic("t", 1);
    sim.cluster.state.node_mut(1).advertised = HostPort::new("10.0.0.9", 9092);
    sim.cluster.state.node_mut(2).alive = false;
    let old = ([10, 0, 0, 9], 9092).into();
    sim.add_address(1, old);
    append(&mut sim, 0, "first");
    sim.subscribe(&["t"]);
    sim.run_until(MINUTE, |sim| sim.received().len() == 1);
    // Node 1 goes, with the address that the client knows; node 2 takes over, at another.
    sim.cluster.kill(1);
    sim.set_reach(old, Reach::Refuse);
    sim.cluster.state.node_mut(1).alive = false;
    sim.cluster.state.node_mut(2).alive = true;
    sim.cluster.state.move_leader("t", 0, Some(2));
    append(&mut sim, 0, "next");
    let took = sim.run_until(MINUTE, |sim| sim.received().len() == 2);
    assert!(took < ms(5_000), "{took:?}");
}

#[test]
fn fault_49_a_topic_error_in_metadata_leaves_what_is_known_in_use() {
    for code in [
        ErrorCode::LEADER_NOT_AVAILABLE,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode::REPLICA_NOT_AVAILABLE,
    ] {
        let mut sim = reading(2);
        sim.cluster.on::<MetadataRequest>().fail(code);
        sim.run_for(ms(10_000));
        assert_goes_on(&mut sim, ms(1_000));
    }
}

#[test]
fn fault_50_a_leader_that_is_no_known_broker_is_asked_about_again_with_backoff() {
    let mut sim = new(2);
    sim.cluster.on::<MetadataRequest>().times(20).rewrite(|response| {
        for partition in response.topics.iter_mut().flat_map(|t| &mut t.partitions) {
            partition.leader_id = 99;
        }
    });
    sim.subscribe(&["t"]);
    sim.run_for(ms(5_000));
    let asked = sim.cluster.requests_of::<MetadataRequest>().len();
    assert!((3..=20).contains(&asked), "{asked} requests in 5 s");
    sim.run_until(MINUTE, |sim| sim.received().len() == 1);
    assert!(sim.errors().is_empty() && sim.spins().is_empty());
}

#[test]
fn fault_51_an_answer_without_brokers_is_no_answer() {
    let mut sim = new(1);
    sim.cluster.on::<MetadataRequest>().times(5).rewrite(|response| response.brokers.clear());
    sim.subscribe(&["t"]);
    sim.run_until(MINUTE, |sim| sim.machines.metadata.last_error().is_some());
    assert_eq!(sim.machines.metadata.answers(), 0);
    sim.run_until(ms(5_000), |sim| sim.received().len() == 1);
    assert_eq!(sim.spins(), []);
}

#[test]
fn fault_52_a_node_that_comes_back_at_another_address_is_found_there() {
    let mut sim = reading(2);
    let other = ([10, 0, 0, 7], 9093).into();
    sim.add_address(1, other);
    sim.stop(1);
    sim.cluster.state.node_mut(1).advertised = HostPort::new("10.0.0.7", 9093);
    assert_goes_on(&mut sim, ms(3_000));
    assert!(sim.attempts().iter().any(|a| a.address == other));
}

#[test]
fn fault_53_a_topic_without_partitions_is_asked_about_again_with_backoff() {
    let mut sim = new(1);
    sim.cluster.on::<MetadataRequest>().times(10).rewrite(|response| {
        response.topics.iter_mut().for_each(|t| t.partitions.clear());
    });
    sim.subscribe(&["t"]);
    sim.run_for(ms(3_000));
    let asked = sim.cluster.requests_of::<MetadataRequest>().len();
    assert!((3..=12).contains(&asked), "{asked} requests in 3 s");
    sim.run_until(MINUTE, |sim| sim.received().len() == 1);
    assert_eq!(sim.spins(), []);
}

#[test]
fn fault_54_a_new_partition_is_read_from_its_start_once_metadata_names_it() {
    let mut sim = reading(2);
    let partition = Partition { leader: Some(2), ..Partition::default() };
    sim.cluster.state.topics.get_mut("t").unwrap().partitions.push(partition);
    append(&mut sim, 1, "new");
    let took = sim.run_until(MINUTE, |sim| sim.received().len() == 2);
    assert!(took < ms(6_000), "the metadata's age is 5 s: {took:?}");
    assert_goes_on(&mut sim, ms(1_000));
}

#[test]
fn fault_55_a_hint_at_the_new_leader_moves_the_fetch_without_metadata() {
    let mut sim = reading(2);
    sim.cluster.on::<MetadataRequest>().silence();
    sim.cluster.state.move_leader("t", 0, Some(2));
    append(&mut sim, 0, "next");
    let took = sim.run_until(MINUTE, |sim| sim.received().len() == 2);
    assert!(took < ms(40), "{took:?}");
}

#[test]
fn fault_58_a_topic_that_was_made_anew_is_read_from_its_start() {
    for version in [12, 17] {
        let mut sim = new(1);
        sim.cluster.state.node_mut(1).versions =
            vec![(18, 0, 3), (3, 0, 12), (2, 1, 7), (1, 4, version)];
        sim.cluster.state.partition_mut("t", 0).epoch = 9;
        for n in 0..5 {
            append(&mut sim, 0, &n.to_string());
        }
        sim.subscribe(&["t"]);
        sim.run_until(MINUTE, |sim| sim.received().len() == 6);
        sim.cluster.state.create_topic("t", 1);
        append(&mut sim, 0, "of the new one");
        let took = sim.run_until(MINUTE, |sim| sim.received().len() == 7);
        assert!(took < ms(6_000), "v{version}: {took:?}");
        assert_eq!(sim.values()[6], "of the new one");
        assert!(sim.errors().is_empty(), "{:?}", sim.errors());
    }
}

#[test]
fn fault_59_ids_that_the_leader_does_not_know_yet_are_waited_out() {
    for code in [ErrorCode::UNKNOWN_TOPIC_ID, ErrorCode::INCONSISTENT_TOPIC_ID] {
        let mut sim = reading(1);
        sim.cluster.on::<FetchRequest>().times(10).fail(code);
        assert_goes_on(&mut sim, ms(3_000));
    }
}

#[test]
fn fault_60_without_topic_ids_in_metadata_fetches_go_by_name() {
    let mut sim = new(1);
    sim.cluster.state.node_mut(1).versions = vec![(18, 0, 3), (3, 0, 9), (2, 1, 7), (1, 4, 17)];
    sim.subscribe(&["t"]);
    sim.run_until(MINUTE, |sim| sim.received().len() == 1);
    let fetches = sim.cluster.requests().iter().filter(|r| r.is::<FetchRequest>());
    assert!(fetches.into_iter().all(|r| r.header.api_version == 12));
}

#[test]
fn fault_23_a_server_that_accepts_and_closes_is_tried_with_backoff() {
    let mut sim = new(1);
    sim.cluster.on_any().close();
    sim.run_for(ms(10_000));
    let attempts = sim.attempts().len();
    assert!((6..=10).contains(&attempts), "{attempts} attempts in 10 s");
    assert_eq!(sim.spins(), []);
}
