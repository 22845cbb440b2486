//! Whether reading ahead is fair between partitions, and bounded where the caller is slow.

mod support;

use std::collections::BTreeMap;

use kafka_blocking::{KafkaConsumer, protocol::fetch::FetchRequest};
use scripted_broker::ScriptedBroker;
use support::{LONG, append, broker_with, builder, take, wait_until};

const COLD: i32 = 99;

/// Partition 0 has a thousand records of 1 KB, the others have one each.
fn one_hot_partition() -> ScriptedBroker {
    let broker = broker_with(COLD as usize + 1, 0);
    for _ in 0..100 {
        broker.append("t", 0, std::iter::repeat_n(vec![0; 1000], 10));
    }
    (1..=COLD).for_each(|n| append(&broker, n, 1));
    broker
}

/// How many records of partition 0 come before all others have come.
fn hot_before_cold(consumer: &KafkaConsumer) -> usize {
    let (mut hot, mut cold) = (0, 0);
    while cold < COLD {
        match take(consumer, 1)[0].partition() {
            0 => hot += 1,
            _ => cold += 1,
        }
    }
    hot
}

#[test]
fn fault_179_cold_partitions_are_served_beside_a_hot_one() {
    let broker = one_hot_partition();
    let consumer =
        builder(broker.address()).topics("t").max_partition_fetch_bytes(20_000).build().unwrap();
    let hot = hot_before_cold(&consumer);
    assert!(hot <= 100, "{hot} of the hot partition came first");
}

#[test]
fn fault_179_cold_partitions_are_served_where_the_hot_one_fills_whole_answers() {
    for sessions in [true, false] {
        let broker = one_hot_partition();
        let consumer = builder(broker.address())
            .topics("t")
            .max_partition_fetch_bytes(20_000)
            .fetch_max_bytes(20_000)
            .enable_incremental_fetch_sessions(sessions)
            .build()
            .unwrap();
        let hot = hot_before_cold(&consumer);
        assert!(hot <= 200, "{hot} of the hot partition came first (sessions: {sessions})");
    }
}

#[test]
fn fault_179_partitions_that_are_all_full_take_turns() {
    let broker = broker_with(4, 0);
    for n in 0..4 {
        for _ in 0..100 {
            broker.append("t", n, [vec![0; 10_000]]);
        }
    }
    let consumer = builder(broker.address())
        .topics("t")
        .max_partition_fetch_bytes(50_000)
        .fetch_max_bytes(50_000)
        .build()
        .unwrap();
    let mut counts = BTreeMap::new();
    for record in take(&consumer, 200) {
        *counts.entry(record.partition()).or_insert(0) += 1;
    }
    assert!(counts.len() == 4 && counts.values().all(|n| *n >= 25), "{counts:?}");
}

const RECORD: usize = 64 << 10;

/// The most that may be read ahead: what makes the fetcher stop to ask, and an answer that was read as it came.
const AHEAD: i64 = 6 << 20;

#[test]
fn fault_180_what_is_read_ahead_of_a_slow_caller_is_bounded() {
    let broker = broker_with(2, 0);
    for partition in [0, 1] {
        for _ in 0..200 {
            broker.append("t", partition, [vec![0; RECORD]]);
        }
    }
    let consumer = builder(broker.address())
        .topics("t")
        .max_partition_fetch_bytes(10 << 20)
        .fetch_max_bytes(50 << 20)
        .build()
        .unwrap();
    let mut handed = [0_i64; 2];
    for n in 0..400 {
        let polled = consumer.poll_max(LONG, 1).unwrap();
        for record in polled.into_records() {
            handed[record.partition() as usize] = record.offset() + 1;
        }
        if n % 20 == 0 {
            // What was asked for behind an offset is here, but for what was handed out.
            let asked = offsets_asked_for(&broker);
            let ahead: i64 = asked.iter().map(|(n, to)| to - handed[*n as usize]).sum();
            assert!(ahead * RECORD as i64 <= AHEAD, "{ahead} records of 64 KiB are buffered");
        }
    }
    assert_eq!(handed, [200, 200]);
}

/// The highest offset of each partition that was fetched.
fn offsets_asked_for(broker: &ScriptedBroker) -> BTreeMap<i32, i64> {
    let mut asked = BTreeMap::new();
    for fetch in broker.requests_of::<FetchRequest>() {
        for partition in fetch.topics.iter().flat_map(|t| &t.partitions) {
            let highest = asked.entry(partition.partition).or_insert(0);
            *highest = partition.fetch_offset.max(*highest);
        }
    }
    asked
}

#[test]
fn fault_180_a_caller_of_one_record_causes_no_more_to_be_read_than_the_bound() {
    let broker = broker_with(1, 0);
    for _ in 0..400 {
        broker.append("t", 0, [vec![0; RECORD]]);
    }
    let consumer = builder(broker.address()).topics("t").build().unwrap();
    assert_eq!(take(&consumer, 1)[0].offset(), 0);
    consumer.close().unwrap();
    // Then all that it has sent has arrived.
    wait_until("its connections are closed", || broker.connections(1) == 0);
    let asked = offsets_asked_for(&broker)[&0];
    assert!(asked * RECORD as i64 <= AHEAD, "{asked} records of 64 KiB were read");
}
