//! What Kafka's own consumer sees: single records, positions, offsets by time, and what it does call by call.
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{JavaTool, LONG, array, int, long, object};

/// A record whose key and value are text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JavaRecord {
    /// The partition that it came from.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its timestamp in milliseconds.
    pub timestamp: i64,
    /// Whether the broker set the timestamp.
    pub appended: bool,
    /// The epoch of the leader that appended it, −1 if there is none.
    pub epoch: i32,
    /// Its key.
    pub key: Option<String>,
    /// Its value.
    pub value: Option<String>,
    /// The consumer's position when this had been handed out alone; −1 where it was not.
    pub position: i64,
}

/// What a consumer answers about a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookups {
    /// The partition's number.
    pub partition: i32,
    /// The first offset.
    pub beginning: i64,
    /// The end: with `read_committed`, where the first open transaction begins.
    pub end: i64,
    /// For each time the first record that is not older, if there is one.
    pub times: Vec<Option<TimeLookup>>,
}

/// The answer to a look-up by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeLookup {
    /// The record's offset.
    pub offset: i64,
    /// Its timestamp.
    pub timestamp: i64,
    /// The epoch of the leader that appended it, −1 if there is none.
    pub epoch: i32,
}

/// An exception that a poll ended with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JavaFailure {
    /// The exception's class without its package, such as `LogTruncationException`.
    pub class: String,
    /// What it says.
    pub message: String,
    /// For a truncation, where the logs part, by topic and partition (`topic-0`).
    pub divergent: BTreeMap<String, i64>,
}

/// Whom a consumer reads from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    /// By partition the follower that it is read from, −1 for the leader.
    pub replicas: BTreeMap<i32, i32>,
    /// By node how many bytes came.
    pub bytes: BTreeMap<i32, i64>,
}

/// One consumer of a whole topic, closed when this is dropped.
#[derive(Debug)]
pub struct JavaConsumer<'a> {
    java: &'a JavaTool,
    name: String,
}

impl JavaTool {
    /// Reads a whole topic record by record, with consumer settings such as `isolation.level`, and the position after each.
    pub fn list(&self, topic: &str, settings: &[(&str, &str)]) -> Vec<JavaRecord> {
        let command =
            json!({"do": "read", "topic": topic, "list": true, "settings": object(settings)});
        array(&self.ask_within(command, LONG)["records"]).iter().map(record).collect()
    }

    /// Beginning, end and offsets by time of each partition, as a consumer with these settings is told.
    pub fn lookups(&self, topic: &str, times: &[i64], settings: &[(&str, &str)]) -> Vec<Lookups> {
        let command = json!({"do": "lookups", "topic": topic, "times": times,
            "settings": object(settings)});
        array(&self.ask(command)["partitions"]).iter().map(lookups).collect()
    }

    /// Waits until no transaction is open in a topic: brokers write the markers some time after a producer was told that its
    /// transaction has ended.
    pub fn wait_until_decided(&self, topic: &str) {
        let ends = |isolation| -> Vec<i64> {
            let lookups = self.lookups(topic, &[], &[("isolation.level", isolation)]);
            lookups.iter().map(|partition| partition.end).collect()
        };
        let patience = Instant::now() + Duration::from_secs(20);
        while ends("read_committed") != ends("read_uncommitted") {
            assert!(Instant::now() < patience, "a transaction is open in {topic}");
        }
    }

    /// A consumer of all partitions of a topic that stays; without settings it begins at the earliest records.
    pub fn consumer(&self, topic: &str, settings: &[(&str, &str)]) -> JavaConsumer<'_> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name = NUMBER.fetch_add(1, Ordering::Relaxed).to_string();
        self.ask(json!({"do": "consumer-assign", "consumer": name, "topic": topic,
            "settings": object(settings)}));
        JavaConsumer { java: self, name }
    }
}

impl JavaConsumer<'_> {
    /// Polls until this many records came, or the time is over; may return more.
    pub fn poll(&self, count: usize, within: Duration) -> Result<Vec<JavaRecord>, JavaFailure> {
        let millis = u64::try_from(within.as_millis()).expect("tests are short");
        let command = json!({"do": "consumer-poll", "consumer": self.name, "count": count,
            "for_ms": millis});
        let answer = self.java.ask(command);
        let records: Vec<JavaRecord> = array(&answer["records"]).iter().map(record).collect();
        match answer.get("failure") {
            None => Ok(records),
            Some(told) => {
                assert!(records.is_empty(), "{told} after {records:?}");
                Err(failure(told))
            }
        }
    }

    /// Where each partition is.
    pub fn positions(&self) -> BTreeMap<i32, i64> {
        by_number(&self.java.ask(json!({"do": "consumer-positions", "consumer": self.name})), long)
    }

    /// Goes to an offset in all partitions.
    pub fn seek(&self, offset: i64) {
        self.java.ask(json!({"do": "consumer-seek", "consumer": self.name, "offset": offset}));
    }

    /// Whom it reads from.
    pub fn sources(&self) -> Sources {
        let answer = self.java.ask(json!({"do": "consumer-sources", "consumer": self.name}));
        Sources {
            replicas: by_number(&answer["replicas"], int),
            bytes: by_number(&answer["bytes"], long),
        }
    }
}

impl Drop for JavaConsumer<'_> {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.java.ask(json!({"do": "consumer-close", "consumer": self.name}));
        }
    }
}

fn record(item: &Value) -> JavaRecord {
    JavaRecord {
        partition: int(&item["partition"]),
        offset: long(&item["offset"]),
        timestamp: long(&item["timestamp"]),
        appended: item["appended"].as_bool().expect("the Java tool says so"),
        epoch: int(&item["epoch"]),
        key: item["key"].as_str().map(str::to_owned),
        value: item["value"].as_str().map(str::to_owned),
        position: item.get("position").map_or(-1, long),
    }
}

fn lookups(item: &Value) -> Lookups {
    let time = |found: &Value| {
        (!found.is_null()).then(|| TimeLookup {
            offset: long(&found[0]),
            timestamp: long(&found[1]),
            epoch: int(&found[2]),
        })
    };
    Lookups {
        partition: int(&item["partition"]),
        beginning: long(&item["beginning"]),
        end: long(&item["end"]),
        times: array(&item["times"]).iter().map(time).collect(),
    }
}

fn failure(told: &Value) -> JavaFailure {
    let text = |name: &str| told[name].as_str().unwrap_or_default().to_owned();
    let divergent = told.get("divergent").and_then(Value::as_object);
    let divergent = divergent.into_iter().flatten();
    JavaFailure {
        class: text("class"),
        message: text("message"),
        divergent: divergent.map(|(name, offset)| (name.clone(), long(offset))).collect(),
    }
}

fn by_number<T>(object: &Value, value: fn(&Value) -> T) -> BTreeMap<i32, T> {
    let object = object.as_object().expect("the Java tool says so");
    let pair = |(key, item): (&String, &Value)| {
        (key.parse().expect("the Java tool numbers them"), value(item))
    };
    object.iter().map(pair).collect()
}
