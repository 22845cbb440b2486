//! What is committed when partitions go back to the group: by close, by unsubscribe, in a rebalance.

use std::{thread, time::Duration};

use kafka_blocking::{
    Error, ErrorCode,
    protocol::{
        join_group::JoinGroupRequest, leave_group::LeaveGroupRequest,
        offset_commit::OffsetCommitRequest,
    },
};
use scripted_broker::{LoggedRequest, MemberScript};

use crate::{
    GROUP, SOON, automatic, committed, count, manual,
    support::{LONG, append, broker_with, ends_within, take, wait_until},
};

/// Auto commit is due only at the end.
const NEVER: Duration = Duration::from_secs(3_600);

#[test]
fn fault_138_close_commits_what_was_handed_out_last() {
    let broker = broker_with(1, 10);
    let consumer = automatic(&broker).auto_commit_interval_ms(NEVER).build().unwrap();
    assert_eq!(take(&consumer, 4).len(), 4);
    consumer.close().unwrap();
    assert_eq!(committed(&broker, 0), Some(4));
    assert_eq!(count::<LeaveGroupRequest>(&broker), 1);
}

#[test]
fn fault_138_unsubscribe_commits_what_was_handed_out_last() {
    let broker = broker_with(1, 10);
    let consumer = automatic(&broker).auto_commit_interval_ms(NEVER).build().unwrap();
    take(&consumer, 4);
    consumer.unsubscribe().unwrap();
    assert_eq!(committed(&broker, 0), Some(4));
    // And goes on there when it comes back.
    consumer.subscribe(["t"]).unwrap();
    assert_eq!(take(&consumer, 1)[0].offset(), 4);
}

#[test]
fn fault_138_a_rebalance_commits_what_was_handed_out_last() {
    let broker = broker_with(2, 10);
    let consumer = automatic(&broker).auto_commit_interval_ms(NEVER).build().unwrap();
    let read = i64::try_from(take(&consumer, 13).len()).unwrap();
    broker.group(GROUP).add(MemberScript::new(["t"]));
    wait_until("half of the partitions", || {
        consumer.poll_max(Duration::from_millis(5), 1).unwrap();
        consumer.assignment().unwrap().len() == 1
    });
    let all = committed(&broker, 0).unwrap_or(0) + committed(&broker, 1).unwrap_or(0);
    // A poll on the way may have handed out some more, which it came back from.
    assert!(all >= read, "{all} of {read}");
}

#[test]
fn fault_138_close_without_commit_and_drop_commit_nothing() {
    let broker = broker_with(1, 10);
    let consumer = automatic(&broker).auto_commit_interval_ms(NEVER).build().unwrap();
    take(&consumer, 4);
    consumer.close_without_commit(LONG).unwrap();
    let consumer = automatic(&broker).auto_commit_interval_ms(NEVER).build().unwrap();
    take(&consumer, 4);
    drop(consumer);
    let consumer = manual(&broker).build().unwrap();
    take(&consumer, 4);
    consumer.close().unwrap();
    assert_eq!(count::<OffsetCommitRequest>(&broker), 0);
    assert_eq!(count::<LeaveGroupRequest>(&broker), 3);
}

#[test]
fn fault_138_a_wake_up_before_close_costs_neither_the_commit_nor_the_farewell() {
    let broker = broker_with(1, 10);
    let consumer = automatic(&broker).auto_commit_interval_ms(NEVER).build().unwrap();
    take(&consumer, 4);
    consumer.handle().wakeup();
    consumer.close().unwrap();
    assert_eq!(committed(&broker, 0), Some(4));
    assert_eq!(count::<LeaveGroupRequest>(&broker), 1);
}

#[test]
fn fault_138_a_stop_in_the_midst_of_close_costs_neither_the_commit_nor_the_farewell() {
    let broker = broker_with(1, 10);
    let consumer = automatic(&broker).auto_commit_interval_ms(NEVER).build().unwrap();
    take(&consumer, 4);
    broker.on::<OffsetCommitRequest>().delay(Duration::from_millis(100));
    let handle = consumer.handle();
    thread::scope(|scope| {
        scope.spawn(|| {
            wait_until("the commit", || count::<OffsetCommitRequest>(&broker) == 1);
            handle.stop();
        });
        consumer.close().unwrap();
    });
    assert_eq!(committed(&broker, 0), Some(4));
    assert_eq!(count::<LeaveGroupRequest>(&broker), 1);
}

#[test]
fn a_wake_up_before_unsubscribe_costs_no_commit_and_is_not_lost() {
    let broker = broker_with(1, 10);
    let consumer = automatic(&broker).auto_commit_interval_ms(NEVER).build().unwrap();
    take(&consumer, 4);
    consumer.handle().wakeup();
    consumer.unsubscribe().unwrap();
    assert_eq!(committed(&broker, 0), Some(4));
    consumer.subscribe(["t"]).unwrap();
    assert!(matches!(consumer.poll(LONG), Err(Error::Wakeup)));
    assert_eq!(take(&consumer, 1)[0].offset(), 4);
}

#[test]
fn a_coordinator_that_does_not_answer_the_commit_does_not_hold_up_close() {
    let broker = broker_with(1, 10);
    let consumer = automatic(&broker).auto_commit_interval_ms(NEVER).build().unwrap();
    take(&consumer, 4);
    broker.on::<OffsetCommitRequest>().swallow();
    let timeout = Duration::from_millis(100);
    let mut once = Some(consumer);
    ends_within(timeout, "close_timeout()", || {
        if let Some(consumer) = once.take() {
            consumer.close_timeout(timeout).unwrap();
        }
    });
}

#[test]
fn close_tries_its_commit_again_where_that_may_help() {
    let broker = broker_with(1, 10);
    let consumer = automatic(&broker).auto_commit_interval_ms(NEVER).build().unwrap();
    take(&consumer, 4);
    broker.on::<OffsetCommitRequest>().times(2).fail(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
    broker.on::<OffsetCommitRequest>().after(2).once().close();
    consumer.close().unwrap();
    assert_eq!(committed(&broker, 0), Some(4));
}

#[test]
fn close_in_the_midst_of_a_rebalance_does_not_wait_for_the_others() {
    let broker = broker_with(2, 5);
    let consumer = automatic(&broker).auto_commit_interval_ms(NEVER).build().unwrap();
    take(&consumer, 10);
    // The other one does not join again, so this one will wait.
    broker.group(GROUP).add(MemberScript::new(["t"]).joins_after(Duration::MAX));
    wait_until("a share of it", || {
        consumer.poll(Duration::from_millis(5)).unwrap();
        broker.group(GROUP).view().is_stable_with(2)
    });
    broker.group(GROUP).trigger_rebalance();
    let id = consumer.group_metadata().unwrap().member_id;
    let joins = || broker.group(GROUP).view().member(&id).is_some_and(|m| m.is_joining);
    wait_until("it waits", || {
        consumer.poll(Duration::from_millis(5)).unwrap();
        joins()
    });
    let mut once = Some(consumer);
    ends_within(Duration::ZERO, "close()", || {
        if let Some(consumer) = once.take() {
            consumer.close().unwrap();
        }
    });
    assert!(broker.group(GROUP).view().member(&id).is_none(), "it has left");
    assert_eq!((committed(&broker, 0), committed(&broker, 1)), (Some(5), Some(5)));
}

#[test]
fn close_between_the_last_join_and_its_answer_commits_when_the_group_has_divided() {
    let broker = broker_with(1, 3);
    let builder = automatic(&broker).auto_commit_interval_ms(NEVER);
    let consumer = builder.partition_assignment_strategy("cooperative-sticky").build().unwrap();
    take(&consumer, 3);
    broker.on::<JoinGroupRequest>().once().delay(SOON);
    let known = count::<JoinGroupRequest>(&broker);
    broker.group(GROUP).trigger_rebalance();
    wait_until("it joins", || {
        consumer.poll(Duration::from_millis(5)).unwrap();
        count::<JoinGroupRequest>(&broker) > known
    });
    append(&broker, 0, 1);
    take(&consumer, 1);
    broker.on::<OffsetCommitRequest>().once().fail(ErrorCode::REBALANCE_IN_PROGRESS);
    consumer.close().unwrap();
    assert_eq!(committed(&broker, 0), Some(4));
}

#[test]
fn polls_of_no_time_commit_before_they_join_anew() {
    let broker = broker_with(2, 5);
    let consumer = automatic(&broker).auto_commit_interval_ms(NEVER).build().unwrap();
    take(&consumer, 10);
    broker.on::<OffsetCommitRequest>().delay(Duration::from_millis(60));
    broker.group(GROUP).add(MemberScript::new(["t"]));
    wait_until("a share of it", || {
        assert!(consumer.poll(Duration::ZERO).unwrap().is_empty());
        consumer.assignment().unwrap().len() == 1
    });
    assert_eq!((committed(&broker, 0), committed(&broker, 1)), (Some(5), Some(5)));
    let requests = broker.requests();
    let at = |is: fn(&LoggedRequest) -> bool| requests.iter().rposition(is).unwrap();
    let (commit, join) =
        (at(LoggedRequest::is::<OffsetCommitRequest>), at(LoggedRequest::is::<JoinGroupRequest>));
    assert!(commit < join);
    let gap = requests[join].at - requests[commit].at;
    assert!(gap >= Duration::from_millis(60), "it waited for the answer: {gap:?}");
}
