//! Whether every record comes once and in order, however the caller mixes `next`, `poll`, `seek` and `assign`.

mod support;

use std::{collections::BTreeMap, time::Duration};

use kafka_blocking::{
    ConsumerRecord, Error, KafkaConsumer, TopicPartition, protocol::fetch::FetchRequest,
};
use scripted_broker::{Record, ScriptedBroker};
use support::{LONG, append, broker_with, builder, fetches, offsets, take, wait_until};

fn tp(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

fn assigned(broker: &ScriptedBroker, partitions: &[i32]) -> KafkaConsumer {
    let consumer = builder(broker.address()).build().unwrap();
    consumer.assign(partitions.iter().map(|n| tp(*n))).unwrap();
    consumer
}

/// A broker with one partition, in which so many records are one batch.
fn one_batch(records: usize) -> ScriptedBroker {
    let broker = broker_with(1, 0);
    broker.append("t", 0, (0..records).map(|n| Record::value(n.to_string())));
    broker
}

/// Checks that records go on where their partitions are, and that the consumer says the same.
#[derive(Default)]
struct Ledger(BTreeMap<i32, i64>);

impl Ledger {
    fn enter<'a>(
        &mut self,
        consumer: &KafkaConsumer,
        records: impl IntoIterator<Item = &'a ConsumerRecord>,
    ) {
        for record in records {
            let next = self.0.entry(record.partition()).or_default();
            assert_eq!(record.offset(), *next, "of {}", record.topic_partition());
            *next += 1;
        }
        for (partition, next) in &self.0 {
            assert_eq!(consumer.position(tp(*partition)).unwrap(), *next, "of {partition}");
        }
    }

    fn total(&self) -> i64 {
        self.0.values().sum()
    }
}

// next and poll

#[test]
fn next_and_poll_in_any_mix_give_each_record_once_and_move_positions_by_what_was_given() {
    let broker = broker_with(3, 20);
    for n in 0..3 {
        broker.append("t", n, (0..30).map(|i| Record::value(i.to_string())));
    }
    let consumer = assigned(&broker, &[0, 1, 2]);
    let (mut ledger, mut random) = (Ledger::default(), 1_usize);
    while ledger.total() < 150 {
        random = random * 5 % 19;
        if random % 3 == 0 {
            ledger.enter(&consumer, &take(&consumer, 1));
        } else {
            let polled = consumer.poll_max(LONG, random).unwrap();
            assert!((1..=random).contains(&polled.count()));
            let records: Vec<_> = polled.into_records().collect();
            ledger.enter(&consumer, &records);
        }
    }
    assert_eq!(ledger.0, BTreeMap::from([(0, 50), (1, 50), (2, 50)]));
    assert!(consumer.poll(Duration::from_millis(50)).unwrap().is_empty());
}

#[test]
fn fault_171_poll_gives_no_more_than_its_limit_and_goes_on_in_the_midst_of_a_batch() {
    let broker = one_batch(10);
    let consumer = builder(broker.address()).topics("t").max_poll_records(4).build().unwrap();
    let poll = |max| offsets(consumer.poll_max(LONG, max).unwrap().records(&tp(0)));
    assert_eq!(poll(3), [0, 1, 2]);
    assert_eq!(offsets(consumer.poll(LONG).unwrap().records(&tp(0))), [3, 4, 5, 6]);
    assert_eq!(consumer.position(tp(0)).unwrap(), 7);
    assert_eq!(poll(1), [7]);
    assert_eq!(poll(usize::MAX), [8, 9]);
}

#[test]
fn a_limit_counts_over_all_partitions_and_the_rest_comes_with_the_next_poll() {
    let broker = broker_with(4, 3);
    let consumer = assigned(&broker, &[0, 1, 2, 3]);
    let mut ledger = Ledger::default();
    while ledger.total() < 12 {
        let polled = consumer.poll_max(LONG, 5).unwrap();
        assert!((1..=5).contains(&polled.count()));
        let by_partition: usize = polled.iter().map(|(_, records)| records.len()).sum();
        assert_eq!(by_partition, polled.count());
        let records: Vec<_> = polled.into_records().collect();
        ledger.enter(&consumer, &records);
    }
}

#[test]
fn a_limit_of_zero_is_refused() {
    let broker = broker_with(1, 1);
    let consumer = assigned(&broker, &[0]);
    assert!(matches!(consumer.poll_max(LONG, 0), Err(Error::IllegalArgument(_))));
    assert!(matches!(
        builder(broker.address()).max_poll_records(0).build(),
        Err(Error::Configuration(_))
    ));
    assert_eq!(take(&consumer, 1)[0].offset(), 0);
}

// seek

#[test]
fn fault_165_a_seek_drops_what_was_buffered_in_either_direction() {
    let broker = one_batch(10);
    let consumer = assigned(&broker, &[0]);
    assert_eq!(offsets(&take(&consumer, 2)), [0, 1]);
    consumer.seek(tp(0), 7).unwrap();
    assert_eq!(consumer.position(tp(0)).unwrap(), 7);
    assert_eq!(offsets(&take(&consumer, 2)), [7, 8]);
    consumer.seek(tp(0), 1).unwrap();
    assert_eq!(offsets(consumer.poll_max(LONG, 2).unwrap().records(&tp(0))), [1, 2]);
    consumer.seek(tp(0), 8).unwrap();
    consumer.seek(tp(0), 4).unwrap();
    assert_eq!(offsets(&take(&consumer, 6)), [4, 5, 6, 7, 8, 9]);
}

#[test]
fn fault_165_a_seek_while_a_fetch_is_under_way_drops_its_answer() {
    for target in [0, 3, 5] {
        let broker = broker_with(1, 6);
        let consumer = assigned(&broker, &[0]);
        consumer.seek(tp(0), 1).unwrap();
        broker.on::<FetchRequest>().once().delay(Duration::from_millis(500));
        wait_until("the fetch is under way", || {
            assert!(consumer.poll(Duration::ZERO).unwrap().is_empty());
            fetches(&broker) > 0
        });
        consumer.seek(tp(0), target).unwrap();
        let expected: Vec<i64> = (target..6).collect();
        assert_eq!(offsets(&take(&consumer, expected.len())), expected);
    }
}

/// A broker with six batches of 300 KB, which sends the next answer up to its `n`th byte and the rest later.
fn stalling(n: usize) -> ScriptedBroker {
    let broker = broker_with(2, 0);
    for _ in 0..6 {
        broker.append("t", 0, [vec![7; 300_000]]);
    }
    append(&broker, 1, 2);
    broker.on::<FetchRequest>().once().stall_at(n, Duration::from_millis(150));
    broker
}

#[test]
fn fault_165_a_seek_in_the_midst_of_an_answer_drops_the_rest_of_it() {
    for (cut, target) in [(350_000, 0), (350_000, 4), (700_000, 1), (700_000, 5)] {
        let broker = stalling(cut);
        let consumer = assigned(&broker, &[0]);
        assert_eq!(take(&consumer, 1)[0].offset(), 0);
        consumer.seek(tp(0), target).unwrap();
        let expected: Vec<i64> = (target..6).collect();
        assert_eq!(offsets(&take(&consumer, expected.len())), expected);
        assert_eq!(consumer.position(tp(0)).unwrap(), 6);
    }
}

#[test]
fn fault_172_a_seek_into_a_batch_skips_the_records_before() {
    let broker = one_batch(10);
    broker.append("t", 0, ["a", "b"].map(Record::value));
    for start in [0, 4, 9, 10, 11] {
        let consumer = assigned(&broker, &[0]);
        consumer.seek(tp(0), start).unwrap();
        let expected: Vec<i64> = (start..12).collect();
        assert_eq!(offsets(&take(&consumer, expected.len())), expected);
    }
}

#[test]
fn a_seek_to_the_end_waits_for_what_comes() {
    let broker = broker_with(1, 3);
    let consumer = assigned(&broker, &[0]);
    consumer.seek(tp(0), 3).unwrap();
    assert!(consumer.poll(Duration::from_millis(100)).unwrap().is_empty());
    append(&broker, 0, 1);
    assert_eq!(take(&consumer, 1)[0].offset(), 3);
}

// assign

#[test]
fn fault_170_no_record_of_a_partition_that_was_dropped_comes_from_the_buffer() {
    let broker = broker_with(2, 5);
    broker.append("t", 0, (0..50).map(|n| Record::value(n.to_string())));
    let consumer = assigned(&broker, &[0]);
    assert_eq!(offsets(&take(&consumer, 6)), [0, 1, 2, 3, 4, 5]);
    consumer.assign([tp(1)]).unwrap();
    assert!(take(&consumer, 5).iter().all(|r| r.partition() == 1));
    assert!(consumer.poll(Duration::from_millis(50)).unwrap().is_empty());
}

#[test]
fn fault_170_no_record_of_a_partition_that_was_dropped_comes_from_a_fetch_under_way() {
    let broker = broker_with(2, 5);
    let consumer = assigned(&broker, &[0]);
    broker.on::<FetchRequest>().once().delay(Duration::from_millis(500));
    wait_until("the fetch is under way", || {
        assert!(consumer.poll(Duration::ZERO).unwrap().is_empty());
        fetches(&broker) > 0
    });
    consumer.assign([tp(1)]).unwrap();
    assert!(take(&consumer, 5).iter().all(|r| r.partition() == 1));
    assert!(consumer.poll(Duration::from_millis(200)).unwrap().is_empty());
}

#[test]
fn fault_170_no_record_of_a_partition_that_was_dropped_comes_from_the_rest_of_an_answer() {
    for cut in [350_000, 700_000] {
        let broker = stalling(cut);
        let consumer = assigned(&broker, &[0]);
        take(&consumer, 1);
        consumer.assign([tp(1)]).unwrap();
        assert!(take(&consumer, 2).iter().all(|r| r.partition() == 1));
        // Assigned anew, it begins anew.
        consumer.assign([tp(0), tp(1)]).unwrap();
        assert_eq!(offsets(&take(&consumer, 6)), [0, 1, 2, 3, 4, 5]);
    }
}

#[test]
fn a_partition_that_stays_assigned_keeps_its_position_and_gives_nothing_twice() {
    let broker = broker_with(3, 5);
    let consumer = assigned(&broker, &[0, 1]);
    let mut ledger = Ledger::default();
    ledger.enter(&consumer, &take(&consumer, 3));
    consumer.assign([tp(0), tp(1), tp(2)]).unwrap();
    ledger.enter(&consumer, &take(&consumer, 4));
    consumer.assign([tp(1), tp(0)]).unwrap();
    ledger.0.remove(&2);
    while ledger.total() < 10 {
        ledger.enter(&consumer, &take(&consumer, 1));
    }
    assert_eq!(ledger.0, BTreeMap::from([(0, 5), (1, 5)]));
}

// Positions that are out of the log

fn without(broker: &ScriptedBroker, policy: &str) -> KafkaConsumer {
    let consumer = builder(broker.address()).auto_offset_reset(policy).build().unwrap();
    consumer.assign([tp(0)]).unwrap();
    consumer
}

#[test]
fn fault_148_out_of_range_without_a_policy_is_an_error_until_the_caller_seeks() {
    let broker = broker_with(2, 8);
    broker.with_state(|state| state.partition_mut("t", 0).log.delete_before(5));
    let consumer = without(&broker, "none");
    for outside in [2, 99] {
        consumer.seek(tp(0), outside).unwrap();
        for _ in 0..2 {
            match consumer.poll(LONG).unwrap_err() {
                Error::OffsetOutOfRange { partition, offset } => {
                    assert_eq!((partition, offset), (tp(0), outside));
                }
                other => panic!("{other:?}"),
            }
            assert_eq!(consumer.position(tp(0)).unwrap(), outside);
        }
        assert!(matches!(consumer.next(), Some(Err(Error::OffsetOutOfRange { .. }))));
    }
    consumer.seek(tp(0), 6).unwrap();
    assert_eq!(offsets(&take(&consumer, 2)), [6, 7]);
}

#[test]
fn fault_148_a_partition_without_position_and_policy_is_an_error_until_the_caller_seeks() {
    let broker = broker_with(1, 3);
    let consumer = without(&broker, "none");
    for _ in 0..2 {
        let error = consumer.poll(LONG).unwrap_err();
        assert!(matches!(&error, Error::NoOffsetForPartition { partition } if *partition == tp(0)));
        let error = consumer.position(tp(0)).unwrap_err();
        assert!(matches!(error, Error::NoOffsetForPartition { .. }), "{error:?}");
    }
    consumer.seek(tp(0), 1).unwrap();
    assert_eq!(offsets(&take(&consumer, 2)), [1, 2]);
}

#[test]
fn fault_148_out_of_range_goes_on_at_the_earliest_record() {
    let broker = broker_with(1, 8);
    broker.with_state(|state| state.partition_mut("t", 0).log.delete_before(5));
    let consumer = without(&broker, "earliest");
    for outside in [2, 99] {
        consumer.seek(tp(0), outside).unwrap();
        assert_eq!(offsets(&take(&consumer, 3)), [5, 6, 7]);
    }
}

#[test]
fn fault_148_out_of_range_goes_on_at_the_end_with_latest() {
    let broker = broker_with(1, 8);
    broker.with_state(|state| state.partition_mut("t", 0).log.delete_before(5));
    let consumer = without(&broker, "latest");
    consumer.seek(tp(0), 2).unwrap();
    wait_until("the position is the end", || {
        assert!(consumer.poll(Duration::from_millis(10)).unwrap().is_empty());
        consumer.position(tp(0)).unwrap() == 8
    });
    append(&broker, 0, 1);
    assert_eq!(take(&consumer, 1)[0].offset(), 8);
}

#[test]
fn after_unsubscribe_nothing_is_read_and_both_ways_are_open_again() {
    let broker = broker_with(1, 3);
    let consumer = assigned(&broker, &[0]);
    consumer.next().unwrap().unwrap();
    consumer.unsubscribe().unwrap();
    assert!(consumer.assignment().unwrap().is_empty());
    assert!(matches!(consumer.poll(Duration::ZERO), Err(Error::IllegalState(_))));
    consumer.subscribe(["t"]).unwrap();
    assert_eq!(consumer.next().unwrap().unwrap().offset(), 0);
    consumer.unsubscribe().unwrap();
    consumer.assign([tp(0)]).unwrap();
    assert_eq!(consumer.next().unwrap().unwrap().offset(), 0);
}
