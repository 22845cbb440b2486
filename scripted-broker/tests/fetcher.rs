//! What the fetcher asks for, reads, and gives up, by what is ready and what is known. On a virtual clock.

use std::{collections::BTreeSet, time::Duration};

use kafka_blocking::{
    Error, ErrorCode, TopicPartition,
    client::{NodeKey, Role},
    fetcher::Item,
    protocol::{Request, fetch::FetchRequest, metadata::MetadataRequest},
    wire::Uuid,
};
use scripted_broker::{LoggedRequest, Simulation, encode_batch};

const MINUTE: Duration = Duration::from_secs(60);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Partitions of `t`, led by the nodes in turn; all have been asked for, and there is nothing in them.
fn waiting(nodes: u8, partitions: i32) -> Simulation {
    let mut sim = Simulation::new(nodes, 1, |o| {
        o.auto_offset_reset("earliest").max_partition_fetch_bytes(10 << 20)
    });
    sim.cluster.state.create_topic("t", usize::try_from(partitions).unwrap());
    sim.assign((0..partitions).map(|n| ("t", n)));
    sim.run_for(ms(2_000));
    sim
}

/// One more record of so many bytes.
fn append(sim: &mut Simulation, partition: i32, bytes: usize) {
    sim.cluster.state.append("t", partition, [vec![b'x'; bytes]]);
    sim.cluster.changed();
}

fn fetches(sim: &Simulation, node: i32) -> Vec<&LoggedRequest> {
    sim.cluster.requests().iter().filter(|r| r.node == node && r.is::<FetchRequest>()).collect()
}

fn last_fetch(sim: &Simulation, node: i32) -> FetchRequest {
    fetches(sim, node).last().expect("a fetch").decode().unwrap()
}

fn metadata_requests(sim: &Simulation) -> usize {
    sim.cluster.requests_of::<MetadataRequest>().len()
}

fn is_gated(sim: &Simulation, node: i32) -> bool {
    sim.machines.client.is_gated(NodeKey { id: node, role: Role::Fetch })
}

fn only(partition: i32) -> BTreeSet<TopicPartition> {
    [("t", partition).into()].into()
}

fn pause(sim: &mut Simulation, partition: i32) {
    sim.machines.subscriptions.pause(&only(partition)).unwrap();
    sim.machines.follow();
}

fn resume(sim: &mut Simulation, partition: i32) {
    sim.machines.subscriptions.resume(&only(partition)).unwrap();
    sim.machines.follow();
}

fn offsets(sim: &Simulation, partition: i32) -> Vec<i64> {
    let of = sim.received().iter().filter(|r| r.partition.partition() == partition);
    of.map(|r| r.offset).collect()
}

#[test]
fn reading_on_is_worth_while_until_half_a_mebibyte_is_ready_and_again_when_it_was_taken() {
    let mut sim = waiting(1, 1);
    sim.set_consuming(false);
    assert!(sim.machines.fetcher.wants_more(), "nothing is ready");
    for kilobytes in 1..=8 {
        append(&mut sim, 0, 100_000);
        sim.run_for(ms(50));
        let wants = sim.machines.fetcher.wants_more();
        assert_eq!(wants, kilobytes <= 5, "{kilobytes}00 kB are ready");
    }
    // Before anything else is done.
    for taken in 1..=4 {
        assert!(sim.machines.fetcher.take_ready().is_some());
        assert_eq!(sim.machines.fetcher.wants_more(), taken >= 3, "{taken}00 kB of 800 were taken");
    }
}

#[test]
fn what_is_ready_is_told_apart_from_errors_that_are() {
    let mut sim = waiting(1, 1);
    sim.set_consuming(false);
    assert!(!sim.machines.fetcher.has_ready() && !sim.machines.fetcher.has_ready_records());
    append(&mut sim, 0, 10);
    sim.run_for(ms(50));
    assert!(sim.machines.fetcher.has_ready() && sim.machines.fetcher.has_ready_records());
    sim.machines.fetcher.take_ready();
    sim.seek(("t", 0), 77);
    sim.run_for(ms(1_000));
    assert!(sim.machines.fetcher.has_ready() && !sim.machines.fetcher.has_ready_records());
    let ready = sim.machines.fetcher.take_ready().unwrap();
    assert!(matches!(ready.item, Item::OutOfRange(77)), "{ready:?}");
}

#[test]
fn no_more_is_read_with_a_mebibyte_ready_and_the_broker_is_not_suspected_meanwhile() {
    let mut sim = waiting(2, 1);
    sim.set_consuming(false);
    for _ in 0..6 {
        sim.cluster.state.append("t", 0, [vec![b'x'; 600_000]]);
    }
    sim.cluster.changed();
    sim.run_for(ms(100));
    let (asked, metadata) = (fetches(&sim, 1).len(), metadata_requests(&sim));
    assert!(is_gated(&sim, 1), "the rest stays in the kernel");
    sim.run_for(ms(20_000));
    assert_eq!(fetches(&sim, 1).len(), asked, "one answer after the other");
    assert_eq!(metadata_requests(&sim), metadata, "it is not the broker that is silent");
    let mut ready = 0;
    while sim.machines.fetcher.take_ready().is_some() {
        ready += 1;
    }
    assert_eq!(ready, 2, "the second reached the bound");
    sim.seek(("t", 0), 0);
    sim.set_consuming(true);
    sim.run_until(ms(1_000), |sim| offsets(sim, 0).len() == 6);
    assert!(!is_gated(&sim, 1));
}

#[test]
fn nothing_more_is_asked_for_with_four_mebibytes_ready() {
    for (ready, asks) in [(2 << 20, true), (5 << 20, false)] {
        let mut sim = waiting(2, 1);
        sim.cluster.state.add_partitions("t", 1);
        append(&mut sim, 1, 10);
        sim.set_consuming(false);
        append(&mut sim, 0, ready);
        sim.run_for(ms(500));
        sim.assign([("t", 0), ("t", 1)]);
        sim.run_for(ms(3_000));
        assert_eq!(!fetches(&sim, 2).is_empty(), asks, "{ready} bytes are ready");
        sim.set_consuming(true);
        sim.run_until(ms(1_000), |sim| offsets(sim, 1) == [0]);
        assert_eq!(offsets(&sim, 0), [0]);
    }
}

#[test]
fn the_bytes_of_a_long_batch_over_a_slow_line_are_no_silence() {
    let mut sim = Simulation::new(2, 1, |o| o.auto_offset_reset("earliest"));
    sim.cluster.state.create_topic("t", 1);
    append(&mut sim, 0, 500_000);
    for n in 1..10 {
        sim.cluster.on::<FetchRequest>().once().stall_at(n * 50_000, ms(700));
    }
    sim.assign([("t", 0)]);
    sim.run_for(ms(500));
    let metadata = metadata_requests(&sim);
    let took = sim.run_until(MINUTE, |sim| !sim.received().is_empty());
    assert!(took > ms(5_000), "{took:?}");
    assert_eq!(metadata_requests(&sim), metadata, "others are not asked whether it still leads");
}

#[test]
fn a_seek_gives_an_idle_poll_up_after_ten_milliseconds_and_not_before() {
    let mut sim = waiting(1, 1);
    append(&mut sim, 0, 10);
    sim.run_until(MINUTE, |sim| sim.received().len() == 1);
    sim.run_for(ms(100));
    let attempts = sim.attempts().len();
    sim.seek(("t", 0), 0);
    sim.run_for(ms(9));
    assert_eq!(sim.attempts().len(), attempts, "an answer may be on its way");
    let took = sim.run_until(MINUTE, |sim| sim.received().len() == 2);
    assert!(took < ms(30), "{took:?}");
    assert_eq!(sim.attempts().len(), attempts + 1);
}

#[test]
fn a_seek_waits_for_an_answer_that_comes_within_ten_milliseconds() {
    let mut sim = waiting(1, 2);
    append(&mut sim, 0, 10);
    sim.run_until(MINUTE, |sim| sim.received().len() == 1);
    sim.run_for(ms(100));
    let attempts = sim.attempts().len();
    sim.seek(("t", 0), 0);
    append(&mut sim, 1, 10);
    sim.run_until(ms(30), |sim| offsets(sim, 0) == [0, 0]);
    assert_eq!((offsets(&sim, 1), sim.attempts().len()), (vec![0], attempts));
}

#[test]
fn a_partition_whose_backoff_is_over_waits_for_the_poll_that_is_under_way() {
    let mut sim = waiting(1, 2);
    let attempts = sim.attempts().len();
    sim.cluster.on::<FetchRequest>().once().rewrite(|response| {
        for p in response.responses.iter_mut().flat_map(|t| t.partitions.iter_mut()) {
            p.error_code = ErrorCode::UNKNOWN_SERVER_ERROR.0;
            p.records = Vec::new().into();
        }
    });
    append(&mut sim, 1, 10);
    sim.run_until(MINUTE, |sim| offsets(sim, 1) == [0]);
    sim.run_for(ms(2_000));
    assert_eq!(sim.attempts().len(), attempts, "no connection is given up for it");
}

#[test]
fn a_resumed_partition_gives_the_poll_up_only_where_nothing_of_it_was_kept() {
    for kept in [true, false] {
        let mut sim = waiting(1, 2);
        sim.set_consuming(false);
        if kept {
            append(&mut sim, 0, 10);
            sim.run_for(ms(20));
        }
        pause(&mut sim, 0);
        sim.set_consuming(true);
        sim.run_for(ms(1_200));
        if !kept {
            append(&mut sim, 0, 10);
        }
        let attempts = sim.attempts().len();
        resume(&mut sim, 0);
        let took = sim.run_until(ms(40), |sim| offsets(sim, 0) == [0]);
        assert_eq!(took < ms(1), kept, "{took:?}");
        sim.run_for(ms(100));
        assert_eq!(sim.attempts().len(), attempts + usize::from(!kept), "kept: {kept}");
    }
}

#[test]
fn names_of_topics_are_sent_where_there_is_no_id_and_nowhere_else() {
    for (id, by_id) in [(Uuid([0; 16]), false), (Uuid([7; 16]), true)] {
        let mut sim = Simulation::new(1, 1, |o| o.auto_offset_reset("earliest"));
        sim.cluster.state.create_topic("t", 1);
        sim.cluster.state.topics.get_mut("t").unwrap().id = id;
        append(&mut sim, 0, 10);
        sim.assign([("t", 0)]);
        sim.run_until(MINUTE, |sim| sim.received().len() == 1);
        let first = fetches(&sim, 1)[0];
        if by_id {
            assert_eq!(first.header.api_version, *FetchRequest::VERSIONS.end());
        } else {
            assert_eq!(first.header.api_version, 12, "the newest that has names");
        }
        let topic = &first.decode::<FetchRequest>().unwrap().topics[0];
        assert_eq!(
            (topic.topic.as_str(), topic.topic_id),
            if by_id { ("", id) } else { ("t", id) }
        );
    }
}

#[test]
fn a_broker_that_cannot_be_fetched_from_fails_its_own_partitions_once_a_second() {
    let mut sim = Simulation::new(2, 1, |o| o.auto_offset_reset("earliest"));
    sim.cluster.state.create_topic("t", 3);
    for row in &mut sim.cluster.state.node_mut(2).versions {
        if row.0 == FetchRequest::KEY {
            (row.1, row.2) = (100, 120);
        }
    }
    (0..3).for_each(|n| append(&mut sim, n, 10));
    sim.assign([("t", 0), ("t", 1), ("t", 2)]);
    sim.run_for(ms(500));
    assert_eq!((offsets(&sim, 0), offsets(&sim, 1), offsets(&sim, 2)), (vec![0], vec![], vec![0]));
    assert_eq!(sim.errors().len(), 1, "{:?}", sim.errors());
    sim.set_consuming(false);
    sim.run_for(ms(1_500));
    let failed = sim.machines.subscriptions.id(&("t", 1).into()).unwrap();
    let ready = sim.machines.fetcher.take_ready().expect("the error");
    assert!(ready.id == failed && matches!(ready.item, Item::Failed(_)), "{ready:?}");
    assert!(!sim.machines.fetcher.has_ready(), "once, until it was taken");
}

#[test]
fn what_is_damaged_is_fetched_again_from_the_position_after_the_backoff() {
    let mut sim = waiting(1, 1);
    let mut broken = encode_batch(&["broken".into()]);
    *broken.last_mut().unwrap() ^= 1;
    sim.cluster.state.append("t", 0, ["good"]);
    sim.cluster.state.append_batch("t", 0, broken);
    sim.cluster.changed();
    sim.run_until(MINUTE, |sim| !sim.errors().is_empty());
    let (at, error) = &sim.errors()[0];
    assert!(matches!(error, Error::CorruptRecord { offset: 1, .. }), "{error}");
    let (at, before) = (*at, fetches(&sim, 1).len());
    sim.run_until(MINUTE, |sim| sim.errors().len() == 3);
    assert!(sim.elapsed() - at >= ms(200), "{:?}", sim.errors());
    let names: Vec<i64> = fetches(&sim, 1)[before..]
        .iter()
        .flat_map(|r| r.decode::<FetchRequest>().unwrap().topics)
        .flat_map(|t| t.partitions)
        .map(|p| p.fetch_offset)
        .collect();
    assert!(names.contains(&1) && !names.contains(&0), "{names:?}");
    assert_eq!(offsets(&sim, 0), [0], "what came before it is not repeated");
}

#[test]
fn what_was_paused_while_a_request_was_under_way_is_forgotten_with_the_next() {
    let mut sim = waiting(2, 4);
    pause(&mut sim, 0);
    let (one, two) = (fetches(&sim, 1).len(), fetches(&sim, 2).len());
    sim.run_until(ms(600), |sim| fetches(sim, 1).len() > one && fetches(sim, 2).len() > two);
    let forgotten: Vec<i32> = last_fetch(&sim, 1)
        .forgotten_topics_data
        .iter()
        .flat_map(|t| t.partitions.clone())
        .collect();
    assert_eq!(forgotten, [0]);
    assert!(last_fetch(&sim, 2).forgotten_topics_data.is_empty());
    append(&mut sim, 0, 10);
    append(&mut sim, 2, 10);
    sim.run_for(ms(1_000));
    assert_eq!((offsets(&sim, 0), offsets(&sim, 2)), (vec![], vec![0]));
    resume(&mut sim, 0);
    sim.run_until(ms(600), |sim| offsets(sim, 0) == [0]);
}

#[test]
fn the_session_of_a_node_that_had_nothing_for_a_while_goes_on() {
    let mut sim = waiting(2, 2);
    let session = last_fetch(&sim, 2).session_id;
    assert!(session > 0);
    sim.assign([("t", 0)]);
    sim.run_for(ms(2_000));
    let before = fetches(&sim, 2).len();
    sim.assign([("t", 0), ("t", 1)]);
    append(&mut sim, 1, 10);
    sim.run_until(MINUTE, |sim| offsets(sim, 1) == [0]);
    let first: FetchRequest = fetches(&sim, 2)[before].decode().unwrap();
    assert_eq!(first.session_id, session);
    assert!(first.session_epoch > 0, "{first:?}");
}

#[test]
fn the_room_for_what_is_kept_of_paused_partitions_is_free_when_they_are_resumed() {
    let mut sim = waiting(1, 1);
    sim.set_consuming(false);
    append(&mut sim, 0, 1_000_000);
    sim.run_for(ms(50));
    let before = fetches(&sim, 1).len();
    // More than 16 MiB in all.
    for _ in 0..40 {
        pause(&mut sim, 0);
        sim.run_for(ms(1));
        resume(&mut sim, 0);
        sim.run_for(ms(1));
    }
    sim.set_consuming(true);
    sim.run_until(ms(10), |sim| offsets(sim, 0) == [0]);
    sim.run_for(ms(600));
    let asked =
        fetches(&sim, 1).into_iter().skip(before).map(|r| r.decode::<FetchRequest>().unwrap());
    let again = asked.flat_map(|f| f.topics).flat_map(|t| t.partitions);
    assert_eq!(again.filter(|p| p.fetch_offset == 0).count(), 0, "it is not fetched again");
}
