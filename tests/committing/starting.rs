//! Where a member begins to read: at what the group has committed, and never by the reset policy while that is not known.

use std::time::Duration;

use kafka_blocking::{
    BoxError, ConsumerBuilder, ConsumerRebalanceListener, Error, ErrorCode, KafkaConsumer,
    TopicPartition,
    protocol::{list_offsets::ListOffsetsRequest, offset_fetch::OffsetFetchRequest},
};
use scripted_broker::ScriptedBroker;

use crate::{
    GROUP, SOON, builder, count, join, manual,
    support::{LONG, append, broker_with, ends_within, fetches, offsets, take, wait_until},
};

/// A broker with ten records, of which the group has read four.
fn half_read() -> ScriptedBroker {
    let broker = broker_with(1, 10);
    broker.group(GROUP).set_committed(("t", 0), 4);
    broker
}

/// Checks that the first record is the fifth, and that nobody looked for another place to begin.
fn begins_at_the_commit(broker: &ScriptedBroker, consumer: &KafkaConsumer) {
    assert_eq!(offsets(&take(consumer, 6)), [4, 5, 6, 7, 8, 9]);
    assert_eq!(count::<ListOffsetsRequest>(broker), 0, "no reset");
}

#[test]
fn fault_145_an_offset_of_an_open_transaction_is_waited_for() {
    let broker = half_read();
    broker.group(GROUP).set_unstable(("t", 0), true);
    let consumer = manual(&broker).isolation_level("read_committed").build().unwrap();
    join(&consumer);
    let ask = || consumer.committed_timeout(("t", 0), Duration::from_millis(100));
    let error = ends_within(Duration::from_millis(100), "committed", ask).unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
    assert!(error.to_string().contains("UNSTABLE_OFFSET_COMMIT"), "{error}");
    let position = consumer.position_timeout(("t", 0), Duration::from_millis(50)).unwrap_err();
    assert!(matches!(position, Error::Timeout { .. }), "{position:?}");
    assert!(consumer.poll(Duration::from_millis(100)).unwrap().is_empty());
    assert_eq!(fetches(&broker), 0);
    // The transaction ends with another offset.
    broker.group(GROUP).set_committed(("t", 0), 6);
    broker.group(GROUP).set_unstable(("t", 0), false);
    assert_eq!(consumer.committed(("t", 0)).unwrap(), Some(6));
    assert_eq!(take(&consumer, 1)[0].offset(), 6);
    assert_eq!(count::<ListOffsetsRequest>(&broker), 0, "no reset");
}

#[test]
fn fault_145_who_reads_everything_does_not_wait_for_transactions() {
    let broker = half_read();
    broker.group(GROUP).set_unstable(("t", 0), true);
    begins_at_the_commit(&broker, &manual(&broker).build().unwrap());
}

#[test]
fn fault_145_a_partition_that_waits_holds_up_no_other() {
    let broker = broker_with(2, 2);
    broker.group(GROUP).set_committed(("t", 0), 1);
    broker.group(GROUP).set_committed(("t", 1), 1);
    broker.group(GROUP).set_unstable(("t", 0), true);
    let consumer = manual(&broker).isolation_level("read_committed").build().unwrap();
    let first = take(&consumer, 1).remove(0);
    assert_eq!((first.partition(), first.offset()), (1, 1));
    broker.group(GROUP).set_unstable(("t", 0), false);
    let second = take(&consumer, 1).remove(0);
    assert_eq!((second.partition(), second.offset()), (0, 1));
}

/// Checks that the consumer finds nothing while `wrong` holds, and begins at what was committed afterwards.
fn never_resets(options: ConsumerBuilder, broker: &ScriptedBroker) {
    let consumer = options.build().unwrap();
    assert!(consumer.poll(SOON).unwrap().is_empty());
    assert!(count::<OffsetFetchRequest>(broker) > 1, "it was asked again");
    assert_eq!(fetches(broker), 0);
    broker.clear_rules();
    begins_at_the_commit(broker, &consumer);
}

#[test]
fn fault_146_a_connection_that_ends_while_the_offset_is_asked_for_resets_nothing() {
    for cut in [None, Some(3), Some(9), Some(20)] {
        let broker = half_read();
        match cut {
            None => broker.on::<OffsetFetchRequest>().close(),
            Some(n) => broker.on::<OffsetFetchRequest>().cut_at(n),
        }
        never_resets(manual(&broker).reconnect_backoff_ms(20), &broker);
    }
}

#[test]
fn fault_146_an_offset_that_is_not_answered_in_time_resets_nothing() {
    let broker = half_read();
    broker.on::<OffsetFetchRequest>().silence();
    never_resets(manual(&broker).request_timeout_ms(80).reconnect_backoff_ms(20), &broker);
}

#[test]
fn fault_146_errors_and_nonsense_in_place_of_the_offset_reset_nothing() {
    for code in [
        ErrorCode::NOT_COORDINATOR,
        ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode::COORDINATOR_NOT_AVAILABLE,
        ErrorCode::REQUEST_TIMED_OUT,
        ErrorCode::UNSTABLE_OFFSET_COMMIT,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
    ] {
        let broker = half_read();
        broker.on::<OffsetFetchRequest>().fail(code);
        never_resets(manual(&broker), &broker);
    }
    // An answer that leaves out the partition is none.
    let broker = half_read();
    broker.on::<OffsetFetchRequest>().rewrite(|response| {
        response.groups.iter_mut().for_each(|group| group.topics.clear());
    });
    never_resets(manual(&broker), &broker);
}

#[test]
fn fault_146_an_offset_below_unknown_is_no_place_to_begin() {
    let broker = half_read();
    broker.on::<OffsetFetchRequest>().once().rewrite(|response| {
        response.groups[0].topics[0].partitions[0].committed_offset = i64::MIN;
    });
    let consumer = manual(&broker).build().unwrap();
    // Either nothing was committed, or it is asked again; never a position that cannot be.
    let first = take(&consumer, 1)[0].offset();
    assert!(first == 0 || first == 4, "{first}");
}

#[test]
fn fault_147_without_a_commit_the_policy_says_where_to_begin() {
    for (policy, begins) in [("earliest", 0), ("latest", 3)] {
        let broker = broker_with(1, 3);
        let consumer = manual(&broker).auto_offset_reset(policy).build().unwrap();
        join_somewhere(&consumer);
        assert_eq!(consumer.position(("t", 0)).unwrap(), begins, "{policy}");
        append(&broker, 0, 1);
        assert_eq!(take(&consumer, 1)[0].offset(), begins);
    }
}

/// Polls until the consumer has partitions; records that come are read again.
fn join_somewhere(consumer: &KafkaConsumer) {
    wait_until("partitions", || {
        let polled = consumer.poll(Duration::ZERO).unwrap();
        for (partition, records) in polled {
            consumer.seek(partition, records[0].offset()).unwrap();
        }
        !consumer.assignment().unwrap().is_empty()
    });
}

#[test]
fn fault_147_without_a_commit_and_a_policy_reading_is_an_error_that_names_the_partition() {
    let broker = broker_with(2, 3);
    broker.group(GROUP).set_committed(("t", 1), 1);
    let consumer = manual(&broker).auto_offset_reset("none").build().unwrap();
    let (mut named, mut read) = (0, Vec::new());
    wait_until("the error, and the other partition", || {
        match consumer.poll(Duration::from_millis(20)) {
            Ok(polled) => read.extend(polled.records(&("t", 1).into()).iter().map(|r| r.offset())),
            Err(Error::NoOffsetForPartition { partition }) => {
                assert_eq!(partition, ("t", 0).into());
                named += 1;
            }
            Err(other) => panic!("{other:?}"),
        }
        named > 1 && read.len() == 2
    });
    assert_eq!(read, [1, 2]);
    consumer.seek(("t", 0), 2).unwrap();
    assert_eq!(take(&consumer, 1)[0].offset(), 2);
}

#[test]
fn fault_151_a_commit_behind_the_end_of_a_topic_made_anew_is_left_by_the_policy_without_spinning() {
    for (policy, begins) in [("earliest", 0), ("latest", 3)] {
        let broker = broker_with(1, 3);
        broker.group(GROUP).set_committed(("t", 0), 1_000);
        let consumer = manual(&broker).auto_offset_reset(policy).build().unwrap();
        wait_until("a position", || {
            consumer.poll_max(Duration::from_millis(1), 1).unwrap();
            consumer.position_timeout(("t", 0), SOON).is_ok_and(|position| position < 1_000)
        });
        consumer.seek(("t", 0), begins).unwrap();
        append(&broker, 0, 1);
        assert_eq!(take(&consumer, 1)[0].offset(), begins);
        let before = broker.requests().len();
        assert!(consumer.poll(Duration::from_millis(200)).unwrap().count() <= 3);
        assert!(broker.requests().len() - before < 30, "no spinning");
    }
    let broker = broker_with(1, 3);
    broker.group(GROUP).set_committed(("t", 0), 1_000);
    let consumer = manual(&broker).auto_offset_reset("none").build().unwrap();
    let error = consumer.poll(LONG).unwrap_err();
    assert!(
        matches!(&error, Error::OffsetOutOfRange { partition, offset: 1_000 } if *partition == ("t", 0).into()),
        "{error:?}"
    );
}

#[test]
fn fault_155_a_seek_wins_over_an_offset_that_is_being_asked_for() {
    let broker = half_read();
    broker.on::<OffsetFetchRequest>().delay(Duration::from_millis(100));
    let consumer = builder(&broker).build().unwrap();
    consumer.assign([("t", 0)]).unwrap();
    consumer.poll(Duration::ZERO).unwrap();
    wait_until("the question", || {
        consumer.poll(Duration::from_millis(1)).unwrap();
        count::<OffsetFetchRequest>(&broker) == 1
    });
    consumer.seek(("t", 0), 7).unwrap();
    assert_eq!(consumer.position(("t", 0)).unwrap(), 7);
    assert_eq!(offsets(&take(&consumer, 3)), [7, 8, 9]);
    consumer.poll(Duration::from_millis(150)).unwrap();
    assert_eq!(consumer.position(("t", 0)).unwrap(), 10);
}

#[test]
fn fault_155_a_seek_to_the_beginning_wins_as_well_and_so_does_one_of_a_member() {
    let broker = half_read();
    broker.on::<OffsetFetchRequest>().delay(Duration::from_millis(100));
    let consumer = manual(&broker).build().unwrap();
    join(&consumer);
    wait_until("the question", || {
        consumer.poll(Duration::from_millis(1)).unwrap();
        count::<OffsetFetchRequest>(&broker) == 1
    });
    consumer.seek_to_beginning([("t", 0)]).unwrap();
    assert_eq!(consumer.position(("t", 0)).unwrap(), 0);
    assert_eq!(offsets(&take(&consumer, 10)), (0..10).collect::<Vec<_>>());
    assert!(consumer.poll(Duration::from_millis(150)).unwrap().is_empty());
    assert_eq!(consumer.position(("t", 0)).unwrap(), 10);
}

struct Seeks(i64);

impl ConsumerRebalanceListener for Seeks {
    fn on_partitions_assigned(
        &mut self,
        consumer: &KafkaConsumer,
        partitions: &[TopicPartition],
    ) -> Result<(), BoxError> {
        for partition in partitions {
            consumer.seek(partition, self.0)?;
        }
        Ok(())
    }
}

#[test]
fn fault_155_a_seek_of_the_listener_wins_and_nobody_is_asked() {
    let broker = half_read();
    let consumer = builder(&broker).build().unwrap();
    consumer.subscribe_with(["t"], Seeks(8)).unwrap();
    assert_eq!(offsets(&take(&consumer, 2)), [8, 9]);
    assert_eq!(count::<OffsetFetchRequest>(&broker), 0);
}

#[test]
fn the_epoch_that_was_committed_is_told_to_the_leader_before_reading() {
    let broker = broker_with(1, 5);
    let consumer = manual(&broker).build().unwrap();
    take(&consumer, 5);
    consumer.commit().unwrap();
    consumer.close().unwrap();
    // Unclean election: what lies behind offset 3 is another log now.
    broker.elect_unclean("t", 0, 1, 3);
    append(&broker, 0, 4);
    let consumer = manual(&broker).auto_offset_reset("none").build().unwrap();
    let error = consumer.poll(LONG).unwrap_err();
    assert!(
        matches!(error, Error::LogTruncation { offset: 5, divergent: Some(3), .. }),
        "{error:?}"
    );
}
