//! Who may join, under which id, with which protocols.

use std::time::Duration;

use kafka_blocking::{ErrorCode, protocol::join_group::JoinGroupRequest};
use scripted_broker::GroupState;

use crate::bed::{Bed, Member, pair, seconds};

/// What a join gets that is answered at once.
fn code(bed: &mut Bed, member: &mut Member, version: i16) -> ErrorCode {
    ErrorCode(member.join(bed, version).error_code)
}

fn with_protocols(bed: &mut Bed, names: &[&'static str]) -> Member {
    let protocols = names.iter().map(|name| (*name, name.as_bytes().to_vec())).collect();
    Member { protocols, ..Member::of(bed) }
}

#[test]
fn a_dynamic_member_is_told_its_id_first_since_version_4() {
    let mut bed = Bed::new();
    let mut old = Member::of(&mut bed);
    assert_eq!(code(&mut bed, &mut old, 3), ErrorCode::NONE);
    let mut new = Member::of(&mut bed);
    let response = new.join(&mut bed, 4);
    assert_eq!(ErrorCode(response.error_code), ErrorCode::MEMBER_ID_REQUIRED);
    assert_eq!((response.generation_id, response.members.len()), (-1, 0));
    assert_eq!(bed.view().pending, [new.id.clone()]);
    let mut fixed = Member::named(&mut bed, "i");
    fixed.send_join(&mut bed, 9);
    assert!(fixed.joined(&mut bed, 9).is_none(), "a static member waits at once");
    assert!(bed.view().members[1].id.starts_with("i-"));
}

#[test]
fn an_id_that_is_not_used_within_a_session_is_forgotten() {
    let mut bed = Bed::new();
    let mut member = Member::of(&mut bed);
    member.join(&mut bed, 9);
    bed.pass(seconds(10));
    assert_eq!(bed.view().pending, [] as [&str; 0]);
    assert_eq!(code(&mut bed, &mut member, 9), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_rebalance_waits_for_members_that_were_told_their_ids() {
    let mut bed = Bed::new();
    let mut first = Member::of(&mut bed);
    first.settle(&mut bed);
    let mut second = Member { session_ms: 3_000, ..Member::of(&mut bed) };
    second.join(&mut bed, 9);
    first.begin(&mut bed);
    bed.pass(Duration::from_millis(2_999));
    assert!(first.joined(&mut bed, 9).is_none());
    bed.pass(Duration::from_millis(1));
    assert_eq!(first.finish(&mut bed).members.len(), 1);
}

#[test]
fn an_id_that_nobody_was_given_is_unknown() {
    let mut bed = Bed::new();
    let mut stranger = Member { id: "x".to_owned(), ..Member::of(&mut bed) };
    assert_eq!(code(&mut bed, &mut stranger, 9), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(bed.view().state, GroupState::Dead, "no group was made");
    Member::of(&mut bed).settle(&mut bed);
    assert_eq!(code(&mut bed, &mut stranger, 9), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn sessions_outside_the_limits_are_refused() {
    let mut bed = Bed::new();
    bed.settings().sessions = seconds(6)..=seconds(30);
    for (session_ms, expected) in [
        (5_999, ErrorCode::INVALID_SESSION_TIMEOUT),
        (6_000, ErrorCode::NONE),
        (30_001, ErrorCode::INVALID_SESSION_TIMEOUT),
        (-1, ErrorCode::INVALID_SESSION_TIMEOUT),
    ] {
        let mut member = Member { session_ms, ..Member::of(&mut bed) };
        assert_eq!(code(&mut bed, &mut member, 3), expected, "{session_ms}");
    }
}

#[test]
fn a_group_needs_a_name() {
    let mut bed = Bed::new();
    let member = Member::of(&mut bed);
    let request = JoinGroupRequest { group_id: String::new(), ..member.join_request() };
    let response = bed.ask(member.at, 9, &request);
    assert_eq!(ErrorCode(response.error_code), ErrorCode::INVALID_GROUP_ID);
    assert_eq!((response.protocol_name, response.generation_id), (None, -1));
    let response = bed.ask(member.at, 6, &request);
    assert_eq!(response.protocol_name.as_deref(), Some(""), "null is of version 7");
}

#[test]
fn a_full_group_takes_nobody_more() {
    let mut bed = Bed::new();
    bed.settings().max_size = 2;
    let [mut first, mut second] = pair(&mut bed);
    let mut third = Member::of(&mut bed);
    let response = third.join(&mut bed, 9);
    assert_eq!(ErrorCode(response.error_code), ErrorCode::GROUP_MAX_SIZE_REACHED);
    assert_eq!(response.member_id, "");
    assert_eq!(bed.view().members.len(), 2);
    // A group that has become too large sends away who comes last.
    bed.settings().max_size = 1;
    first.begin(&mut bed);
    assert_eq!(code(&mut bed, &mut second, 9), ErrorCode::GROUP_MAX_SIZE_REACHED);
    assert_eq!(first.finish(&mut bed).members.len(), 1);
}

#[test]
fn a_member_without_a_common_protocol_is_refused() {
    let mut bed = Bed::new();
    let mut nothing = with_protocols(&mut bed, &[]);
    assert_eq!(code(&mut bed, &mut nothing, 3), ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    Member::of(&mut bed).settle(&mut bed);
    let mut other = with_protocols(&mut bed, &["sticky"]);
    assert_eq!(code(&mut bed, &mut other, 9), ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    let another = Member::of(&mut bed);
    let connect =
        JoinGroupRequest { protocol_type: "connect".to_owned(), ..another.join_request() };
    let response = bed.ask(another.at, 9, &connect);
    assert_eq!(ErrorCode(response.error_code), ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    assert_eq!(bed.view().members.len(), 1);
}

#[test]
fn the_protocol_is_voted_for_among_those_that_all_have() {
    let mut bed = Bed::new();
    bed.settings().initial_delay = seconds(1);
    let lists: [&[&str]; 3] =
        [&["mine", "range", "sticky"], &["sticky", "range"], &["sticky", "other", "range"]];
    let mut members: Vec<Member> =
        lists.iter().map(|names| with_protocols(&mut bed, names)).collect();
    members.iter_mut().for_each(|member| member.begin(&mut bed));
    bed.pass(seconds(60));
    let joined: Vec<_> = members.iter_mut().map(|m| m.finish(&mut bed)).collect();
    for answer in &joined {
        assert_eq!(answer.protocol_name.as_deref(), Some("sticky"));
        assert_eq!(answer.protocol_type.as_deref(), Some("consumer"));
    }
    let told: Vec<_> = joined[0].members.iter().map(|m| m.metadata.clone()).collect();
    assert_eq!(told, [b"sticky", b"sticky", b"sticky"], "the subscriptions for that protocol");
}

#[test]
fn a_follower_that_joins_again_with_nothing_new_disturbs_nobody() {
    let mut bed = Bed::new();
    let [_, mut second] = pair(&mut bed);
    let again = second.join(&mut bed, 9);
    assert_eq!((again.error_code, again.generation_id, again.members.len()), (0, 2, 0));
    assert_eq!(bed.view().state, GroupState::Stable);
    assert_eq!(second.sync(&mut bed, &[]).assignment, b"b");
}

#[test]
fn a_follower_with_another_subscription_makes_the_group_rebalance() {
    let mut bed = Bed::new();
    let [first, mut second] = pair(&mut bed);
    second.protocols[0].1 = b"more".to_vec();
    second.send_join(&mut bed, 9);
    assert!(second.joined(&mut bed, 9).is_none());
    assert_eq!(first.heartbeat(&mut bed), ErrorCode::REBALANCE_IN_PROGRESS);
}

#[test]
fn a_leader_that_joins_again_makes_the_group_rebalance() {
    let mut bed = Bed::new();
    let [mut first, mut second] = pair(&mut bed);
    first.send_join(&mut bed, 9);
    assert_eq!(second.heartbeat(&mut bed), ErrorCode::REBALANCE_IN_PROGRESS);
    second.send_join(&mut bed, 9);
    assert_eq!(first.finish(&mut bed).generation_id, 3);
    assert_eq!(second.finish(&mut bed).generation_id, 3);
}

#[test]
fn who_has_not_got_the_answer_gets_it_again() {
    let mut bed = Bed::new();
    let (mut first, mut second) = (Member::of(&mut bed), Member::of(&mut bed));
    first.settle(&mut bed);
    second.begin(&mut bed);
    first.begin(&mut bed);
    // Both connections are lost before the answers have come.
    for member in [&mut first, &mut second] {
        bed.cluster.lost(member.at);
        member.at = bed.connect(1);
    }
    assert_eq!(bed.view().state, GroupState::CompletingRebalance);
    let again = first.join(&mut bed, 9);
    assert_eq!((again.error_code, again.generation_id, again.members.len()), (0, 2, 2));
    let again = second.join(&mut bed, 9);
    assert_eq!((again.error_code, again.generation_id, again.members.len()), (0, 2, 0));
    second.protocols[0].1 = b"more".to_vec();
    second.send_join(&mut bed, 9);
    assert_eq!(bed.view().state, GroupState::PreparingRebalance);
}

#[test]
fn a_join_on_another_connection_takes_the_place_of_the_one_that_waits() {
    let mut bed = Bed::new();
    let [mut first, mut second] = pair(&mut bed);
    first.send_join(&mut bed, 9);
    let old = std::mem::replace(&mut first.at, bed.connect(1));
    first.send_join(&mut bed, 9);
    second.begin(&mut bed);
    assert_eq!(first.finish(&mut bed).generation_id, 3);
    assert!(bed.answer::<JoinGroupRequest>(old, 9).is_none());
}
