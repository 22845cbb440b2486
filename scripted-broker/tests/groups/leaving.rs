//! How members leave.

use kafka_blocking::{ErrorCode, protocol::leave_group::LeaveGroupRequest};
use scripted_broker::GroupState;

use crate::bed::{Bed, Member, leave, pair};

#[test]
fn a_member_that_leaves_lets_the_others_rebalance_at_once() {
    for version in 0..=5 {
        let mut bed = Bed::new();
        let [mut first, second] = pair(&mut bed);
        assert_eq!(second.leave(&mut bed, version).error_code, 0, "v{version}");
        assert_eq!(first.heartbeat(&mut bed), ErrorCode::REBALANCE_IN_PROGRESS);
        first.begin(&mut bed);
        assert_eq!(first.finish(&mut bed).members.len(), 1);
    }
}

#[test]
fn a_rebalance_ends_when_the_one_leaves_for_whom_it_waits() {
    let mut bed = Bed::new();
    let [mut first, second] = pair(&mut bed);
    first.begin(&mut bed);
    assert!(first.joined(&mut bed, 9).is_none());
    second.leave(&mut bed, 5);
    assert_eq!(first.finish(&mut bed).members.len(), 1);
}

#[test]
fn whoever_leaves_without_being_a_member_is_told_so_where_the_version_has_it() {
    let mut bed = Bed::new();
    let stranger = Member { id: "x".to_owned(), ..Member::of(&mut bed) };
    for there in [false, true] {
        if there {
            Member::of(&mut bed).settle(&mut bed);
        }
        for version in 0..=2 {
            let left = stranger.leave(&mut bed, version);
            assert_eq!(ErrorCode(left.error_code), ErrorCode::UNKNOWN_MEMBER_ID, "v{version}");
        }
        for version in 3..=5 {
            let left = stranger.leave(&mut bed, version);
            let code = ErrorCode(left.members[0].error_code);
            assert_eq!((left.error_code, code), (0, ErrorCode::UNKNOWN_MEMBER_ID), "v{version}");
        }
    }
    let nameless = LeaveGroupRequest { group_id: String::new(), ..leave(5, "x", None) };
    let left = bed.ask(stranger.at, 5, &nameless);
    assert_eq!(ErrorCode(left.error_code), ErrorCode::INVALID_GROUP_ID);
}

#[test]
fn an_id_that_was_given_out_can_be_given_back() {
    let mut bed = Bed::new();
    let mut first = Member::of(&mut bed);
    first.settle(&mut bed);
    let mut second = Member::of(&mut bed);
    second.join(&mut bed, 9);
    first.begin(&mut bed);
    let left = second.leave(&mut bed, 5);
    assert_eq!((left.error_code, left.members[0].error_code), (0, 0));
    first.finish(&mut bed);
    assert_eq!(bed.view().pending, [] as [&str; 0]);
}

#[test]
fn several_members_leave_in_one_request() {
    let mut bed = Bed::new();
    let [first, second] = pair(&mut bed);
    let mut request = leave(5, &first.id, None);
    request.members.extend(leave(5, &second.id, None).members);
    let left = bed.ask(first.at, 5, &request);
    assert_eq!(left.members.iter().map(|m| m.error_code).collect::<Vec<_>>(), [0, 0]);
    assert_eq!((bed.view().state, bed.view().generation), (GroupState::Empty, 3));
}
