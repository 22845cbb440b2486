//! What a test can have said instead of what the group says, and what it sees of the requests.

use std::time::Duration;

use kafka_blocking::{
    ErrorCode,
    protocol::{
        find_coordinator::FindCoordinatorRequest,
        heartbeat::HeartbeatRequest,
        join_group::{JoinGroupRequest, JoinGroupResponse},
        leave_group::LeaveGroupRequest,
        offset_commit::{OffsetCommitRequest, OffsetCommitRequestPartition},
        offset_fetch::OffsetFetchRequest,
        sync_group::SyncGroupRequest,
    },
};
use scripted_broker::GroupState;

use crate::bed::{
    Bed, Member, commit, committed, fetch_request, find, found, leave, pair, seconds,
};

#[test]
fn a_join_that_is_refused_leaves_no_trace() {
    let mut bed = Bed::new();
    let refused = ErrorCode::COORDINATOR_NOT_AVAILABLE;
    let mut member = Member::of(&mut bed);
    for version in 0..=9 {
        bed.cluster.on::<JoinGroupRequest>().once().fail(refused);
        let response = member.join(&mut bed, version);
        assert_eq!(ErrorCode(response.error_code), refused, "v{version}");
        assert_eq!((response.generation_id, response.members.len()), (-1, 0));
    }
    assert_eq!(bed.view().state, GroupState::Dead);
    bed.cluster.on::<JoinGroupRequest>().once().respond(|request| JoinGroupResponse {
        member_id: request.client_says(),
        generation_id: 9,
        ..JoinGroupResponse::default()
    });
    assert_eq!(member.join(&mut bed, 9).generation_id, 9);
    assert_eq!(bed.view().state, GroupState::Dead);
}

trait ClientSays {
    fn client_says(&self) -> String;
}

impl ClientSays for JoinGroupRequest {
    fn client_says(&self) -> String {
        format!("{}-{}", self.group_id, self.session_timeout_ms)
    }
}

#[test]
fn syncs_and_heartbeats_that_are_refused_change_nothing() {
    let mut bed = Bed::new();
    let [mut first, second] = pair(&mut bed);
    first.begin(&mut bed);
    second.send_join(&mut bed, 9);
    first.finish(&mut bed);
    let refused = ErrorCode::REBALANCE_IN_PROGRESS;
    bed.cluster.on::<SyncGroupRequest>().once().fail(refused);
    assert_eq!(ErrorCode(first.sync(&mut bed, &[]).error_code), refused);
    assert_eq!(bed.view().state, GroupState::CompletingRebalance);
    assert_eq!(first.sync(&mut bed, &[]).error_code, 0);
    bed.cluster.on::<HeartbeatRequest>().once().fail(ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(first.heartbeat(&mut bed), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(first.heartbeat(&mut bed), ErrorCode::NONE);
}

#[test]
fn leaving_fails_beside_the_member_or_beside_the_group_as_the_error_is() {
    let mut bed = Bed::new();
    let [first, _] = pair(&mut bed);
    for (code, version, above, beside) in [
        (ErrorCode::NOT_COORDINATOR, 5, 16, None),
        (ErrorCode::UNKNOWN_MEMBER_ID, 5, 0, Some(25)),
        (ErrorCode::FENCED_INSTANCE_ID, 3, 0, Some(82)),
        (ErrorCode::UNKNOWN_MEMBER_ID, 2, 25, None),
    ] {
        bed.cluster.on::<LeaveGroupRequest>().once().fail(code);
        let left = bed.ask(first.at, version, &leave(version, &first.id, None));
        let member = left.members.first().map(|m| m.error_code);
        assert_eq!((left.error_code, member), (above, beside), "{code:?} v{version}");
    }
    assert_eq!(bed.view().members.len(), 2, "nobody has left");
}

#[test]
fn finding_the_coordinator_fails_in_the_form_of_the_version() {
    let mut bed = Bed::new();
    let at = bed.connect(1);
    let refused = ErrorCode::GROUP_AUTHORIZATION_FAILED;
    for version in 0..=6 {
        bed.cluster.on::<FindCoordinatorRequest>().once().fail(refused);
        assert_eq!(find(&mut bed, at, version), Err(refused), "v{version}");
        assert_eq!(find(&mut bed, at, version), Ok(1), "v{version}");
    }
}

#[test]
fn commits_that_are_refused_are_not_stored() {
    let mut bed = Bed::new();
    let at = bed.connect(1);
    bed.cluster.on::<OffsetCommitRequest>().once().fail(ErrorCode::REQUEST_TIMED_OUT);
    let response = bed.ask(at, 8, &commit(5));
    let code = ErrorCode(response.topics[0].partitions[0].error_code);
    assert_eq!(code, ErrorCode::REQUEST_TIMED_OUT);
    assert_eq!(committed(&mut bed, at, 8), -1);
    let late = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    bed.cluster.on::<OffsetCommitRequest>().once().fail_partition("t", 1, late);
    let mut request = commit(6);
    let other = OffsetCommitRequestPartition { partition_index: 1, ..Default::default() };
    request.topics[0].partitions.push(other);
    let response = bed.ask(at, 8, &request);
    let codes: Vec<_> = response.topics[0].partitions.iter().map(|p| p.error_code).collect();
    assert_eq!(codes, [0, late.0]);
    let view = bed.view();
    assert_eq!((view.committed(("t", 0)), view.committed(("t", 1))), (Some(6), None));
}

#[test]
fn fetching_offsets_fails_beside_the_group_or_beside_the_partition() {
    let mut bed = Bed::new();
    let at = bed.connect(1);
    bed.group().set_committed(("t", 1), 5);
    let loading = ErrorCode::COORDINATOR_LOAD_IN_PROGRESS;
    let unstable = ErrorCode::UNSTABLE_OFFSET_COMMIT;
    for version in 0..=9 {
        let ask = fetch_request(version, Some(&[0, 1]));
        bed.cluster.on::<OffsetFetchRequest>().once().fail(loading);
        let response = found(&bed.ask(at, version, &ask));
        if version >= 2 {
            assert_eq!(response, Err(loading), "v{version}");
        } else {
            assert!(response.unwrap().iter().all(|p| p.error_code == loading.0), "v{version}");
        }
        bed.cluster.on::<OffsetFetchRequest>().once().fail(unstable);
        let all = found(&bed.ask(at, version, &ask)).unwrap();
        assert!(all.iter().all(|p| p.error_code == unstable.0 && p.committed_offset == -1));
        bed.cluster.on::<OffsetFetchRequest>().once().fail_partition("t", 0, unstable);
        let all = found(&bed.ask(at, version, &ask)).unwrap();
        let seen: Vec<_> = all.iter().map(|p| (p.error_code, p.committed_offset)).collect();
        assert_eq!(seen, [(unstable.0, -1), (0, 5)], "v{version}");
    }
}

#[test]
fn an_answer_that_waits_can_be_rewritten_delayed_and_cut() {
    let mut bed = Bed::new();
    let [mut first, mut second] = pair(&mut bed);
    bed.cluster.on::<JoinGroupRequest>().once().rewrite(|r| r.generation_id = 77);
    first.begin(&mut bed);
    bed.cluster.on::<JoinGroupRequest>().once().delay(seconds(2));
    second.begin(&mut bed);
    assert_eq!(first.finish(&mut bed).generation_id, 77);
    bed.pass(Duration::from_millis(1_999));
    assert!(second.joined(&mut bed, 9).is_none());
    bed.pass(Duration::from_millis(1));
    second.finish(&mut bed);
    bed.cluster.on::<SyncGroupRequest>().once().cut_at(9);
    second.send_sync(&mut bed, &[]);
    assert!(!bed.is_closed(second.at), "there is nothing to cut yet");
    first.generation = 3;
    first.sync(&mut bed, &[]);
    assert!(bed.is_closed(second.at));
}

#[test]
fn a_request_whose_answer_does_not_come_has_done_its_work() {
    let mut bed = Bed::new();
    let mut member = Member::of(&mut bed);
    member.join(&mut bed, 9);
    bed.cluster.on::<JoinGroupRequest>().once().close();
    member.send_join(&mut bed, 9);
    assert!(bed.is_closed(member.at));
    assert_eq!(bed.view().members[0].id, member.id);
    assert_eq!(bed.view().state, GroupState::CompletingRebalance);
    member.at = bed.connect(1);
    assert_eq!(member.join(&mut bed, 9).generation_id, 1, "it gets the answer the second time");
    bed.cluster.on::<OffsetCommitRequest>().once().silence();
    member.sync(&mut bed, &[]);
    bed.send(member.at, 8, &member.commit_request(5));
    assert!(bed.answer::<OffsetCommitRequest>(member.at, 8).is_none());
    assert_eq!(bed.view().committed(("t", 0)), Some(5));
}

#[test]
fn requests_are_answered_one_after_the_other_on_a_connection() {
    let mut bed = Bed::new();
    let [mut first, mut second] = pair(&mut bed);
    first.send_join(&mut bed, 9);
    bed.send(first.at, 4, &first.heartbeat_request());
    assert!(bed.answer::<HeartbeatRequest>(first.at, 4).is_none(), "the join is before it");
    second.begin(&mut bed);
    first.finish(&mut bed);
    let beat = bed.answer::<HeartbeatRequest>(first.at, 4).expect("an answer");
    assert_eq!(ErrorCode(beat.error_code), ErrorCode::ILLEGAL_GENERATION, "it is of the last one");
}

#[test]
fn a_test_sees_where_requests_went_and_what_they_said() {
    let mut bed = Bed::of(2);
    let mut member = Member::of(&mut bed);
    member.settle(&mut bed);
    member.commit(&mut bed, 5);
    let mut request = leave(5, &member.id, None);
    request.members[0].reason = Some("the consumer is being closed".to_owned());
    bed.ask(member.at, 5, &request);
    let joins = bed.cluster.log_of::<JoinGroupRequest>();
    let seen: Vec<_> = joins
        .iter()
        .map(|(log, join)| (log.node, log.header.api_version, join.member_id.as_str()))
        .collect();
    assert_eq!(seen, [(1, 9, ""), (1, 9, &member.id)]);
    let commits = bed.cluster.requests_of::<OffsetCommitRequest>();
    assert_eq!(commits[0].generation_id_or_member_epoch, 1);
    let leaves = bed.cluster.requests_of::<LeaveGroupRequest>();
    assert_eq!(leaves[0].members[0].reason.as_deref(), Some("the consumer is being closed"));
}
