//! Followers: who is sent to them, and what they have.

use kafka_blocking::{
    ErrorCode,
    protocol::{fetch::FetchRequest, metadata::MetadataRequest},
};
use scripted_broker::ScriptedBroker;

use crate::{
    ask_one, offsets,
    support::{Client, fetch},
};

/// Three nodes in the racks a, b and b; node 1 leads; six records.
fn racks() -> (ScriptedBroker, Client) {
    let broker = ScriptedBroker::cluster(3);
    for (node, rack) in [(1, "a"), (2, "b"), (3, "b")] {
        broker.set_rack(node, rack);
    }
    broker.set_rack_aware(true);
    broker.create_topic("t", 1);
    for value in ["0", "1", "2", "3", "4", "5"] {
        broker.append("t", 0, [value]);
    }
    let client = Client::to(&broker);
    (broker, client)
}

fn from_rack(version: i16, rack: &str, offset: i64) -> FetchRequest {
    FetchRequest { rack_id: rack.into(), ..fetch(version, &[(0, offset)]) }
}

#[test]
fn a_leader_sends_consumers_to_a_replica_in_their_rack_at_once_and_without_records() {
    let (broker, mut client) = racks();
    for version in 11..=18 {
        let request = FetchRequest { max_wait_ms: 60_000, ..from_rack(version, "b", 6) };
        let data = ask_one(&mut client, version, &request);
        assert_eq!((data.error_code, data.preferred_read_replica), (0, 3), "v{version}");
        assert!(data.records.as_slice().is_empty());
        assert_eq!((data.high_watermark, data.log_start_offset), (6, 0));
    }
    let old = ask_one(&mut client, 10, &from_rack(10, "b", 4));
    assert_eq!((old.preferred_read_replica, offsets(&old)), (-1, vec![4, 5]));
    broker.set_rack_aware(false);
    let off = ask_one(&mut client, 11, &from_rack(11, "b", 4));
    assert_eq!((off.preferred_read_replica, offsets(&off)), (-1, vec![4, 5]));
}

#[test]
fn a_leader_answers_itself_who_is_near_or_nowhere_or_has_no_rack() {
    let (_broker, mut client) = racks();
    for rack in ["a", "c", ""] {
        let data = ask_one(&mut client, 12, &from_rack(12, rack, 4));
        assert_eq!((data.preferred_read_replica, offsets(&data)), (-1, vec![4, 5]), "{rack:?}");
    }
}

#[test]
fn a_replica_that_lags_is_dead_or_out_of_sync_is_not_preferred() {
    let (broker, mut client) = racks();
    let mut preferred =
        |offset| ask_one(&mut client, 12, &from_rack(12, "b", offset)).preferred_read_replica;
    broker.with_state(|state| state.follower_mut("t", 0, 3).end = Some(4));
    assert_eq!(preferred(0), 2, "it has more");
    broker.with_state(|state| state.node_mut(2).alive = false);
    assert_eq!((preferred(4), preferred(5)), (3, -1), "3 does not have offset 5");
    broker.with_state(|state| state.follower_mut("t", 0, 3).out_of_sync = true);
    assert_eq!(preferred(4), -1);
}

#[test]
fn a_session_tells_of_a_preferred_replica_although_nothing_else_has_changed() {
    let (broker, mut client) = racks();
    broker.set_rack_aware(false);
    let mut request = from_rack(12, "b", 6);
    request.session_epoch = 0;
    let session_id = client.ask(12, &request).session_id;
    broker.set_rack_aware(true);
    let next = FetchRequest { session_id, session_epoch: 1, topics: vec![], ..request };
    assert_eq!(ask_one(&mut client, 12, &next).preferred_read_replica, 3);
}

#[test]
fn a_follower_answers_up_to_its_own_high_watermark() {
    let (broker, _) = racks();
    let mut follower = Client::connect(broker.address_of(3));
    let caught_up = ask_one(&mut follower, 11, &from_rack(11, "b", 4));
    assert_eq!((offsets(&caught_up), caught_up.preferred_read_replica), (vec![4, 5], -1));
    broker.with_state(|state| {
        let follower = state.follower_mut("t", 0, 3);
        (follower.end, follower.high_watermark) = (Some(5), Some(3));
    });
    let data = ask_one(&mut follower, 11, &from_rack(11, "b", 1));
    assert_eq!((data.high_watermark, offsets(&data)), (3, vec![1, 2]));
    let between = ask_one(&mut follower, 11, &from_rack(11, "b", 4));
    assert_eq!((between.error_code, offsets(&between)), (0, vec![]));
    let beyond = ask_one(&mut follower, 11, &from_rack(11, "b", 6));
    assert_eq!(beyond.error_code, ErrorCode::OFFSET_OUT_OF_RANGE.0);
}

#[test]
fn a_follower_can_be_told_to_say_that_an_offset_is_not_available_yet() {
    let (broker, _) = racks();
    let mut follower = Client::connect(broker.address_of(3));
    broker.with_state(|state| {
        let follower = state.follower_mut("t", 0, 3);
        follower.end = Some(3);
        follower.ahead = Some(ErrorCode::OFFSET_NOT_AVAILABLE);
    });
    let mut code = |offset| ask_one(&mut follower, 11, &from_rack(11, "b", offset)).error_code;
    let not_available = ErrorCode::OFFSET_NOT_AVAILABLE.0;
    assert_eq!((code(2), code(3), code(5)), (0, not_available, not_available));
    assert_eq!(code(7), ErrorCode::OFFSET_OUT_OF_RANGE.0, "nobody has it");
}

#[test]
fn old_fetches_and_nodes_without_a_replica_are_refused() {
    let (broker, _) = racks();
    let mut follower = Client::connect(broker.address_of(3));
    let refused = ErrorCode::NOT_LEADER_OR_FOLLOWER.0;
    assert_eq!(ask_one(&mut follower, 10, &fetch(10, &[(0, 0)])).error_code, refused);
    let mut fenced = fetch(12, &[(0, 0)]);
    broker.move_leader("t", 0, 2);
    fenced.topics[0].partitions[0].current_leader_epoch = 0;
    let code = ask_one(&mut follower, 12, &fenced).error_code;
    assert_eq!(code, ErrorCode::FENCED_LEADER_EPOCH.0);
    broker.with_state(|state| state.partition_mut("t", 0).replicas = vec![1, 2]);
    assert_eq!(ask_one(&mut follower, 12, &fetch(12, &[(0, 0)])).error_code, refused);
}

#[test]
fn metadata_names_racks_replicas_and_those_in_sync() {
    let (broker, mut client) = racks();
    broker.with_state(|state| {
        state.follower_mut("t", 0, 2).out_of_sync = true;
        state.node_mut(3).alive = false;
    });
    let response = client.ask(12, &MetadataRequest::topics(["t"]));
    let racks: Vec<_> = response.brokers.iter().map(|b| b.rack.as_deref()).collect();
    assert_eq!(racks, [Some("a"), Some("b")]);
    let partition = &response.topics[0].partitions[0];
    assert_eq!(partition.replica_nodes, [1, 2, 3]);
    assert_eq!((&partition.isr_nodes[..], &partition.offline_replicas[..]), (&[1][..], &[3][..]));
}
