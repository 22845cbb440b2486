//! That nobody commits over the offsets of those who own a partition now.

use std::time::Duration;

use kafka_blocking::{
    ConsumerRebalanceListener, Error, ErrorCode, KafkaConsumer, TopicPartition,
    protocol::{heartbeat::HeartbeatRequest, offset_commit::OffsetCommitRequest},
};
use scripted_broker::{MemberScript, Role, ScriptedBroker};

use crate::{
    GROUP, automatic, builder, committed, count, join, manual,
    support::{append, broker_with, take, wait_until},
};

/// Lets the group go on without a member, while somebody else takes its place and commits 50.
fn replace(broker: &ScriptedBroker, consumer: &KafkaConsumer) {
    let id = consumer.group_metadata().unwrap().member_id;
    let group = broker.group(GROUP);
    group.remove_member(&id);
    group.add(MemberScript::new(["t"]));
    broker.wait_for_group(GROUP, |g| g.is_stable_with(1));
    group.set_committed(("t", 0), 50);
}

fn assert_failed(result: Result<(), Error>) -> String {
    match result {
        Err(error @ Error::CommitFailed { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn fault_135_a_member_that_was_replaced_does_not_overwrite_the_new_owners_offset() {
    let broker = broker_with(1, 5);
    let consumer = manual(&broker).heartbeat_interval_ms(40_000).build().unwrap();
    take(&consumer, 5);
    replace(&broker, &consumer);
    // It has not heard of it.
    let text = assert_failed(consumer.commit());
    assert!(text.contains(GROUP), "{text}");
    assert_failed(consumer.commit());
    assert_failed(consumer.commit_offsets([(("t", 0), 4)]));
    assert_failed(consumer.commit_async().and_then(|pending| pending.wait()));
    assert_eq!(committed(&broker, 0), Some(50));
}

#[test]
fn fault_135_auto_commit_of_a_member_that_was_replaced_overwrites_nothing() {
    let broker = broker_with(1, 5);
    let consumer = automatic(&broker).heartbeat_interval_ms(40_000).auto_commit_interval_ms(60_000);
    let consumer = consumer.build().unwrap();
    take(&consumer, 5);
    replace(&broker, &consumer);
    consumer.close().unwrap();
    assert_eq!(committed(&broker, 0), Some(50));
    assert_eq!(count::<OffsetCommitRequest>(&broker), 1, "it has tried");
}

#[test]
fn fault_135_a_partition_that_went_to_another_member_is_not_committed() {
    let broker = broker_with(2, 5);
    let consumer = manual(&broker).build().unwrap();
    take(&consumer, 10);
    broker.group(GROUP).add(MemberScript::new(["t"]));
    wait_until("one partition is gone", || {
        consumer.poll(Duration::from_millis(5)).unwrap();
        consumer.assignment().unwrap().len() == 1
    });
    let kept = consumer.assignment().unwrap().remove(0);
    let gone: TopicPartition = ("t", 1 - kept.partition()).into();
    let before = count::<OffsetCommitRequest>(&broker);
    let text = assert_failed(consumer.commit_offsets([(gone.clone(), 5)]));
    assert!(text.contains(&gone.to_string()), "{text}");
    assert_eq!(count::<OffsetCommitRequest>(&broker), before, "nothing was sent");
    consumer.commit_offsets([(kept.clone(), 3)]).unwrap();
    assert_eq!(committed(&broker, gone.partition()), None);
    assert_eq!(committed(&broker, kept.partition()), Some(3));
}

#[test]
fn fault_135_a_commit_that_is_tried_again_does_not_outlive_the_partition() {
    let broker = broker_with(2, 5);
    let consumer = manual(&broker).build().unwrap();
    take(&consumer, 10);
    broker.on::<OffsetCommitRequest>().fail(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
    let pending = consumer.commit_async().unwrap();
    wait_until("a first try", || count::<OffsetCommitRequest>(&broker) > 0);
    broker.group(GROUP).add(MemberScript::new(["t"]));
    wait_until("one partition is gone", || {
        consumer.poll(Duration::from_millis(5)).unwrap();
        consumer.assignment().unwrap().len() == 1
    });
    broker.clear_rules();
    assert_failed(pending.wait());
    assert_eq!((committed(&broker, 0), committed(&broker, 1)), (None, None));
}

struct CommitsOnRevoke;

impl ConsumerRebalanceListener for CommitsOnRevoke {
    fn on_partitions_revoked(
        &mut self,
        consumer: &KafkaConsumer,
        _: &[TopicPartition],
    ) -> Result<(), kafka_blocking::BoxError> {
        Ok(consumer.commit()?)
    }
}

#[test]
fn what_is_committed_while_partitions_are_revoked_arrives_before_the_new_owner() {
    let broker = broker_with(2, 5);
    let consumer = builder(&broker).enable_auto_commit(false).build().unwrap();
    consumer.subscribe_with(["t"], CommitsOnRevoke).unwrap();
    take(&consumer, 10);
    broker.group(GROUP).add(MemberScript::new(["t"]));
    wait_until("one partition is gone", || {
        consumer.poll(Duration::from_millis(5)).unwrap();
        consumer.assignment().unwrap().len() == 1
    });
    assert_eq!((committed(&broker, 0), committed(&broker, 1)), (Some(5), Some(5)));
}

#[test]
fn fault_140_a_commit_in_a_rebalance_fails_for_now_and_keeps_the_generation() {
    let broker = broker_with(1, 5);
    let consumer = manual(&broker).build().unwrap();
    take(&consumer, 5);
    let generation = consumer.group_metadata().unwrap().generation_id;
    broker.on::<OffsetCommitRequest>().once().fail(ErrorCode::REBALANCE_IN_PROGRESS);
    let error = consumer.commit().unwrap_err();
    assert!(matches!(error, Error::RebalanceInProgress), "{error:?}");
    assert_eq!(consumer.group_metadata().unwrap().generation_id, generation);
    assert_eq!(count::<OffsetCommitRequest>(&broker), 1, "it is the caller's to try again");
    append(&broker, 0, 1);
    // The poll takes part in the rebalance, and begins at what was committed: nothing.
    assert_eq!(take(&consumer, 1)[0].offset(), 0);
    consumer.commit_offsets([(("t", 0), 5)]).unwrap();
    assert_eq!(committed(&broker, 0), Some(5));
}

#[test]
fn fault_140_while_the_leader_assigns_a_commit_of_what_is_kept_fails_for_now() {
    let broker = broker_with(2, 5);
    let consumer = manual(&broker).partition_assignment_strategy("cooperative-sticky");
    let consumer = consumer.build().unwrap();
    take(&consumer, 10);
    let slow_leader = MemberScript::new(["t"])
        .protocols(["cooperative-sticky"])
        .role(Role::Leader)
        .syncs_after(Duration::MAX);
    broker.group(GROUP).add(slow_leader);
    wait_until("it waits for the leader", || {
        consumer.poll(Duration::from_millis(5)).unwrap();
        let id = consumer.group_metadata().unwrap().member_id;
        broker.group(GROUP).view().member(&id).is_some_and(|m| m.is_syncing)
    });
    let error = consumer.commit().unwrap_err();
    assert!(matches!(error, Error::RebalanceInProgress), "{error:?}");
    assert_eq!(consumer.assignment().unwrap().len(), 2, "nothing is lost by that");
    assert_eq!(consumer.position(("t", 0)).unwrap(), 5);
}

#[test]
fn fault_163_who_assigns_partitions_of_a_group_with_members_cannot_commit_and_is_told_why() {
    let broker = broker_with(1, 5);
    let member = manual(&broker).build().unwrap();
    take(&member, 2);
    let stranger = builder(&broker).enable_auto_commit(false).build().unwrap();
    stranger.assign([("t", 0)]).unwrap();
    take(&stranger, 5);
    let text = assert_failed(stranger.commit());
    assert!(text.contains("has members") && text.contains("UNKNOWN_MEMBER_ID"), "{text}");
    member.commit().unwrap();
    assert_eq!(committed(&broker, 0), Some(2));
    // It reads on, and can commit once the members are gone.
    append(&broker, 0, 1);
    assert_eq!(take(&stranger, 1)[0].offset(), 5);
    member.close().unwrap();
    stranger.commit().unwrap();
    assert_eq!(committed(&broker, 0), Some(6));
}

#[test]
fn a_member_that_was_away_for_too_long_commits_nothing_and_begins_anew_where_the_group_is() {
    let broker = broker_with(1, 5);
    let consumer = manual(&broker).max_poll_interval_ms(500).build().unwrap();
    take(&consumer, 5);
    broker.wait_for_group(GROUP, |g| g.members.is_empty());
    let beats = count::<HeartbeatRequest>(&broker);
    assert_failed(consumer.commit());
    assert_failed(consumer.commit_offsets([(("t", 0), 3)]));
    assert_eq!((committed(&broker, 0), count::<OffsetCommitRequest>(&broker)), (None, 0));
    assert_eq!(take(&consumer, 1)[0].offset(), 0);
    wait_until("heartbeats again", || count::<HeartbeatRequest>(&broker) > beats);
    consumer.commit().unwrap();
    assert_eq!(committed(&broker, 0), Some(1));
}

#[test]
fn positions_can_be_committed_that_were_only_sought() {
    let broker = broker_with(1, 5);
    let consumer = builder(&broker).build().unwrap();
    consumer.assign([("t", 0)]).unwrap();
    consumer.seek(("t", 0), 3).unwrap();
    consumer.commit().unwrap();
    assert_eq!(committed(&broker, 0), Some(3));
    let other = broker_with(1, 0);
    let member = manual(&other).build().unwrap();
    join(&member);
    member.seek(("t", 0), 1).unwrap();
    member.commit().unwrap();
    assert_eq!(member.committed(("t", 0)).unwrap(), Some(1));
}
