//! Whether our consumer sees of a topic what Kafka's own sees, whichever way it is read.
use kafka_blocking::KafkaConsumer;

use crate::{
    java::{JavaRecord, JavaTool},
    ours::{Way, by_partition, lookups, open},
};

/// Reads a topic in every way, and compares with Java's consumer: records, positions, ends, lags, and offsets by time.
///
/// `options` are for our consumer only, and are to make no difference.
pub fn assert_reads_as_java(
    java: &JavaTool,
    topic: &str,
    partitions: i32,
    isolation: &str,
    options: &[(&str, &str)],
) {
    let what = format!("{topic}, {isolation}, {options:?}");
    let settings = [("isolation.level", isolation)];
    let options = [options, &[("isolation_level", isolation)]].concat();
    let open = || open(java.bootstrap(), topic, partitions, &options);
    let expected = java.list(topic, &settings);
    for way in Way::ALL {
        let what = format!("{what}, {way:?}");
        let consumer = open();
        let read = way.list(&consumer).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_same_records(&what, way, &expected, &read);
        assert_at_the_end(&what, java, topic, &settings, &consumer);
    }
    let all = java.list(topic, &[]);
    let some = all.iter().map(|record| record.timestamp).step_by(1 + all.len() / 10);
    let newest = all.iter().map(|record| record.timestamp).max().expect("the topic has records");
    let times: Vec<i64> = some.chain([0, newest, newest + 1]).collect();
    let consumer = open();
    let java = || java.lookups(topic, &times, &settings);
    let mut before = java();
    for _ in 0..20 {
        let found = lookups(&consumer, &times).expect("the broker is there");
        let after = java();
        // A log that is being compacted may change meanwhile.
        if before == after {
            assert_eq!(found, after, "{what}: times {times:?}");
            return;
        }
        before = after;
    }
    panic!("{what}: the log changes all the time");
}

fn assert_same_records(what: &str, way: Way, expected: &[JavaRecord], read: &[JavaRecord]) {
    let comparable = |record: &JavaRecord| {
        let position = if way == Way::Next { record.position } else { -1 };
        JavaRecord { position, ..record.clone() }
    };
    let (expected, read) = (by_partition(expected, comparable), by_partition(read, comparable));
    for (partition, wanted) in &expected {
        let found = read.get(partition).map_or(&[][..], Vec::as_slice);
        if let Some((wanted, found)) = wanted.iter().zip(found).find(|(one, two)| one != two) {
            panic!("{what}: Java reads {wanted:?}, we {found:?}");
        }
        assert_eq!(found.len(), wanted.len(), "{what}: records of partition {partition}");
    }
    assert_eq!(read.len(), expected.len(), "{what}: partitions with records");
}

fn assert_at_the_end(
    what: &str,
    java: &JavaTool,
    topic: &str,
    settings: &[(&str, &str)],
    consumer: &KafkaConsumer,
) {
    for partition in java.lookups(topic, &[], settings) {
        let at = (topic, partition.partition);
        assert_eq!(consumer.position(at).expect("it is assigned"), partition.end, "{what}");
        assert_eq!(consumer.lag(at).expect("it is assigned"), Some(0), "{what}");
        let highwater = consumer.highwater(at).expect("it is assigned");
        assert!(highwater >= Some(partition.end), "{what}: {highwater:?}");
    }
}
