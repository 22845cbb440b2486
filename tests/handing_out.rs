//! What of answers is handed out, when, and what comes before errors.

mod support;

use std::time::Duration;

use kafka_blocking::{Error, KafkaConsumer, TopicPartition, protocol::fetch::FetchRequest};
use scripted_broker::{ScriptedBroker, encode_batch};
use support::{
    LONG, append, broker_with, builder, ends_within, fetches, offsets, take, wait_until,
};

fn tp(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

fn assigned(broker: &ScriptedBroker, partitions: &[i32]) -> KafkaConsumer {
    let consumer = builder(broker.address()).build().unwrap();
    consumer.assign(partitions.iter().map(|n| tp(*n))).unwrap();
    consumer
}

/// The offsets that were asked for of a partition, in the fetches behind the first so many.
fn asked(broker: &ScriptedBroker, partition: i32, but: usize) -> Vec<i64> {
    let all = broker.requests_of::<FetchRequest>();
    let partitions = all.iter().skip(but).flat_map(|r| &r.topics).flat_map(|t| &t.partitions);
    partitions.filter(|p| p.partition == partition).map(|p| p.fetch_offset).collect()
}

#[test]
fn behaviour_32_what_is_buffered_is_given_without_waiting() {
    let broker = broker_with(1, 9);
    let consumer = assigned(&broker, &[0]);
    assert_eq!(consumer.poll_max(LONG, 3).unwrap().count(), 3);
    broker.pause(1);
    for expected in [3, 6] {
        let polled = ends_within(Duration::ZERO, "poll", || consumer.poll_max(Duration::ZERO, 3));
        assert_eq!(polled.unwrap().into_iter().next().unwrap().1[0].offset(), expected);
    }
    assert!(consumer.poll(Duration::ZERO).unwrap().is_empty());
}

#[test]
fn behaviour_34_an_answer_that_came_between_two_calls_is_given_at_once() {
    let broker = broker_with(1, 1);
    let consumer = builder(broker.address()).topics("t").fetch_max_wait_ms(20_000).build().unwrap();
    take(&consumer, 1);
    for n in 1..20 {
        wait_until("the next fetch waits", || {
            assert!(consumer.poll(Duration::ZERO).unwrap().is_empty());
            asked(&broker, 0, 0).contains(&n)
        });
        append(&broker, 0, 1);
        let polled = consumer.poll(Duration::from_secs(5)).unwrap();
        assert_eq!(offsets(polled.records(&tp(0))), [n], "it is not waited for in vain");
    }
}

#[test]
fn behaviour_35_records_before_a_bad_checksum_are_given_first_and_then_the_error() {
    let broker = broker_with(1, 2);
    let mut broken = encode_batch(&["third".into()]);
    let last = broken.len() - 1;
    broken[last] ^= 1;
    broker.append_batch("t", 0, broken);
    let consumer = assigned(&broker, &[0]);
    assert_eq!(offsets(consumer.poll(LONG).unwrap().records(&tp(0))), [0, 1]);
    let error = consumer.poll(LONG).unwrap_err();
    assert!(matches!(error, Error::CorruptRecord { offset: 2, .. }), "{error}");
    assert_eq!(consumer.position(tp(0)).unwrap(), 2);
}

#[test]
fn behaviour_40_records_of_others_are_given_before_an_error_or_between_its_repetitions() {
    let broker = broker_with(2, 3);
    let consumer = builder(broker.address()).auto_offset_reset("none").build().unwrap();
    consumer.assign([tp(0), tp(1)]).unwrap();
    consumer.seek(tp(0), 99).unwrap();
    consumer.seek(tp(1), 0).unwrap();
    let (mut seen, mut errors) = (Vec::new(), 0);
    while seen.len() < 3 || errors < 2 {
        match consumer.poll(LONG) {
            Ok(polled) => seen.extend(offsets(polled.records(&tp(1)))),
            Err(Error::OffsetOutOfRange { partition, offset: 99 }) if partition == tp(0) => {
                errors += 1;
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!((seen, consumer.position(tp(1)).unwrap()), (vec![0, 1, 2], 3));
    assert_eq!(consumer.position(tp(0)).unwrap(), 99);
}

#[test]
fn behaviour_42_reading_begins_in_the_midst_of_a_batch_at_the_next_record_there_is() {
    let broker = broker_with(1, 0);
    broker.append("t", 0, ["0", "1", "2", "3", "4"]);
    broker.with_state(|state| state.partition_mut("t", 0).log.skip_to(20));
    broker.append("t", 0, ["20", "21"]);
    for (from, expected) in [(3, &[3, 4, 20, 21][..]), (4, &[4, 20]), (5, &[20]), (12, &[20, 21])] {
        let consumer = assigned(&broker, &[0]);
        consumer.seek(tp(0), from).unwrap();
        assert_eq!(offsets(&take(&consumer, expected.len())), expected, "from {from}");
    }
    let consumer = assigned(&broker, &[0]);
    consumer.seek(tp(0), 22).unwrap();
    assert!(consumer.poll(Duration::from_millis(100)).unwrap().is_empty(), "behind all batches");
    assert_eq!(consumer.position(tp(0)).unwrap(), 22);
}

#[test]
fn behaviour_36_a_batch_that_was_half_handed_out_goes_on_where_it_was_when_it_is_resumed() {
    let broker = broker_with(2, 0);
    broker.append("t", 0, ["0", "1", "2", "3"]);
    broker.append("t", 0, ["4", "5"]);
    let consumer = assigned(&broker, &[0, 1]);
    assert_eq!(offsets(&take(&consumer, 2)), [0, 1]);
    consumer.pause([tp(0)]).unwrap();
    append(&broker, 1, 3);
    let others = take(&consumer, 3);
    assert!(others.iter().all(|r| r.partition() == 1), "others go on");
    assert!(consumer.poll(Duration::from_millis(100)).unwrap().is_empty());
    let before = fetches(&broker);
    assert!(consumer.poll(Duration::from_millis(100)).unwrap().is_empty());
    assert_eq!(asked(&broker, 0, before), [] as [i64; 0], "it is not fetched meanwhile");
    assert_eq!(consumer.position(tp(0)).unwrap(), 2);
    consumer.resume([tp(0)]).unwrap();
    assert_eq!(offsets(&take(&consumer, 4)), [2, 3, 4, 5]);
    let again = asked(&broker, 0, before);
    assert!(again.iter().all(|offset| *offset == 6), "nothing is fetched twice: {again:?}");
}

#[test]
fn behaviour_36_partitions_that_are_paused_by_turns_lose_and_repeat_nothing() {
    let broker = broker_with(4, 0);
    for partition in 0..4 {
        for batch in 0..10 {
            let value = |n: usize| (batch * 10 + n).to_string();
            broker.append("t", partition, (0..10).map(value));
        }
    }
    let consumer = builder(broker.address()).max_partition_fetch_bytes(1_000).build().unwrap();
    consumer.assign((0..4).map(tp)).unwrap();
    let mut seen = vec![Vec::new(); 4];
    for n in 0..400_i32 {
        let paused = [n * 7 % 4, n * 3 % 4].map(tp);
        consumer.pause(paused.clone()).unwrap();
        let polled = consumer.poll_max(Duration::from_millis(if n % 9 == 0 { 5 } else { 0 }), 3);
        for record in polled.unwrap().into_records() {
            assert!(!paused.contains(&record.topic_partition()), "{record:?} is of a paused one");
            seen[record.partition() as usize].push(record.offset());
        }
        if n % 3 != 0 {
            consumer.resume(paused).unwrap();
        }
    }
    consumer.resume(consumer.paused().unwrap()).unwrap();
    while seen.iter().map(Vec::len).sum::<usize>() < 400 {
        let record = &take(&consumer, 1)[0];
        seen[record.partition() as usize].push(record.offset());
    }
    assert!(consumer.poll(Duration::from_millis(100)).unwrap().is_empty());
    assert!(seen.iter().all(|offsets| *offsets == (0..100).collect::<Vec<_>>()), "{seen:?}");
}

#[test]
fn behaviour_36_closing_drops_what_is_parked() {
    let broker = broker_with(1, 5);
    let consumer = assigned(&broker, &[0]);
    take(&consumer, 1);
    consumer.pause([tp(0)]).unwrap();
    consumer.close().unwrap();
    assert!(matches!(consumer.resume([tp(0)]), Err(Error::Closed)));
    assert!(matches!(consumer.poll(Duration::ZERO), Err(Error::Closed)));
    assert!(consumer.next().is_none());
}

#[test]
fn fault_167_a_seek_while_a_half_read_batch_is_parked_wins() {
    let broker = broker_with(1, 0);
    broker.append("t", 0, ["0", "1", "2", "3", "4", "5"]);
    let consumer = assigned(&broker, &[0]);
    take(&consumer, 2);
    for target in [4, 0, 2] {
        consumer.pause([tp(0)]).unwrap();
        consumer.seek(tp(0), target).unwrap();
        assert!(consumer.poll(Duration::from_millis(20)).unwrap().is_empty());
        consumer.resume([tp(0)]).unwrap();
        assert_eq!(offsets(&take(&consumer, 1)), [target]);
    }
}

#[test]
fn fault_168_resuming_what_is_not_paused_rewinds_nothing() {
    let broker = broker_with(1, 0);
    broker.append("t", 0, ["0", "1", "2", "3", "4", "5"]);
    let consumer = assigned(&broker, &[0]);
    for n in 0..6 {
        consumer.resume([tp(0)]).unwrap();
        assert_eq!(offsets(&take(&consumer, 1)), [n]);
    }
    assert_eq!(asked(&broker, 0, 0).into_iter().filter(|offset| *offset == 0).count(), 1);
}
