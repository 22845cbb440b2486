//! What the user asked for, step by step.

use super::*;
use crate::client::pattern::TopicPattern;

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
