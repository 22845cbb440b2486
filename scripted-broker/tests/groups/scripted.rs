//! Members that live inside the broker.

use std::time::Duration;

use kafka_blocking::{ErrorCode, TopicPartition};
use scripted_broker::{
    Assigns, GroupState, MemberScript, Role, assignment_bytes, subscription_bytes,
};

use crate::bed::{Bed, Member, seconds};

/// A member that can read what it is given.
fn consumer(bed: &mut Bed) -> Member {
    Member { protocols: vec![("range", subscription_bytes(["t"]))], ..Member::of(bed) }
}

fn partitions(bed: &mut Bed, id: &str) -> Vec<i32> {
    let view = bed.view();
    let assigned = view.member(id).expect("a member").partitions();
    assigned.iter().map(TopicPartition::partition).collect()
}

#[test]
fn a_scripted_member_alone_leads_and_gives_itself_everything() {
    let mut bed = Bed::new();
    let id = bed.group().add(MemberScript::new(["t"]));
    let member_id = bed.group().member_id(id);
    let view = bed.view();
    assert!(view.is_stable_with(1));
    assert_eq!((view.generation, view.leader.as_ref()), (1, Some(&member_id)));
    assert_eq!(view.members[0].topics(), ["t"]);
    assert_eq!(view.members_of("scripted").count(), 1);
    assert_eq!(partitions(&mut bed, &member_id), [0, 1]);
    bed.pass(seconds(3600));
    assert!(bed.view().is_stable_with(1), "it keeps its session");
    bed.group().leave(id);
    assert_eq!(bed.view().state, GroupState::Empty);
}

#[test]
fn a_scripted_member_follows_and_takes_what_it_gets() {
    let mut bed = Bed::new();
    let mut member = consumer(&mut bed);
    member.settle(&mut bed);
    let id = bed.group().add(MemberScript::new(["t"]).client_id("other"));
    assert_eq!(member.heartbeat(&mut bed), ErrorCode::REBALANCE_IN_PROGRESS);
    member.begin(&mut bed);
    let told = member.finish(&mut bed).members;
    let other = bed.group().member_id(id);
    assert!(other.starts_with("other-"));
    assert_eq!(told[1].member_id, other);
    member.sync(&mut bed, &[(&other, &assignment_bytes([("t", 1)]))]);
    assert_eq!(partitions(&mut bed, &other), [1]);
    bed.group().leave(id);
    assert_eq!(member.heartbeat(&mut bed), ErrorCode::REBALANCE_IN_PROGRESS);
}

#[test]
fn a_scripted_leader_gives_out_ranges() {
    let mut bed = Bed::new();
    bed.cluster.state.create_topic("t", 5);
    let id = bed.group().add(MemberScript::new(["t"]));
    let mut member = consumer(&mut bed);
    member.begin(&mut bed);
    let joined = member.finish(&mut bed);
    let leader = bed.group().member_id(id);
    assert_eq!((&joined.leader, joined.generation_id), (&leader, 2));
    let own = member.sync(&mut bed, &[]).assignment;
    assert_eq!(own, bed.view().member(&member.id).expect("it").assignment);
    let (of_leader, of_member) = (partitions(&mut bed, &leader), partitions(&mut bed, &member.id));
    let (mut first, mut second) = (of_leader, of_member);
    if first.len() < second.len() {
        std::mem::swap(&mut first, &mut second);
    }
    assert_eq!((first, second), (vec![0, 1, 2], vec![3, 4]));
}

#[test]
fn a_scripted_leader_gives_out_what_a_test_says() {
    let mut bed = Bed::new();
    let script = MemberScript::new(["t"]).assigns_with(|members| {
        let others = members.iter().filter(|m| m.member_id.starts_with("test-"));
        others.map(|m| (m.member_id.clone(), assignment_bytes([("t", 1), ("u", 7)]))).collect()
    });
    let id = bed.group().add(script);
    let mut member = consumer(&mut bed);
    member.begin(&mut bed);
    member.finish(&mut bed);
    member.sync(&mut bed, &[]);
    let view = bed.view();
    let given = view.member(&member.id).expect("it").partitions();
    assert_eq!(given, [TopicPartition::from(("t", 1)), ("u", 7).into()]);
    let leader = bed.group().member_id(id);
    assert!(partitions(&mut bed, &leader).is_empty());
    bed.group().change_scripted(id, |s| s.assigns = Assigns::Bytes(b"garbage".to_vec()));
    bed.group().rejoin(id);
    member.begin(&mut bed);
    member.finish(&mut bed);
    assert_eq!(member.sync(&mut bed, &[]).assignment, b"garbage");
}

#[test]
fn a_scripted_leader_that_never_assigns_is_left_behind() {
    let mut bed = Bed::new();
    let script = MemberScript::new(["t"]).assigns(Assigns::Never).rebalance_timeout(seconds(5));
    let id = bed.group().add(script);
    assert_eq!(bed.view().state, GroupState::CompletingRebalance);
    let mut member = Member { rebalance_ms: 5_000, ..consumer(&mut bed) };
    member.begin(&mut bed);
    bed.group().rejoin(id);
    assert_eq!(bed.view().state, GroupState::CompletingRebalance);
    member.finish(&mut bed);
    member.send_sync(&mut bed, &[]);
    bed.pass(seconds(5));
    let answer = member.synced(&mut bed).expect("an answer");
    assert_eq!(ErrorCode(answer.error_code), ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(bed.view().members.len(), 1);
}

#[test]
fn a_scripted_member_takes_over_from_a_leader_or_leaves_it_to_others() {
    let mut bed = Bed::new();
    let mut member = consumer(&mut bed);
    member.settle(&mut bed);
    let id = bed.group().add(MemberScript::new(["t"]).role(Role::Leader));
    member.begin(&mut bed);
    assert_eq!(member.finish(&mut bed).leader, bed.group().member_id(id));
    member.sync(&mut bed, &[]);
    bed.group().change_scripted(id, |script| script.role = Role::Follower);
    bed.group().trigger_rebalance();
    member.begin(&mut bed);
    assert_eq!(member.finish(&mut bed).leader, member.id);
}

#[test]
fn a_scripted_member_takes_its_time_to_join_again() {
    let mut bed = Bed::new();
    bed.group().add(MemberScript::new(["t"]).joins_after(seconds(20)));
    let mut member = consumer(&mut bed);
    member.begin(&mut bed);
    bed.pass(Duration::from_millis(19_999));
    assert!(member.joined(&mut bed, 9).is_none());
    bed.pass(Duration::from_millis(1));
    assert_eq!(member.finish(&mut bed).generation_id, 2);
}

#[test]
fn a_scripted_member_that_comes_too_late_comes_as_a_new_one() {
    let mut bed = Bed::new();
    let script = MemberScript::new(["t"]).joins_after(seconds(20)).rebalance_timeout(seconds(5));
    let id = bed.group().add(script);
    let first_id = bed.group().member_id(id);
    let mut member = Member { rebalance_ms: 5_000, ..consumer(&mut bed) };
    member.begin(&mut bed);
    bed.pass(seconds(5));
    assert_eq!(member.finish(&mut bed).members.len(), 1);
    member.sync(&mut bed, &[]);
    bed.pass(seconds(9));
    assert_eq!(member.heartbeat(&mut bed), ErrorCode::NONE);
    bed.pass(seconds(6));
    assert_eq!(member.heartbeat(&mut bed), ErrorCode::REBALANCE_IN_PROGRESS);
    member.begin(&mut bed);
    assert_eq!(member.finish(&mut bed).members.len(), 2);
    assert_ne!(bed.group().member_id(id), first_id);
}

#[test]
fn a_scripted_leader_takes_its_time_to_assign() {
    let mut bed = Bed::new();
    bed.group().add(MemberScript::new(["t"]).syncs_after(seconds(2)));
    bed.pass(Duration::from_millis(1_999));
    assert_eq!(bed.view().state, GroupState::CompletingRebalance);
    bed.pass(Duration::from_millis(1));
    assert_eq!(bed.view().state, GroupState::Stable);
}

#[test]
fn a_scripted_member_that_freezes_loses_its_session() {
    let mut bed = Bed::new();
    let id = bed.group().add(MemberScript::new(["t"]).session_timeout(seconds(7)));
    bed.pass(seconds(30));
    bed.group().change_scripted(id, |script| script.frozen = true);
    bed.pass(seconds(7));
    assert_eq!(bed.view().state, GroupState::Empty);
}

#[test]
fn a_scripted_member_that_a_test_removes_stays_away() {
    let mut bed = Bed::new();
    let id = bed.group().add(MemberScript::new(["t"]));
    let member_id = bed.group().member_id(id);
    bed.group().remove_member(&member_id);
    bed.pass(seconds(60));
    assert_eq!(bed.view().state, GroupState::Empty);
    assert_eq!(bed.group().refused(id), Some(ErrorCode::UNKNOWN_MEMBER_ID));
    bed.group().rejoin(id);
    assert!(bed.view().is_stable_with(1), "unless it is to come back");
    bed.group().delete();
    assert_eq!(bed.view().state, GroupState::Dead);
    assert_eq!(bed.group().refused(id), Some(ErrorCode::UNKNOWN_MEMBER_ID));
    bed.group().leave(id);
}

#[test]
fn a_scripted_member_leaves_although_it_still_waits() {
    let mut bed = Bed::new();
    let mut member = consumer(&mut bed);
    member.settle(&mut bed);
    let id = bed.group().add(MemberScript::new(["t"]));
    member.begin(&mut bed);
    member.finish(&mut bed);
    bed.group().leave(id);
    member.begin(&mut bed);
    assert_eq!(member.finish(&mut bed).members.len(), 1);
    let id = bed.group().add(MemberScript::new(["t"]));
    let waiting = bed.group().member_id(id);
    assert!(bed.view().member(&waiting).is_some_and(|m| m.is_joining));
    bed.group().leave(id);
    member.begin(&mut bed);
    assert_eq!(member.finish(&mut bed).members.len(), 1);
}

#[test]
fn a_scripted_member_can_say_anything_and_be_refused() {
    let mut bed = Bed::new();
    let raw = MemberScript::raw([("odd", b"\xff".to_vec()), ("range", Vec::new())]);
    let id = bed.group().add(raw.instance_id("i"));
    let view = bed.view();
    assert_eq!(view.protocol.as_deref(), Some("odd"));
    assert_eq!(view.members[0].instance_id.as_deref(), Some("i"));
    assert_eq!(view.members[0].topics(), [] as [&str; 0]);
    assert_eq!(bed.group().refused(id), None);
    let other = bed.group().add(MemberScript::new(["t"]).protocols(["sticky"]));
    assert_eq!(bed.group().refused(other), Some(ErrorCode::INCONSISTENT_GROUP_PROTOCOL));
    let mut member = consumer(&mut bed);
    member.begin(&mut bed);
    assert_eq!(member.finish(&mut bed).protocol_name.as_deref(), Some("range"));
    // A consumer with the same instance id fences it.
    let mut same = Member { instance_id: Some("i".to_owned()), ..consumer(&mut bed) };
    same.send_join(&mut bed, 9);
    member.begin(&mut bed);
    same.finish(&mut bed);
    assert_eq!(bed.view().members.len(), 2);
    assert!(bed.group().refused(id).is_some());
}

#[test]
fn scripted_members_follow_a_group_that_moves() {
    let mut bed = Bed::of(2);
    let id = bed.group().add(MemberScript::new(["t"]));
    bed.group().set_coordinator(2);
    bed.pass(seconds(60));
    assert!(bed.view().is_stable_with(1));
    bed.group().trigger_rebalance();
    assert!(bed.view().is_stable_with(1));
    assert_eq!((bed.view().generation, bed.group().refused(id)), (2, None));
}
