//! Whether every record comes once and in order, whatever batches and answers look like, and bytes that are wrong are named.

mod support;

use std::{collections::BTreeSet, time::Duration};

use kafka_blocking::{
    Error, ErrorCode, KafkaConsumer, TopicPartition,
    protocol::{fetch::FetchRequest, list_offsets::ListOffsetsRequest, metadata::MetadataRequest},
};
use scripted_broker::{Record, ScriptedBroker, encode_batch, seal};
use support::{LONG, append, broker_with, builder, fetches, offsets, take, wait_until};

fn tp(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

fn assigned(broker: &ScriptedBroker, partitions: &[i32]) -> KafkaConsumer {
    let consumer = builder(broker.address()).build().unwrap();
    consumer.assign(partitions.iter().map(|n| tp(*n))).unwrap();
    consumer
}

/// A batch of so many records whose header is changed: its attributes, and how many offsets it covers.
fn batch(records: usize, attributes: i16, covers: i32) -> Vec<u8> {
    let records: Vec<Record> = (0..records).map(|n| Record::value(n.to_string())).collect();
    let mut batch = encode_batch(&records);
    batch[21..23].copy_from_slice(&attributes.to_be_bytes());
    batch[23..27].copy_from_slice(&(covers - 1).to_be_bytes());
    seal(&mut batch);
    batch
}

const CONTROL: i16 = 0x30;

// What logs look like

#[test]
fn fault_185_offsets_that_compaction_has_taken_are_skipped() {
    let broker = broker_with(1, 1);
    for next in [5, 6, 100] {
        broker.with_state(|state| state.partition_mut("t", 0).log.skip_to(next));
        append(&broker, 0, 1);
    }
    let consumer = assigned(&broker, &[0]);
    for (offset, position) in [(0, 1), (5, 6), (6, 7), (100, 101)] {
        assert_eq!(take(&consumer, 1)[0].offset(), offset);
        assert_eq!(consumer.position(tp(0)).unwrap(), position);
    }
    // From a gap, reading goes on behind it.
    consumer.seek(tp(0), 3).unwrap();
    assert_eq!(offsets(&take(&consumer, 3)), [5, 6, 100]);
}

/// Polls, without records, until the position is there.
fn position_becomes(consumer: &KafkaConsumer, expected: i64) {
    wait_until("the position is behind what has no records", || {
        assert!(consumer.poll(Duration::from_millis(10)).unwrap().is_empty());
        consumer.position(tp(0)).unwrap() == expected
    });
}

/// Reads behind `first`, which has records with `given` and covers ten offsets, and behind a batch of the same at the end.
fn covers_ten_offsets(first: &[u8], given: &[i64]) {
    let broker = broker_with(1, 0);
    broker.append_batch("t", 0, first.to_vec());
    append(&broker, 0, 1);
    let consumer = assigned(&broker, &[0]);
    let expected: Vec<i64> = given.iter().copied().chain([10]).collect();
    assert_eq!(offsets(&take(&consumer, expected.len())), expected);
    broker.append_batch("t", 0, first.to_vec());
    let expected: Vec<i64> = given.iter().map(|n| n + 11).collect();
    assert_eq!(offsets(&take(&consumer, expected.len())), expected);
    position_becomes(&consumer, 21);
    let before = fetches(&broker);
    assert!(consumer.poll(Duration::from_millis(300)).unwrap().is_empty());
    assert!(fetches(&broker) - before <= 20, "it is not fetched again and again");
    append(&broker, 0, 1);
    assert_eq!(take(&consumer, 1)[0].offset(), 21);
}

#[test]
fn fault_186_a_batch_whose_last_record_is_gone_ends_where_its_header_says() {
    covers_ten_offsets(&batch(2, 0, 10), &[0, 1]);
}

#[test]
fn fault_187_a_batch_that_has_lost_all_its_records_moves_the_position() {
    covers_ten_offsets(&batch(0, 0, 10), &[]);
}

#[test]
fn fault_188_control_batches_are_skipped_even_empty_ones() {
    covers_ten_offsets(&batch(1, CONTROL, 10), &[]);
    covers_ten_offsets(&batch(0, CONTROL, 10), &[]);
}

#[test]
fn fault_174_a_batch_larger_than_every_limit_comes_whole() {
    let broker = broker_with(1, 1);
    broker.append("t", 0, [vec![1; 3_000_000]]);
    broker.append("t", 0, [vec![2; 200], vec![3; 1_500_000]]);
    append(&broker, 0, 1);
    for limit in [100, 1_048_576] {
        let consumer = builder(broker.address())
            .topics("t")
            .max_partition_fetch_bytes(limit)
            .fetch_max_bytes(limit)
            .build()
            .unwrap();
        let records = take(&consumer, 5);
        assert_eq!(offsets(&records), [0, 1, 2, 3, 4]);
        let lengths: Vec<_> = records.iter().map(|r| r.value().unwrap().len()).collect();
        assert_eq!(lengths, [3, 3_000_000, 200, 1_500_000, 3]);
        assert!(records[1].value().unwrap().iter().all(|b| *b == 1));
        assert!(records[3].value().unwrap().iter().all(|b| *b == 3));
    }
}

#[test]
fn fault_173_an_answer_that_lies_wholly_below_the_position_gives_nothing_and_is_not_asked_for_without_pause()
 {
    let broker = broker_with(1, 6);
    let consumer = builder(broker.address()).retry_backoff_ms(100).build().unwrap();
    consumer.assign([tp(0)]).unwrap();
    let old = batch(2, 0, 2);
    broker.on::<FetchRequest>().rewrite(move |response| {
        for topic in response.responses.iter_mut() {
            for partition in topic.partitions.iter_mut() {
                partition.records = old.clone().into();
            }
        }
    });
    consumer.seek(tp(0), 4).unwrap();
    assert!(consumer.poll(Duration::from_millis(500)).unwrap().is_empty());
    assert!(fetches(&broker) <= 12, "{} fetches in 500 ms", fetches(&broker));
    broker.clear_rules();
    assert_eq!(offsets(&take(&consumer, 2)), [4, 5]);
}

#[test]
fn fault_173_a_batch_below_the_position_in_front_of_the_one_that_is_wanted_is_passed() {
    let broker = broker_with(1, 6);
    let consumer = assigned(&broker, &[0]);
    let mut second = batch(4, 0, 4);
    second[..8].copy_from_slice(&2_i64.to_be_bytes());
    let both = [batch(2, 0, 2), second].concat();
    broker.on::<FetchRequest>().once().rewrite(move |response| {
        for topic in response.responses.iter_mut() {
            for partition in topic.partitions.iter_mut() {
                partition.records = both.clone().into();
            }
        }
    });
    consumer.seek(tp(0), 3).unwrap();
    let records = take(&consumer, 3);
    assert_eq!(offsets(&records), [3, 4, 5]);
    assert_eq!(records[0].value(), Some(&b"1"[..]), "of the second batch");
}

// Damage

/// Two partitions of five records, of which the batch at offset 2 of the first is this one.
fn damaged(batch: Vec<u8>) -> ScriptedBroker {
    let broker = broker_with(2, 2);
    assert_eq!(broker.append_batch("t", 0, batch), 2);
    append(&broker, 0, 2);
    append(&broker, 1, 3);
    broker
}

/// What holds with a damaged batch at offset 2 of partition 0; `check` looks at the error.
fn damage_is_reported(batch: Vec<u8>, check: impl Fn(&Error)) {
    let broker = damaged(batch);
    let consumer = assigned(&broker, &[0, 1]);
    let (mut seen, mut errors) = ([Vec::new(), Vec::new()], 0);
    // The error comes again and again, and the other partition goes on in between.
    while seen[1].len() < 5 || errors < 3 {
        match consumer.poll(LONG) {
            Ok(polled) => {
                for record in polled.into_records() {
                    seen[record.partition() as usize].push(record.offset());
                }
            }
            Err(error) => {
                assert_eq!(seen[0], [0, 1], "what comes before is handed out first");
                check(&error);
                assert_eq!(error.next_position(), Some((tp(0), 3)), "where to go on");
                assert_eq!(consumer.position(tp(0)).unwrap(), 2);
                errors += 1;
                if errors == 2 {
                    append(&broker, 1, 1);
                }
            }
        }
    }
    wait_until("the other partition goes on", || {
        if let Ok(polled) = consumer.poll(LONG) {
            seen[1].extend(offsets(polled.records(&tp(1))));
        }
        seen[1].len() == 6
    });
    assert_eq!(seen, [vec![0, 1], vec![0, 1, 2, 3, 4, 5]]);
    check(&consumer.next().expect("an error").unwrap_err());
    consumer.seek(tp(0), 3).unwrap();
    assert_eq!(offsets(&take(&consumer, 2)), [3, 4]);
}

#[test]
fn fault_196_a_wrong_checksum_is_an_error_with_its_offset_until_the_caller_seeks_past_it() {
    let mut broken = encode_batch(&["a value".into()]);
    let last = broken.len() - 2;
    broken[last] ^= 1;
    damage_is_reported(broken, |error| match error {
        Error::CorruptRecord { partition, offset: 2, .. } => assert_eq!(*partition, tp(0)),
        other => panic!("{other:?}"),
    });
}

#[test]
fn fault_196_a_wrong_checksum_is_taken_where_none_are_checked() {
    let mut broken = encode_batch(&["a value".into()]);
    let last = broken.len() - 2;
    broken[last] ^= 1;
    let broker = damaged(broken);
    let consumer = builder(broker.address()).check_crcs(false).build().unwrap();
    consumer.assign([tp(0)]).unwrap();
    let records = take(&consumer, 5);
    assert_eq!(offsets(&records), [0, 1, 2, 3, 4]);
    assert_eq!(records[2].value().unwrap().len(), 7);
}

#[test]
fn fault_195_a_codec_that_nobody_knows_is_an_error_with_its_offset() {
    for codec in [5, 6, 7] {
        damage_is_reported(batch(1, codec, 1), |error| match error {
            Error::UnsupportedCodec { partition, offset: 2, .. } => assert_eq!(*partition, tp(0)),
            other => panic!("{other:?}"),
        });
    }
}

#[test]
fn fault_194_a_format_that_nobody_knows_is_an_error_with_its_offset() {
    for magic in [3, 127, 255] {
        let mut strange = encode_batch(&["a value".into()]);
        strange[16] = magic;
        damage_is_reported(strange, |error| match error {
            Error::CorruptRecord { partition, offset: 2, .. } => assert_eq!(*partition, tp(0)),
            other => panic!("{other:?}"),
        });
    }
}

#[test]
fn fault_198_a_wrong_record_count_is_an_error_with_its_offset() {
    for count in [-1_i32, 2, 1 << 20] {
        let mut wrong = encode_batch(&["a value".into()]);
        wrong[57..61].copy_from_slice(&count.to_be_bytes());
        seal(&mut wrong);
        damage_is_reported(wrong, |error| match error {
            Error::CorruptRecord { partition, offset: 2, .. } => assert_eq!(*partition, tp(0)),
            other => panic!("{other:?}"),
        });
    }
}

// Answers that break off, and codes

#[test]
fn fault_7_an_answer_that_breaks_off_anywhere_loses_and_repeats_nothing() {
    let broker = broker_with(2, 0);
    for partition in [0, 1] {
        for _ in 0..16 {
            broker.append("t", partition, [vec![1; 15_000], vec![2; 15_000]]);
        }
    }
    // Within the head, within the first batch, and then in steps through 960 KB.
    let heads = [0, 1, 4, 7, 8, 9, 20, 60, 61, 100, 130, 200];
    for cut in heads.into_iter().chain((1..32).map(|n| n * 30_011)) {
        let consumer = assigned(&broker, &[0, 1]);
        broker.on::<FetchRequest>().once().cut_at(cut);
        let records = take(&consumer, 64);
        for partition in [0, 1] {
            let of = offsets(records.iter().filter(|r| r.partition() == partition));
            assert_eq!(of, (0..32).collect::<Vec<_>>(), "{partition}, cut at {cut}");
        }
        broker.clear_rules();
    }
}

#[test]
fn fault_5_connections_that_end_at_any_time_lose_and_repeat_nothing() {
    let broker = broker_with(2, 60);
    let consumer = builder(broker.address())
        .topics("t")
        .max_partition_fetch_bytes(200)
        .reconnect_backoff_ms(1)
        .build()
        .unwrap();
    let mut seen = [Vec::new(), Vec::new()];
    for n in 0..120 {
        let record = &take(&consumer, 1)[0];
        seen[record.partition() as usize].push(record.offset());
        match n % 12 {
            3 => broker.close_connections(1),
            7 => broker.on::<FetchRequest>().once().close(),
            11 => broker.on::<FetchRequest>().once().close_after(),
            _ => {}
        }
    }
    let all: Vec<i64> = (0..60).collect();
    assert_eq!(seen, [all.clone(), all]);
}

#[test]
fn fault_79_error_codes_that_nobody_knows_change_no_position_and_stop_nothing() {
    for code in [9999, -32768, 32767].map(ErrorCode) {
        let broker = broker_with(1, 4);
        broker.on::<MetadataRequest>().once().fail(code);
        broker.on::<ListOffsetsRequest>().once().fail(code);
        broker.on::<FetchRequest>().after(1).once().fail(code);
        let consumer =
            builder(broker.address()).topics("t").max_partition_fetch_bytes(1).build().unwrap();
        let mut seen = Vec::new();
        while seen.len() < 4 {
            match consumer.poll(LONG) {
                Ok(polled) => seen.extend(offsets(polled.records(&tp(0)))),
                Err(error) => assert_eq!(error.code(), Some(code), "{error:?}"),
            }
        }
        assert_eq!(seen, [0, 1, 2, 3]);
    }
}

#[test]
fn fault_79_an_error_code_of_one_partition_that_nobody_knows_is_told_to_the_caller() {
    let broker = broker_with(2, 2);
    let consumer = assigned(&broker, &[0, 1]);
    broker.on::<FetchRequest>().rewrite(|response| {
        for topic in response.responses.iter_mut() {
            for partition in topic.partitions.iter_mut().filter(|p| p.partition_index == 0) {
                partition.error_code = 9999;
                partition.records = Vec::new().into();
            }
        }
    });
    let (mut others, mut errors) = (BTreeSet::new(), 0);
    while others.len() < 2 || errors < 2 {
        match consumer.poll(LONG) {
            Ok(polled) => others.extend(offsets(polled.records(&tp(1)))),
            Err(error) => {
                assert_eq!(error.code(), Some(ErrorCode(9999)));
                assert!(error.to_string().contains("t-0"), "{error}");
                assert_eq!(consumer.position(tp(0)).unwrap(), 0);
                errors += 1;
            }
        }
    }
    broker.clear_rules();
    wait_until("the partition goes on", || match consumer.poll(LONG) {
        Ok(polled) => polled.records(&tp(0)).first().is_some_and(|r| r.offset() == 0),
        Err(_) => false,
    });
}
