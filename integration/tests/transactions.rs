//! Whether transactions are read as Java reads them: committed, aborted, open, larger than a fetch.
use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

use kafka_blocking::KafkaConsumer;
use kafka_blocking_integration::{
    Cluster, JavaRecord, JavaTool, LogsOnFailure, Way, assert_reads_as_java, lookups, open,
    transactional_history,
};
use serde_json::{Value, json};

#[test]
fn transactions_of_several_producers_read_as_java_reads_them() {
    let (java, _logs) = single_node();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let topic = format!("history-{codec}");
        java.create_topic(&topic, PARTITIONS, 1, &[]);
        transactional_history(&java, &topic, PARTITIONS, codec);
        for isolation in ISOLATIONS {
            assert_reads_as_java(&java, &topic, PARTITIONS, isolation, &[]);
        }
    }
}

#[test]
fn fault_228_an_open_transaction_ends_what_is_read_until_it_is_committed_or_times_out() {
    let (java, _logs) = single_node();
    java.create_topic("open", 2, 1, &[]);
    let committed = open(java.bootstrap(), "open", 2, &[("isolation_level", "read_committed")]);
    let everything = open(java.bootstrap(), "open", 2, &[]);
    let record = |partition: i32, value: &str| json!({"partition": partition, "value": value});
    let steps = json!([
        ["send", "", record(0, "before")],
        ["begin", "waits"],
        ["send", "waits", record(0, "first")],
        ["send", "", record(0, "after it")],
    ]);
    java.transactions("open", &steps, &[]);

    assert_eq!(values(&Way::Next.list(&everything).unwrap()), ["before", "first", "after it"]);
    assert_eq!(values(&Way::Next.list(&committed).unwrap()), ["before"]);
    assert_stays_at(&committed, ("open", 0), 1, 3);
    assert_eq!(ends(&committed), [1, 0]);
    assert_eq!(ends(&everything), [3, 0]);
    assert_eq!(lookups(&committed, &[0]).unwrap(), java.lookups("open", &[0], COMMITTED));
    committed.seek_to_end([("open", 0)]).unwrap();
    assert_eq!(committed.position(("open", 0)).unwrap(), 1, "the end of what is decided");

    java.transactions("open", &json!([["commit", "waits"]]), &[]);
    java.wait_until_decided("open");
    assert_eq!(values(&Way::Next.list(&committed).unwrap()), ["first", "after it"]);
    assert_eq!(ends(&committed), [4, 0], "behind the marker");

    let steps = json!([
        ["begin", "dies"],
        ["send", "dies", record(1, "never")],
        ["drop", "dies"],
        ["send", "", record(1, "plain")],
    ]);
    java.transactions("open", &steps, &[("transaction.timeout.ms", "500")]);
    assert_eq!(ends(&committed), [4, 0]);
    let aborted = Instant::now() + PATIENCE;
    let mut read = Vec::new();
    while read.is_empty() {
        assert!(Instant::now() < aborted, "the transaction did not time out");
        read.extend(Way::Poll.read(&committed, SOON).unwrap());
    }
    assert_eq!(values(&read), ["plain"]);
    assert_eq!(ends(&committed), [4, 3]);
    assert_eq!(Way::Poll.list(&committed).unwrap(), []);
    assert_eq!(committed.position(("open", 1)).unwrap(), 3);
}

#[test]
fn fault_229_transactions_larger_than_a_fetch_read_as_java_reads_them() {
    let (java, _logs) = single_node();
    for codec in ["none", "lz4"] {
        let topic = format!("large-{codec}");
        java.create_topic(&topic, PARTITIONS, 1, &[]);
        let settings = [("compression.type", codec), ("batch.size", "6000")];
        java.transactions(&topic, &large_transactions(&topic), &settings);
        java.wait_until_decided(&topic);
        for isolation in ISOLATIONS {
            for limit in
                [("max_partition_fetch_bytes", "9000"), ("fetch_max_bytes", "9000"), ONE_BATCH]
            {
                assert_reads_as_java(&java, &topic, PARTITIONS, isolation, &[limit]);
            }
        }
    }
}

#[test]
fn fault_229_a_large_transaction_is_read_when_it_is_committed_and_never_when_it_is_aborted() {
    let (java, _logs) = single_node();
    java.create_topic("later", 1, 1, &[]);
    let limit = ("max_partition_fetch_bytes", "9000");
    let [committed, everything] = ["read_committed", "read_uncommitted"]
        .map(|level| open(java.bootstrap(), "later", 1, &[limit, ("isolation_level", level)]));
    let mut position = 0;
    for (end, way) in ["commit", "abort", "abort", "commit", "abort", "commit"].iter().zip(WAYS) {
        let wanted: Vec<String> = (0..40).map(|n| format!("{end} {n} {:900}", "")).collect();
        let mut steps = vec![json!(["begin", "later"])];
        for value in &wanted {
            steps.push(json!(["send", "later", {"partition": 0, "value": value}]));
        }
        java.transactions("later", &Value::Array(steps), &[("batch.size", "6000")]);
        assert_eq!(values(&way.list(&everything).unwrap()), wanted, "before its end is known");
        assert_stays_at(&committed, ("later", 0), position, position + 40);
        java.transactions("later", &json!([[end, "later"]]), &[]);
        java.wait_until_decided("later");
        let wanted = if *end == "commit" { wanted } else { Vec::new() };
        assert_eq!(values(&way.list(&committed).unwrap()), wanted, "{end}, {way:?}");
        position += 41;
        assert_eq!(committed.position(("later", 0)).unwrap(), position, "behind the marker");
    }
}

/// Three transactions over all partitions, interleaved, each of many batches of up to 6000 bytes: one committed, one
/// aborted, one committed after records that are in none; then only aborted ones.
fn large_transactions(topic: &str) -> Value {
    let name = |producer: &str| format!("{topic}-{producer}");
    let producers = [("a", "commit"), ("b", "abort"), ("c", "commit")];
    let mut steps: Vec<Value> =
        producers.iter().map(|(producer, _)| json!(["begin", name(producer)])).collect();
    let send = |steps: &mut Vec<Value>, producer: &str, end: &str, number: usize| {
        for partition in 0..PARTITIONS {
            // Compression is not to make one batch of all.
            let filling = (0..900).map(|i| char::from(b'a' + (i * number * 7 % 26) as u8));
            let value = format!("{end} {producer} {number} {}", filling.collect::<String>());
            steps.push(json!(["send", producer, {"partition": partition, "value": value}]));
        }
    };
    for round in 0..12 {
        for (producer, end) in producers {
            (0..5).for_each(|number| send(&mut steps, &name(producer), end, round * 5 + number));
        }
        send(&mut steps, "", "plain", round);
    }
    steps.extend(producers.iter().map(|(producer, end)| json!([end, name(producer)])));
    for round in 0..12 {
        steps.push(json!(["begin", name("b")]));
        (0..5).for_each(|number| send(&mut steps, &name("b"), "abort", round * 5 + number));
        steps.push(json!(["abort", name("b")]));
    }
    Value::Array(steps)
}

/// Polls until it has been told the high watermark, and once more: nothing comes and the position stays.
fn assert_stays_at(consumer: &KafkaConsumer, at: (&str, i32), position: i64, highwater: i64) {
    let patience = Instant::now() + PATIENCE;
    loop {
        let told = consumer.highwater(at).unwrap() == Some(highwater);
        assert_eq!(Way::Poll.read(consumer, SOON).unwrap(), []);
        assert_eq!(consumer.position(at).unwrap(), position);
        if told {
            assert_eq!(consumer.lag(at).unwrap(), Some(0), "as much as can be read");
            return;
        }
        assert!(Instant::now() < patience, "{:?}", consumer.highwater(at));
    }
}

fn ends(consumer: &KafkaConsumer) -> Vec<i64> {
    let partitions = consumer.assignment().unwrap();
    consumer.end_offsets(partitions).unwrap().into_values().collect()
}

fn values(records: &[JavaRecord]) -> Vec<&str> {
    records.iter().map(|record| record.value.as_deref().expect("they have values")).collect()
}

fn single_node() -> (JavaTool, LogsOnFailure<'static>) {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    let cluster = CLUSTER.get_or_init(|| Cluster::release("4.4.0").start());
    (JavaTool::start(cluster.bootstrap()), cluster.logs_on_failure())
}

const PARTITIONS: i32 = 3;
const WAYS: [Way; 6] = [Way::Next, Way::Poll, Way::Batch, Way::Poll, Way::Next, Way::Batch];
const ISOLATIONS: [&str; 2] = ["read_committed", "read_uncommitted"];
const COMMITTED: &[(&str, &str)] = &[("isolation.level", "read_committed")];
/// A batch that is larger than the limit comes alone.
const ONE_BATCH: (&str, &str) = ("max_partition_fetch_bytes", "1");
const SOON: Duration = Duration::from_millis(700);
const PATIENCE: Duration = Duration::from_secs(20);
