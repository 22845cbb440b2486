//! What the user asked for, step by step.

use super::*;
use crate::{
    client::pattern::TopicPattern,
    protocol::metadata::{
        MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
    },
};

fn at(offset: i64) -> Place {
    Place { offset, epoch: None }
}

fn partitions(numbers: &[i32]) -> BTreeSet<TopicPartition> {
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
fn read_up_to(policy: OffsetReset, place: Place) -> (Subscriptions, PartitionId) {
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
fn led_in(leader_epoch: i32) -> Cluster {
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
