//! What was once wrong: each test failed before its cause was mended.

use std::{collections::BTreeSet, ops::Range, thread, time::Duration};

use kafka_blocking::{
    KafkaConsumer,
    net::backoff::Backoff,
    protocol::{fetch::FetchRequest, list_offsets::ListOffsetsRequest, metadata::MetadataRequest},
};
use scripted_broker::{Reach, ScriptedBroker, Simulation};

const MINUTE: Duration = Duration::from_secs(60);
fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}
fn append(sim: &mut Simulation, value: &str) {
    let partition = sim.cluster.state.partition_mut("t", 0);
    partition.log.append(&[value.into()], partition.epoch);
    sim.cluster.changed();
}
fn reading(nodes: u8, seed: u64) -> Simulation {
    let mut sim = Simulation::new(nodes, seed, |o| o.auto_offset_reset("earliest"));
    sim.cluster.state.create_topic("t", 1);
    sim.cluster.state.partition_mut("t", 0).epoch = 5;
    append(&mut sim, "first");
    sim.subscribe(&["t"]);
    sim.run_until(MINUTE, |sim| sim.received().len() == 1);
    sim
}

#[test]
fn a_leader_that_stops_in_mid_response_is_left_for_its_successor() {
    let mut sim = Simulation::new(3, 1, |o| o.auto_offset_reset("earliest"));
    sim.cluster.state.create_topic("t", 1);
    for _ in 0..20 {
        sim.cluster.state.partition_mut("t", 0).log.append(&[vec![b'x'; 50_000].into()], 0);
    }
    sim.cluster.on::<FetchRequest>().once().stall_at(600_000, ms(100_000));
    sim.subscribe(&["t"]);
    sim.run_for(ms(500));
    sim.cluster.set_paused(1, true);
    sim.cluster.state.move_leader("t", 0, Some(2));
    let took = sim.run_until(2 * MINUTE, |sim| sim.received().len() == 20);
    assert!(took < ms(3_000), "{took:?}");
}

#[test]
fn bytes_that_keep_coming_over_a_slow_line_are_no_silence() {
    let mut sim = Simulation::new(3, 1, |o| o.auto_offset_reset("earliest"));
    sim.cluster.state.create_topic("t", 1);
    for _ in 0..10 {
        sim.cluster.state.partition_mut("t", 0).log.append(&[vec![b'x'; 50_000].into()], 0);
    }
    for n in 1..10 {
        sim.cluster.on::<FetchRequest>().once().stall_at(n * 50_000, ms(700));
    }
    sim.subscribe(&["t"]);
    let took = sim.run_until(MINUTE, |sim| sim.received().len() == 10);
    assert!(took > ms(6_000), "{took:?}");
    let asked = sim.cluster.requests_of::<MetadataRequest>().len();
    assert!(asked <= 2, "{asked} metadata requests");
}

/// The longest that reading took to go on after an election, when the old leader was gone for so many seconds before.
fn longest_gap(seconds: Range<u64>, lose_leader: impl Fn(&mut Simulation)) -> Duration {
    let gap = |seconds| {
        let mut sim = reading(3, seconds);
        lose_leader(&mut sim);
        sim.run_for(ms(1000 * seconds));
        sim.cluster.state.move_leader("t", 0, Some(2));
        append(&mut sim, "next");
        sim.run_until(MINUTE, |sim| sim.received().len() == 2)
    };
    seconds.map(gap).max().expect("some seconds")
}

#[test]
fn fault_41_a_dead_leader_that_metadata_still_names_is_asked_about_until_it_is_replaced() {
    let gap = longest_gap(4..20, |sim| sim.stop(1));
    assert!(gap < ms(3_000), "{gap:?}");
}

#[test]
fn a_lost_leader_that_metadata_still_names_is_asked_about_until_it_is_replaced() {
    let gap = longest_gap(25..50, |sim| sim.set_reach(Simulation::address(1), Reach::Lost));
    assert!(gap < ms(3_000), "{gap:?}");
}

#[test]
fn fault_152_an_offset_is_asked_of_the_new_leader_when_the_old_one_is_silent() {
    let mut sim = Simulation::new(3, 1, |o| o.auto_offset_reset("earliest"));
    sim.cluster.state.create_topic("t", 1);
    append(&mut sim, "first");
    sim.cluster.on::<ListOffsetsRequest>().node(1).silence();
    sim.subscribe(&["t"]);
    sim.run_for(ms(500));
    sim.cluster.set_paused(1, true);
    sim.cluster.state.move_leader("t", 0, Some(2));
    let took = sim.run_until(2 * MINUTE, |sim| sim.received().len() == 1);
    assert!(took < ms(3_000), "{took:?}");
}

#[test]
fn fault_50_a_leader_that_is_no_broker_is_asked_about_until_it_is_one() {
    let mut sim = reading(3, 1);
    sim.cluster.state.move_leader("t", 0, Some(2));
    sim.cluster.on::<FetchRequest>().rewrite(|r| {
        for t in &mut r.responses.0 {
            for p in &mut t.partitions.0 {
                p.current_leader = Default::default();
            }
        }
    });
    sim.cluster.on::<MetadataRequest>().times(3).rewrite(|response| {
        response.topics[0].partitions[0].leader_id = 77;
        response.topics[0].partitions[0].leader_epoch = 6;
    });
    sim.run_for(ms(5_000));
    sim.cluster.clear_rules();
    append(&mut sim, "next");
    let took = sim.run_until(10 * MINUTE, |sim| sim.received().len() == 2);
    assert!(took < ms(3_000), "{took:?}");
}

#[test]
fn fault_240_a_partition_that_was_sought_before_it_existed_is_read_when_it_comes() {
    let mut sim = Simulation::new(1, 1, |o| o);
    sim.cluster.state.create_topic("t", 1);
    sim.assign([("t", 1)]);
    sim.seek(("t", 1), 0);
    sim.run_for(ms(5_000));
    let p = scripted_broker::Partition { leader: Some(1), ..Default::default() };
    sim.cluster.state.topics.get_mut("t").unwrap().partitions.push(p);
    sim.cluster.state.partition_mut("t", 1).log.append(&["x".into()], 0);
    sim.cluster.changed();
    let took = sim.run_until(10 * MINUTE, |sim| sim.received().len() == 1);
    assert!(took < ms(3_000), "{took:?}");
}

#[test]
fn fault_58_a_topic_made_anew_is_read_by_the_reset_policy_however_long_it_is() {
    let mut sim = reading(1, 1);
    append(&mut sim, "second");
    sim.run_for(ms(1000));
    sim.cluster.state.create_topic("t", 1);
    for n in 0..5 {
        append(&mut sim, &format!("new{n}"));
    }
    sim.run_for(MINUTE);
    assert_eq!(sim.values(), ["first", "second", "new0", "new1", "new2", "new3", "new4"]);
}

#[test]
fn the_old_id_of_a_topic_made_anew_leaves_the_fetch_session() {
    let mut sim = reading(2, 1);
    sim.run_for(ms(1000));
    sim.cluster.state.create_topic("t", 1);
    append(&mut sim, "new");
    sim.cluster.changed();
    sim.run_for(ms(3_000));
    let before = sim.cluster.requests_of::<FetchRequest>().len();
    sim.run_for(ms(10_000));
    let asked = sim.cluster.requests_of::<FetchRequest>().len() - before;
    assert!(asked < 50, "{asked} fetches in 10 s");
}

#[test]
fn fault_19_what_came_while_the_caller_was_away_is_not_late() {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 1);
    broker.append("t", 0, ["a"]);
    let c = KafkaConsumer::builder()
        .bootstrap_servers(broker.addresses())
        .auto_offset_reset("earliest")
        .topics("t")
        .fetch_max_wait_ms(100)
        .request_timeout_ms(400)
        .build()
        .unwrap();
    for _ in 0..5 {
        assert_eq!(c.poll(ms(2000)).unwrap().count(), 1);
        c.poll(ms(10)).unwrap();
        broker.append("t", 0, ["b"]);
        thread::sleep(ms(600));
    }
    assert_eq!(fetch_connections(&broker), 1);
}

#[test]
fn fault_179_no_broker_waits_behind_another_while_the_caller_is_slow() {
    let broker = ScriptedBroker::cluster(2);
    broker.create_topic("t", 12);
    for p in 0..12 {
        for _ in 0..6 {
            broker.append("t", p, [vec![b'x'; 700_000]]);
        }
    }
    let c = KafkaConsumer::builder()
        .bootstrap_servers(broker.addresses())
        .auto_offset_reset("earliest")
        .topics("t")
        .fetch_max_wait_ms(100)
        .request_timeout_ms(1000)
        .build()
        .unwrap();
    let mut seen = Vec::new();
    while seen.len() < 24 {
        for record in c.poll_max(ms(2000), 1).unwrap().into_records() {
            seen.push(record.partition() % 2);
            thread::sleep(ms(100));
        }
    }
    let of_one = seen.iter().filter(|leader| **leader == 0).count();
    assert!((6..=18).contains(&of_one), "{seen:?}");
    assert_eq!(fetch_connections(&broker), 2);
}

/// How many connections were fetched on.
fn fetch_connections(broker: &ScriptedBroker) -> usize {
    let requests = broker.requests();
    let fetches = requests.iter().filter(|r| r.is::<FetchRequest>());
    fetches.map(|r| (r.node, r.connection)).collect::<BTreeSet<_>>().len()
}

#[test]
fn position_says_why_there_is_none() {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 1);
    let consumer = KafkaConsumer::builder()
        .bootstrap_servers(broker.addresses())
        .request_timeout_ms(600)
        .default_api_timeout_ms(600)
        .fetch_max_wait_ms(100)
        .build()
        .unwrap();
    let text = |partition: i32| {
        consumer.assign([("t", partition)]).unwrap();
        consumer.position(("t", partition)).unwrap_err().to_string()
    };
    let unknown = text(9);
    assert!(unknown.contains("names no leader of t-9"), "{unknown}");
    broker.on::<ListOffsetsRequest>().fail(kafka_blocking::ErrorCode::OFFSET_NOT_AVAILABLE);
    let unavailable = text(0);
    assert!(unavailable.contains("ListOffsets of t-0: OFFSET_NOT_AVAILABLE"), "{unavailable}");
    broker.clear_rules();
    broker.on::<ListOffsetsRequest>().silence();
    let silent = text(0);
    // The request and the call are given up at the same time: whichever is looked at first has its words.
    let words = ["waiting for the answer to ListOffsets", "ListOffsets was not answered"];
    assert!(words.iter().any(|words| silent.contains(words)), "{silent}");
}

#[test]
fn fault_242_the_longest_backoff_does_not_overflow() {
    let mut b = Backoff::new(Duration::MAX, Duration::MAX);
    let mut r = fastrand::Rng::with_seed(1);
    for _ in 0..20 {
        b.next_delay(&mut r);
    }
}
#[test]
fn a_fetch_session_that_is_given_up_is_closed_at_the_broker() {
    let mut sim = reading(1, 1);
    for _ in 0..20 {
        sim.run_for(ms(100));
        sim.seek(("t", 0), 0);
    }
    sim.run_for(ms(1000));
    let closed = sim
        .cluster
        .requests_of::<FetchRequest>()
        .iter()
        .filter(|f| f.session_epoch == 0 && f.session_id == 0)
        .count();
    assert!(
        closed <= 1,
        "{closed} sessions begun without closing the one before; attempts {}",
        sim.attempts().len()
    );
}

#[test]
fn a_broker_that_answers_nonsense_is_asked_less_and_less() {
    let mut sim = reading(1, 1);
    sim.cluster.on::<FetchRequest>().corrupt(8, 0xff);
    let before = sim.attempts().len();
    sim.run_for(2 * MINUTE);
    let attempts = sim.attempts().len() - before;
    assert!((5..60).contains(&attempts), "{attempts}");
    sim.cluster.clear_rules();
    append(&mut sim, "next");
    sim.run_until(MINUTE, |sim| sim.received().len() == 2);
}

#[test]
fn a_partition_without_a_position_holds_up_no_other() {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 2);
    broker.append("t", 1, ["a"]);
    let consumer = KafkaConsumer::builder()
        .bootstrap_servers(broker.address())
        .auto_offset_reset("none")
        .build()
        .unwrap();
    consumer.assign([("t", 0), ("t", 1)]).unwrap();
    consumer.seek(("t", 1), 0).unwrap();
    // Each call that has no record fails, and none of them waits.
    let record = (0..100_000).find_map(|_| {
        let polled = consumer.poll(MINUTE).ok()?;
        polled.into_records().next()
    });
    assert_eq!(record.expect("a record of the other partition").partition(), 1);
}

#[test]
fn a_position_of_an_epoch_in_which_nothing_was_written_is_read_from() {
    let broker = ScriptedBroker::cluster(2);
    broker.create_topic("t", 1);
    broker.append("t", 0, ["before"]);
    broker.move_leader("t", 0, 2);
    let consumer = KafkaConsumer::builder()
        .bootstrap_servers(broker.addresses())
        .auto_offset_reset("latest")
        .retry_backoff_ms(10)
        .build()
        .unwrap();
    consumer.assign([("t", 0)]).unwrap();
    assert_eq!(consumer.position(("t", 0)).unwrap(), 1);
    // The epoch of the end that was found leaves no trace in the log.
    broker.move_leader("t", 0, 1);
    broker.append("t", 0, ["after"]);
    let polled = consumer.poll(ms(20_000)).unwrap();
    assert_eq!(polled.into_records().next().expect("a record").offset(), 1);
}
