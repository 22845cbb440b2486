//! How assignments are handed out.

use kafka_blocking::{ErrorCode, protocol::sync_group::SyncGroupRequest};
use scripted_broker::GroupState;

use crate::bed::{Bed, GROUP, Member, pair};

/// Two members that have joined and not synced; the first one leads.
fn joined(bed: &mut Bed) -> [Member; 2] {
    let [mut first, mut second] = pair(bed);
    first.begin(bed);
    second.begin(bed);
    first.finish(bed);
    second.finish(bed);
    [first, second]
}

#[test]
fn a_follower_waits_for_the_leader() {
    let mut bed = Bed::new();
    let [first, second] = joined(&mut bed);
    second.send_sync(&mut bed, &[]);
    assert!(second.synced(&mut bed).is_none());
    let answer = first.sync(&mut bed, &[(&second.id, b"all")]);
    assert_eq!((answer.error_code, answer.assignment.len()), (0, 0), "who is not named gets none");
    let answer = second.synced(&mut bed).expect("the leader has assigned");
    assert_eq!((answer.error_code, &answer.assignment[..]), (0, &b"all"[..]));
    assert_eq!(answer.protocol_type.as_deref(), Some("consumer"));
    assert_eq!(answer.protocol_name.as_deref(), Some("range"));
    assert_eq!(second.sync(&mut bed, &[]).assignment, b"all", "as often as it asks");
}

#[test]
fn only_the_leader_assigns() {
    let mut bed = Bed::new();
    let [first, second] = joined(&mut bed);
    second.send_sync(&mut bed, &[(&second.id, b"mine")]);
    assert!(second.synced(&mut bed).is_none());
    first.sync(&mut bed, &[(&second.id, b"yours")]);
    assert_eq!(second.synced(&mut bed).expect("an answer").assignment, b"yours");
}

#[test]
fn a_sync_of_another_generation_member_or_protocol_is_refused() {
    let mut bed = Bed::new();
    let [first, _] = joined(&mut bed);
    let ask = |bed: &mut Bed, version, change: &dyn Fn(&mut SyncGroupRequest)| {
        let mut request = first.sync_request(&[]);
        change(&mut request);
        ErrorCode(bed.ask(first.at, version, &request).error_code)
    };
    let inconsistent = ErrorCode::INCONSISTENT_GROUP_PROTOCOL;
    assert_eq!(ask(&mut bed, 5, &|r| r.generation_id += 1), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(ask(&mut bed, 5, &|r| r.member_id.push('x')), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(ask(&mut bed, 5, &|r| r.group_id.push('x')), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(ask(&mut bed, 5, &|r| r.group_id.clear()), ErrorCode::INVALID_GROUP_ID);
    assert_eq!(ask(&mut bed, 5, &|r| r.protocol_name = Some("x".into())), inconsistent);
    assert_eq!(ask(&mut bed, 5, &|r| r.protocol_type = Some("x".into())), inconsistent);
    assert_eq!(ask(&mut bed, 5, &|r| r.protocol_name = None), inconsistent);
    assert_eq!(bed.view().state, GroupState::CompletingRebalance);
    assert_eq!(ask(&mut bed, 4, &|r| r.protocol_name = None), ErrorCode::NONE);
}

#[test]
fn a_rebalance_sends_those_away_that_wait_for_the_leader() {
    let mut bed = Bed::new();
    let [first, second] = joined(&mut bed);
    second.send_sync(&mut bed, &[]);
    bed.group().trigger_rebalance();
    let answer = second.synced(&mut bed).expect("an answer");
    assert_eq!(ErrorCode(answer.error_code), ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(answer.protocol_name, None);
    let late = first.sync(&mut bed, &[(&first.id, b"all")]);
    assert_eq!(ErrorCode(late.error_code), ErrorCode::REBALANCE_IN_PROGRESS);
}

#[test]
fn a_lost_connection_takes_only_the_answer_with_it() {
    let mut bed = Bed::new();
    let [first, mut second] = joined(&mut bed);
    second.send_sync(&mut bed, &[]);
    bed.cluster.lost(second.at);
    first.sync(&mut bed, &[(&second.id, b"all")]);
    second.at = bed.connect(1);
    assert_eq!(second.heartbeat(&mut bed), ErrorCode::NONE);
    assert_eq!(second.sync(&mut bed, &[]).assignment, b"all");
    assert_eq!(bed.cluster.group(GROUP, bed.now).view().generation, second.generation);
}
