//! What the program commits itself: which offsets arrive, and what can be asked of them.

use std::{collections::BTreeMap, thread, time::Duration};

use kafka_blocking::{
    BoxError, Error, ErrorCode, OffsetAndMetadata, TopicPartition,
    protocol::offset_commit::OffsetCommitRequest,
};

use crate::{
    GROUP, builder, committed, count, join, manual, sent,
    support::{LONG, broker_with, ends_within, take},
};

#[test]
fn behaviour_84_a_commit_after_a_record_is_of_the_next_one() {
    let broker = broker_with(1, 10);
    let consumer = manual(&broker).build().unwrap();
    for record in consumer.iter().take(5) {
        let record = record.unwrap();
        consumer.commit().unwrap();
        assert_eq!(consumer.committed(("t", 0)).unwrap(), Some(record.offset() + 1));
        assert_eq!(committed(&broker, 0), Some(record.offset() + 1));
    }
    drop(consumer);
    assert_eq!(take(&manual(&broker).build().unwrap(), 1)[0].offset(), 5);
}

#[test]
fn behaviour_74_committed_is_what_the_group_has_whoever_committed_it_and_whatever_is_assigned() {
    let broker = broker_with(3, 0);
    let consumer = manual(&broker).build().unwrap();
    assert_eq!(consumer.committed(("t", 2)).unwrap(), None);
    assert_eq!(consumer.committed_metadata(("t", 2)).unwrap(), None);
    broker.group(GROUP).set_committed(("t", 2), 7);
    assert_eq!(consumer.committed(("t", 2)).unwrap(), Some(7));
    assert!(consumer.assignment().unwrap().is_empty());
    // Of partitions and topics that there are not: nothing, and no error.
    assert_eq!(consumer.committed(("t", 99)).unwrap(), None);
    assert_eq!(consumer.committed(("nowhere", 0)).unwrap(), None);
    join(&consumer);
    let offset = OffsetAndMetadata::new(4).with_metadata("checkpoint 7").with_leader_epoch(3);
    consumer.commit_offsets([(("t", 1), &offset)]).unwrap();
    assert_eq!(consumer.committed_metadata(("t", 1)).unwrap(), Some(offset));
    // Nothing is remembered here: what another one commits is seen.
    broker.group(GROUP).set_committed(("t", 1), 9);
    assert_eq!(consumer.committed_metadata(("t", 1)).unwrap(), Some(OffsetAndMetadata::new(9)));
    let wrong = [consumer.committed(("t", -1)), consumer.committed(("no/topic", 0))];
    assert!(wrong.iter().all(|e| matches!(e, Err(Error::IllegalArgument(_)))), "{wrong:?}");
}

#[test]
fn behaviour_55_to_commit_nothing_asks_nobody() {
    let broker = broker_with(1, 3);
    let consumer = manual(&broker).build().unwrap();
    // No position yet, no offsets given.
    consumer.commit().unwrap();
    consumer.commit_offsets(BTreeMap::<TopicPartition, OffsetAndMetadata>::new()).unwrap();
    let pending = consumer.commit_async().unwrap();
    assert!(pending.is_done());
    pending.wait().unwrap();
    assert_eq!(count::<OffsetCommitRequest>(&broker), 0);
}

#[test]
fn behaviour_55_what_may_pass_is_tried_again_and_what_stays_is_raised_at_once() {
    let broker = broker_with(1, 3);
    let consumer = manual(&broker).build().unwrap();
    take(&consumer, 3);
    broker.on::<OffsetCommitRequest>().times(3).fail(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
    consumer.commit().unwrap();
    assert_eq!((committed(&broker, 0), count::<OffsetCommitRequest>(&broker)), (Some(3), 4));
    broker.on::<OffsetCommitRequest>().fail(ErrorCode::INVALID_COMMIT_OFFSET_SIZE);
    let error = consumer.commit().unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::INVALID_COMMIT_OFFSET_SIZE));
    assert_eq!(count::<OffsetCommitRequest>(&broker), 5);
}

#[test]
fn fault_143_a_note_that_is_too_large_is_refused_and_others_come_back_as_they_were() {
    let broker = broker_with(1, 1);
    let consumer = manual(&broker).build().unwrap();
    take(&consumer, 1);
    let commit = |note: &str| {
        consumer.commit_offsets([(("t", 0), OffsetAndMetadata::new(1).with_metadata(note))])
    };
    let error = commit(&"n".repeat(4097)).unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::OFFSET_METADATA_TOO_LARGE));
    assert!(error.to_string().contains("t-0"), "{error}");
    assert_eq!(committed(&broker, 0), None);
    for note in ["a\0b", "Übergröße ☃ 🦀", "", "\u{7f}\n", &"n".repeat(4096)] {
        commit(note).unwrap();
        let kept = consumer.committed_metadata(("t", 0)).unwrap().unwrap();
        assert_eq!((kept.offset(), kept.metadata()), (1, note));
    }
    // Longer than the protocol can say: an error of the caller's, and the consumer works on.
    assert!(commit(&"n".repeat(40_000)).is_err());
    commit("short").unwrap();
    assert_eq!(consumer.committed(("t", 0)).unwrap(), Some(1));
}

#[test]
fn fault_144_what_was_stored_of_a_commit_is_stored_and_the_error_names_the_rest() {
    let broker = broker_with(3, 1);
    let consumer = manual(&broker).build().unwrap();
    take(&consumer, 3);
    let refused = ErrorCode::INVALID_COMMIT_OFFSET_SIZE;
    broker.on::<OffsetCommitRequest>().once().fail_partition("t", 1, refused);
    let error = consumer.commit().unwrap_err();
    assert_eq!(error.code(), Some(refused));
    let text = error.to_string();
    assert!(text.contains("t-1") && !text.contains("t-0") && !text.contains("t-2"), "{text}");
    let stored = [0, 1, 2].map(|partition| committed(&broker, partition));
    assert_eq!(stored, [Some(1), None, Some(1)]);
    // Nothing of it is left over for the next one.
    consumer.commit().unwrap();
    assert_eq!(committed(&broker, 1), Some(1));
}

#[test]
fn fault_144_a_topic_that_may_not_be_committed_is_named_and_another_one_is_not_affected() {
    let broker = broker_with(2, 1);
    let consumer = manual(&broker).build().unwrap();
    take(&consumer, 2);
    let refused = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
    broker.on::<OffsetCommitRequest>().fail_partition("t", 1, refused);
    match consumer.commit() {
        Err(Error::TopicAuthorizationFailed { topics }) => assert_eq!(topics, ["t"]),
        other => panic!("{other:?}"),
    }
    assert_eq!(committed(&broker, 0), Some(1));
    consumer.commit_offsets([(("t", 0), 0)]).unwrap();
    // Two commits in one request: each has the outcome of its own partitions.
    broker.on::<OffsetCommitRequest>().once().delay(Duration::from_millis(50));
    let first = consumer.commit_offsets_async([(("t", 0), 0)]).unwrap();
    let good = consumer.commit_offsets_async([(("t", 0), 1)]).unwrap();
    let bad = consumer.commit_offsets_async([(("t", 1), 1)]).unwrap();
    assert!(matches!(bad.wait(), Err(Error::TopicAuthorizationFailed { .. })));
    good.wait().unwrap();
    first.wait().unwrap();
}

#[test]
fn fault_144_a_partition_that_waits_for_its_leader_does_not_hide_one_that_is_refused() {
    let broker = broker_with(2, 1);
    let consumer = manual(&broker).build().unwrap();
    take(&consumer, 2);
    let (waits, refused) =
        (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, ErrorCode::OFFSET_METADATA_TOO_LARGE);
    broker.on::<OffsetCommitRequest>().fail_partition("t", 0, waits);
    broker.on::<OffsetCommitRequest>().fail_partition("t", 1, refused);
    let error = ends_within(Duration::from_secs(1), "commit()", || consumer.commit()).unwrap_err();
    assert_eq!(error.code(), Some(refused));
}

#[test]
fn fault_162_an_offset_without_an_epoch_replaces_one_with_an_epoch() {
    let broker = broker_with(1, 10);
    let consumer = manual(&broker).build().unwrap();
    take(&consumer, 1);
    let with_epoch = OffsetAndMetadata::new(7).with_leader_epoch(0);
    consumer.commit_offsets([(("t", 0), &with_epoch)]).unwrap();
    assert_eq!(consumer.committed_metadata(("t", 0)).unwrap(), Some(with_epoch));
    consumer.commit_offsets([(("t", 0), 3)]).unwrap();
    let stored = consumer.committed_metadata(("t", 0)).unwrap().unwrap();
    assert_eq!((stored.offset(), stored.leader_epoch()), (3, None));
    assert_eq!(sent(&broker), [7, 3]);
    consumer.close().unwrap();
    assert_eq!(take(&manual(&broker).build().unwrap(), 1)[0].offset(), 3);
}

#[test]
fn a_commit_says_the_epoch_of_the_last_record_that_was_read() {
    let broker = broker_with(1, 2);
    broker.with_state(|state| state.partition_mut("t", 0).epoch = 5);
    crate::support::append(&broker, 0, 1);
    let consumer = manual(&broker).build().unwrap();
    take(&consumer, 3);
    consumer.commit().unwrap();
    let stored = consumer.committed_metadata(("t", 0)).unwrap().unwrap();
    assert_eq!((stored.offset(), stored.leader_epoch()), (3, Some(5)));
}

#[test]
fn a_commit_does_not_say_the_epoch_of_a_record_that_could_not_be_read() {
    let broker = broker_with(1, 1);
    broker.with_state(|state| state.partition_mut("t", 0).epoch = 5);
    crate::support::append(&broker, 0, 1);
    let refuse = |value: &[u8]| match value {
        b"0:1" => Err(BoxError::from("not this one")),
        other => Ok(other.to_vec()),
    };
    let consumer = manual(&broker).value_deserializer(refuse).build().unwrap();
    assert_eq!(consumer.next().unwrap().unwrap().offset(), 0);
    assert!(matches!(consumer.next(), Some(Err(Error::Deserialization(_)))));
    consumer.commit().unwrap();
    let stored = consumer.committed_metadata(("t", 0)).unwrap().unwrap();
    assert_eq!((stored.offset(), stored.leader_epoch()), (1, Some(0)));
}

#[test]
fn offsets_that_cannot_be_are_refused_and_nothing_is_sent() {
    let broker = broker_with(1, 1);
    let consumer = builder(&broker).build().unwrap();
    consumer.assign([("t", 0)]).unwrap();
    let illegal = |result: Result<(), Error>| matches!(result, Err(Error::IllegalArgument(_)));
    assert!(illegal(consumer.commit_offsets([(("t", 0), -1)])));
    assert!(illegal(consumer.commit_offsets([(("t", 0), 1), (("t", -3), 1)])));
    assert!(illegal(consumer.commit_offsets_async([(("t", 0), -1)]).map(drop)));
    assert!(illegal(consumer.commit_offsets_async_then([(("t", 0), -1)], |_, _| ()).map(drop)));
    assert_eq!(count::<OffsetCommitRequest>(&broker), 0);
    // The largest one can be.
    consumer.commit_offsets([(("t", 0), i64::MAX)]).unwrap();
    assert_eq!(consumer.committed(("t", 0)).unwrap(), Some(i64::MAX));
}

#[test]
fn fault_242_commits_of_no_time_and_of_the_longest_time_are_right() {
    let broker = broker_with(1, 3);
    let consumer = manual(&broker).build().unwrap();
    take(&consumer, 3);
    for timeout in [Duration::ZERO, Duration::from_millis(1)] {
        let commit = || consumer.commit_timeout(timeout);
        match ends_within(timeout, "commit_timeout()", commit) {
            Ok(()) | Err(Error::Timeout { operation: "commit", .. }) => {}
            Err(other) => panic!("{other:?}"),
        }
        let ask = || consumer.committed_timeout(("t", 0), timeout);
        match ends_within(timeout, "committed_timeout()", ask) {
            Ok(_) | Err(Error::Timeout { operation: "committed", .. }) => {}
            Err(other) => panic!("{other:?}"),
        }
        // Nothing is left in the way of the next ones.
        consumer.commit_timeout(Duration::MAX).unwrap();
        assert_eq!(consumer.committed_timeout(("t", 0), Duration::MAX).unwrap(), Some(3));
        consumer.commit_async().unwrap().wait_timeout(Duration::MAX).unwrap();
    }
    consumer.close_timeout(Duration::MAX).unwrap();
    let consumer = manual(&broker).build().unwrap();
    join(&consumer);
    ends_within(Duration::ZERO, "close_timeout()", || consumer.close_timeout(Duration::ZERO))
        .unwrap();
}

#[test]
fn a_wake_up_ends_a_commit_that_waits_and_the_offsets_arrive_nevertheless() {
    let broker = broker_with(1, 3);
    let consumer = manual(&broker).build().unwrap();
    take(&consumer, 3);
    broker.on::<OffsetCommitRequest>().once().delay(Duration::from_millis(100));
    let handle = consumer.handle();
    thread::scope(|scope| {
        scope.spawn(|| {
            crate::support::wait_until("the commit", || sent(&broker) == [3]);
            handle.wakeup();
        });
        let error = consumer.commit_timeout(LONG).unwrap_err();
        assert!(matches!(error, Error::Wakeup), "{error:?}");
    });
    consumer.commit().unwrap();
    assert_eq!(committed(&broker, 0), Some(3));
}
