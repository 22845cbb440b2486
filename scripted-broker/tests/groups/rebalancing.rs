//! How long a rebalance waits, for whom, and who is left behind.

use std::time::Duration;

use kafka_blocking::{ErrorCode, protocol::heartbeat::HeartbeatRequest};
use scripted_broker::GroupState;

use crate::bed::{Bed, Member, assign, pair, seconds};

#[test]
fn members_learn_of_a_rebalance_with_their_heartbeats_and_all_join_again() {
    let mut bed = Bed::new();
    let [mut first, mut second] = pair(&mut bed);
    let mut third = Member::of(&mut bed);
    third.begin(&mut bed);
    for member in [&mut first, &mut second] {
        assert_eq!(member.heartbeat(&mut bed), ErrorCode::REBALANCE_IN_PROGRESS);
        assert!(third.joined(&mut bed, 9).is_none());
        member.begin(&mut bed);
    }
    let joined = first.finish(&mut bed);
    assert_eq!((joined.generation_id, joined.members.len()), (3, 3));
    assert_eq!(second.finish(&mut bed).leader, first.id);
    assert_eq!(third.finish(&mut bed).leader, first.id);
    assert_eq!(first.heartbeat(&mut bed), ErrorCode::NONE, "while the group waits for the leader");
}

#[test]
fn the_first_rebalance_takes_its_time_and_more_when_members_come() {
    let mut bed = Bed::new();
    bed.settings().initial_delay = seconds(3);
    let (mut first, mut second) = (Member::of(&mut bed), Member::of(&mut bed));
    first.begin(&mut bed);
    bed.pass(seconds(2));
    second.begin(&mut bed);
    bed.pass(seconds(3));
    assert!(first.joined(&mut bed, 9).is_none(), "another 3 s from the 3rd on");
    bed.pass(seconds(1));
    assert_eq!(first.finish(&mut bed).members.len(), 2);
    second.finish(&mut bed);
}

#[test]
fn the_first_rebalance_takes_no_longer_than_the_rebalance_time_out() {
    let mut bed = Bed::new();
    bed.settings().initial_delay = seconds(3);
    let mut first = Member { rebalance_ms: 5_000, ..Member::of(&mut bed) };
    first.begin(&mut bed);
    for _ in 0..4 {
        let mut more = Member { rebalance_ms: 5_000, ..Member::of(&mut bed) };
        more.begin(&mut bed);
        bed.pass(Duration::from_millis(1_200));
    }
    bed.pass(Duration::from_millis(200));
    assert_eq!(first.finish(&mut bed).members.len(), 4 + 1, "after 5 s in all");
}

#[test]
fn a_member_that_does_not_join_in_time_is_left_behind() {
    let mut bed = Bed::new();
    let [mut first, mut second] = pair(&mut bed);
    first.begin(&mut bed);
    for _ in 0..59 {
        assert_eq!(second.heartbeat(&mut bed), ErrorCode::REBALANCE_IN_PROGRESS);
        bed.pass(seconds(1));
    }
    assert_eq!(bed.view().members.len(), 2, "its heartbeats keep its session");
    assert!(first.joined(&mut bed, 9).is_none());
    bed.pass(seconds(1));
    assert_eq!(first.finish(&mut bed).members.len(), 1);
    assert_eq!(second.heartbeat(&mut bed), ErrorCode::UNKNOWN_MEMBER_ID);
    let late = second.join(&mut bed, 9);
    assert_eq!(ErrorCode(late.error_code), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn the_most_patient_member_says_how_long_a_rebalance_waits() {
    let mut bed = Bed::new();
    let [mut first, mut second] = pair(&mut bed);
    second.rebalance_ms = 90_000;
    second.protocols[0].1 = b"more".to_vec();
    second.begin(&mut bed);
    first.begin(&mut bed);
    first.finish(&mut bed);
    second.finish(&mut bed);
    assign(&mut bed, &first, &second);
    first.begin(&mut bed);
    for _ in 0..89 {
        second.heartbeat(&mut bed);
        bed.pass(seconds(1));
    }
    assert!(first.joined(&mut bed, 9).is_none());
    bed.pass(seconds(1));
    first.finish(&mut bed);
}

#[test]
fn in_version_0_a_rebalance_waits_as_long_as_a_session_lasts() {
    let mut bed = Bed::new();
    let mut member = Member { session_ms: 7_000, ..Member::of(&mut bed) };
    member.join(&mut bed, 0);
    assert_eq!(bed.view().members[0].rebalance_timeout, seconds(7));
}

#[test]
fn another_member_leads_where_the_leader_does_not_come_back() {
    let mut bed = Bed::new();
    let [first, mut second] = pair(&mut bed);
    second.protocols[0].1 = b"more".to_vec();
    second.begin(&mut bed);
    bed.pass(seconds(10));
    let joined = second.finish(&mut bed);
    assert_eq!((&joined.leader, joined.members.len()), (&second.id, 1));
    assert_eq!(first.heartbeat(&mut bed), ErrorCode::UNKNOWN_MEMBER_ID, "its session has ended");
}

#[test]
fn a_session_that_ends_takes_the_member_out_and_the_others_rebalance() {
    let mut bed = Bed::new();
    let [mut first, second] = pair(&mut bed);
    bed.pass(Duration::from_millis(9_999));
    assert_eq!(first.heartbeat(&mut bed), ErrorCode::NONE);
    assert_eq!(bed.view().members.len(), 2);
    bed.pass(Duration::from_millis(1));
    assert_eq!(bed.view().state, GroupState::PreparingRebalance);
    assert_eq!(second.heartbeat(&mut bed), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(first.heartbeat(&mut bed), ErrorCode::REBALANCE_IN_PROGRESS);
    first.begin(&mut bed);
    assert_eq!(first.finish(&mut bed).members.len(), 1);
}

#[test]
fn whoever_waits_for_the_others_to_join_keeps_its_session() {
    let mut bed = Bed::new();
    let [mut first, second] = pair(&mut bed);
    first.begin(&mut bed);
    for _ in 0..30 {
        bed.pass(seconds(1));
        assert_eq!(second.heartbeat(&mut bed), ErrorCode::REBALANCE_IN_PROGRESS);
    }
    assert!(bed.view().member(&first.id).is_some_and(|m| m.is_joining));
}

#[test]
fn whoever_waits_for_the_leader_keeps_its_session_until_the_group_gives_the_leader_up() {
    let mut bed = Bed::new();
    let (mut first, mut second) = (Member::of(&mut bed), Member::of(&mut bed));
    first.settle(&mut bed);
    second.begin(&mut bed);
    first.begin(&mut bed);
    first.finish(&mut bed);
    second.finish(&mut bed);
    second.send_sync(&mut bed, &[]);
    for _ in 0..59 {
        bed.pass(seconds(1));
        assert_eq!(first.heartbeat(&mut bed), ErrorCode::NONE);
    }
    assert!(bed.view().member(&second.id).is_some_and(|m| m.is_syncing));
    bed.pass(seconds(1));
    let answer = second.synced(&mut bed).expect("the group begins again");
    assert_eq!(ErrorCode(answer.error_code), ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(first.heartbeat(&mut bed), ErrorCode::UNKNOWN_MEMBER_ID);
    second.begin(&mut bed);
    assert_eq!(second.finish(&mut bed).leader, second.id);
}

#[test]
fn a_follower_that_does_not_ask_for_its_assignment_is_left_behind() {
    let mut bed = Bed::new();
    let (mut first, mut second) = (Member::of(&mut bed), Member::of(&mut bed));
    first.settle(&mut bed);
    second.begin(&mut bed);
    first.begin(&mut bed);
    first.finish(&mut bed);
    second.finish(&mut bed);
    first.sync(&mut bed, &[]);
    assert_eq!(bed.view().state, GroupState::Stable);
    for _ in 0..60 {
        bed.pass(seconds(1));
        let _ = (first.heartbeat(&mut bed), second.heartbeat(&mut bed));
    }
    assert_eq!(first.heartbeat(&mut bed), ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(second.heartbeat(&mut bed), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_new_member_that_waits_too_long_is_told_to_come_again() {
    let mut bed = Bed::new();
    let mut first = Member { rebalance_ms: 600_000, session_ms: 1_000_000, ..Member::of(&mut bed) };
    first.settle(&mut bed);
    let mut second = Member::of(&mut bed);
    second.begin(&mut bed);
    bed.pass(seconds(299));
    assert!(second.joined(&mut bed, 9).is_none());
    bed.pass(seconds(1));
    let answer = second.joined(&mut bed, 9).expect("five minutes are over");
    assert_eq!(ErrorCode(answer.error_code), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_test_can_make_a_group_rebalance_and_sessions_end() {
    let mut bed = Bed::new();
    let [mut first, mut second] = pair(&mut bed);
    bed.group().trigger_rebalance();
    for member in [&mut first, &mut second] {
        assert_eq!(member.heartbeat(&mut bed), ErrorCode::REBALANCE_IN_PROGRESS);
        member.begin(&mut bed);
    }
    first.finish(&mut bed);
    second.finish(&mut bed);
    assign(&mut bed, &first, &second);
    bed.group().expire_session(&second.id);
    assert_eq!(second.heartbeat(&mut bed), ErrorCode::UNKNOWN_MEMBER_ID);
    first.begin(&mut bed);
    first.finish(&mut bed);
    bed.group().remove_member(&first.id);
    assert_eq!(first.heartbeat(&mut bed), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(bed.view().state, GroupState::Empty);
}

#[test]
fn a_join_that_waits_is_answered_when_a_test_removes_the_member() {
    let mut bed = Bed::new();
    let [mut first, second] = pair(&mut bed);
    first.begin(&mut bed);
    bed.group().remove_member(&first.id);
    let answer = first.joined(&mut bed, 9).expect("an answer");
    assert_eq!(ErrorCode(answer.error_code), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!((answer.member_id.as_str(), bed.view().leader), ("", Some(second.id)));
}

#[test]
fn a_node_that_stood_still_finds_that_sessions_are_over() {
    let mut bed = Bed::new();
    let mut member = Member::of(&mut bed);
    member.settle(&mut bed);
    bed.cluster.set_paused(1, true);
    bed.pass(seconds(20));
    assert_eq!(bed.view().members.len(), 1, "nobody looks");
    bed.send(member.at, 4, &member.heartbeat_request());
    bed.cluster.set_paused(1, false);
    let beat = bed.answer::<HeartbeatRequest>(member.at, 4).expect("an answer");
    assert_eq!(ErrorCode(beat.error_code), ErrorCode::UNKNOWN_MEMBER_ID);
}
