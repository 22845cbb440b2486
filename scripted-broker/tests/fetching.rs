//! What fetches ask, and what odd answers to them do: sessions, throttling, surplus and doubles. On a virtual clock.

use std::time::Duration;

use kafka_blocking::{
    ErrorCode,
    protocol::{
        Request,
        fetch::{FetchRequest, FetchableTopicResponse, PartitionData},
        metadata::MetadataRequest,
    },
    wire::Uuid,
};
use scripted_broker::{LoggedRequest, Simulation};

const MINUTE: Duration = Duration::from_secs(60);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Node 1 leads `t-0`, node 2 leads `t-1`; one record of each has been read.
fn reading(seed: u64) -> Simulation {
    reading_in(seed, *FetchRequest::VERSIONS.end())
}

/// The same with brokers that have no higher version of Fetch than this.
fn reading_in(seed: u64, version: i16) -> Simulation {
    let mut sim = Simulation::new(2, seed, |o| o.auto_offset_reset("earliest"));
    for node in sim.cluster.state.nodes.values_mut() {
        let fetch = node.versions.iter_mut().find(|row| row.0 == FetchRequest::KEY);
        fetch.expect("brokers have Fetch").2 = version;
    }
    sim.cluster.state.create_topic("t", 2);
    append(&mut sim, 0, "a");
    append(&mut sim, 1, "b");
    sim.assign([("t", 0), ("t", 1)]);
    sim.run_until(MINUTE, |sim| sim.received().len() == 2);
    sim
}

fn append(sim: &mut Simulation, partition: i32, value: &str) {
    sim.cluster.state.partition_mut("t", partition).log.append(&[value.into()], 0);
    sim.cluster.changed();
}

/// The values of one partition.
fn values(sim: &Simulation, partition: i32) -> Vec<String> {
    let received = sim.received().iter().filter(|r| r.partition.partition() == partition);
    received.map(|r| String::from_utf8(r.value.clone().unwrap()).unwrap()).collect()
}

fn fetches(sim: &Simulation, node: i32) -> Vec<&LoggedRequest> {
    sim.cluster.requests().iter().filter(|r| r.node == node && r.is::<FetchRequest>()).collect()
}

fn metadata_asked(sim: &Simulation) -> usize {
    sim.cluster.requests_of::<MetadataRequest>().len()
}

/// One more record of each partition comes through, once.
fn assert_goes_on(sim: &mut Simulation) {
    append(sim, 0, "next");
    append(sim, 1, "next");
    sim.run_until(ms(1_000), |sim| sim.received().len() >= 4);
    sim.run_for(ms(2_000));
    assert_eq!(
        (values(sim, 0), values(sim, 1)),
        (vec!["a".into(), "next".into()], vec!["b".into(), "next".into()])
    );
    assert!(sim.errors().is_empty(), "{:?}", sim.errors());
    assert_eq!(sim.spins(), []);
}

#[test]
fn an_idle_consumer_has_one_fetch_under_way_at_each_node_and_names_nothing_again() {
    let mut sim = reading(1);
    sim.run_for(ms(2_000));
    let before = (fetches(&sim, 1).len(), fetches(&sim, 2).len());
    let turns = sim.turns();
    sim.run_for(ms(10_000));
    let asked = (fetches(&sim, 1).len() - before.0, fetches(&sim, 2).len() - before.1);
    assert!((19..=20).contains(&asked.0) && (19..=20).contains(&asked.1), "{asked:?}");
    let last: FetchRequest = fetches(&sim, 1).last().unwrap().decode().unwrap();
    assert!(last.session_epoch > 0 && last.topics.is_empty(), "{last:?}");
    assert!(sim.turns() - turns < 10 * 40, "{} turns in 10 s", sim.turns() - turns);
    assert_eq!(sim.spins(), []);
}

#[test]
fn fault_70_a_lost_session_is_followed_by_a_full_fetch_at_once() {
    let mut sim = reading(1);
    sim.run_for(ms(1_000));
    sim.cluster.forget_sessions(1);
    sim.run_for(ms(600));
    let asked: Vec<FetchRequest> = fetches(&sim, 1).iter().map(|r| r.decode().unwrap()).collect();
    let full = asked.iter().rev().find(|r| !r.topics.is_empty()).unwrap();
    assert_eq!((full.session_epoch, full.topics[0].partitions[0].fetch_offset), (0, 1));
    assert_goes_on(&mut sim);
}

#[test]
fn fault_70_every_error_of_a_session_is_followed_by_a_full_fetch() {
    for code in [
        ErrorCode::FETCH_SESSION_ID_NOT_FOUND,
        ErrorCode::INVALID_FETCH_SESSION_EPOCH,
        ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR,
    ] {
        let mut sim = reading(1);
        sim.cluster.on::<FetchRequest>().node(1).times(3).rewrite(move |response| {
            response.error_code = code.0;
            response.session_id = 0;
            response.responses.clear();
        });
        sim.run_for(ms(1_000));
        assert_goes_on(&mut sim);
    }
}

#[test]
fn an_answer_that_is_an_error_as_a_whole_is_waited_out_from_the_first_time() {
    let mut sim = reading(1);
    sim.run_for(ms(2_000));
    let (asked, about) = (fetches(&sim, 1).len(), metadata_asked(&sim));
    sim.cluster.on::<FetchRequest>().node(1).once().rewrite(|response| {
        response.error_code = ErrorCode::UNKNOWN_SERVER_ERROR.0;
        response.responses.clear();
    });
    sim.run_until(ms(1_000), |sim| fetches(sim, 1).len() > asked);
    sim.run_for(ms(90));
    assert_eq!(fetches(&sim, 1).len(), asked + 1, "retry_backoff_ms is 100");
    sim.run_for(ms(2_000));
    assert!(metadata_asked(&sim) > about, "somebody else may lead by now");
    assert_goes_on(&mut sim);
}

#[test]
fn fault_70_without_room_for_sessions_every_fetch_names_all() {
    let mut sim = Simulation::new(1, 1, |o| o.auto_offset_reset("earliest"));
    sim.cluster.state.create_topic("t", 2);
    sim.cluster.state.node_mut(1).sessions_allowed = false;
    append(&mut sim, 0, "a");
    append(&mut sim, 1, "b");
    sim.assign([("t", 0), ("t", 1)]);
    sim.run_until(MINUTE, |sim| sim.received().len() == 2);
    sim.run_for(ms(2_000));
    let last: FetchRequest = fetches(&sim, 1).last().unwrap().decode().unwrap();
    assert_eq!((last.session_id, last.topics[0].partitions.len()), (0, 2));
    assert_goes_on(&mut sim);
}

#[test]
fn fault_71_partitions_that_were_not_asked_for_are_ignored() {
    let mut sim = reading(1);
    sim.cluster.on::<FetchRequest>().rewrite(|response| {
        let mut other = response.responses.first().cloned().unwrap_or_default();
        other.partitions.iter_mut().for_each(|p| p.partition_index = 7);
        let unknown = FetchableTopicResponse {
            topic_id: Uuid([99; 16]),
            partitions: vec![PartitionData { error_code: 1, ..PartitionData::default() }].into(),
            ..FetchableTopicResponse::default()
        };
        response.responses.insert(0, unknown);
        response.responses.push(other);
    });
    assert_goes_on(&mut sim);
}

#[test]
fn fault_71_partitions_that_a_full_fetch_leaves_out_are_asked_for_again() {
    let mut sim = reading(1);
    sim.cluster.forget_sessions(1);
    sim.cluster.on::<FetchRequest>().node(1).times(2).rewrite(|response| {
        response.responses.clear();
    });
    sim.run_for(ms(2_000));
    assert_goes_on(&mut sim);
}

#[test]
fn fault_72_an_error_of_the_whole_fetch_that_repeats_is_met_with_backoff() {
    let mut sim = reading(1);
    sim.cluster.on::<FetchRequest>().node(1).rewrite(|response| {
        response.error_code = ErrorCode::UNKNOWN_SERVER_ERROR.0;
        response.responses.clear();
    });
    sim.cluster.on::<FetchRequest>().node(1).fail(ErrorCode::NONE);
    let before = fetches(&sim, 1).len();
    sim.run_for(ms(10_000));
    let asked = fetches(&sim, 1).len() - before;
    assert!((10..=100).contains(&asked), "{asked} fetches in 10 s");
    sim.cluster.clear_rules();
    sim.run_for(ms(1_000));
    assert_goes_on(&mut sim);
}

#[test]
fn fault_73_a_partition_that_comes_twice_in_an_answer_is_taken_once() {
    let mut sim = reading(1);
    sim.cluster.on::<FetchRequest>().rewrite(|response| {
        for topic in &mut response.responses.0 {
            let twice = topic.partitions.clone();
            topic.partitions.extend(twice);
        }
        let again = response.responses.clone();
        response.responses.extend(again);
    });
    assert_goes_on(&mut sim);
}

/// The longest time between two fetches at a node, where one answer to it has this throttle time.
fn longest_pause(throttle: i32, version: i16) -> Duration {
    let mut sim = reading_in(1, version);
    sim.run_for(ms(1_000));
    let first = fetches(&sim, 1).len() - 1;
    sim.cluster.on::<FetchRequest>().node(1).once().rewrite(move |response| {
        response.throttle_time_ms = throttle;
    });
    sim.run_for(2 * MINUTE);
    let times: Vec<_> = fetches(&sim, 1)[first..].iter().map(|r| r.at).collect();
    let others: Vec<_> = fetches(&sim, 2).iter().map(|r| r.at).collect();
    let longest = |times: &[std::time::Instant]| times.windows(2).map(|w| w[1] - w[0]).max();
    assert!(longest(&others).unwrap() < ms(600), "the other node is not throttled");
    assert!(sim.errors().is_empty(), "{:?}", sim.errors());
    assert_eq!(sim.spins(), []);
    longest(&times).unwrap()
}

#[test]
fn fault_37_a_node_that_throttles_is_left_alone_for_as_long_as_it_says() {
    let pause = longest_pause(5_000, 17);
    assert!((ms(5_000)..ms(5_700)).contains(&pause), "{pause:?}");
}

#[test]
fn fault_38_a_throttle_time_without_measure_is_cut_to_a_minute_and_a_negative_one_is_none() {
    let pause = longest_pause(i32::MAX, 17);
    assert!((ms(60_000)..ms(60_700)).contains(&pause), "{pause:?}");
    let pause = longest_pause(-5_000, 17);
    assert!(pause < ms(600), "{pause:?}");
}

#[test]
fn fault_39_a_broker_of_old_that_has_waited_itself_is_not_left_alone_once_more() {
    assert!(longest_pause(5_000, 7) < ms(600));
    assert!(longest_pause(5_000, 8) >= ms(5_000), "from version 8 on it leaves the wait to us");
}

#[test]
fn what_arrives_in_any_pieces_is_the_same() {
    for seed in 0..30 {
        let mut sim = Simulation::new(2, seed, |o| o.auto_offset_reset("earliest"));
        sim.cluster.state.create_topic("t", 2);
        for n in 0..50 {
            append(&mut sim, n % 2, &format!("{n}").repeat(usize::try_from(n).unwrap()));
        }
        sim.assign([("t", 0), ("t", 1)]);
        sim.run_until(MINUTE, |sim| sim.received().len() == 50);
        for partition in 0..2 {
            let expected: Vec<String> = (0..50)
                .filter(|n| n % 2 == partition)
                .map(|n| format!("{n}").repeat(usize::try_from(n).unwrap()))
                .collect();
            assert_eq!(values(&sim, partition), expected);
        }
    }
}
