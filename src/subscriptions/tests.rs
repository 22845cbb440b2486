//! What the user asked for, step by step.

use super::*;
use crate::{
    client::pattern::TopicPattern,
    protocol::metadata::{
        MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
    },
};

#[allow(clippy::disallowed_methods, reason = "any time will do: nothing waits for it")]
fn some_time() -> Instant {
    Instant::now()
}

pub(super) fn at(offset: i64) -> Place {
    Place { offset, epoch: None }
}

pub(super) fn partitions(numbers: &[i32]) -> BTreeSet<TopicPartition> {
    numbers.iter().map(|n| ("t", *n).into()).collect()
}

#[test]
fn assign_replaces_and_keeps_the_position_of_what_stays() {
    let mut s = Subscriptions::new(OffsetReset::Latest);
    s.assign(partitions(&[0, 1])).unwrap();
    s.seek(&("t", 1).into(), at(7)).unwrap();
    let kept = s.id(&("t", 1).into()).unwrap();
    s.assign(partitions(&[1, 2])).unwrap();
    assert_eq!(s.id(&("t", 1).into()).unwrap(), kept);
    assert_eq!(s.state(kept).unwrap().offset(), Some(7));
    assert!(s.id(&("t", 0).into()).is_err());
}

#[test]
fn a_partition_assigned_anew_is_another_one() {
    let mut s = Subscriptions::new(OffsetReset::Latest);
    s.assign(partitions(&[0])).unwrap();
    let before = s.id(&("t", 0).into()).unwrap();
    s.assign(partitions(&[])).unwrap();
    s.assign(partitions(&[0])).unwrap();
    assert_ne!(s.id(&("t", 0).into()).unwrap(), before);
}

#[test]
fn fault_237_assign_and_subscribe_exclude_each_other() {
    let mut s = Subscriptions::new(OffsetReset::Latest);
    s.assign(partitions(&[0])).unwrap();
    let topics: BTreeSet<Arc<str>> = ["t".into()].into();
    assert!(matches!(
        s.subscribe(topics.clone(), &Cluster::default()),
        Err(Error::IllegalState(_))
    ));
    let mut s = Subscriptions::new(OffsetReset::Latest);
    s.subscribe(topics.clone(), &Cluster::default()).unwrap();
    assert!(matches!(s.assign(partitions(&[0])), Err(Error::IllegalState(_))));
    let pattern = TopicPattern::new("t", true).unwrap();
    let switch = s.subscribe_pattern(pattern.clone(), &Cluster::default());
    assert!(matches!(switch, Err(Error::IllegalState(_))));
    s.unsubscribe();
    s.subscribe_pattern(pattern, &Cluster::default()).unwrap();
    assert!(matches!(s.subscribe(topics, &Cluster::default()), Err(Error::IllegalState(_))));
    assert!(matches!(s.assign(partitions(&[0])), Err(Error::IllegalState(_))));
}

#[test]
fn out_of_range_follows_the_policy_unless_the_position_was_left_since() {
    let mut s = Subscriptions::new(OffsetReset::Earliest);
    s.assign(partitions(&[0])).unwrap();
    s.seek(&("t", 0).into(), at(7)).unwrap();
    let id = s.id(&("t", 0).into()).unwrap();
    s.suspend(id);
    s.out_of_range(id, 6).unwrap();
    assert_eq!(s.unresolved().count(), 0);
    assert_eq!(s.state(id).unwrap().fetch_offset(), Some(7));
    s.out_of_range(id, 7).unwrap();
    assert_eq!(
        s.unresolved().map(|(_, s)| s.reset).collect::<Vec<_>>(),
        [Some(OffsetReset::Earliest)]
    );
}

#[test]
fn fault_148_out_of_range_without_a_policy_is_an_error_that_keeps_the_position() {
    let mut s = Subscriptions::new(OffsetReset::None);
    s.assign(partitions(&[0])).unwrap();
    s.seek(&("t", 0).into(), at(7)).unwrap();
    let id = s.id(&("t", 0).into()).unwrap();
    assert!(matches!(s.out_of_range(id, 7), Err(Error::OffsetOutOfRange { offset: 7, .. })));
    assert_eq!(s.state(id).unwrap().offset(), Some(7));
    assert_eq!(s.state(id).unwrap().fetch_offset(), Some(7));
}

/// A partition that was read up to an offset in an epoch.
pub(super) fn read_up_to(policy: OffsetReset, place: Place) -> (Subscriptions, PartitionId) {
    let mut s = Subscriptions::new(policy);
    s.assign(partitions(&[0])).unwrap();
    let id = s.id(&("t", 0).into()).unwrap();
    s.set_position(id, place);
    (s, id)
}

#[test]
fn where_the_leader_cannot_be_asked_what_it_told_in_a_fetch_counts() {
    let place = Place { offset: 10, epoch: Some(3) };
    let (mut s, id) = read_up_to(OffsetReset::Earliest, place);
    s.diverged(id, 5, Some((2, 7)));
    s.validated(id, 3, None);
    assert_eq!(s.state(id).unwrap().position, Some(Place { offset: 7, epoch: Some(2) }));
    assert_eq!(s.unvalidated().count(), 0);
}

#[test]
fn fault_161_where_nobody_can_be_asked_reading_goes_on() {
    let place = Place { offset: 10, epoch: Some(3) };
    let (mut s, id) = read_up_to(OffsetReset::Earliest, place);
    s.diverged(id, 5, None);
    assert_eq!(s.state(id).unwrap().wanted(), None);
    s.validated(id, 3, None);
    assert_eq!(s.state(id).unwrap().wanted(), Some(place));
}

/// `t-0` is led by broker 1 in an epoch.
pub(super) fn led_in(leader_epoch: i32) -> Cluster {
    let mut cluster = Cluster::default();
    let broker = MetadataResponseBroker {
        node_id: 1,
        host: "h".into(),
        port: 9092,
        ..MetadataResponseBroker::default()
    };
    let partition = MetadataResponsePartition {
        leader_id: 1,
        leader_epoch,
        ..MetadataResponsePartition::default()
    };
    let topic = MetadataResponseTopic {
        name: Some("t".into()),
        partitions: vec![partition],
        ..MetadataResponseTopic::default()
    };
    let response = MetadataResponse {
        brokers: vec![broker],
        topics: vec![topic],
        ..MetadataResponse::default()
    };
    cluster.update(12, &response, |_, _| true);
    cluster
}

#[test]
fn a_buffer_that_becomes_void_during_validation_leaves_nothing_to_ask_about_and_no_stall() {
    let (mut s, id) = read_up_to(OffsetReset::Earliest, at(10));
    s.advance_fetch(id, Place { offset: 50, epoch: Some(5) }, Some(5));
    s.check_epochs(&led_in(6), 1, true);
    assert_eq!(s.unvalidated().map(|(id, _, asked)| (id, asked)).collect::<Vec<_>>(), [(id, 5)]);
    s.void(id);
    assert_eq!(s.state(id).unwrap().wanted(), Some(at(10)));
    assert_eq!(s.unvalidated().count(), 0);
}

#[test]
fn a_topic_that_is_made_anew_stays_paused() {
    let mut s = Subscriptions::new(OffsetReset::Earliest);
    s.assign(partitions(&[0, 1])).unwrap();
    s.pause(&partitions(&[1])).unwrap();
    s.restart("t");
    let paused: Vec<_> = s.paused().map(|(_, partition)| partition.clone()).collect();
    assert_eq!(paused, [("t", 1).into()]);
}

#[test]
fn a_place_that_is_ahead_of_the_known_leader_waits_for_newer_metadata() {
    let place = Place { offset: 1000, epoch: Some(7) };
    let mut s = Subscriptions::new(OffsetReset::Earliest);
    s.assign(partitions(&[0])).unwrap();
    s.seek(&("t", 0).into(), place).unwrap();
    let id = s.id(&("t", 0).into()).unwrap();
    assert!(s.check_epochs(&led_in(5), 3, false), "newer metadata are needed");
    assert!(s.check_epochs(&led_in(5), 4, true));
    assert_eq!(s.state(id).unwrap().wanted(), None);
    assert!(!s.check_epochs(&led_in(8), 5, true));
    assert_eq!(s.unvalidated().count(), 1, "the leader is newer: it is asked");
}

#[test]
fn a_place_that_stays_ahead_of_the_leader_is_put_to_that_leader() {
    let place = Place { offset: 1000, epoch: Some(7) };
    let mut s = Subscriptions::new(OffsetReset::None);
    s.assign(partitions(&[0])).unwrap();
    s.seek(&("t", 0).into(), place).unwrap();
    let id = s.id(&("t", 0).into()).unwrap();
    assert!(s.check_epochs(&led_in(5), 3, false));
    assert!(!s.check_epochs(&led_in(5), 5, false));
    s.validated(id, 7, Some((-1, -1)));
    assert!(matches!(
        s.stuck_at(id),
        Some(Error::LogTruncation { offset: 1000, divergent: None, .. })
    ));
}

#[test]
fn a_place_of_the_leaders_own_epoch_is_read_at_once() {
    let place = Place { offset: 1000, epoch: Some(7) };
    let mut s = Subscriptions::new(OffsetReset::None);
    s.assign(partitions(&[0])).unwrap();
    s.seek(&("t", 0).into(), place).unwrap();
    let id = s.id(&("t", 0).into()).unwrap();
    assert!(!s.check_epochs(&led_in(7), 3, false));
    assert_eq!(s.state(id).unwrap().wanted(), Some(place));
}

/// Partitions from 0 on, assigned; none has a position yet.
fn assigned(policy: OffsetReset, numbers: &[i32]) -> (Subscriptions, Vec<PartitionId>) {
    let mut s = Subscriptions::new(policy);
    s.assign(partitions(numbers)).unwrap();
    let ids = numbers.iter().map(|n| s.id(&("t", *n).into()).unwrap()).collect();
    (s, ids)
}

fn ticket(s: &Subscriptions, id: PartitionId) -> Ticket {
    Ticket { id, voids: s.state(id).unwrap().voids }
}

/// So many partitions of each of these topics; `__x` is internal.
fn cluster_of(topics: &[(&str, i32)]) -> Cluster {
    let partition = |partition_index| MetadataResponsePartition {
        partition_index,
        ..MetadataResponsePartition::default()
    };
    let topic = |&(name, count): &(&str, i32)| MetadataResponseTopic {
        name: Some(name.into()),
        is_internal: name == "__x",
        partitions: (0..count).map(partition).collect(),
        ..MetadataResponseTopic::default()
    };
    let topics = topics.iter().map(topic).collect();
    let mut cluster = Cluster::default();
    cluster.update(12, &MetadataResponse { topics, ..MetadataResponse::default() }, |_, _| true);
    cluster
}

fn names(s: &Subscriptions) -> Vec<String> {
    s.assignment().map(ToString::to_string).collect()
}

#[test]
fn each_partition_has_an_id_of_its_own() {
    let (s, ids) = assigned(OffsetReset::Latest, &[0, 1, 2]);
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 3);
    assert_eq!(s.partition_ids().collect::<Vec<_>>(), ids);
    assert_eq!(names(&s), ["t-0", "t-1", "t-2"]);
}

#[test]
fn a_subscription_takes_over_the_partitions_that_its_topics_have() {
    let mut s = Subscriptions::new(OffsetReset::Latest);
    s.subscribe(["t".into(), "u".into()].into(), &cluster_of(&[("t", 1)])).unwrap();
    assert_eq!(names(&s), ["t-0"]);
    let kept = s.id(&("t", 0).into()).unwrap();
    s.update_from(&cluster_of(&[("t", 2), ("u", 1), ("v", 1)]));
    assert_eq!(names(&s), ["t-0", "t-1", "u-0"]);
    assert_eq!(s.id(&("t", 0).into()).unwrap(), kept);
    let topics: BTreeSet<Arc<str>> = ["t".into(), "u".into()].into();
    assert_eq!(s.subscription(), Some(&topics));
    assert_eq!(s.topics(), Interest::Topics(topics.clone()));
    assert_eq!(*s.mode(), Mode::Topics(topics));
    s.subscribe(["u".into()].into(), &cluster_of(&[("t", 2), ("u", 1)])).unwrap();
    assert_eq!(names(&s), ["u-0"]);
    s.unsubscribe();
    assert_eq!((names(&s).len(), s.mode(), s.subscription()), (0, &Mode::None, None));
}

#[test]
fn a_pattern_takes_over_the_topics_that_match() {
    let mut s = Subscriptions::new(OffsetReset::Latest);
    let pattern = TopicPattern::new("t|__", true).unwrap();
    s.subscribe_pattern(pattern.clone(), &cluster_of(&[("t", 1), ("u", 1), ("__x", 1)])).unwrap();
    assert_eq!(names(&s), ["t-0"]);
    s.update_from(&cluster_of(&[("t", 1), ("t2", 1)]));
    assert_eq!(names(&s), ["t-0", "t2-0"]);
    assert_eq!(s.subscription(), Some(&["t".into(), "t2".into()].into()));
    assert_eq!(s.topics(), Interest::Matching(pattern));
    s.subscribe_pattern(TopicPattern::new("u", true).unwrap(), &cluster_of(&[("u", 1)])).unwrap();
    assert_eq!(names(&s), ["u-0"]);
}

#[test]
fn what_is_assigned_is_no_subscription_but_needs_metadata() {
    let (s, _) = assigned(OffsetReset::Latest, &[0, 1]);
    assert_eq!((s.mode(), s.subscription()), (&Mode::Assigned, None));
    assert_eq!(s.topics(), Interest::Topics(["t".into()].into()));
}

#[test]
fn only_the_topic_that_was_made_anew_begins_anew() {
    let mut s = Subscriptions::new(OffsetReset::Latest);
    s.assign([("t", 0).into(), ("u", 0).into()].into()).unwrap();
    let (t, u) = (s.id(&("t", 0).into()).unwrap(), s.id(&("u", 0).into()).unwrap());
    s.set_position(t, at(7));
    s.set_position(u, at(8));
    s.restart("t");
    assert_eq!(s.id(&("u", 0).into()).unwrap(), u);
    let anew = s.id(&("t", 0).into()).unwrap();
    assert_ne!(anew, t);
    assert_eq!(s.state(anew).unwrap().reset, Some(OffsetReset::Latest));
    assert_eq!(s.state(u).unwrap().offset(), Some(8));
}

#[test]
fn a_partition_that_is_not_assigned_can_be_neither_moved_nor_paused() {
    let (mut s, ids) = assigned(OffsetReset::Latest, &[0]);
    s.set_position(ids[0], at(7));
    let both = partitions(&[0, 1]);
    assert!(s.seek(&("t", 1).into(), at(1)).is_err());
    assert!(s.seek_to(&both, OffsetReset::Earliest).is_err());
    assert!(s.pause(&both).is_err());
    assert_eq!(s.state(ids[0]).unwrap().offset(), Some(7), "none is moved then");
    assert!(!s.is_paused(ids[0]), "none is paused then");
    s.pause(&partitions(&[0])).unwrap();
    assert!(s.resume(&both).is_err());
    assert!(s.is_paused(ids[0]), "none is resumed then");
}

#[test]
fn seeking_to_an_end_has_the_position_looked_for_there() {
    let (mut s, ids) = assigned(OffsetReset::Latest, &[0, 1]);
    ids.iter().for_each(|id| s.set_position(*id, at(7)));
    assert_eq!(s.unresolved().count(), 0);
    s.seek_to(&partitions(&[1]), OffsetReset::Earliest).unwrap();
    let looked_for: Vec<_> = s.unresolved().map(|(id, state)| (id, state.reset)).collect();
    assert_eq!(looked_for, [(ids[1], Some(OffsetReset::Earliest))]);
    assert_eq!(s.state(ids[1]).unwrap().offset(), None, "the one before counts no longer");
    assert_eq!(s.state(ids[1]).unwrap().fetch_offset(), None);
}

#[test]
fn each_move_and_each_drop_voids_the_buffer_for_good() {
    let (mut s, ids) = assigned(OffsetReset::Earliest, &[0]);
    let id = ids[0];
    let mut seen = vec![ticket(&s, id)];
    let voided = |s: &mut Subscriptions, what: &str, seen: &mut Vec<Ticket>| {
        assert!(seen.iter().all(|old| !s.honours(*old)), "{what}");
        assert_eq!(s.take_voided(), [id].into(), "{what}");
        assert_eq!(s.take_voided(), [].into(), "said once");
        seen.push(ticket(s, id));
        assert!(s.honours(ticket(s, id)));
    };
    for round in 0..2 {
        s.set_position(id, at(7 + round));
        voided(&mut s, "a reset", &mut seen);
        s.void(id);
        voided(&mut s, "a drop", &mut seen);
        s.seek(&("t", 0).into(), at(9)).unwrap();
        voided(&mut s, "a seek", &mut seen);
        s.void(id);
        voided(&mut s, "another drop", &mut seen);
        s.seek_to(&partitions(&[0]), OffsetReset::Latest).unwrap();
        voided(&mut s, "a seek to an end", &mut seen);
    }
    s.suspend(id);
    assert_eq!(s.take_voided(), [].into(), "the buffer is as good as before");
    let last = ticket(&s, id);
    s.assign(partitions(&[])).unwrap();
    assert!(!s.honours(last));
    assert_eq!(s.take_voided(), [id].into());
}

#[test]
fn reading_on_counts_only_under_the_last_ticket() {
    let (mut s, ids) = assigned(OffsetReset::Earliest, &[0]);
    s.set_position(ids[0], at(7));
    let old = ticket(&s, ids[0]);
    s.advance_position(old, at(8));
    assert_eq!(s.state(ids[0]).unwrap().offset(), Some(8));
    s.seek(&("t", 0).into(), at(3)).unwrap();
    s.advance_position(old, at(9));
    assert_eq!(s.state(ids[0]).unwrap().offset(), Some(3));
}

#[test]
fn what_is_asked_for_is_ahead_of_the_position_until_the_buffer_is_dropped() {
    let (mut s, ids) = assigned(OffsetReset::Earliest, &[0]);
    let id = ids[0];
    let offsets = |s: &Subscriptions| {
        let state = s.state(id).unwrap();
        (state.offset(), state.fetch_offset())
    };
    s.set_position(id, at(7));
    s.advance_fetch(id, at(20), None);
    assert_eq!(offsets(&s), (Some(7), Some(20)));
    s.void(id);
    assert_eq!(offsets(&s), (Some(7), Some(7)));
    s.advance_fetch(id, at(20), None);
    s.refetch(id, None);
    assert_eq!(offsets(&s), (Some(7), Some(7)));
    s.suspend(id);
    assert_eq!(offsets(&s), (Some(7), None));
}

#[test]
fn a_partition_is_left_alone_until_its_time_or_until_it_is_over() {
    let later = some_time();
    let (mut s, ids) = assigned(OffsetReset::Earliest, &[0]);
    let retry_at = |s: &Subscriptions| s.state(ids[0]).unwrap().retry_at;
    s.back_off(ids[0], later);
    assert_eq!(retry_at(&s), Some(later));
    s.end_backoff(ids[0]);
    assert_eq!(retry_at(&s), None);
    s.refetch(ids[0], Some(later));
    assert_eq!(retry_at(&s), Some(later));
    s.set_position(ids[0], at(7));
    assert_eq!(retry_at(&s), None);
}

#[test]
fn pausing_is_said_once_and_only_resuming_counts_as_waiting() {
    let (mut s, ids) = assigned(OffsetReset::Earliest, &[0, 1]);
    s.set_position(ids[0], at(7));
    assert!(s.take_moved(ids[0]), "a position was found");
    assert!(!s.take_moved(ids[0]), "said once");
    s.pause(&partitions(&[0])).unwrap();
    assert_eq!((s.is_paused(ids[0]), s.is_paused(ids[1])), (true, false));
    assert_eq!(s.paused().map(|(id, _)| id).collect::<Vec<_>>(), [ids[0]]);
    assert_eq!(s.take_toggled(), [ids[0]].into());
    assert!(!s.take_moved(ids[0]));
    s.pause(&partitions(&[0])).unwrap();
    assert_eq!(s.take_toggled(), [].into(), "nothing has changed");
    s.resume(&partitions(&[0, 1])).unwrap();
    assert_eq!(s.take_toggled(), [ids[0]].into());
    assert_eq!(s.paused().count(), 0);
    assert!(s.take_moved(ids[0]));
    assert!(!s.take_moved(ids[1]), "it was not paused");
    s.seek(&("t", 1).into(), at(3)).unwrap();
    s.pause(&partitions(&[1])).unwrap();
    assert!(s.take_moved(ids[1]), "pausing takes nothing back");
    assert!(!s.take_moved(99));
}

#[test]
fn marks_that_are_not_told_stay() {
    let (mut s, ids) = assigned(OffsetReset::Earliest, &[0]);
    let told =
        |high_watermark, last_stable, log_start| Marks { high_watermark, last_stable, log_start };
    s.set_marks(ids[0], told(Some(9), Some(8), Some(1)));
    s.set_marks(ids[0], told(Some(10), None, None));
    assert_eq!(s.state(ids[0]).unwrap().marks, told(Some(10), Some(8), Some(1)));
}

#[test]
fn a_follower_is_left_by_its_partitions_alone() {
    let replica = |node| Replica { node, until: some_time(), leader_epoch: None, refused: false };
    let (mut s, ids) = assigned(OffsetReset::Earliest, &[0, 1, 2]);
    s.set_replica(ids[0], Some(replica(5)));
    s.set_replica(ids[1], Some(replica(6)));
    assert!(!s.leave_replica(7));
    assert!(s.leave_replica(5));
    let read_from = |id: &PartitionId| s.state(*id).unwrap().replica.map(|r| r.node);
    assert_eq!(ids.iter().map(read_from).collect::<Vec<_>>(), [None, Some(6), None]);
    assert!(!s.leave_replica(5));
}

#[test]
fn every_change_is_said_once() {
    let (mut s, ids) = assigned(OffsetReset::Earliest, &[0, 1]);
    assert!(s.has_touched());
    assert_eq!(s.take_touched(), ids.iter().copied().collect());
    assert!(!s.has_touched());
    s.suspend(ids[1]);
    assert!(s.has_touched());
    assert_eq!(s.take_touched(), [ids[1]].into());
    assert_eq!(s.take_touched(), [].into());
}

#[test]
fn without_a_policy_a_partition_is_stuck_until_it_is_given_a_place() {
    let (mut s, ids) = assigned(OffsetReset::None, &[0, 1]);
    assert!(matches!(s.stuck(), Some(Error::NoOffsetForPartition { .. })));
    s.set_position(ids[0], at(7));
    assert!(s.stuck_at(ids[0]).is_none());
    assert!(matches!(s.stuck_at(ids[1]), Some(Error::NoOffsetForPartition { .. })));
    s.seek_to(&partitions(&[1]), OffsetReset::Latest).unwrap();
    assert!(s.stuck().is_none(), "it is known where to look");
    let (s, ids) = assigned(OffsetReset::Latest, &[0]);
    assert!(s.stuck().is_none() && s.stuck_at(ids[0]).is_none() && s.stuck_at(99).is_none());
}

#[test]
fn a_partition_that_is_dropped_is_neither_stuck_nor_paused_nor_looked_for() {
    let (mut s, _) = assigned(OffsetReset::None, &[0, 1]);
    s.pause(&partitions(&[0])).unwrap();
    s.unsubscribe();
    assert!(s.stuck().is_none());
    assert_eq!((s.paused().count(), s.unresolved().count()), (0, 0));
    assert_eq!(s.partition_ids().count(), 0);
}
