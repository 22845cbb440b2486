//! Brokers that go, come back as others, and say odd things of themselves and of each other. On a virtual clock.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use kafka_blocking::{
    Error, ErrorCode,
    protocol::{
        Request,
        fetch::FetchRequest,
        list_offsets::ListOffsetsRequest,
        metadata::{MetadataRequest, MetadataResponseBroker},
    },
};
use scripted_broker::{Follower, Simulation};

const MINUTE: Duration = Duration::from_secs(60);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// `t` with so many partitions, led by the nodes in turn; the first record of each has been read.
fn reading(nodes: u8, partitions: i32, seed: u64) -> Simulation {
    let mut sim = Simulation::new(nodes, seed, |o| {
        o.auto_offset_reset("earliest").metadata_max_age_ms(10_000)
    });
    sim.cluster.state.create_topic("t", usize::try_from(partitions).unwrap());
    for partition in 0..partitions {
        append(&mut sim, partition);
    }
    sim.assign((0..partitions).map(|partition| ("t", partition)));
    sim.run_until(MINUTE, |sim| sim.received().len() == usize::try_from(partitions).unwrap());
    sim
}

fn append(sim: &mut Simulation, partition: i32) {
    let end = sim.cluster.state.partition_mut("t", partition).log.end();
    sim.cluster.state.append("t", partition, [end.to_string()]);
    sim.cluster.changed();
}

fn offsets(sim: &Simulation, partition: i32) -> Vec<i64> {
    let those = sim.received().iter().filter(|r| r.partition == ("t", partition).into());
    those.map(|r| r.offset).collect()
}

/// Appends a record, which must come within this time; gives how long it took.
#[track_caller]
fn next_comes(sim: &mut Simulation, partition: i32, within: Duration) -> Duration {
    let had = sim.received().len();
    append(sim, partition);
    sim.run_until(within, |sim| sim.received().len() > had)
}

/// All that is in the partition came once and in order, after one reset, and the caller heard of nothing.
#[track_caller]
fn all_is_well(sim: &Simulation, partition: i32) {
    let end = sim.cluster.state.partition("t", partition).unwrap().log.end();
    assert_eq!(offsets(sim, partition), (0..end).collect::<Vec<_>>());
    assert!(sim.errors().is_empty(), "{:?}", sim.errors());
    assert_eq!(sim.spins(), []);
}

/// How many requests of an API have come.
fn count<R: Request>(sim: &Simulation) -> usize {
    sim.cluster.requests().iter().filter(|r| r.is::<R>()).count()
}

/// The nodes that were asked for records, but for the first so many times.
fn fetched_from(sim: &Simulation, but: usize) -> Vec<i32> {
    let fetches = sim.cluster.requests().iter().filter(|r| r.is::<FetchRequest>());
    fetches.skip(but).map(|r| r.node).collect()
}

#[test]
fn fault_42_a_leader_that_hangs_is_left_and_what_it_says_when_it_goes_on_rewinds_nothing() {
    for seed in 0..10 {
        let mut sim = reading(3, 1, seed);
        sim.run_for(ms(130 * seed));
        // What it has read of the client by now it answers when it goes on.
        append(&mut sim, 0);
        sim.cluster.set_paused(1, true);
        sim.run_for(ms(6_000));
        sim.cluster.state.move_leader("t", 0, Some(2));
        let took = next_comes(&mut sim, 0, MINUTE);
        assert!(took < ms(3_000), "seed {seed}: {took:?}");
        (0..5).for_each(|_| append(&mut sim, 0));
        sim.run_for(ms(2_000));
        sim.cluster.set_paused(1, false);
        for _ in 0..5 {
            next_comes(&mut sim, 0, ms(600));
            sim.run_for(ms(3_000));
        }
        // And it may lead again.
        sim.cluster.state.move_leader("t", 0, Some(1));
        next_comes(&mut sim, 0, ms(1_000));
        all_is_well(&sim, 0);
        assert_eq!(count::<ListOffsetsRequest>(&sim), 1, "nothing was reset");
    }
}

#[test]
fn fault_46_when_all_nodes_were_down_those_that_were_learned_of_are_used_and_no_loop_begins() {
    let mut sim = Simulation::new(3, 1, |o| {
        o.auto_offset_reset("earliest").bootstrap_servers("10.0.0.1:9092")
    });
    sim.cluster.state.create_topic("t", 1);
    sim.cluster.state.move_leader("t", 0, Some(2));
    sim.assign([("t", 0)]);
    next_comes(&mut sim, 0, MINUTE);
    (1..=3).for_each(|node| sim.stop(node));
    sim.run_for(2 * MINUTE);
    // The bootstrap server stays away.
    sim.restart(2);
    sim.restart(3);
    next_comes(&mut sim, 0, ms(31_000));
    let (asked, attempts) = (count::<MetadataRequest>(&sim), sim.attempts().len());
    for _ in 0..10 {
        sim.run_for(ms(6_000));
        next_comes(&mut sim, 0, ms(600));
    }
    let asked = count::<MetadataRequest>(&sim) - asked;
    assert!(asked < 10, "{asked} metadata requests in a minute");
    let again: Vec<SocketAddr> = sim.attempts()[attempts..].iter().map(|a| a.address).collect();
    assert!(again.len() < 20, "{again:?}");
    all_is_well(&sim, 0);
}

#[test]
fn fault_57_a_topic_that_is_deleted_stops_neither_the_others_nor_the_processor() {
    let mut sim =
        Simulation::new(2, 1, |o| o.auto_offset_reset("earliest").metadata_max_age_ms(10_000));
    sim.cluster.state.create_topic("t", 1);
    sim.cluster.state.create_topic("u", 2);
    for partition in 0..2 {
        sim.cluster.state.append("u", partition, ["old"]);
    }
    sim.subscribe(&["t", "u"]);
    sim.run_until(MINUTE, |sim| sim.received().len() == 2);
    sim.cluster.state.delete_topic("u");
    sim.cluster.changed();
    let (turns, before) = (sim.turns(), sim.cluster.requests().len());
    for _ in 0..60 {
        next_comes(&mut sim, 0, ms(600));
        sim.run_for(ms(1_000));
    }
    let requests = sim.cluster.requests().len() - before;
    assert!(requests < 60 * 30, "{requests} requests in a minute");
    assert!(sim.turns() - turns < 60 * 200, "{} turns in a minute", sim.turns() - turns);
    all_is_well(&sim, 0);
    // And where it is made again, it is read.
    sim.cluster.state.create_topic("u", 1);
    sim.cluster.state.append("u", 0, ["new"]);
    sim.cluster.changed();
    sim.run_until(MINUTE, |sim| sim.values().last().is_some_and(|value| value == "new"));
    assert!(sim.errors().is_empty(), "{:?}", sim.errors());
}

#[test]
fn fault_66_a_broker_that_hangs_up_on_a_request_that_it_has_announced_is_asked_with_backoff() {
    let mut sim = reading(2, 2, 1);
    sim.cluster.on::<FetchRequest>().node(1).close();
    let (attempts, turns) = (sim.attempts().len(), sim.turns());
    for _ in 0..20 {
        next_comes(&mut sim, 1, ms(600));
        sim.run_for(ms(3_000));
    }
    let attempts = sim.attempts().len() - attempts;
    assert!(attempts < 60, "{attempts} connections in a minute");
    assert!(sim.turns() - turns < 60 * 100, "{} turns in a minute", sim.turns() - turns);
    let text = sim.machines.client.describe_failures(sim.now());
    sim.cluster.clear_rules();
    next_comes(&mut sim, 0, ms(31_000));
    all_is_well(&sim, 0);
    all_is_well(&sim, 1);
    assert!(text.is_empty() || text.contains("10.0.0.1:9092"), "{text}");
}

#[test]
fn fault_67_versions_are_those_of_each_connection_also_when_a_broker_is_exchanged_for_another() {
    let mut sim = reading(2, 2, 1);
    let old = vec![(18, 0, 2), (3, 0, 7), (2, 1, 4), (1, 4, 11), (23, 2, 3)];
    let new = vec![(18, 0, 4), (3, 0, 13), (2, 1, 10), (1, 4, 17), (23, 2, 4)];
    for versions in [&old, &new, &old, &new] {
        // One node after the other, as a cluster is upgraded, or taken back.
        for node in [1, 2] {
            sim.stop(node);
            sim.cluster.state.node_mut(node.into()).versions = versions.clone();
            sim.run_for(ms(500));
            sim.restart(node);
            let from = sim.cluster.requests().len();
            next_comes(&mut sim, 0, ms(31_000));
            next_comes(&mut sim, 1, ms(31_000));
            let fetches = sim.cluster.requests()[from..].iter().filter(|r| r.is::<FetchRequest>());
            let those = fetches.filter(|r| r.node == i32::from(node));
            let spoken: BTreeSet<i16> = those.map(|r| r.header.api_version).collect();
            assert_eq!(spoken, [versions[3].2].into());
        }
    }
    all_is_well(&sim, 0);
    all_is_well(&sim, 1);
}

#[test]
fn fault_68_a_broker_that_has_left_out_old_versions_is_spoken_to_in_what_it_has() {
    // What Kafka 4 answers; and a broker of tomorrow that has only the newest version of each that we know.
    let four = vec![(1, 4, 18), (2, 1, 11), (3, 0, 13), (18, 0, 4), (23, 2, 4)];
    let newest = vec![(1, 17, 99), (2, 10, 99), (3, 13, 99), (18, 0, 99), (23, 4, 99)];
    for versions in [four, newest] {
        let mut sim = Simulation::new(1, 1, |o| o.auto_offset_reset("earliest"));
        sim.cluster.state.create_topic("t", 1);
        let spoken: Vec<(i16, i16, i16)> = versions.clone();
        sim.cluster.state.node_mut(1).versions = spoken;
        sim.assign([("t", 0)]);
        next_comes(&mut sim, 0, MINUTE);
        for request in sim.cluster.requests().iter().filter(|r| r.header.api_key != 18) {
            let (key, version) = (request.header.api_key, request.header.api_version);
            let row = versions.iter().find(|row| row.0 == key).expect("an API that it has");
            assert!((row.1..=row.2).contains(&version), "v{version} of {row:?}");
        }
        all_is_well(&sim, 0);
    }
}

#[test]
fn fault_74_a_preferred_replica_that_metadata_do_not_name_strands_nothing() {
    let mut sim = Simulation::new(2, 1, |o| {
        o.bootstrap_servers("10.0.0.1:9092").auto_offset_reset("earliest").client_rack("b")
    });
    sim.cluster.state.create_topic("t", 1);
    sim.cluster.state.rack_aware = true;
    sim.cluster.state.node_mut(2).rack = Some("b".to_owned());
    // The leader sends us to node 2 for as long as it is told the rack, and nobody says where that is.
    sim.cluster.on::<MetadataRequest>().rewrite(|response| {
        response.brokers.retain(|broker| broker.node_id == 1);
    });
    sim.assign([("t", 0)]);
    for _ in 0..60 {
        next_comes(&mut sim, 0, ms(2_000));
        sim.run_for(ms(1_000));
    }
    assert!(fetched_from(&sim, 0).iter().all(|node| *node == 1));
    assert!(count::<FetchRequest>(&sim) < 60 * 8, "{} fetches", count::<FetchRequest>(&sim));
    all_is_well(&sim, 0);
}

/// `t-0` is led by node 1 and read from node 2.
fn following() -> Simulation {
    let mut sim = Simulation::new(2, 1, |o| {
        o.bootstrap_servers("10.0.0.1:9092").auto_offset_reset("earliest").client_rack("b")
    });
    sim.cluster.state.create_topic("t", 1);
    sim.cluster.state.rack_aware = true;
    sim.cluster.state.node_mut(2).rack = Some("b".to_owned());
    sim.assign([("t", 0)]);
    next_comes(&mut sim, 0, MINUTE);
    sim.run_for(ms(1_000));
    assert_eq!(fetched_from(&sim, 0).last(), Some(&2));
    sim
}

#[test]
fn fault_76_out_of_range_at_a_follower_is_put_to_the_leader_and_so_is_the_reset_if_there_is_one() {
    // The follower lacks what the leader has: no reset.
    let mut sim = following();
    *sim.cluster.state.follower_mut("t", 0, 2) = Follower { end: Some(0), ..Default::default() };
    next_comes(&mut sim, 0, ms(2_000));
    all_is_well(&sim, 0);
    assert_eq!(count::<ListOffsetsRequest>(&sim), 1, "only that of the start");
    // Neither has it any more: the leader is asked where the log begins.
    let mut sim = following();
    sim.cluster.set_paused(2, true);
    (0..4).for_each(|_| append(&mut sim, 0));
    sim.cluster.state.partition_mut("t", 0).log.delete_before(3);
    sim.cluster.set_paused(2, false);
    sim.run_until(MINUTE, |sim| sim.received().len() == 3);
    assert_eq!(offsets(&sim, 0), [0, 3, 4]);
    let resets = sim.cluster.requests().iter().filter(|r| r.is::<ListOffsetsRequest>());
    let nodes: Vec<i32> = resets.map(|r| r.node).collect();
    assert_eq!(nodes, [1, 1], "the leader and nobody else");
    assert!(sim.errors().is_empty(), "{:?}", sim.errors());
}

#[test]
fn fault_78_a_partition_whose_leader_cannot_serve_it_now_holds_up_no_other() {
    for code in [
        ErrorCode::KAFKA_STORAGE_ERROR,
        ErrorCode::REPLICA_NOT_AVAILABLE,
        ErrorCode::OFFSET_NOT_AVAILABLE,
        ErrorCode::UNKNOWN_LEADER_EPOCH,
        ErrorCode::UNKNOWN_SERVER_ERROR,
    ] {
        let mut sim = reading(1, 2, 1);
        sim.cluster.on::<FetchRequest>().rewrite(move |response| {
            let all = response.responses.iter_mut().flat_map(|t| t.partitions.iter_mut());
            for partition in all.filter(|p| p.partition_index == 0) {
                partition.error_code = code.0;
                partition.records = Vec::new().into();
            }
        });
        append(&mut sim, 0);
        let before = count::<FetchRequest>(&sim);
        for _ in 0..10 {
            let took = next_comes(&mut sim, 1, ms(600));
            assert!(took < ms(50), "{code}: {took:?}");
            sim.run_for(ms(950));
        }
        let asked = count::<FetchRequest>(&sim) - before;
        assert!(asked < 250, "{code}: {asked} fetches in 10 s");
        sim.cluster.clear_rules();
        sim.run_until(ms(2_000), |sim| offsets(sim, 0).len() == 2);
        all_is_well(&sim, 0);
        all_is_well(&sim, 1);
    }
}

#[test]
fn fault_80_a_partition_whose_replicas_are_all_exchanged_is_followed() {
    let mut sim = reading(4, 1, 1);
    for (replicas, leader) in [(vec![1, 2], 1), (vec![2, 3], 2), (vec![3, 4], 4), (vec![1], 1)] {
        sim.cluster.state.partition_mut("t", 0).replicas = replicas;
        sim.cluster.state.move_leader("t", 0, Some(leader));
        let took = next_comes(&mut sim, 0, MINUTE);
        assert!(took < ms(1_500), "to node {leader}: {took:?}");
        assert_eq!(fetched_from(&sim, 0).last(), Some(&leader));
    }
    all_is_well(&sim, 0);
    assert_eq!(count::<ListOffsetsRequest>(&sim), 1, "nothing was reset");
}

#[test]
fn fault_81_a_leader_whose_disk_fails_is_left_for_its_successor() {
    let mut sim = reading(2, 1, 1);
    sim.cluster.on::<FetchRequest>().node(1).fail(ErrorCode::KAFKA_STORAGE_ERROR);
    append(&mut sim, 0);
    sim.run_for(ms(2_000));
    sim.cluster.state.move_leader("t", 0, Some(2));
    let took = next_comes(&mut sim, 0, MINUTE);
    assert!(took < ms(1_000), "{took:?}");
    sim.run_for(ms(1_000));
    all_is_well(&sim, 0);
    assert_eq!(fetched_from(&sim, 0).last(), Some(&2));
}

#[test]
fn fault_175_a_frame_that_is_too_long_is_named_with_its_limit_and_holds_up_no_other_node() {
    let mut sim = Simulation::new(2, 1, |o| {
        o.auto_offset_reset("earliest")
            .fetch_max_bytes(1_000)
            .max_partition_fetch_bytes(1_000)
            .receive_message_max_bytes(5_000)
    });
    sim.cluster.state.create_topic("t", 2);
    // A first batch comes whole, however small the limits of the fetch are.
    sim.cluster.state.append("t", 0, ["x".repeat(8_000)]);
    sim.assign([("t", 0), ("t", 1)]);
    let turns = sim.turns();
    for _ in 0..60 {
        next_comes(&mut sim, 1, ms(600));
        sim.run_for(ms(1_000));
    }
    assert!(offsets(&sim, 0).is_empty());
    let asked = fetched_from(&sim, 0).iter().filter(|node| **node == 1).count();
    assert!((3..40).contains(&asked), "{asked} fetches in a minute");
    assert!(sim.turns() - turns < 60 * 100, "{} turns in a minute", sim.turns() - turns);
    let (_, error) = &sim.errors()[0];
    let text = error.to_string();
    assert!(text.contains("10.0.0.1:9092") && text.contains("up to 5000"), "{text}");
    assert!(text.contains("receive_message_max_bytes"), "{text}");
    assert!(sim.errors().len() < 70, "{} errors in a minute", sim.errors().len());
}

#[test]
fn fault_184_a_fetch_of_5000_partitions_names_each_once_and_then_only_what_changes() {
    fn bytes_asked(partitions: i32) -> usize {
        let mut sim = Simulation::new(1, 1, |o| o.auto_offset_reset("earliest"));
        sim.cluster.state.create_topic("t", usize::try_from(partitions).unwrap());
        sim.assign((0..partitions).map(|partition| ("t", partition)));
        sim.run_for(ms(5_000));
        let (before, turns) = (sim.cluster.requests().len(), sim.turns());
        for n in 0..20 {
            next_comes(&mut sim, n * 7 % partitions, ms(600));
        }
        let later: usize = sim.cluster.requests()[before..].iter().map(|r| r.body.len()).sum();
        assert!(later < 20 * 400, "{later} bytes for 20 records of {partitions} partitions");
        assert!(sim.turns() - turns < 2_000, "{} turns", sim.turns() - turns);
        assert!(sim.errors().is_empty() && sim.spins().is_empty());
        let fetches = sim.cluster.requests()[..before].iter().filter(|r| r.is::<FetchRequest>());
        fetches.map(|r| r.body.len()).sum()
    }
    let (few, many) = (bytes_asked(500), bytes_asked(5_000));
    assert!(many < 11 * few, "{few} bytes name 500 partitions, {many} 5000");
}

#[test]
fn fault_218_what_metadata_name_twice_is_there_once() {
    let mut sim = Simulation::new(2, 1, |o| o.auto_offset_reset("earliest"));
    sim.cluster.state.create_topic("t", 2);
    sim.cluster.on::<MetadataRequest>().rewrite(|response| {
        response.brokers.extend_from_within(..);
        for topic in &mut response.topics {
            topic.partitions.extend_from_within(..);
        }
        response.topics.extend_from_within(..);
    });
    sim.subscribe(&["t"]);
    for n in 0..20 {
        next_comes(&mut sim, n % 2, MINUTE);
    }
    sim.run_for(ms(5_000));
    all_is_well(&sim, 0);
    all_is_well(&sim, 1);
    let fetches = sim.cluster.requests_of::<FetchRequest>();
    let named = fetches[0].topics.iter().flat_map(|t| &t.partitions).count();
    assert_eq!(named, 1, "each node leads one");
}

#[test]
fn fault_220_of_thousands_of_brokers_only_those_that_are_needed_are_connected_to() {
    let mut sim = Simulation::new(2, 1, |o| {
        o.auto_offset_reset("earliest").bootstrap_servers("10.0.0.1:9092")
    });
    sim.cluster.state.create_topic("t", 1);
    sim.cluster.state.move_leader("t", 0, Some(2));
    sim.cluster.on::<MetadataRequest>().rewrite(|response| {
        response.brokers.extend((3..5_000).map(|node_id| MetadataResponseBroker {
            node_id,
            host: format!("10.1.{}.{}", node_id >> 8, node_id & 255),
            port: 9092,
            ..MetadataResponseBroker::default()
        }));
    });
    sim.assign([("t", 0)]);
    next_comes(&mut sim, 0, MINUTE);
    sim.run_for(ms(1_000));
    next_comes(&mut sim, 0, ms(600));
    let to: BTreeSet<SocketAddr> = sim.attempts().iter().map(|a| a.address).collect();
    assert_eq!(to, [1, 2].map(Simulation::address).into());
    all_is_well(&sim, 0);
}

/// Node 1 leads both partitions, and refuses the first from now on.
fn refused() -> Simulation {
    let mut sim = reading(1, 2, 1);
    sim.cluster.on::<FetchRequest>().rewrite(|response| {
        let all = response.responses.iter_mut().flat_map(|t| t.partitions.iter_mut());
        for partition in all.filter(|p| p.partition_index == 0) {
            partition.error_code = ErrorCode::TOPIC_AUTHORIZATION_FAILED.0;
            partition.records = Vec::new().into();
        }
    });
    append(&mut sim, 0);
    sim
}

#[test]
fn fault_277_a_missing_right_to_read_is_told_and_neither_holds_up_others_nor_makes_us_busy() {
    let mut sim = refused();
    let before = count::<FetchRequest>(&sim);
    for _ in 0..10 {
        next_comes(&mut sim, 1, ms(600));
        sim.run_for(ms(950));
    }
    assert!(sim.errors().iter().all(
        |(_, error)| matches!(error, Error::TopicAuthorizationFailed { topics } if topics.iter().any(|t| **t == *"t"))
    ));
    assert!((1..=110).contains(&sim.errors().len()), "{} errors in 10 s", sim.errors().len());
    let asked = count::<FetchRequest>(&sim) - before;
    assert!(asked < 250, "{asked} fetches in 10 s");
    assert_eq!(offsets(&sim, 1).len(), 11);
}

#[test]
fn fault_281_a_right_that_is_given_back_lets_reading_go_on_where_it_was() {
    let mut sim = refused();
    sim.run_for(ms(5_000));
    assert!(!sim.errors().is_empty());
    sim.cluster.clear_rules();
    sim.run_until(ms(2_000), |sim| offsets(sim, 0).len() == 2);
    next_comes(&mut sim, 0, ms(600));
    assert_eq!(offsets(&sim, 0), [0, 1, 2]);
    assert_eq!(count::<ListOffsetsRequest>(&sim), 1, "nothing was reset");
}
