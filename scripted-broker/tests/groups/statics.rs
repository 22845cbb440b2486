//! Static members (KIP-345): they come back to their places, and whoever has the same instance id is fenced.

use kafka_blocking::{
    ErrorCode,
    protocol::{join_group::JoinGroupRequest, leave_group::LeaveGroupRequest},
};
use scripted_broker::GroupState;

use crate::bed::{Bed, Member, assign, leave, seconds};

const FENCED: ErrorCode = ErrorCode::FENCED_INSTANCE_ID;

/// Two static members `a` and `b` of one generation; `a` leads.
fn pair(bed: &mut Bed) -> [Member; 2] {
    let (mut first, mut second) = (Member::named(bed, "a"), Member::named(bed, "b"));
    first.settle(bed);
    second.begin(bed);
    first.begin(bed);
    let told = first.finish(bed).members;
    let instances: Vec<_> = told.iter().map(|m| m.group_instance_id.as_deref()).collect();
    assert_eq!(instances, [Some("a"), Some("b")]);
    second.finish(bed);
    assign(bed, &first, &second);
    [first, second]
}

#[test]
fn a_static_follower_that_comes_back_gets_its_old_assignment_without_a_rebalance() {
    let mut bed = Bed::new();
    let [first, old] = pair(&mut bed);
    let mut new = Member::named(&mut bed, "b");
    let joined = new.join(&mut bed, 9);
    assert_eq!((joined.error_code, joined.generation_id), (0, 2));
    assert_eq!((&joined.leader, joined.skip_assignment), (&first.id, false));
    assert_ne!(new.id, old.id);
    assert_eq!(new.sync(&mut bed, &[]).assignment, b"b");
    assert_eq!(first.heartbeat(&mut bed), ErrorCode::NONE);
    assert_eq!(bed.view().members.len(), 2);
}

#[test]
fn a_static_leader_that_comes_back_is_told_to_leave_the_assignment_as_it_is() {
    let mut bed = Bed::new();
    pair(&mut bed);
    let mut new = Member::named(&mut bed, "a");
    let joined = new.join(&mut bed, 9);
    assert_eq!((&joined.leader, joined.skip_assignment), (&new.id, true));
    assert_eq!(joined.members.len(), 2);
    assert_eq!(new.sync(&mut bed, &[]).assignment, b"a");
    assert_eq!(bed.view().leader, Some(new.id));
}

#[test]
fn before_version_9_a_static_leader_that_comes_back_is_not_told_that_it_leads() {
    let mut bed = Bed::new();
    let [old, _] = pair(&mut bed);
    let mut new = Member::named(&mut bed, "a");
    let joined = new.join(&mut bed, 8);
    assert_eq!((&joined.leader, joined.members.len()), (&old.id, 0));
    assert_eq!(new.sync(&mut bed, &[]).assignment, b"a");
}

#[test]
fn whoever_had_the_instance_id_before_is_fenced() {
    let mut bed = Bed::new();
    let [_, mut old] = pair(&mut bed);
    Member::named(&mut bed, "b").join(&mut bed, 9);
    assert_eq!(old.heartbeat(&mut bed), FENCED);
    assert_eq!(old.commit(&mut bed, 1), FENCED);
    assert_eq!(ErrorCode(old.sync(&mut bed, &[]).error_code), FENCED);
    assert_eq!(ErrorCode(old.join(&mut bed, 9).error_code), FENCED);
    let left = bed.ask(old.at, 5, &leave(5, &old.id, Some("b")));
    assert_eq!((left.error_code, ErrorCode(left.members[0].error_code)), (0, FENCED));
    // Without its instance id, its member id is merely unknown.
    old.instance_id = None;
    assert_eq!(old.heartbeat(&mut bed), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn an_instance_id_that_nobody_has_is_unknown() {
    let mut bed = Bed::new();
    let [first, _] = pair(&mut bed);
    let stranger = Member { instance_id: Some("c".to_owned()), ..first };
    assert_eq!(stranger.heartbeat(&mut bed), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_join_that_waits_is_fenced_by_the_next_one_with_its_instance_id() {
    let mut bed = Bed::new();
    let [mut first, mut second] = pair(&mut bed);
    first.begin(&mut bed);
    let mut new = Member::named(&mut bed, "a");
    new.send_join(&mut bed, 9);
    let answer = first.joined(&mut bed, 9).expect("an answer");
    assert_eq!((ErrorCode(answer.error_code), answer.member_id), (FENCED, first.id.clone()));
    assert!(new.joined(&mut bed, 9).is_none());
    second.begin(&mut bed);
    let joined = new.finish(&mut bed);
    assert_eq!((&joined.leader, joined.generation_id), (&new.id, 3), "it leads in its place");
}

#[test]
fn a_sync_that_waits_is_fenced_and_the_group_begins_again() {
    let mut bed = Bed::new();
    let [mut first, mut second] = pair(&mut bed);
    first.begin(&mut bed);
    second.begin(&mut bed);
    first.finish(&mut bed);
    second.finish(&mut bed);
    second.send_sync(&mut bed, &[]);
    let new = Member::named(&mut bed, "b");
    new.send_join(&mut bed, 9);
    assert_eq!(ErrorCode(second.synced(&mut bed).expect("an answer").error_code), FENCED);
    assert_eq!(first.heartbeat(&mut bed), ErrorCode::REBALANCE_IN_PROGRESS);
    first.begin(&mut bed);
    assert_eq!(first.finish(&mut bed).members.len(), 2);
}

#[test]
fn a_static_member_keeps_its_place_for_a_session_although_it_does_not_join() {
    let mut bed = Bed::new();
    let mut first = Member { rebalance_ms: 5_000, ..Member::named(&mut bed, "a") };
    first.settle(&mut bed);
    let mut second = Member { rebalance_ms: 5_000, ..Member::named(&mut bed, "b") };
    second.begin(&mut bed);
    first.begin(&mut bed);
    first.finish(&mut bed);
    second.finish(&mut bed);
    assign(&mut bed, &first, &second);
    first.begin(&mut bed);
    bed.pass(seconds(5));
    assert_eq!(first.finish(&mut bed).members.len(), 2, "the one that is away counts");
    first.sync(&mut bed, &[]);
    // Then it must ask for its assignment, as everyone.
    bed.pass(seconds(5));
    assert_eq!(bed.view().state, GroupState::PreparingRebalance);
    assert_eq!(bed.view().members.len(), 1);
}

#[test]
fn a_static_member_with_other_protocols_makes_the_group_rebalance_if_the_choice_changes() {
    let mut bed = Bed::new();
    let both = |first, second| vec![(first, b"1".to_vec()), (second, b"2".to_vec())];
    let mut member = Member { protocols: both("range", "sticky"), ..Member::named(&mut bed, "a") };
    member.settle(&mut bed);
    let mut same = Member { protocols: both("range", "other"), ..Member::named(&mut bed, "a") };
    assert_eq!(same.join(&mut bed, 9).generation_id, 1);
    let mut other = Member { protocols: both("other", "range"), ..Member::named(&mut bed, "a") };
    let joined = other.join(&mut bed, 9);
    assert_eq!((joined.generation_id, joined.protocol_name.as_deref()), (2, Some("other")));
    assert!(!joined.skip_assignment);
}

#[test]
fn an_administrator_takes_static_members_out_by_their_instance_ids() {
    let mut bed = Bed::new();
    let [first, second] = pair(&mut bed);
    let mut request = leave(5, "", Some("b"));
    request.members.extend(leave(5, "", Some("c")).members);
    let left: Vec<_> = bed.ask(first.at, 5, &request).members;
    let codes: Vec<_> = left.iter().map(|m| ErrorCode(m.error_code)).collect();
    assert_eq!(codes, [ErrorCode::NONE, ErrorCode::UNKNOWN_MEMBER_ID]);
    assert_eq!(left[0].group_instance_id.as_deref(), Some("b"));
    assert_eq!(second.heartbeat(&mut bed), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(first.heartbeat(&mut bed), ErrorCode::REBALANCE_IN_PROGRESS);
    let nobody = LeaveGroupRequest { group_id: "x".to_owned(), ..request };
    let codes: Vec<_> = bed.ask(first.at, 5, &nobody).members;
    assert!(codes.iter().all(|m| m.error_code == ErrorCode::UNKNOWN_MEMBER_ID.0));
}

#[test]
fn a_static_member_is_not_told_its_id_first() {
    let mut bed = Bed::new();
    let mut member = Member::of(&mut bed);
    member.join(&mut bed, 9);
    // An id that was given to a dynamic member is none for a static one.
    let request =
        JoinGroupRequest { group_instance_id: Some("a".to_owned()), ..member.join_request() };
    let response = bed.ask(member.at, 9, &request);
    assert_eq!(ErrorCode(response.error_code), ErrorCode::UNKNOWN_SERVER_ERROR);
}
