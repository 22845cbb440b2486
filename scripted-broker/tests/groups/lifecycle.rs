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
use scripted_broker::GroupState;

use crate::bed::{Bed, Member, committed, find, seconds};

#[test]
fn the_requests_of_groups_are_announced() {
    let mut bed = Bed::new();
    let at = bed.connect(1);
    let response = bed.ask(at, 3, &ApiVersionsRequest::default());
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
    let mut bed = Bed::new();
    let at = bed.connect(1);
    for version in FindCoordinatorRequest::VERSIONS {
        assert_eq!(find(&mut bed, at, version), Ok(1), "v{version}");
    }
    let mut of = |key_type| {
        let asked = FindCoordinatorRequest { key_type, ..Default::default() };
        let response = bed.ask(at, 1, &asked);
        (response.error_code, response.node_id)
    };
    assert_eq!(of(1), (0, 1), "of the transactions of a producer");
    assert_eq!(of(2), (ErrorCode::INVALID_REQUEST.0, -1));
}

#[test]
fn one_member_joins_syncs_beats_commits_and_leaves_in_every_version() {
    for version in JoinGroupRequest::VERSIONS {
        let mut bed = Bed::new();
        let mut member = Member::of(&mut bed);
        let mut joined = member.join(&mut bed, version);
        if version >= 4 {
            assert_eq!(ErrorCode(joined.error_code), ErrorCode::MEMBER_ID_REQUIRED);
            joined = member.join(&mut bed, version);
        }
        assert_eq!(ErrorCode(joined.error_code), ErrorCode::NONE, "v{version}");
        assert_eq!((joined.generation_id, joined.protocol_name.as_deref()), (1, Some("range")));
        assert_eq!(joined.leader, joined.member_id);
        assert!(joined.member_id.starts_with("test-"), "{}", joined.member_id);
        assert_eq!(joined.members.len(), 1);
        assert_eq!(joined.members[0].metadata, b"subscription");
        let sync = member.sync_request(&[(&member.id, b"mine")]);
        let synced = bed.ask(member.at, version.min(5), &sync);
        assert_eq!((synced.error_code, &synced.assignment[..]), (0, &b"mine"[..]), "v{version}");
        let beat = bed.ask(member.at, version.min(4), &member.heartbeat_request());
        assert_eq!(beat.error_code, 0, "v{version}");
        let commit = bed.ask(member.at, version.clamp(1, 9), &member.commit_request(7));
        assert_eq!(commit.topics[0].partitions[0].error_code, 0, "v{version}");
        assert_eq!(committed(&mut bed, member.at, version), 7, "v{version}");
        let left = member.leave(&mut bed, version.min(5));
        assert_eq!((left.error_code, left.members.len()), (0, usize::from(version.min(5) >= 3)));
        assert_eq!(member.heartbeat(&mut bed), ErrorCode::UNKNOWN_MEMBER_ID);
        assert_eq!(committed(&mut bed, member.at, version), 7, "offsets stay");
    }
}

#[test]
fn a_group_goes_through_its_states() {
    let mut bed = Bed::new();
    assert_eq!(bed.view().state, GroupState::Dead);
    bed.settings().initial_delay = seconds(3);
    let mut member = Member::of(&mut bed);
    member.begin(&mut bed);
    assert_eq!(bed.view().state, GroupState::PreparingRebalance);
    bed.pass(seconds(3));
    member.finish(&mut bed);
    assert_eq!(bed.view().state, GroupState::CompletingRebalance);
    member.sync(&mut bed, &[(&member.id, b"all")]);
    let view = bed.view();
    assert_eq!((view.state, view.generation), (GroupState::Stable, 1));
    assert_eq!(view.protocol_type.as_deref(), Some("consumer"));
    assert_eq!(view.protocol.as_deref(), Some("range"));
    assert_eq!(view.leader.as_ref(), Some(&member.id));
    let seen = view.member(&member.id).expect("the member");
    assert_eq!((&seen.client_id[..], &seen.assignment[..]), ("test", &b"all"[..]));
    assert_eq!((seen.session_timeout, seen.rebalance_timeout), (seconds(10), seconds(60)));
    member.leave(&mut bed, 5);
    let view = bed.view();
    assert_eq!((view.state, view.generation, view.members.len()), (GroupState::Empty, 2, 0));
    assert_eq!((view.protocol, view.leader), (None, None));
    bed.group().delete();
    assert_eq!(bed.view().state, GroupState::Dead);
}
