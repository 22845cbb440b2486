//! Whether topics take the shapes that other tests want of them, with Kafka's own consumer as the judge.
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, OnceLock},
    time::{Duration, Instant},
};

use kafka_blocking_integration::{
    Cluster, JavaRecord, JavaTool, LogsOnFailure, TimeLookup, Truncation, by_partition,
    create_compacted_topic, transactional_history,
};
use serde_json::json;

#[test]
fn a_compacted_topic_has_gaps_at_its_start_in_the_middle_and_at_its_end() {
    let (java, _logs) = single_node();
    for codec in ["none", "zstd"] {
        let topic = format!("compacted-{codec}");
        let left = create_compacted_topic(&java, &topic, codec);
        let keys: Vec<_> = left.iter().map(|record| record.key.as_deref().unwrap_or("")).collect();
        assert_eq!(keys, ["kept 1", "kept 2", "kept 3", "kept 4"]);
        let offsets: Vec<i64> = left.iter().map(|record| record.offset).collect();
        assert_eq!(offsets, [2, 4, 6, 7]);
        assert!(java.offsets(&topic)[0].end > 15, "the log goes on after the last record");
        assert_eq!(java.list(&topic, COMMITTED), left);
    }
}

#[test]
fn transactions_lie_interleaved_and_only_the_committed_are_read() {
    let (java, _logs) = single_node();
    java.create_topic("history", 2, 1, &[]);
    transactional_history(&java, "history", 2, "lz4");
    let all = java.list("history", &[]);
    let committed = java.list("history", COMMITTED);
    let wanted = |record: &&JavaRecord| !value(record).starts_with("abort");
    let wanted: Vec<JavaRecord> = all.iter().filter(wanted).cloned().collect();
    assert_eq!(
        by_partition(&committed, JavaRecord::clone),
        by_partition(&wanted, JavaRecord::clone)
    );
    assert!(committed.len() < all.len());
    let senders = all.iter().filter(|record| record.partition == 0).map(|record| &record.key);
    let mut senders: Vec<_> = senders.collect();
    senders.dedup();
    assert!(senders.len() > 40, "{senders:?}");
}

#[test]
fn an_open_transaction_ends_the_committed_log_until_it_is_committed_or_times_out() {
    let (java, _logs) = single_node();
    java.create_topic("open", 2, 1, &[]);
    let record = |partition: i32, value: &str| json!({"partition": partition, "value": value});
    let steps = json!([
        ["begin", "waits"],
        ["send", "waits", record(0, "first")],
        ["send", "", record(0, "after it")],
    ]);
    java.transactions("open", &steps, &[]);
    let ends = |settings| -> Vec<i64> {
        java.lookups("open", &[], settings).iter().map(|partition| partition.end).collect()
    };
    assert_eq!((ends(COMMITTED), ends(&[])), (vec![0, 0], vec![2, 0]));
    let consumer = java.consumer("open", COMMITTED);
    assert_eq!(consumer.poll(1, Duration::from_millis(300)), Ok(Vec::new()));
    java.transactions("open", &json!([["commit", "waits"]]), &[]);
    let read = consumer.poll(2, PATIENCE).expect("it can be read");
    assert_eq!(read.iter().map(value).collect::<Vec<_>>(), ["first", "after it"]);

    let steps = json!([
        ["begin", "dies"],
        ["send", "dies", record(1, "never")],
        ["drop", "dies"],
        ["send", "", record(1, "plain")],
    ]);
    java.transactions("open", &steps, &[("transaction.timeout.ms", "500")]);
    assert_eq!(ends(COMMITTED), [3, 0]);
    let read = consumer.poll(1, PATIENCE).expect("it can be read");
    assert_eq!(read.iter().map(value).collect::<Vec<_>>(), ["plain"]);
    assert_eq!(ends(COMMITTED), [3, 3]);
    assert_eq!(consumer.positions(), BTreeMap::from([(0, 3), (1, 3)]));
}

#[test]
fn times_can_repeat_go_back_and_be_the_brokers() {
    let (java, _logs) = single_node();
    java.create_topic("times", 1, 1, &[("retention.ms", "-1")]);
    let batches: [&[i64]; 4] = [&[5000, 5000, 4000], &[5000, 5000], &[3000, 7000, 6000], &[7000]];
    let send = |time: &i64| json!(["send", "", {"partition": 0, "timestamp": time, "value": ""}]);
    for batch in batches {
        java.transactions("times", &batch.iter().map(send).collect(), &[]);
    }
    let found = java.lookups("times", &[0, 4001, 5001, 6500, 7000, 7001], &[]).remove(0).times;
    let at = |offset, timestamp| Some(TimeLookup { offset, timestamp, epoch: 0 });
    assert_eq!(found, [at(0, 5000), at(0, 5000), at(6, 7000), at(6, 7000), at(6, 7000), None]);
    java.delete_records("times", 0, 4);
    let lookups = java.lookups("times", &[5000, 5001], &[]).remove(0);
    assert_eq!((lookups.beginning, lookups.end), (4, 9));
    assert_eq!(lookups.times, [at(4, 5000), at(6, 7000)]);
    assert_eq!(java.list("times", &[])[0].offset, 4);

    java.create_topic("brokers-times", 1, 1, &[("message.timestamp.type", "LogAppendTime")]);
    java.transactions("brokers-times", &batches[2].iter().map(send).collect(), &[]);
    let read = java.list("brokers-times", &[]);
    assert!(read.iter().all(|record| record.appended && record.timestamp == read[0].timestamp));
    assert!(read[0].timestamp > 1_000_000_000_000, "{read:?}");
}

#[test]
fn a_consumer_with_a_rack_reads_from_the_follower_there() {
    let (cluster, _logs, _turn) = three_nodes();
    let java = cluster.java();
    java.create_topic_on("racks", &[&[1, 2, 3]], &[]);
    let consumer = java.consumer("racks", &[("client.rack", "rack2")]);
    // A consumer is only sent to a follower that has what it wants, so the first records may still come from the leader.
    let patience = Instant::now() + PATIENCE;
    for number in 0.. {
        java.produce("racks", &json!([{"value": number.to_string()}]), &[]);
        let read = consumer.poll(1, PATIENCE).expect("it can be read");
        assert_eq!(read[0].offset, number);
        if consumer.sources().replicas == BTreeMap::from([(0, 2)]) {
            break;
        }
        assert!(Instant::now() < patience, "{:?}", consumer.sources());
    }
    let before = consumer.sources().bytes;
    java.fill("racks", 100, 1000, &[]);
    assert!(consumer.poll(100, PATIENCE).expect("it can be read").len() >= 100);
    let after = consumer.sources().bytes;
    assert!(after[&2] - before[&2] > 50_000, "{before:?} {after:?}");
    assert!(after[&1] - before[&1] < 50_000, "{before:?} {after:?}");
}

#[test]
fn an_unclean_election_takes_away_what_a_consumer_has_read() {
    let (cluster, _logs, _turn) = three_nodes();
    let java = cluster.java();
    let truncation = Truncation::prepare(cluster, "cut", 2);
    let all = usize::try_from(2 * (Truncation::KEPT + Truncation::LOST)).expect("a small number");
    let strict = java.consumer("cut", &[("auto.offset.reset", "none")]);
    strict.seek(0);
    let lenient = java.consumer("cut", &[]);
    for consumer in [&strict, &lenient] {
        assert_eq!(consumer.poll(all, PATIENCE).expect("it can be read").len(), all);
    }
    // The new log of partition 0 is shorter than what was read, that of partition 1 longer.
    truncation.happen(&[5, 40]);
    truncation.reunite();
    let failure = strict.poll(1, PATIENCE).expect_err("what it read is gone");
    assert_eq!(failure.class, "LogTruncationException");
    assert!(failure.divergent.values().all(|offset| *offset == Truncation::KEPT), "{failure:?}");
    let others = lenient.poll(45, PATIENCE).expect("it goes on");
    let offsets = by_partition(&others, |record| record.offset);
    assert_eq!(offsets, BTreeMap::from([(0, (10..15).collect()), (1, (10..50).collect())]));
    assert!(others.iter().all(|record| value(record).starts_with("other") && record.epoch > 0));
}

fn single_node() -> (JavaTool, LogsOnFailure<'static>) {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    let cluster = CLUSTER.get_or_init(|| Cluster::release("4.4.0").start());
    (JavaTool::start(cluster.bootstrap()), cluster.logs_on_failure())
}

/// One test at a time, since one of them stops nodes.
fn three_nodes() -> (&'static Cluster, LogsOnFailure<'static>, MutexGuard<'static, ()>) {
    static TURN: Mutex<()> = Mutex::new(());
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    let turn = TURN.lock().unwrap_or_else(|poison| poison.into_inner());
    let cluster = CLUSTER.get_or_init(|| Cluster::release("4.4.0").nodes(3).start());
    (cluster, cluster.logs_on_failure(), turn)
}

fn value(record: &JavaRecord) -> &str {
    record.value.as_deref().expect("these records have values")
}

const COMMITTED: &[(&str, &str)] = &[("isolation.level", "read_committed")];
const PATIENCE: Duration = Duration::from_secs(20);
