//! What the tests of groups share: a cluster, consumers with a group each, and a listener that remembers.
use std::{
    env,
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock},
};

use kafka_blocking::{BoxError, ConsumerRebalanceListener, KafkaConsumer, TopicPartition};
use kafka_blocking_integration::{Cluster, groups::Client};

/// One node.
pub(crate) fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::release("4.4.0").start())
}

/// Whether the tests are to take as long as they are meant to, with `GROUPS_LONG=1`.
pub(crate) fn is_long() -> bool {
    env::var("GROUPS_LONG").is_ok_and(|text| text == "1")
}

/// A topic of one partition with this many small records, and its name.
pub(crate) fn fill(topic: &'static str, records: u64) -> &'static str {
    cluster().java().create_topic(topic, 1, 1, &[]);
    cluster().java().fill(topic, records, 10, &[("batch.size", "400000"), ("linger.ms", "100")]);
    topic
}

/// A consumer in a group, with heartbeats every 300 ms.
pub(crate) fn open(group: &str, options: &[(&str, &str)]) -> KafkaConsumer {
    let builder = KafkaConsumer::builder()
        .bootstrap_servers(cluster().bootstrap())
        .group_id(group)
        .auto_offset_reset("earliest")
        .heartbeat_interval_ms(300);
    let builder = options.iter().fold(builder, |builder, (name, value)| builder.set(name, value));
    builder.build().expect("the brokers are there")
}

/// This crate's consumer as a process that reads with `poll` or `next`.
pub(crate) fn ours(way: &str) -> Client {
    Client::Ours(PathBuf::from(env!("CARGO_BIN_EXE_group_member")), vec![way.to_owned()])
}

/// What a listener was told, in words.
#[derive(Clone, Default)]
pub(crate) struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    pub(crate) fn listener(&self) -> Self {
        self.clone()
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().expect("no thread panicked").clone()
    }

    fn note(&self, what: &str, partitions: &[TopicPartition]) -> Result<(), BoxError> {
        let names: Vec<String> = partitions.iter().map(ToString::to_string).collect();
        self.0.lock().expect("no thread panicked").push(format!("{what} {}", names.join(" ")));
        Ok(())
    }
}

impl ConsumerRebalanceListener for Heard {
    fn on_partitions_assigned(
        &mut self,
        _: &KafkaConsumer,
        partitions: &[TopicPartition],
    ) -> Result<(), BoxError> {
        self.note("assigned", partitions)
    }

    fn on_partitions_revoked(
        &mut self,
        _: &KafkaConsumer,
        partitions: &[TopicPartition],
    ) -> Result<(), BoxError> {
        self.note("revoked", partitions)
    }

    fn on_partitions_lost(
        &mut self,
        _: &KafkaConsumer,
        partitions: &[TopicPartition],
    ) -> Result<(), BoxError> {
        self.note("lost", partitions)
    }
}
