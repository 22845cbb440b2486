//! ListOffsets: the ends of the log, and what stands at a time.

use kafka_blocking::{
    ErrorCode,
    protocol::list_offsets::{
        ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsTopic,
    },
};
use scripted_broker::{Marker, Record, ScriptedBroker};

use crate::support::Client;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;

fn list(client: &mut Client, version: i16, timestamp: i64) -> ListOffsetsPartitionResponse {
    list_with(client, version, timestamp, 0, -1)
}

fn list_with(
    client: &mut Client,
    version: i16,
    timestamp: i64,
    isolation_level: i8,
    current_leader_epoch: i32,
) -> ListOffsetsPartitionResponse {
    let partition = ListOffsetsPartition { timestamp, current_leader_epoch, ..Default::default() };
    let topics = vec![ListOffsetsTopic { name: "t".into(), partitions: vec![partition] }];
    let request =
        ListOffsetsRequest { replica_id: -1, isolation_level, topics, ..Default::default() };
    client.ask(version, &request).topics[0].partitions[0].clone()
}

fn found(answer: &ListOffsetsPartitionResponse) -> (i64, i64, i32) {
    assert_eq!(answer.error_code, 0);
    (answer.offset, answer.timestamp, answer.leader_epoch)
}

/// Times 10, 30 in epoch 0; 20 in epoch 1; two nodes, the second leads.
fn with_times() -> (ScriptedBroker, Client) {
    let broker = ScriptedBroker::cluster(2);
    broker.create_topic("t", 1);
    broker.append("t", 0, [Record::value("a").at(10), Record::value("b").at(30)]);
    broker.move_leader("t", 0, 2);
    broker.append("t", 0, [Record::value("c").at(20)]);
    let client = Client::connect(broker.address_of(2));
    (broker, client)
}

#[test]
fn a_time_is_answered_with_the_first_record_at_or_after_it_and_its_epoch() {
    let (_broker, mut client) = with_times();
    assert_eq!(found(&list(&mut client, 7, 11)), (1, 30, 0));
    assert_eq!(found(&list(&mut client, 7, 30)), (1, 30, 0));
    assert_eq!(found(&list(&mut client, 7, 31)), (-1, -1, -1));
    assert_eq!(found(&list(&mut client, 7, 0)), (0, 10, 0));
    assert_eq!(found(&list(&mut client, 1, 11)), (1, 30, -1), "there is no epoch in version 1");
    assert_eq!(list(&mut client, 0, 11).old_style_offsets, [1]);
}

#[test]
fn the_ends_have_no_time_and_the_epochs_of_what_stands_there() {
    let (broker, mut client) = with_times();
    assert_eq!(found(&list(&mut client, 7, LATEST)), (3, -1, 1));
    assert_eq!(found(&list(&mut client, 7, EARLIEST)), (0, -1, 0));
    broker.delete_records_before("t", 0, 2);
    assert_eq!(found(&list(&mut client, 7, EARLIEST)), (2, -1, 1));
    assert_eq!(found(&list(&mut client, 7, 0)), (2, 20, 1));
}

#[test]
fn the_latest_time_is_found_by_versions_that_know_the_question() {
    let (_broker, mut client) = with_times();
    assert_eq!(found(&list(&mut client, 7, MAX_TIMESTAMP)), (1, 30, 0));
    let old = list(&mut client, 6, MAX_TIMESTAMP);
    assert_eq!((old.error_code, old.offset), (ErrorCode::UNSUPPORTED_VERSION.0, -1));
}

#[test]
fn readers_of_what_is_committed_get_the_last_stable_offset_for_the_end() {
    let (broker, mut client) = with_times();
    broker.append_transactional("t", 0, 7, [Record::value("open").at(90)]);
    assert_eq!(found(&list(&mut client, 7, LATEST)).0, 4);
    assert_eq!(found(&list_with(&mut client, 7, LATEST, 1, -1)).0, 3);
    assert_eq!(found(&list_with(&mut client, 7, 90, 1, -1)), (-1, -1, -1));
    broker.append_marker("t", 0, 7, Marker::Abort);
    assert_eq!(found(&list_with(&mut client, 7, LATEST, 1, -1)).0, 5);
    assert_eq!(found(&list_with(&mut client, 7, 90, 1, -1)).0, 3, "aborted or not");
}

#[test]
fn only_the_leader_in_its_epoch_knows() {
    let (broker, mut client) = with_times();
    let mut follower = Client::connect(broker.address_of(1));
    let code = |answer: ListOffsetsPartitionResponse| ErrorCode(answer.error_code);
    assert_eq!(code(list(&mut follower, 7, LATEST)), ErrorCode::NOT_LEADER_OR_FOLLOWER);
    let fenced = list_with(&mut client, 7, LATEST, 0, 0);
    assert_eq!(code(fenced), ErrorCode::FENCED_LEADER_EPOCH);
    let unknown = list_with(&mut client, 7, LATEST, 0, 2);
    assert_eq!(code(unknown), ErrorCode::UNKNOWN_LEADER_EPOCH);
}

#[test]
fn a_new_leader_that_does_not_know_what_is_committed_says_so() {
    let (broker, mut client) = with_times();
    let commit = |to| {
        broker.with_state(|s| s.partition_mut("t", 0).log.set_high_watermark(Some(to)));
    };
    commit(1);
    let code = |answer: ListOffsetsPartitionResponse| ErrorCode(answer.error_code);
    assert_eq!(code(list(&mut client, 5, LATEST)), ErrorCode::OFFSET_NOT_AVAILABLE);
    assert_eq!(code(list(&mut client, 4, LATEST)), ErrorCode::LEADER_NOT_AVAILABLE);
    assert_eq!(code(list(&mut client, 5, 11)), ErrorCode::OFFSET_NOT_AVAILABLE);
    assert_eq!(found(&list(&mut client, 5, 5)), (0, 10, 0), "this one is committed");
    commit(2);
    assert_eq!(found(&list(&mut client, 5, LATEST)), (2, -1, 1));
}

#[test]
fn where_the_broker_sets_the_time_records_are_found_by_it() {
    let (broker, mut client) = with_times();
    broker.with_state(|s| s.partition_mut("t", 0).log.set_append_time(Some(500)));
    broker.append("t", 0, [Record::value("d").at(1), Record::value("e").at(2)]);
    broker.append_transactional("t", 0, 7, [Record::value("f").at(3)]);
    assert_eq!(found(&list(&mut client, 7, 31)), (3, 500, 1));
    broker.with_state(|s| s.partition_mut("t", 0).log.delete_before(5));
    assert_eq!(found(&list(&mut client, 7, 31)), (5, 500, 1));
}
