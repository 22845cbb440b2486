//! The scripted broker answers Kafka's requests as Kafka does, in every version.

mod support;

use std::time::{Duration, Instant};

use kafka_blocking::{
    ErrorCode,
    protocol::{
        self, Request,
        api_versions::{ApiVersionsRequest, ApiVersionsResponse},
        fetch::{FetchRequest, ForgottenTopic},
        list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic},
        metadata::MetadataRequest,
    },
    wire::Uuid,
};
use scripted_broker::ScriptedBroker;
use support::{Client, fetch, outcome, with_records};

#[test]
fn every_version_of_metadata_names_the_node_and_the_topic() {
    let broker = with_records(2);
    let mut client = Client::to(&broker);
    for version in MetadataRequest::VERSIONS {
        let response = client.ask(version, &MetadataRequest::topics(["t"]));
        assert_eq!(response.brokers[0].port, i32::from(broker.address_of(1).port()));
        assert_eq!(response.topics[0].name.as_deref(), Some("t"));
        assert_eq!(response.topics[0].partitions.len(), 2, "v{version}");
        assert_eq!(response.topics[0].partitions[1].leader_id, 1);
    }
    let unknown = client.ask(13, &MetadataRequest::topics(["nobodys"]));
    assert_eq!(unknown.topics[0].error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.0);
}

#[test]
fn every_version_of_list_offsets_finds_the_ends_of_the_log() {
    let broker = with_records(1);
    let mut client = Client::to(&broker);
    for version in ListOffsetsRequest::VERSIONS {
        for (timestamp, expected) in [(-1, 3), (-2, 0)] {
            let partitions = vec![ListOffsetsPartition { timestamp, ..Default::default() }];
            let topics = vec![ListOffsetsTopic { name: "t".into(), partitions }];
            let request = ListOffsetsRequest { replica_id: -1, topics, ..Default::default() };
            let response = client.ask(version, &request);
            let found = &response.topics[0].partitions[0];
            let offset = found.old_style_offsets.first().copied().unwrap_or(found.offset);
            assert_eq!((found.error_code, offset), (0, expected), "v{version} at {timestamp}");
        }
    }
}

#[test]
fn every_version_of_fetch_gives_the_batches_from_the_offset_on() {
    let broker = with_records(2);
    let mut client = Client::to(&broker);
    let mut sizes = vec![];
    for version in FetchRequest::VERSIONS {
        let response = client.ask(version, &fetch(version, &[(0, 0), (1, 2)]));
        let found = outcome(&response);
        assert_eq!((found[0].0, found[0].1, found[1].1), (0, 0, 0), "v{version}");
        assert!(found[0].2 > found[1].2 && found[1].2 > 61, "v{version}: {found:?}");
        sizes.push((found[0].2, found[1].2));
    }
    sizes.dedup();
    assert_eq!(sizes.len(), 1, "all versions give the same bytes: {sizes:?}");
}

#[test]
fn a_fetch_of_what_is_not_there_says_why_not() {
    let broker = with_records(1);
    let mut client = Client::to(&broker);
    let out_of_range = client.ask(12, &fetch(12, &[(0, 4)]));
    assert_eq!(outcome(&out_of_range), [(0, ErrorCode::OFFSET_OUT_OF_RANGE.0, 0)]);
    let unknown = client.ask(12, &fetch(12, &[(7, 0)]));
    assert_eq!(outcome(&unknown), [(7, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.0, 0)]);
    let mut other_id = fetch(13, &[(0, 0)]);
    other_id.topics[0].topic_id = Uuid([9; 16]);
    assert_eq!(outcome(&client.ask(13, &other_id)), [(0, ErrorCode::UNKNOWN_TOPIC_ID.0, 0)]);
}

#[test]
fn a_fetch_with_another_leader_epoch_or_at_another_node_is_refused() {
    let broker = ScriptedBroker::cluster(2);
    broker.create_topic("t", 1);
    broker.move_leader("t", 0, 2);
    broker.with_state(|state| state.partition_mut("t", 0).replicas = vec![2]);
    let mut old = Client::connect(broker.address_of(1));
    let mut new = Client::connect(broker.address_of(2));
    let with_epoch = |epoch| {
        let mut request = fetch(16, &[(0, 0)]);
        request.topics[0].partitions[0].current_leader_epoch = epoch;
        request
    };
    let moved = old.ask(16, &with_epoch(-1));
    assert_eq!(outcome(&moved), [(0, ErrorCode::NOT_LEADER_OR_FOLLOWER.0, 0)]);
    let leader = &moved.responses[0].partitions[0].current_leader;
    assert_eq!((leader.leader_id, leader.leader_epoch), (2, 1));
    assert_eq!(moved.node_endpoints[0].node_id, 2);
    let fenced = new.ask(16, &with_epoch(0));
    assert_eq!(outcome(&fenced), [(0, ErrorCode::FENCED_LEADER_EPOCH.0, 0)]);
    let unknown = new.ask(16, &with_epoch(2));
    assert_eq!(outcome(&unknown), [(0, ErrorCode::UNKNOWN_LEADER_EPOCH.0, 0)]);
    assert_eq!(outcome(&new.ask(16, &with_epoch(1))), [(0, 0, 0)]);
}

#[test]
fn the_first_batch_comes_whole_and_the_limits_hold_for_the_rest() {
    let broker = with_records(2);
    let mut client = Client::to(&broker);
    let mut request = fetch(12, &[(0, 0), (1, 0)]);
    request.max_bytes = 1;
    let found = outcome(&client.ask(12, &request));
    assert!(found[0].2 > 61, "the first batch of the answer comes whole: {found:?}");
    assert_eq!(found[1], (1, 0, 0));
    request.max_bytes = 1 << 20;
    request.topics[0].partitions[0].partition_max_bytes = 100;
    let cut = outcome(&client.ask(12, &request));
    assert_eq!(cut[0].2, 100, "as a real broker, it sends a range of its file");
}

#[test]
fn a_fetch_waits_for_records_or_for_its_time() {
    let broker = with_records(1);
    let mut client = Client::to(&broker);
    let mut request = fetch(12, &[(0, 3)]);
    request.max_wait_ms = 50;
    let begin = Instant::now();
    assert_eq!(outcome(&client.ask(12, &request)), [(0, 0, 0)]);
    assert!(begin.elapsed() >= Duration::from_millis(50));
    request.max_wait_ms = 60_000;
    client.send(12, &request);
    broker.append("t", 0, ["d"]);
    let frame = client.frame().unwrap();
    assert!(frame.len() > 61 && begin.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_fetch_session_remembers_and_answers_only_what_has_changed() {
    let broker = with_records(2);
    let mut client = Client::to(&broker);
    let mut request = fetch(12, &[(0, 3), (1, 3)]);
    request.session_epoch = 0;
    let full = client.ask(12, &request);
    assert!(full.session_id > 0);
    assert_eq!(outcome(&full).len(), 2);
    let incremental = |epoch| FetchRequest {
        session_id: full.session_id,
        session_epoch: epoch,
        topics: vec![],
        ..request.clone()
    };
    assert_eq!(outcome(&client.ask(12, &incremental(1))), []);
    broker.append("t", 1, ["d"]);
    let changed = outcome(&client.ask(12, &incremental(2)));
    assert_eq!((changed.len(), changed[0].0), (1, 1));
    let forgotten = ForgottenTopic { topic: "t".into(), partitions: vec![1], ..Default::default() };
    let forget = FetchRequest { forgotten_topics_data: vec![forgotten], ..incremental(3) };
    assert_eq!(outcome(&client.ask(12, &forget)), []);
    let wrong_epoch = client.ask(12, &incremental(9));
    assert_eq!(wrong_epoch.error_code, ErrorCode::INVALID_FETCH_SESSION_EPOCH.0);
    broker.with_cluster(|cluster| cluster.forget_sessions(1));
    let lost = client.ask(12, &incremental(4));
    assert_eq!(lost.error_code, ErrorCode::FETCH_SESSION_ID_NOT_FOUND.0);
}

#[test]
fn offsets_that_compaction_took_are_in_the_log_and_give_what_comes_next() {
    let broker = with_records(1);
    let mut client = Client::to(&broker);
    broker.with_state(|state| state.partition_mut("t", 0).log.skip_to(9));
    broker.append("t", 0, ["j"]);
    let response = client.ask(12, &fetch(12, &[(0, 5)]));
    let data = response.responses.iter().next().unwrap().partitions.iter().next().unwrap();
    assert_eq!(data.records.as_slice()[..8], 9_i64.to_be_bytes());
    assert_eq!((data.error_code, data.high_watermark), (0, 10));
}

#[test]
fn a_session_tells_that_records_were_deleted() {
    let broker = with_records(1);
    let mut client = Client::to(&broker);
    let mut request = fetch(12, &[(0, 3)]);
    request.session_epoch = 0;
    let session_id = client.ask(12, &request).session_id;
    broker.delete_records_before("t", 0, 2);
    let next = FetchRequest { session_id, session_epoch: 1, topics: vec![], ..request };
    let response = client.ask(12, &next);
    let data = response.responses.iter().next().unwrap().partitions.iter().next().unwrap();
    assert_eq!((data.error_code, data.log_start_offset), (0, 2));
    let deleted = client.ask(12, &fetch(12, &[(0, 1)]));
    assert_eq!(outcome(&deleted), [(0, ErrorCode::OFFSET_OUT_OF_RANGE.0, 0)]);
}

#[test]
fn a_session_by_name_does_not_go_on_by_id() {
    let broker = with_records(1);
    let mut client = Client::to(&broker);
    let mut request = fetch(12, &[(0, 0)]);
    request.session_epoch = 0;
    let session_id = client.ask(12, &request).session_id;
    let by_id = FetchRequest { session_id, session_epoch: 1, topics: vec![], ..request };
    let response = client.ask(13, &by_id);
    assert_eq!(response.error_code, ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR.0);
}

#[test]
fn api_versions_beyond_the_brokers_own_are_answered_in_the_form_of_version_0() {
    let broker = ScriptedBroker::start();
    broker.set_versions(1, &[(18, 0, 2), (3, 0, 9)]);
    let mut client = Client::to(&broker);
    client.send(4, &ApiVersionsRequest { client_software_name: "x".into(), ..Default::default() });
    let frame = client.frame().unwrap();
    let response: ApiVersionsResponse =
        protocol::decode_response::<ApiVersionsRequest>(&frame[4..], 0).unwrap();
    let rows: Vec<_> =
        response.api_keys.iter().map(|r| (r.api_key, r.min_version, r.max_version)).collect();
    assert_eq!((response.error_code, rows), (35, vec![(18, 0, 2)]));
    assert_eq!(client.ask(2, &ApiVersionsRequest::default()).api_keys.len(), 2);
}

#[test]
fn a_version_that_the_broker_lacks_ends_the_connection() {
    let broker = ScriptedBroker::start();
    broker.set_versions(1, &[(18, 0, 2), (3, 0, 9)]);
    let mut client = Client::to(&broker);
    client.send(10, &MetadataRequest::all_topics());
    assert!(client.is_closed());
}
