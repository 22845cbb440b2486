//! What programs that were written for kafka-python rely on, one test for each behaviour, under its number.

mod closing;
mod configuration;
mod offsets;
mod positions;
mod reading;
#[path = "../support/mod.rs"]
mod support;
mod waiting;

use kafka_blocking::{KafkaConsumer, TopicPartition};
use scripted_broker::ScriptedBroker;

/// Partitions of the topic `t`.
fn tp(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

fn assigned(broker: &ScriptedBroker, partitions: &[i32]) -> KafkaConsumer {
    let consumer = support::builder(broker.address()).build().unwrap();
    consumer.assign(partitions.iter().map(|n| tp(*n))).unwrap();
    consumer
}
