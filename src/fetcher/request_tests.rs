//! What a request says of what the session wants told.

use std::time::Duration;

use super::{super::session::Ask, *};
use crate::IsolationLevel;

const NO_ID: Uuid = Uuid([0; 16]);

fn options() -> FetchOptions {
    FetchOptions {
        max_wait: Duration::from_millis(321),
        min_bytes: 11,
        max_bytes: 22,
        partition_max_bytes: 33,
        max_decompressed: 1 << 20,
        isolation: IsolationLevel::ReadCommitted,
        check_crcs: true,
        sessions: true,
        rack: "".into(),
    }
}

fn ask(topic: &str, partition: i32, id: u8) -> Ask {
    Ask {
        partition: (topic, partition).into(),
        topic_id: (id > 0).then_some(Uuid([id; 16])),
        offset: 40 + i64::from(partition),
        last_fetched_epoch: Some(6),
        leader_epoch: Some(7),
    }
}

fn request(version: i16, asks: Vec<Ask>) -> FetchRequest {
    let next = NextRequest { session_id: 77, session_epoch: 3, asks, forgotten: Vec::new() };
    fetch_request(&options(), version, "rack".into(), next)
}

fn only(request: &FetchRequest) -> &FetchPartition {
    let [topic] = &request.topics[..] else { panic!("{:?}", request.topics) };
    let [partition] = &topic.partitions[..] else { panic!("{topic:?}") };
    partition
}

/// Name, first byte of the id and partitions of each topic.
fn named(request: &FetchRequest) -> Vec<(&str, u8, Vec<i32>)> {
    let partitions = |t: &FetchTopic| t.partitions.iter().map(|p| p.partition).collect();
    request.topics.iter().map(|t| (&t.topic[..], t.topic_id.0[0], partitions(t))).collect()
}

#[test]
fn a_request_says_what_the_options_and_the_session_say() {
    let request = request(12, vec![ask("t", 5, 0)]);
    assert_eq!((request.max_wait_ms, request.min_bytes, request.max_bytes), (321, 11, 22));
    assert_eq!(request.isolation_level, IsolationLevel::ReadCommitted.code());
    assert_eq!((&request.rack_id[..], request.session_id, request.session_epoch), ("rack", 77, 3));
    let partition = only(&request);
    assert_eq!((partition.partition, partition.fetch_offset), (5, 45));
    assert_eq!(partition.partition_max_bytes, 33);
}

#[test]
fn the_last_epoch_is_told_from_the_version_on_that_has_it() {
    for (version, told) in [(11, -1), (12, 6), (13, 6)] {
        let request = request(version, vec![ask("t", 0, 1)]);
        let partition = only(&request);
        assert_eq!((partition.last_fetched_epoch, partition.current_leader_epoch), (told, 7));
    }
}

#[test]
fn epochs_that_are_not_known_are_minus_one() {
    let unknown = Ask { last_fetched_epoch: None, leader_epoch: None, ..ask("t", 0, 1) };
    let request = request(13, vec![unknown]);
    let partition = only(&request);
    assert_eq!((partition.last_fetched_epoch, partition.current_leader_epoch), (-1, -1));
}

#[test]
fn a_topic_goes_by_its_id_from_the_version_on_that_has_ids() {
    assert_eq!(named(&request(12, vec![ask("t", 0, 9)])), [("t", 0, vec![0])]);
    assert_eq!(named(&request(13, vec![ask("t", 0, 9)])), [("", 9, vec![0])]);
}

#[test]
fn neighbours_of_one_topic_share_an_entry() {
    let asks = || vec![ask("t", 0, 1), ask("t", 1, 1), ask("u", 0, 2), ask("t", 2, 1)];
    let by_name = [("t", 0, vec![0, 1]), ("u", 0, vec![0]), ("t", 0, vec![2])];
    assert_eq!(named(&request(12, asks())), by_name);
    let by_id = [("", 1, vec![0, 1]), ("", 2, vec![0]), ("", 1, vec![2])];
    assert_eq!(named(&request(13, asks())), by_id);
}

#[test]
fn what_is_forgotten_is_named_as_what_is_asked_for() {
    let id = Uuid([9; 16]);
    for (version, topic, topic_id) in [(12, "t", NO_ID), (13, "", id)] {
        let next = NextRequest {
            session_id: 77,
            session_epoch: 3,
            asks: Vec::new(),
            forgotten: vec![(("t", 4).into(), Some(id))],
        };
        let request = fetch_request(&options(), version, String::new(), next);
        let [forgotten] = &request.forgotten_topics_data[..] else { panic!("{request:?}") };
        assert_eq!((&forgotten.topic[..], forgotten.topic_id), (topic, topic_id));
        assert_eq!(forgotten.partitions, [4]);
    }
}
