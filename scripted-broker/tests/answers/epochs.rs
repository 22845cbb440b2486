//! OffsetForLeaderEpoch, elections, and fetches that name the epoch of what was read before.

use kafka_blocking::{
    ErrorCode,
    protocol::{
        Request,
        api_versions::ApiVersionsRequest,
        fetch::{FetchRequest, PartitionData},
        offset_for_leader_epoch::{
            EpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderPartition,
            OffsetForLeaderTopic,
        },
    },
};
use scripted_broker::ScriptedBroker;

use crate::{
    ask_one, batches,
    support::{Client, fetch},
};

/// Epoch 0 from 0, epoch 2 from 3, epoch 3 from 5, ends at 6; node 2 leads.
fn after_elections() -> (ScriptedBroker, Client) {
    let broker = ScriptedBroker::cluster(2);
    broker.create_topic("t", 1);
    broker.append("t", 0, ["a", "b", "c"]);
    broker.move_leader("t", 0, 2);
    broker.move_leader("t", 0, 1);
    broker.append("t", 0, ["d"]);
    broker.append("t", 0, ["e"]);
    broker.move_leader("t", 0, 2);
    broker.append("t", 0, ["f"]);
    let client = Client::connect(broker.address_of(2));
    (broker, client)
}

fn end_of(client: &mut Client, version: i16, epoch: i32, current: i32) -> EpochEndOffset {
    let asked = OffsetForLeaderPartition {
        current_leader_epoch: current,
        leader_epoch: epoch,
        ..Default::default()
    };
    let topics = vec![OffsetForLeaderTopic { topic: "t".into(), partitions: vec![asked] }];
    let request = OffsetForLeaderEpochRequest { replica_id: -1, topics };
    client.ask(version, &request).topics[0].partitions[0].clone()
}

fn end(client: &mut Client, epoch: i32) -> (i32, i64) {
    let answer = end_of(client, 4, epoch, -1);
    assert_eq!(answer.error_code, 0);
    (answer.leader_epoch, answer.end_offset)
}

#[test]
fn an_epoch_ends_where_the_next_one_began_and_the_last_one_with_the_log() {
    let (broker, mut client) = after_elections();
    assert_eq!(end(&mut client, 0), (0, 3));
    assert_eq!(end(&mut client, 1), (0, 3), "nothing was written in 1");
    assert_eq!(end(&mut client, 2), (2, 5));
    assert_eq!(end(&mut client, 3), (3, 6));
    assert_eq!(end(&mut client, 4), (-1, -1));
    assert_eq!(end(&mut client, -1), (-1, -1));
    broker.delete_records_before("t", 0, 4);
    assert_eq!(end(&mut client, 0), (0, 4), "older than what is left");
    assert_eq!(end(&mut client, 2), (2, 5));
}

#[test]
fn every_version_says_where_an_epoch_ended() {
    let (_broker, mut client) = after_elections();
    for version in OffsetForLeaderEpochRequest::VERSIONS {
        let answer = end_of(&mut client, version, 2, -1);
        let epoch = if version >= 1 { 2 } else { -1 };
        assert_eq!((answer.leader_epoch, answer.end_offset), (epoch, 5), "v{version}");
    }
    let rows = client.ask(3, &ApiVersionsRequest::default()).api_keys;
    let row = rows.iter().find(|row| row.api_key == OffsetForLeaderEpochRequest::KEY).unwrap();
    assert_eq!((row.min_version, row.max_version), (0, 4));
}

#[test]
fn only_the_leader_in_its_epoch_says_where_epochs_ended() {
    let (broker, mut client) = after_elections();
    let code = |answer: EpochEndOffset| ErrorCode(answer.error_code);
    assert_eq!(code(end_of(&mut client, 4, 0, 2)), ErrorCode::FENCED_LEADER_EPOCH);
    assert_eq!(code(end_of(&mut client, 4, 0, 4)), ErrorCode::UNKNOWN_LEADER_EPOCH);
    assert_eq!(code(end_of(&mut client, 4, 0, 3)), ErrorCode::NONE);
    let mut follower = Client::connect(broker.address_of(1));
    assert_eq!(code(end_of(&mut follower, 4, 0, -1)), ErrorCode::NOT_LEADER_OR_FOLLOWER);
    broker.on::<OffsetForLeaderEpochRequest>().once().fail(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let failed = end_of(&mut client, 4, 0, 3);
    assert_eq!((failed.end_offset, failed.leader_epoch), (-1, -1));
    assert_eq!(code(failed), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    broker.with_state(|state| state.delete_topic("t"));
    assert_eq!(code(end_of(&mut client, 4, 0, -1)), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
}

#[test]
fn batches_keep_the_epoch_in_which_they_were_written() {
    let (_broker, mut client) = after_elections();
    let data = ask_one(&mut client, 12, &fetch(12, &[(0, 0)]));
    assert_eq!(batches(&data), [(0, 0, 0), (3, 2, 0), (4, 2, 0), (5, 3, 0)]);
}

fn read_up_to(version: i16, offset: i64, last_fetched_epoch: i32) -> FetchRequest {
    let mut request = fetch(version, &[(0, offset)]);
    request.topics[0].partitions[0].last_fetched_epoch = last_fetched_epoch;
    request
}

fn diverging(data: &PartitionData) -> (i32, i64) {
    (data.diverging_epoch.epoch, data.diverging_epoch.end_offset)
}

#[test]
fn after_an_unclean_election_the_log_goes_on_from_less_in_a_new_epoch() {
    let (broker, mut old) = after_elections();
    broker.elect_unclean("t", 0, 1, 4);
    broker.append("t", 0, ["other"]);
    let mut client = Client::connect(broker.address_of(1));
    let data = ask_one(&mut client, 12, &fetch(12, &[(0, 0)]));
    assert_eq!(batches(&data), [(0, 0, 0), (3, 2, 0), (4, 4, 0)]);
    assert_eq!(end(&mut client, 3), (2, 4), "epoch 3 is lost");
    assert_eq!(end_of(&mut old, 4, 3, -1).error_code, ErrorCode::NOT_LEADER_OR_FOLLOWER.0);
}

#[test]
fn a_fetch_behind_a_lost_epoch_is_told_where_the_logs_part() {
    let (broker, _) = after_elections();
    broker.elect_unclean("t", 0, 1, 4);
    broker.append("t", 0, ["other", "and", "more"]);
    let mut client = Client::connect(broker.address_of(1));
    for version in 12..=18 {
        let mut request = read_up_to(version, 6, 3);
        request.max_wait_ms = 60_000;
        let data = ask_one(&mut client, version, &request);
        assert_eq!((data.error_code, diverging(&data)), (0, (2, 4)), "v{version}");
        assert!(data.records.as_slice().is_empty());
        assert_eq!((data.high_watermark, data.log_start_offset), (7, 0));
    }
    let beyond = ask_one(&mut client, 12, &read_up_to(12, 5, 2));
    assert_eq!(diverging(&beyond), (2, 4), "5 is behind the end of epoch 2");
    let good = ask_one(&mut client, 12, &read_up_to(12, 4, 2));
    assert_eq!((diverging(&good), batches(&good)), ((-1, -1), vec![(4, 4, 0)]));
}

#[test]
fn a_fetch_with_an_epoch_that_nobody_knows_or_before_the_start_is_out_of_range() {
    let (broker, mut client) = after_elections();
    let unknown = ask_one(&mut client, 12, &read_up_to(12, 3, 9));
    assert_eq!(unknown.error_code, ErrorCode::OFFSET_OUT_OF_RANGE.0);
    broker.delete_records_before("t", 0, 4);
    let before = ask_one(&mut client, 12, &read_up_to(12, 1, 0));
    assert_eq!(before.error_code, ErrorCode::OFFSET_OUT_OF_RANGE.0);
    assert_eq!(diverging(&before), (-1, -1));
}
