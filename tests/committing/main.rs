//! What a group keeps of its members' offsets: what is committed when, where members go on, and what programs may do meanwhile.

mod auto;
mod callbacks;
mod errors;
mod giving_back;
mod manual;
mod owners;
mod panics;
mod retries;
mod starting;
mod strategies;
mod subscribing;
#[path = "../support/mod.rs"]
mod support;
mod user_code;
mod virtual_time;
mod without_group;

use std::time::Duration;

use kafka_blocking::{
    ConsumerBuilder, KafkaConsumer,
    protocol::{Request, offset_commit::OffsetCommitRequest},
};
use scripted_broker::ScriptedBroker;

/// The group of all tests; each has a broker of its own.
const GROUP: &str = "g";

/// How long a member waits that has nothing to wait for.
const SOON: Duration = Duration::from_millis(300);

/// A member that reads `t`, hears of rebalances soon, and commits only what it is told to.
fn manual(broker: &ScriptedBroker) -> ConsumerBuilder {
    builder(broker).topics("t").enable_auto_commit(false)
}

/// A member that reads `t`, and commits by itself every few milliseconds.
fn automatic(broker: &ScriptedBroker) -> ConsumerBuilder {
    builder(broker).topics("t").auto_commit_interval_ms(1)
}

/// A consumer in the group that subscribes to nothing yet.
fn builder(broker: &ScriptedBroker) -> ConsumerBuilder {
    support::builder(broker.addresses()).group_id(GROUP).heartbeat_interval_ms(20)
}

/// The offset that the group has committed of a partition of `t`.
fn committed(broker: &ScriptedBroker, partition: i32) -> Option<i64> {
    broker.group(GROUP).view().committed(("t", partition))
}

/// How many requests of an API have come.
fn count<R: Request>(broker: &ScriptedBroker) -> usize {
    broker.requests().iter().filter(|r| r.is::<R>()).count()
}

/// The offsets of partition 0 of `t` in all the requests to commit, in the order in which they came.
fn sent(broker: &ScriptedBroker) -> Vec<i64> {
    let requests = broker.requests_of::<OffsetCommitRequest>();
    let topics = requests.into_iter().flat_map(|request| request.topics);
    let partitions = topics.flat_map(|topic| topic.partitions);
    partitions.filter(|p| p.partition_index == 0).map(|p| p.committed_offset).collect()
}

/// Polls until the consumer is a member with its partitions assigned.
#[track_caller]
fn join(consumer: &KafkaConsumer) {
    support::wait_until("a member with partitions", || {
        assert!(consumer.poll(Duration::ZERO).expect("no error").is_empty(), "records");
        !consumer.assignment().expect("not closed").is_empty()
    });
}
