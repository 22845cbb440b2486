//! How much comes, from which partitions, and in which order; and what comes before records that cannot be read.

use std::{collections::BTreeMap, time::Duration};

use kafka_blocking::{ConsumerRecord, Error, KafkaConsumer, protocol::fetch::FetchRequest};
use scripted_broker::{Record, ScriptedBroker, encode_batch};

use crate::{
    assigned,
    support::{LONG, append, broker_with, builder, fetches, offsets, take},
    tp,
};

/// Two partitions of so many batches with 100 bytes and more each.
fn two_partitions(batches: usize) -> ScriptedBroker {
    let broker = broker_with(2, 0);
    for partition in 0..2 {
        for _ in 0..batches {
            broker.append("t", partition, [Record::value(vec![b'x'; 60])]);
        }
    }
    broker
}

fn count<'a>(records: impl IntoIterator<Item = &'a ConsumerRecord>) -> BTreeMap<i32, usize> {
    let mut counts = BTreeMap::new();
    for record in records {
        *counts.entry(record.partition()).or_default() += 1;
    }
    counts
}

#[test]
fn behaviour_19_with_little_room_in_an_answer_both_partitions_are_consumed() {
    let broker = two_partitions(40);
    let consumer = builder(broker.address()).topics("t").fetch_max_bytes(300).build().unwrap();
    let half = take(&consumer, 40);
    let counts = count(&half);
    assert!((0..2).all(|p| counts[&p] >= 10), "one waits for the other: {counts:?}");
    let rest = take(&consumer, 40);
    for partition in 0..2 {
        let of_it = half.iter().chain(&rest).filter(|r| r.partition() == partition);
        assert_eq!(offsets(of_it), (0..40).collect::<Vec<_>>());
    }
    assert!(broker.requests_of::<FetchRequest>().iter().all(|fetch| fetch.max_bytes == 300));
}

#[test]
fn behaviour_19_with_room_for_a_single_byte_a_batch_comes_nevertheless() {
    let broker = two_partitions(10);
    let consumer = builder(broker.address()).topics("t").fetch_max_bytes(1).build().unwrap();
    let records = take(&consumer, 20);
    assert_eq!(count(&records), BTreeMap::from([(0, 10), (1, 10)]));
    let first = count(&records[..10]);
    assert_eq!(first.len(), 2, "one waits for the other: {first:?}");
    assert!(broker.requests_of::<FetchRequest>().iter().all(|fetch| fetch.max_bytes == 1));
}

#[test]
fn behaviour_80_a_limit_counts_over_all_partitions_and_the_rest_comes_in_order_without_a_fetch() {
    let broker = broker_with(3, 0);
    for partition in 0..3 {
        broker.append("t", partition, (0..5).map(|n| Record::value(n.to_string())));
    }
    // All come with the first answer, as no other does.
    broker.on::<FetchRequest>().after(1).silence();
    let consumer = assigned(&broker, &[0, 1, 2]);
    let (mut sizes, mut seen) = (Vec::new(), BTreeMap::<i32, Vec<i64>>::new());
    while sizes.iter().sum::<usize>() < 15 {
        let polled = consumer.poll_max(LONG, 4).unwrap();
        sizes.push(polled.count());
        for record in polled.into_records() {
            seen.entry(record.partition()).or_default().push(record.offset());
        }
    }
    assert!(sizes.iter().all(|n| (1..=4).contains(n)), "{sizes:?}");
    assert!(seen.values().all(|offsets| *offsets == [0, 1, 2, 3, 4]), "{seen:?}");
}

#[test]
fn behaviour_80_without_time_to_wait_poll_gives_what_is_there() {
    let broker = broker_with(1, 0);
    broker.append("t", 0, (0..6).map(|n| Record::value(n.to_string())));
    let consumer = assigned(&broker, &[0]);
    assert_eq!(offsets(consumer.poll_max(LONG, 2).unwrap().records(&tp(0))), [0, 1]);
    let before = fetches(&broker);
    broker.pause(1);
    let rest = consumer.poll(Duration::ZERO).unwrap();
    assert_eq!(offsets(rest.records(&tp(0))), [2, 3, 4, 5]);
    assert!(fetches(&broker) <= before + 1);
    assert!(consumer.poll(Duration::ZERO).unwrap().is_empty());
}

#[test]
fn behaviour_80_a_limit_of_zero_is_an_error_and_takes_nothing() {
    let broker = broker_with(1, 2);
    let consumer = assigned(&broker, &[0]);
    let error = consumer.poll_max(LONG, 0).unwrap_err();
    assert!(matches!(error, Error::IllegalArgument(_)), "{error:?}");
    assert_eq!(offsets(&take(&consumer, 2)), [0, 1]);
}

/// Five records in a batch each, of which the third has a checksum that is wrong.
fn third_is_corrupt() -> (ScriptedBroker, KafkaConsumer) {
    let broker = broker_with(1, 2);
    let mut corrupt = encode_batch(&["the third".into()]);
    let last = corrupt.len() - 2;
    corrupt[last] ^= 1;
    broker.append_batch("t", 0, corrupt);
    append(&broker, 0, 2);
    let consumer = assigned(&broker, &[0]);
    (broker, consumer)
}

fn is_of_the_third(consumer: &KafkaConsumer, error: &Error) {
    assert!(matches!(error, Error::CorruptRecord { offset: 2, .. }), "{error:?}");
    assert_eq!(error.next_position(), Some((tp(0), 3)));
    assert_eq!(consumer.position(tp(0)).unwrap(), 2);
}

fn goes_on_behind(consumer: &KafkaConsumer, error: &Error) {
    let (partition, next) = error.next_position().unwrap();
    consumer.seek(partition, next).unwrap();
    assert_eq!(offsets(&take(consumer, 2)), [3, 4]);
}

#[test]
fn behaviour_35_poll_gives_what_is_before_a_corrupt_record_and_then_the_error_each_time() {
    let (_broker, consumer) = third_is_corrupt();
    let mut before = Vec::new();
    let error = loop {
        match consumer.poll(LONG) {
            Ok(polled) => before.extend(offsets(polled.records(&tp(0)))),
            Err(error) => break error,
        }
    };
    assert_eq!(before, [0, 1]);
    is_of_the_third(&consumer, &error);
    for _ in 0..3 {
        is_of_the_third(&consumer, &consumer.poll(LONG).unwrap_err());
    }
    goes_on_behind(&consumer, &error);
}

#[test]
fn behaviour_35_iteration_gives_what_is_before_a_corrupt_record_and_then_the_error_each_time() {
    let (_broker, consumer) = third_is_corrupt();
    let mut records = consumer.iter();
    assert_eq!(records.next().unwrap().unwrap().offset(), 0);
    assert_eq!(records.next().unwrap().unwrap().offset(), 1);
    let error = records.next().unwrap().unwrap_err();
    is_of_the_third(&consumer, &error);
    for _ in 0..3 {
        is_of_the_third(&consumer, &records.next().unwrap().unwrap_err());
    }
    goes_on_behind(&consumer, &error);
}

#[test]
fn behaviour_35_batches_before_a_corrupt_one_come_and_then_the_error_each_time() {
    let (_broker, consumer) = third_is_corrupt();
    for expected in 0..2 {
        let batch = consumer.poll_batch(LONG).unwrap().expect("a batch");
        assert_eq!(batch.next_offset(), expected + 1);
    }
    let error = consumer.poll_batch(LONG).unwrap_err();
    is_of_the_third(&consumer, &error);
    is_of_the_third(&consumer, &consumer.poll_batch(LONG).unwrap_err());
    goes_on_behind(&consumer, &error);
}
