//! What tests of the public interface share: a consumer with times that suit a test, and how long a call took.

#![allow(dead_code, reason = "every test target uses a part of it")]
#![allow(clippy::disallowed_methods, reason = "tests look at the clock")]

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use kafka_blocking::{
    ConsumerBuilder, ConsumerRecord, KafkaConsumer, protocol::fetch::FetchRequest,
};
use scripted_broker::{Record, ScriptedBroker};

/// What a call may take longer than it was told.
pub(crate) const GRACE: Duration = Duration::from_millis(250);

/// Long enough for whatever is to come; reached only where it does not come.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// A builder that begins at the start of partitions and waits long for records.
pub(crate) fn builder(servers: impl Into<String>) -> ConsumerBuilder {
    KafkaConsumer::builder()
        .bootstrap_servers(servers.into())
        .auto_offset_reset("earliest")
        .consumer_timeout_ms(LONG)
        .fetch_max_wait_ms(50)
        .retry_backoff_ms(20)
}

/// A broker with one topic `t`, and in each partition so many records, one a batch: `p:offset`.
pub(crate) fn broker_with(partitions: usize, records: usize) -> ScriptedBroker {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", partitions);
    for partition in (0..).take(partitions) {
        append(&broker, partition, records);
    }
    broker
}

/// Appends so many records to a partition of `t`, one a batch.
pub(crate) fn append(broker: &ScriptedBroker, partition: i32, records: usize) {
    for _ in 0..records {
        broker.with_state(|state| {
            let partition_state = state.partition_mut("t", partition);
            let value = format!("{partition}:{}", partition_state.log.end());
            partition_state.log.append(&[Record::value(value)], partition_state.epoch);
        });
    }
}

/// The next records, each of which must come.
pub(crate) fn take(consumer: &KafkaConsumer, n: usize) -> Vec<ConsumerRecord> {
    (0..n)
        .map(|i| match consumer.next() {
            Some(result) => result.unwrap_or_else(|e| panic!("record {i} of {n}: {e}")),
            None => panic!("only {i} of {n} records came"),
        })
        .collect()
}

/// The offsets of records, which must all be of one partition.
pub(crate) fn offsets<'a>(records: impl IntoIterator<Item = &'a ConsumerRecord>) -> Vec<i64> {
    let mut partitions = BTreeSet::new();
    let mut offsets = Vec::new();
    for record in records {
        partitions.insert(record.topic_partition());
        offsets.push(record.offset());
    }
    assert!(partitions.len() <= 1, "of one partition: {partitions:?}");
    offsets
}

/// A value, and how long it took to get it.
pub(crate) fn timed<T>(call: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let value = call();
    (value, start.elapsed())
}

/// Checks that a call ends within its time-out + 250 ms. Where this machine was too busy, it is tried again.
#[track_caller]
pub(crate) fn ends_within<T>(timeout: Duration, what: &str, mut call: impl FnMut() -> T) -> T {
    let mut took = Vec::new();
    for _ in 0..4 {
        let (value, time) = timed(&mut call);
        if time <= timeout + GRACE {
            return value;
        }
        took.push(time);
    }
    panic!("{what}: took {took:?}, where {timeout:?} + {GRACE:?} are allowed");
}

/// Waits until something holds.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < LONG, "{what}: not within {LONG:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// How many fetches have come: more and more while a consumer waits for records.
pub(crate) fn fetches(broker: &ScriptedBroker) -> usize {
    broker.requests().iter().filter(|r| r.is::<FetchRequest>()).count()
}
