//! What auto commit commits, and when: never a record that the program may still be at work on.

use std::{panic::AssertUnwindSafe, panic::catch_unwind, thread, time::Duration};

use kafka_blocking::{
    BoxError, Error, KafkaConsumer, Result,
    protocol::{heartbeat::HeartbeatRequest, offset_commit::OffsetCommitRequest},
};
use scripted_broker::ScriptedBroker;

use crate::{
    GROUP, automatic, builder, committed, count,
    support::{LONG, append, broker_with, offsets, take, wait_until},
};

/// Waits while the keeper of the membership works, for as long as several of its rounds.
fn let_the_keeper_work(broker: &ScriptedBroker) {
    let before = count::<HeartbeatRequest>(broker);
    wait_until("some heartbeats", || count::<HeartbeatRequest>(broker) >= before + 3);
}

/// The offset that the next member of the group gets first.
fn next_owner_begins_at(broker: &ScriptedBroker) -> i64 {
    take(&automatic(broker).build().unwrap(), 1)[0].offset()
}

/// Reads on until something is committed of partition 0, and gives that.
fn commit_that_comes(broker: &ScriptedBroker, mut read: impl FnMut()) -> i64 {
    let before = committed(broker, 0);
    wait_until("a commit", || {
        read();
        committed(broker, 0) != before
    });
    committed(broker, 0).unwrap()
}

#[test]
fn fault_136_a_batch_that_was_polled_before_a_crash_comes_again() {
    let broker = broker_with(1, 20);
    let consumer = automatic(&broker).max_poll_records(5).build().unwrap();
    assert_eq!(consumer.poll(LONG).unwrap().count(), 5);
    let_the_keeper_work(&broker);
    // The position that it began at may be committed, which is none of them.
    assert_eq!(committed(&broker, 0).unwrap_or(0), 0, "the program is at work on all of them");
    // A crash does what drop does, without the farewell.
    drop(consumer);
    let consumer = automatic(&broker).max_poll_records(5).build().unwrap();
    assert_eq!(offsets(consumer.poll(LONG).unwrap().records(&("t", 0).into())), [0, 1, 2, 3, 4]);
    let_the_keeper_work(&broker);
    // The poll after it says that they are done with.
    assert_eq!(offsets(consumer.poll(LONG).unwrap().records(&("t", 0).into())), [5, 6, 7, 8, 9]);
    wait_until("a commit", || committed(&broker, 0).unwrap_or(0) > 0);
    let_the_keeper_work(&broker);
    assert_eq!(committed(&broker, 0), Some(5));
    drop(consumer);
    assert_eq!(committed(&broker, 0), Some(5));
    assert_eq!(next_owner_begins_at(&broker), 5);
}

#[test]
fn fault_137_no_record_is_committed_that_its_call_has_only_just_given() {
    let broker = broker_with(1, 300);
    let consumer = automatic(&broker).build().unwrap();
    for record in consumer.iter().take(300) {
        let record = record.unwrap();
        let committed = committed(&broker, 0).unwrap_or(0);
        assert!(committed <= record.offset(), "{committed} with {} in hand", record.offset());
        if record.offset() % 100 == 50 {
            let_the_keeper_work(&broker);
            let committed = crate::committed(&broker, 0).unwrap_or(0);
            assert!(committed <= record.offset(), "{committed} with {} in hand", record.offset());
        }
    }
    assert!(committed(&broker, 0).is_some(), "something was committed on the way");
}

#[test]
fn fault_137_no_record_of_a_poll_is_committed_before_the_next_one() {
    let broker = broker_with(1, 100);
    let consumer = automatic(&broker).max_poll_records(7).build().unwrap();
    let mut handed_out = 0;
    while handed_out < 100 {
        let before = handed_out;
        handed_out += i64::try_from(consumer.poll(LONG).unwrap().count()).unwrap();
        // Other calls do not say that the program is done.
        consumer.position(("t", 0)).unwrap();
        consumer.committed(("t", 0)).unwrap();
        if before == 49 {
            let_the_keeper_work(&broker);
        }
        let committed = committed(&broker, 0).unwrap_or(0);
        assert!(committed <= before, "{committed}, where {before} were done with");
    }
    assert!(committed(&broker, 0).is_some(), "something was committed on the way");
}

#[test]
fn fault_137_no_record_of_a_batch_is_committed_before_the_next_one() {
    let broker = broker_with(1, 0);
    broker.append("t", 0, ["a", "b", "c"]);
    broker.append("t", 0, ["d", "e"]);
    let consumer = automatic(&broker).build().unwrap();
    assert_eq!(consumer.poll_batch(LONG).unwrap().unwrap().iter().count(), 3);
    let_the_keeper_work(&broker);
    assert_eq!(committed(&broker, 0).unwrap_or(0), 0);
    assert_eq!(consumer.poll_batch(LONG).unwrap().unwrap().iter().count(), 2);
    wait_until("a commit", || committed(&broker, 0).unwrap_or(0) > 0);
    let_the_keeper_work(&broker);
    assert_eq!(committed(&broker, 0), Some(3));
}

/// Fails at a record, as a program does whose work fails.
fn fails_at(consumer: &KafkaConsumer, at: i64) -> Result<i64, Box<dyn std::error::Error>> {
    for record in consumer {
        let record = record?;
        if record.offset() == at {
            return Err("the work failed".into());
        }
    }
    Ok(at)
}

#[test]
fn behaviour_8_a_loop_that_is_left_by_an_error_leaves_its_record_to_the_next_owner() {
    let broker = broker_with(1, 20);
    let consumer = automatic(&broker).build().unwrap();
    assert!(fails_at(&consumer, 12).is_err());
    drop(consumer);
    let first = next_owner_begins_at(&broker);
    assert!(first <= 12, "{first} was never processed");
}

#[test]
fn behaviour_8_the_record_at_which_a_loop_was_left_is_the_first_of_the_next_owner() {
    let broker = broker_with(1, 20);
    let consumer = automatic(&broker).build().unwrap();
    // Each record waits until those before it are committed.
    for record in consumer.iter().take(6) {
        let_the_keeper_work(&broker);
        assert!(record.is_ok());
    }
    wait_until("the commit of the first five", || committed(&broker, 0) == Some(5));
    drop(consumer);
    assert_eq!(next_owner_begins_at(&broker), 5);
}

#[test]
fn behaviour_8_the_end_of_the_scope_commits_nothing_and_a_panic_neither() {
    let broker = broker_with(1, 20);
    let slow = || automatic(&broker).auto_commit_interval_ms(60_000).build().unwrap();
    {
        let consumer = slow();
        take(&consumer, 5);
    }
    let panics = AssertUnwindSafe(|| {
        let consumer = slow();
        take(&consumer, 7);
        panic!("the test panics, as it shall");
    });
    assert!(catch_unwind(panics).is_err());
    broker.wait_for_group(GROUP, |group| group.members.is_empty());
    assert_eq!(committed(&broker, 0), None);
    assert_eq!(count::<OffsetCommitRequest>(&broker), 0);
}

#[test]
fn behaviour_18_what_was_read_and_committed_at_the_close_is_not_read_again() {
    let broker = broker_with(2, 100);
    let consumer = automatic(&broker).build().unwrap();
    let mut seen: Vec<_> =
        take(&consumer, 180).iter().map(|r| (r.partition(), r.offset())).collect();
    consumer.close().unwrap();
    let consumer = automatic(&broker).consumer_timeout_ms(200).build().unwrap();
    let rest: Vec<_> = consumer.iter().map(|r| r.unwrap()).collect();
    assert_eq!(rest.len(), 20);
    seen.extend(rest.iter().map(|r| (r.partition(), r.offset())));
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 200);
}

#[test]
fn fault_137_a_record_that_a_deserializer_refuses_is_not_committed() {
    let broker = broker_with(1, 0);
    broker.append("t", 0, ["a", "b", "damaged", "d"]);
    let consumer = automatic(&broker)
        .value_deserializer(|bytes: &[u8]| match bytes {
            b"damaged" => Err(BoxError::from("the test refuses it")),
            _ => Ok(bytes.len()),
        })
        .build()
        .unwrap();
    let polled = consumer.poll(LONG).unwrap();
    assert_eq!(polled.count(), 2);
    for _ in 0..3 {
        let_the_keeper_work(&broker);
        assert!(matches!(consumer.poll(LONG), Err(Error::Deserialization(_))));
        assert!(committed(&broker, 0).unwrap_or(0) <= 2);
    }
    consumer.close().unwrap();
    assert_eq!(committed(&broker, 0), Some(2));
    assert_eq!(next_owner_begins_at(&broker), 2);
}

#[test]
fn positions_are_committed_inside_a_long_poll() {
    let broker = broker_with(1, 3);
    let consumer = automatic(&broker).auto_commit_interval_ms(60).build().unwrap();
    let mut got = 0;
    while got < 3 {
        got += consumer.poll(LONG).unwrap().count();
    }
    assert_eq!(committed(&broker, 0).unwrap_or(0), 0);
    thread::scope(|scope| {
        scope.spawn(|| {
            wait_until("a commit", || committed(&broker, 0) == Some(3));
            append(&broker, 0, 1);
        });
        assert_eq!(consumer.poll(LONG).unwrap().count(), 1);
    });
}

#[test]
fn positions_are_committed_in_the_middle_of_a_large_batch() {
    let broker = broker_with(1, 0);
    broker.append("t", 0, (0..10_000).map(|n| n.to_string()));
    let consumer = automatic(&broker).auto_commit_interval_ms(100).build().unwrap();
    take(&consumer, 2_000);
    // Held for longer than the interval: it is due, and this record is the program's.
    let record = take(&consumer, 1).remove(0);
    (0..3).for_each(|_| let_the_keeper_work(&broker));
    let last = commit_that_comes(&broker, || drop(take(&consumer, 1)));
    assert!(last > record.offset() && last < 10_000, "{last}");
    let position = consumer.position(("t", 0)).unwrap();
    assert!(last < position, "{last} is committed with {} in hand", position - 1);
}

#[test]
fn positions_of_assigned_partitions_are_committed_too() {
    let broker = broker_with(1, 10);
    let consumer = builder(&broker).auto_commit_interval_ms(1).build().unwrap();
    consumer.assign([("t", 0)]).unwrap();
    assert_eq!(take(&consumer, 10).len(), 10);
    wait_until("a commit of all", || {
        assert!(consumer.poll(Duration::from_millis(1)).unwrap().is_empty());
        committed(&broker, 0) == Some(10)
    });
}

#[test]
fn positions_of_assigned_partitions_are_committed_in_the_middle_of_a_large_batch_too() {
    let broker = broker_with(1, 0);
    broker.append("t", 0, (0..10_000).map(|n| n.to_string()));
    let consumer = builder(&broker).auto_commit_interval_ms(50).build().unwrap();
    consumer.assign([("t", 0)]).unwrap();
    take(&consumer, 2_000);
    let last = commit_that_comes(&broker, || drop(take(&consumer, 1)));
    assert!(last > 0 && last < 10_000, "{last}");
    assert!(last < consumer.position(("t", 0)).unwrap());
}

#[test]
fn without_auto_commit_nothing_is_committed_by_itself() {
    let broker = broker_with(1, 10);
    let consumer =
        automatic(&broker).enable_auto_commit(false).max_poll_records(1).build().unwrap();
    for _ in 0..10 {
        assert_eq!(consumer.poll(LONG).unwrap().count(), 1);
    }
    let_the_keeper_work(&broker);
    consumer.poll(Duration::from_millis(5)).unwrap();
    consumer.unsubscribe().unwrap();
    consumer.close().unwrap();
    assert_eq!(count::<OffsetCommitRequest>(&broker), 0);
}
