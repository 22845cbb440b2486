//! One member, from the first request to the last, in every version.

use kafka_blocking::{
    ErrorCode,
    protocol::{
        Request, api_versions::ApiVersionsRequest, find_coordinator::FindCoordinatorRequest,
        heartbeat::HeartbeatRequest, join_group::JoinGroupRequest, leave_group::LeaveGroupRequest,
        offset_commit::OffsetCommitRequest, offset_fetch::OffsetFetchRequest,
        sync_group::SyncGroupRequest,
    },
};

use crate::{
    bed::{Member, broker, committed, find},
    support::Client,
};

#[test]
fn the_requests_of_groups_are_announced() {
    let broker = broker();
    let response = Client::to(&broker).ask(3, &ApiVersionsRequest::default());
    let newest = |key: i16| {
        response.api_keys.iter().find(|row| row.api_key == key).map(|row| row.max_version)
    };
    assert_eq!(newest(FindCoordinatorRequest::KEY), Some(6));
    assert_eq!(newest(JoinGroupRequest::KEY), Some(9));
    assert_eq!(newest(SyncGroupRequest::KEY), Some(5));
    assert_eq!(newest(HeartbeatRequest::KEY), Some(4));
    assert_eq!(newest(LeaveGroupRequest::KEY), Some(5));
    assert_eq!(newest(OffsetCommitRequest::KEY), Some(9));
    assert_eq!(newest(OffsetFetchRequest::KEY), Some(9));
}

#[test]
fn every_version_of_find_coordinator_names_the_node() {
    let broker = broker();
    let mut client = Client::to(&broker);
    for version in FindCoordinatorRequest::VERSIONS {
        let response = find(&mut client, version);
        let (node, port, code) = match response.coordinators.first() {
            Some(one) => (one.node_id, one.port, one.error_code),
            None => (response.node_id, response.port, response.error_code),
        };
        let expected = (1, i32::from(broker.address_of(1).port()), 0);
        assert_eq!((node, port, code), expected, "v{version}");
    }
}

#[test]
fn one_member_joins_syncs_beats_commits_and_leaves_in_every_version() {
    for version in JoinGroupRequest::VERSIONS {
        let broker = broker();
        let mut member = Member::of(&broker);
        let joined = member.enter(version);
        assert_eq!(ErrorCode(joined.error_code), ErrorCode::NONE, "v{version}");
        assert_eq!((joined.generation_id, joined.protocol_name.as_deref()), (1, Some("range")));
        assert_eq!(joined.leader, joined.member_id);
        assert_eq!(joined.members.len(), 1);
        assert_eq!(joined.members[0].metadata, b"subscription");
        let id = member.id.clone();
        let synced = member.sync(version.min(5), &[(&id, b"mine")]);
        assert_eq!((synced.error_code, &synced.assignment[..]), (0, &b"mine"[..]), "v{version}");
        let beat = member.heartbeat_request();
        assert_eq!(member.client.ask(version.min(4), &beat).error_code, 0, "v{version}");
        let commit = member.commit_request(7);
        let response = member.client.ask(version.clamp(1, 9), &commit);
        assert_eq!(response.topics[0].partitions[0].error_code, 0, "v{version}");
        assert_eq!(committed(&mut member.client, version), 7, "v{version}");
        let left = member.leave(version.min(5));
        assert_eq!((left.error_code, left.members.len()), (0, usize::from(version >= 3)));
        assert_eq!(member.heartbeat(), ErrorCode::UNKNOWN_MEMBER_ID);
        assert_eq!(committed(&mut member.client, version), 7, "offsets stay");
    }
}
