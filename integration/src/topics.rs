//! Topics in the shapes that real ones get with time: compacted, with open and aborted transactions.
use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::java::{JavaRecord, JavaTool};

/// Creates a compacted topic of one partition, waits until it is clean, and returns the records that are left.
///
/// Records are missing at the start, in the middle of batches, between them and at the end; there are transactional batches
/// of which compaction left nothing, and after the last record there is nothing but what the cleaner keeps of them.
pub fn create_compacted_topic(java: &JavaTool, topic: &str, codec: &str) -> Vec<JavaRecord> {
    let configs = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "200"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("delete.retention.ms", "0"),
        ("retention.ms", "-1"),
    ];
    java.create_topic(topic, 1, 1, &configs);
    let name = |producer: &str| format!("{topic}-{producer}");
    let settings = [("compression.type", codec)];
    java.transactions(topic, &keys_kept_and_removed(&name("writer")), &settings);
    let patience = Instant::now() + PATIENCE;
    loop {
        // The tombstones are given a time to be deleted at by one cleaning, and are deleted by the next, which needs
        // something new to clean.
        java.transactions(topic, &new_segment(&name("roller")), &settings);
        for _ in 0..20 {
            let left = java.list(topic, &[]);
            if left.iter().all(|record| record.key.as_deref().is_some_and(is_kept)) {
                java.wait_until_decided(topic);
                return left;
            }
            assert!(Instant::now() < patience, "{topic} was not compacted: {left:?}");
            thread::sleep(Duration::from_millis(100));
        }
    }
}

/// Lets two transactional producers and a plain one write to partitions 0 to `partitions` − 1 of a topic, interleaved:
/// commits, aborts, transactions of one and of many batches, and aborted ones over the whole of it.
pub fn transactional_history(java: &JavaTool, topic: &str, partitions: i32, codec: &str) {
    let (a, b) = (format!("{topic}-a"), format!("{topic}-b"));
    let mut steps = Vec::new();
    for round in 0..12 {
        let ends =
            [("commit", "commit"), ("abort", "commit"), ("commit", "abort"), ("abort", "abort")];
        let (end_a, end_b) = ends[round % 4];
        steps.extend([json!(["begin", a]), json!(["begin", b])]);
        for batch in 0..=round % 3 {
            for partition in 0..partitions {
                for number in 0..4 {
                    let value = format!("{end_a} {round}.{batch}.{number}");
                    steps.push(
                        json!(["send", a, {"partition": partition, "key": "a", "value": value}]),
                    );
                }
                let value = format!("{end_b} {round}.{batch}");
                steps
                    .push(json!(["send", b, {"partition": partition, "key": "b", "value": value}]));
                if batch == 1 {
                    let value = format!("plain {round}.{batch}");
                    steps.push(json!(["send", "", {"partition": partition, "value": value}]));
                }
            }
        }
        // Every second time the one that began later ends first.
        let mut ending = [json!([end_a, a]), json!([end_b, b])];
        ending.rotate_left(round % 2);
        steps.extend(ending);
    }
    java.transactions(topic, &Value::Array(steps), &[("compression.type", codec)]);
    java.wait_until_decided(topic);
}

fn keys_kept_and_removed(writer: &str) -> Value {
    let send = |producer: &str, key: &str, value: Option<&str>| json!(["send", producer, {"partition": 0, "key": key, "value": value}]);
    let mut steps = vec![
        send("", "a", Some("removed, so the log begins with a gap")),
        send("", "b", Some("removed")),
        send("", "kept 1", Some("")),
        json!(["flush", ""]),
        send("", "c", Some("the whole batch is removed")),
        json!(["flush", ""]),
        send("", "kept 2", Some("in a batch with gaps")),
        send("", "d", Some("removed")),
        send("", "kept 3", Some("also there")),
        json!(["begin", writer]),
        send(writer, "kept 4", Some("committed")),
        send(writer, "e", Some("removed")),
        json!(["commit", writer]),
        json!(["begin", writer]),
        send(writer, "f", Some("aborted")),
        json!(["abort", writer]),
        json!(["begin", writer]),
    ];
    steps.extend(["a", "b", "c", "d", "e", "f"].map(|key| send(writer, key, None)));
    // What is in the newest segment is not cleaned, so only the marker is to be there.
    steps.extend([json!(["sleep", 300]), json!(["commit", writer])]);
    Value::Array(steps)
}

fn new_segment(roller: &str) -> Value {
    json!([
        ["begin", roller],
        ["send", roller, {"partition": 0, "key": "aborted", "value": "to be cleaned away"}],
        ["sleep", 300],
        ["abort", roller],
    ])
}

fn is_kept(key: &str) -> bool {
    key.starts_with("kept")
}

const PATIENCE: Duration = Duration::from_secs(40);
