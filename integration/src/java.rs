//! Kafka's own Java clients: an administrator, a producer and a reader that owe our code nothing.
use std::{path::Path, sync::Mutex, time::Duration};

use serde_json::{Map, Value, json};

use crate::{canonical::PartitionDigest, child::Child};

mod consumer;
mod group;
mod security;

pub use consumer::{JavaConsumer, JavaFailure, JavaRecord, Lookups, Sources, TimeLookup};
pub use group::{GroupMember, GroupState};
pub use security::{Resource, Sessions};

/// One long-lived Java process with an admin client, producers and consumers.
#[derive(Debug)]
pub struct JavaTool {
    child: Mutex<Child>,
    bootstrap: String,
}

/// A partition as the admin client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionState {
    /// The partition's number.
    pub partition: i32,
    /// The leader's node id, if there is a leader.
    pub leader: Option<i32>,
    /// The nodes that hold the partition, the preferred leader first.
    pub replicas: Vec<i32>,
    /// The replicas that are in sync.
    pub in_sync: Vec<i32>,
}

/// Where a partition begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offsets {
    /// The partition's number.
    pub partition: i32,
    /// The offset of the first record.
    pub start: i64,
    /// The offset after the last record.
    pub end: i64,
    /// The leader's epoch, −1 if the broker does not say.
    pub epoch: i32,
}

/// A record that the writer was told is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Acknowledged {
    /// Where it was written.
    pub partition: i32,
    /// Where it was written.
    pub offset: i64,
    /// The record's number, which is its value in decimal.
    pub number: i64,
    /// When the acknowledgement came, in milliseconds since 1970.
    pub at_ms: u64,
}

impl JavaTool {
    /// Starts the process; its commands go to these brokers.
    #[must_use]
    pub fn start(bootstrap: &str) -> Self {
        let child = Child::kafka_py("Kafka's Java clients", &["tool".to_owned()]);
        Self { child: Mutex::new(child), bootstrap: bootstrap.to_owned() }
    }

    /// The brokers that it talks to.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Makes the admin client connect to every node, so that it still has an answering one after a fault.
    pub fn connect_to_all_nodes(&self) {
        self.ask(json!({"do": "connect"}));
    }

    /// Creates a topic and returns when all its partitions have leaders.
    pub fn create_topic(
        &self,
        topic: &str,
        partitions: i32,
        replication: i16,
        configs: &[(&str, &str)],
    ) {
        self.ask(json!({"do": "create-topic", "topic": topic, "partitions": partitions,
            "replication": replication, "configs": object(configs)}));
    }

    /// Creates a topic whose partition n has the replicas `assignment[n]`, the first of them its leader.
    pub fn create_topic_on(&self, topic: &str, assignment: &[&[i32]], configs: &[(&str, &str)]) {
        self.ask(json!({"do": "create-topic", "topic": topic, "assignment": assignment,
            "configs": object(configs)}));
    }

    /// Deletes a topic.
    pub fn delete_topic(&self, topic: &str) {
        self.ask(json!({"do": "delete-topic", "topic": topic}));
    }

    /// Sets properties of a topic.
    pub fn alter_config(&self, topic: &str, configs: &[(&str, &str)]) {
        self.ask(json!({"do": "alter-config", "topic": topic, "configs": object(configs)}));
    }

    /// Makes a topic grow to this many partitions.
    pub fn add_partitions(&self, topic: &str, partitions: i32) {
        self.ask(json!({"do": "add-partitions", "topic": topic, "partitions": partitions}));
    }

    /// Deletes the records before an offset.
    pub fn delete_records(&self, topic: &str, partition: i32, before: i64) {
        self.ask(json!({"do": "delete-records", "topic": topic, "partition": partition, "before": before}));
    }

    /// The partitions of a topic.
    pub fn describe(&self, topic: &str) -> Vec<PartitionState> {
        let answer = self.ask(json!({"do": "describe", "topic": topic}));
        let state = |item: &Value| PartitionState {
            partition: int(&item["partition"]),
            leader: Some(int(&item["leader"])).filter(|leader| *leader >= 0),
            replicas: array(&item["replicas"]).iter().map(int).collect(),
            in_sync: array(&item["isr"]).iter().map(int).collect(),
        };
        array(&answer["partitions"]).iter().map(state).collect()
    }

    /// The leader of a partition, if it has one.
    pub fn leader(&self, topic: &str, partition: i32) -> Option<i32> {
        let found = self.describe(topic).into_iter().find(|state| state.partition == partition);
        found.expect("the topic has this partition").leader
    }

    /// The offsets of every partition of a topic.
    pub fn offsets(&self, topic: &str) -> Vec<Offsets> {
        let answer = self.ask(json!({"do": "offsets", "topic": topic}));
        let offsets = |item: &Value| Offsets {
            partition: int(&item["partition"]),
            start: long(&item["start"]),
            end: long(&item["end"]),
            epoch: int(&item["epoch"]),
        };
        array(&answer["partitions"]).iter().map(offsets).collect()
    }

    /// Makes a node the leader of a partition.
    pub fn move_leader(&self, topic: &str, partition: i32, to: i32) {
        self.ask(json!({"do": "move-leader", "topic": topic, "partition": partition, "to": to}));
    }

    /// Writes records, given as a JSON list of objects with `key`, `value`, `partition`, `timestamp` and `headers`
    /// (a list of `[name, value]`), all optional, with producer settings such as `compression.type`.
    ///
    /// Returns partition and offset of each.
    pub fn produce(
        &self,
        topic: &str,
        records: &Value,
        settings: &[(&str, &str)],
    ) -> Vec<(i32, i64)> {
        let answer = self.ask(json!({"do": "produce", "topic": topic, "records": records,
            "settings": object(settings)}));
        written(&answer)
    }

    /// Lets named transactional producers do what `steps` say, one after the other, so that batches lie in the log in
    /// just that order: `["begin", "a"]`, `["send", "a", record]`, `["flush", "a"]`, `["commit", "a"]`, `["abort", "a"]`,
    /// `["drop", "a"]`, which leaves the transaction open until it times out, and `["sleep", 100]`.
    ///
    /// The producer `""` has no transactions. What one sends without another step between is one batch a partition.
    /// Producers live on, so a later call can commit what this one began; the settings are for those that are new.
    /// Returns partition and offset of each record.
    pub fn transactions(
        &self,
        topic: &str,
        steps: &Value,
        settings: &[(&str, &str)],
    ) -> Vec<(i32, i64)> {
        let command = json!({"do": "transactions", "topic": topic, "steps": steps,
            "settings": object(settings)});
        written(&self.ask(command))
    }

    /// Writes as many records of `size` random letters, without a key, as fast as the producer can.
    pub fn fill(&self, topic: &str, records: u64, size: u64, settings: &[(&str, &str)]) {
        let command = json!({"do": "fill", "topic": topic, "records": records, "size": size,
            "settings": object(settings)});
        self.ask_within(command, LONG);
    }

    /// Writes the records of the test that compares readers: `records` of them, `large` of which are large.
    pub fn produce_dataset(
        &self,
        topic: &str,
        codec: &str,
        partitions: i32,
        records: u64,
        large: u64,
    ) {
        let settings = object(&[
            ("compression.type", codec),
            ("batch.size", "65536"),
            ("linger.ms", "20"),
            ("buffer.memory", "67108864"),
        ]);
        let command = json!({"do": "produce-dataset", "topic": topic, "partitions": partitions,
            "records": records, "large": large, "seed": 20, "settings": settings});
        self.ask_within(command, LONG);
    }

    /// Reads a whole topic.
    pub fn read(&self, topic: &str) -> Vec<PartitionDigest> {
        self.read_with(topic, &[])
    }

    /// Reads a whole topic, with consumer settings such as `isolation.level`.
    pub fn read_with(&self, topic: &str, settings: &[(&str, &str)]) -> Vec<PartitionDigest> {
        let command = json!({"do": "read", "topic": topic, "settings": object(settings)});
        let answer = self.ask_within(command, LONG);
        array(&answer["partitions"]).iter().map(PartitionDigest::from_json).collect()
    }

    /// Writes the records of one partition into a file, a line each.
    pub fn dump(&self, topic: &str, partition: i32, file: &Path) {
        let command = json!({"do": "read", "topic": topic, "partition": partition,
            "dump": file.to_str().expect("test folders have plain names")});
        self.ask_within(command, LONG);
    }

    pub(crate) fn bytes_out(&self, pid: u32, topic: &str) -> i64 {
        long(&self.ask(json!({"do": "bytes-out", "pid": pid, "topic": topic}))["bytes"])
    }

    /// Starts an idempotent producer with `acks=all` that writes record n to partition n % `partitions`,
    /// `rate` records a second.
    pub fn start_writer(&self, topic: &str, partitions: i32, rate: u32) {
        self.start_large_writer(topic, partitions, rate, 0);
    }

    /// Starts one whose records have a key of so many bytes.
    pub fn start_large_writer(&self, topic: &str, partitions: i32, rate: u32, key: u32) {
        self.ask(json!({"do": "start-writer", "topic": topic, "partitions": partitions,
            "rate": rate, "padding": key}));
    }

    /// Ends the writer and returns everything that was acknowledged; a record that failed is a panic.
    pub fn stop_writer(&self, topic: &str) -> Vec<Acknowledged> {
        acknowledged(&self.ask_within(json!({"do": "stop-writer", "topic": topic}), LONG))
    }

    /// What has been acknowledged so far.
    pub fn acknowledged(&self, topic: &str) -> Vec<Acknowledged> {
        acknowledged(&self.ask(json!({"do": "acknowledged", "topic": topic})))
    }

    fn ask(&self, command: Value) -> Value {
        self.ask_within(command, PATIENCE)
    }

    fn ask_within(&self, mut command: Value, within: Duration) -> Value {
        command["bootstrap"] = Value::from(self.bootstrap.as_str());
        let mut child = self.child.lock().unwrap_or_else(|poison| poison.into_inner());
        child.ask(&command.to_string(), within)
    }
}

/// Partition and offset of each record.
fn written(answer: &Value) -> Vec<(i32, i64)> {
    array(&answer["offsets"]).iter().map(|pair| (int(&pair[0]), long(&pair[1]))).collect()
}

fn acknowledged(answer: &Value) -> Vec<Acknowledged> {
    let failures = array(&answer["failures"]);
    assert!(failures.is_empty(), "the producer failed: {failures:?}");
    let one = |item: &Value| Acknowledged {
        partition: int(&item[0]),
        offset: long(&item[1]),
        number: long(&item[2]),
        at_ms: item[3].as_u64().expect("a time"),
    };
    array(&answer["acknowledged"]).iter().map(one).collect()
}

fn object(pairs: &[(&str, &str)]) -> Value {
    let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value)));
    Value::Object(pairs.collect::<Map<_, _>>())
}

fn array(value: &Value) -> &[Value] {
    value.as_array().expect("the Java tool says so")
}

fn long(value: &Value) -> i64 {
    value.as_i64().expect("the Java tool says so")
}

fn int(value: &Value) -> i32 {
    i32::try_from(long(value)).expect("the Java tool says so")
}

const PATIENCE: Duration = Duration::from_secs(120);
/// A million records take their time.
const LONG: Duration = Duration::from_secs(1200);
