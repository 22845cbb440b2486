//! Which node answers for a group, and what a group keeps when another one does.

use kafka_blocking::{ErrorCode, protocol::heartbeat::HeartbeatRequest};
use scripted_broker::GroupState;

use crate::bed::{
    Bed, Member, assign, commit, committed, fetch_request, find, found, leave, pair, seconds,
};

const NOT_COORDINATOR: ErrorCode = ErrorCode::NOT_COORDINATOR;

/// A member that talks to another node from now on.
fn go_to(bed: &mut Bed, member: &mut Member, node: i32) {
    member.at = bed.connect(node);
}

#[test]
fn only_the_coordinator_answers_for_a_group() {
    let mut bed = Bed::of(2);
    let other = bed.connect(2);
    assert_eq!(find(&mut bed, other, 4), Ok(1), "every node knows which one it is");
    let mut member = Member { at: other, id: "x".to_owned(), ..Member::of(&mut bed) };
    assert_eq!(ErrorCode(member.join(&mut bed, 9).error_code), NOT_COORDINATOR);
    assert_eq!(ErrorCode(member.sync(&mut bed, &[]).error_code), NOT_COORDINATOR);
    assert_eq!(member.heartbeat(&mut bed), NOT_COORDINATOR);
    assert_eq!(member.commit(&mut bed, 1), NOT_COORDINATOR);
    for version in 0..=5 {
        let left = bed.ask(other, version, &leave(version, "x", None));
        assert_eq!(ErrorCode(left.error_code), NOT_COORDINATOR, "v{version}");
    }
    for version in 0..=9 {
        let response = bed.ask(other, version, &fetch_request(version, Some(&[0])));
        let code = found(&response).map_or_else(|code| code, |all| ErrorCode(all[0].error_code));
        assert_eq!(code, NOT_COORDINATOR, "v{version}");
    }
    assert_eq!(bed.view().state, GroupState::Dead);
}

#[test]
fn a_group_that_moves_keeps_its_members_assignments_and_offsets() {
    let mut bed = Bed::of(2);
    let [mut first, mut second] = pair(&mut bed);
    first.commit(&mut bed, 5);
    bed.pass(seconds(9));
    bed.group().set_coordinator(2);
    assert_eq!(first.heartbeat(&mut bed), NOT_COORDINATOR);
    assert_eq!(find(&mut bed, first.at, 3), Ok(2));
    go_to(&mut bed, &mut first, 2);
    go_to(&mut bed, &mut second, 2);
    bed.pass(seconds(9));
    assert_eq!(first.heartbeat(&mut bed), ErrorCode::NONE, "sessions begin anew");
    assert_eq!(second.sync(&mut bed, &[]).assignment, b"b");
    assert_eq!(committed(&mut bed, first.at, 8), 5);
    assert_eq!(first.commit(&mut bed, 6), ErrorCode::NONE);
    let view = bed.view();
    assert_eq!((view.generation, view.leader.as_ref()), (2, Some(&first.id)));
}

#[test]
fn a_rebalance_that_was_under_way_is_forgotten_when_the_group_moves() {
    let mut bed = Bed::of(2);
    let [mut first, mut second] = pair(&mut bed);
    let mut third = Member::of(&mut bed);
    third.begin(&mut bed);
    first.begin(&mut bed);
    bed.group().set_coordinator(2);
    for member in [&mut first, &mut third] {
        let answer = member.joined(&mut bed, 9).expect("an answer");
        assert_eq!(ErrorCode(answer.error_code), NOT_COORDINATOR);
        assert_eq!(answer.member_id, member.id);
    }
    let view = bed.view();
    assert_eq!((view.state, view.generation, view.members.len()), (GroupState::Stable, 2, 2));
    go_to(&mut bed, &mut third, 2);
    assert_eq!(ErrorCode(third.join(&mut bed, 9).error_code), ErrorCode::UNKNOWN_MEMBER_ID);
    go_to(&mut bed, &mut second, 2);
    assert_eq!(second.heartbeat(&mut bed), ErrorCode::NONE);
}

#[test]
fn a_generation_that_was_not_assigned_is_forgotten_when_the_group_moves() {
    let mut bed = Bed::of(2);
    let [mut first, mut second] = pair(&mut bed);
    first.begin(&mut bed);
    second.begin(&mut bed);
    first.finish(&mut bed);
    second.finish(&mut bed);
    second.send_sync(&mut bed, &[]);
    bed.group().set_coordinator(2);
    let answer = second.synced(&mut bed).expect("an answer");
    assert_eq!(ErrorCode(answer.error_code), NOT_COORDINATOR);
    go_to(&mut bed, &mut second, 2);
    assert_eq!(second.heartbeat(&mut bed), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(bed.view().generation, 2);
}

#[test]
fn there_is_no_coordinator_while_its_node_is_down() {
    let mut bed = Bed::of(2);
    let [mut first, _] = pair(&mut bed);
    first.commit(&mut bed, 5);
    bed.cluster.kill(1);
    assert!(bed.is_closed(first.at));
    let other = bed.connect(2);
    for version in 0..=6 {
        let code = ErrorCode::COORDINATOR_NOT_AVAILABLE;
        assert_eq!(find(&mut bed, other, version), Err(code), "v{version}");
    }
    assert_eq!(bed.group().coordinator(), None);
    bed.pass(seconds(60));
    bed.cluster.revive(1);
    go_to(&mut bed, &mut first, 1);
    assert_eq!(find(&mut bed, other, 4), Ok(1));
    assert_eq!(first.heartbeat(&mut bed), ErrorCode::NONE, "nobody looked at sessions meanwhile");
    assert_eq!(committed(&mut bed, first.at, 8), 5);
    bed.pass(seconds(10));
    assert_eq!(bed.view().members.len(), 0, "now somebody does");
}

#[test]
fn another_node_takes_over_where_a_test_wants_that() {
    let mut bed = Bed::of(3);
    bed.cluster.state.groups.failover = true;
    let [mut first, mut second] = pair(&mut bed);
    bed.cluster.kill(1);
    go_to(&mut bed, &mut first, 2);
    go_to(&mut bed, &mut second, 2);
    assert_eq!(find(&mut bed, first.at, 4), Ok(2));
    assert_eq!(first.heartbeat(&mut bed), ErrorCode::NONE);
    bed.cluster.revive(1);
    assert_eq!(find(&mut bed, first.at, 4), Ok(2), "it stays where it is");
    first.begin(&mut bed);
    second.begin(&mut bed);
    first.finish(&mut bed);
    second.finish(&mut bed);
    assign(&mut bed, &first, &second);
    bed.cluster.kill(2);
    assert_eq!(bed.group().coordinator(), Some(3));
    bed.cluster.kill(3);
    assert_eq!(bed.group().coordinator(), Some(1));
    go_to(&mut bed, &mut first, 1);
    assert_eq!(first.heartbeat(&mut bed), ErrorCode::NONE);
    // A group that nobody has seen yet is coordinated by whom it would be now.
    let now = bed.now;
    assert_eq!(bed.cluster.group("new", now).coordinator(), Some(1));
}

#[test]
fn while_a_group_is_loaded_heartbeats_are_fine_and_members_join_again() {
    let mut bed = Bed::new();
    let [mut first, _] = pair(&mut bed);
    let loading = ErrorCode::COORDINATOR_LOAD_IN_PROGRESS;
    bed.group().set_error(Some(loading));
    assert_eq!(find(&mut bed, first.at, 4), Ok(1));
    assert_eq!(first.heartbeat(&mut bed), ErrorCode::NONE);
    let synced = first.sync(&mut bed, &[]);
    assert_eq!(ErrorCode(synced.error_code), ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(ErrorCode(first.join(&mut bed, 9).error_code), loading);
    assert_eq!(first.commit(&mut bed, 1), loading);
    let response = bed.ask(first.at, 8, &fetch_request(8, Some(&[0])));
    assert_eq!(found(&response), Err(loading));
}

#[test]
fn groups_without_members_move_with_their_offsets() {
    let mut bed = Bed::of(2);
    let at = bed.connect(1);
    bed.ask(at, 8, &commit(5));
    bed.group().set_coordinator(2);
    let at = bed.connect(2);
    assert_eq!(committed(&mut bed, at, 8), 5);
    let beat = HeartbeatRequest { group_id: "g".to_owned(), ..HeartbeatRequest::default() };
    assert_eq!(ErrorCode(bed.ask(at, 4, &beat).error_code), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(bed.view().state, GroupState::Empty);
}
