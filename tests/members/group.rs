//! What the tests of this target share: members with times that suit a test, a listener that keeps a diary, and a way to
//! drive several members from one thread.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use kafka_blocking::{
    BoxError, ConsumerBuilder, ConsumerRebalanceListener, ConsumerRecord, Error, GroupState,
    KafkaConsumer, TopicPartition,
    protocol::{
        Request, find_coordinator::FindCoordinatorRequest, join_group::JoinGroupRequest,
        leave_group::LeaveGroupRequest,
    },
};
use scripted_broker::{GroupView, ScriptedBroker};

use crate::support::{LONG, builder, take};

/// How long a member that is driven with others waits for records in its turn.
pub(crate) const TURN: Duration = Duration::from_millis(3);

/// A time that is long for a broker in this process, and short for a test.
pub(crate) const SHORT: Duration = Duration::from_millis(300);

/// A session that ends within a test, and not because this machine is busy.
pub(crate) const SESSION: Duration = Duration::from_secs(1);

pub(crate) fn tp(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

/// A member of the group `g` that hears soon of rebalances, and commits nothing by itself.
pub(crate) fn member(broker: &ScriptedBroker) -> ConsumerBuilder {
    builder(broker.addresses())
        .group_id("g")
        .heartbeat_interval_ms(20)
        .session_timeout_ms(10_000)
        .enable_auto_commit(false)
}

/// The same, with the listener `diary` on the topic `t`.
pub(crate) fn reader(broker: &ScriptedBroker, diary: &Diary) -> KafkaConsumer {
    subscribed(member(broker), diary)
}

/// What this builder makes, with the listener `diary` on the topic `t`.
pub(crate) fn subscribed(builder: ConsumerBuilder, diary: &Diary) -> KafkaConsumer {
    let consumer = builder.build().expect("the broker answers");
    consumer.subscribe_with(["t"], diary.clone()).unwrap();
    consumer
}

/// The same with the cooperative assignor.
pub(crate) fn cooperative(broker: &ScriptedBroker) -> ConsumerBuilder {
    member(broker).partition_assignment_strategy("cooperative-sticky")
}

// The listener

/// A listener that writes down what it is told: `assigned t-0 t-1`.
#[derive(Clone, Default)]
pub(crate) struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    /// What was written since the last time.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().unwrap().is_empty()
    }

    /// Whether a line is in it.
    pub(crate) fn has(&self, line: &str) -> bool {
        self.0.lock().unwrap().iter().any(|own| own == line)
    }

    pub(crate) fn write(&self, what: &str, partitions: &[TopicPartition]) {
        let names: Vec<String> = partitions.iter().map(ToString::to_string).collect();
        self.0.lock().unwrap().push(format!("{what} {}", names.join(" ")));
    }
}

impl ConsumerRebalanceListener for Diary {
    fn on_partitions_assigned(
        &mut self,
        _: &KafkaConsumer,
        partitions: &[TopicPartition],
    ) -> Result<(), BoxError> {
        self.write("assigned", partitions);
        Ok(())
    }

    fn on_partitions_revoked(
        &mut self,
        _: &KafkaConsumer,
        partitions: &[TopicPartition],
    ) -> Result<(), BoxError> {
        self.write("revoked", partitions);
        Ok(())
    }

    fn on_partitions_lost(
        &mut self,
        _: &KafkaConsumer,
        partitions: &[TopicPartition],
    ) -> Result<(), BoxError> {
        self.write("lost", partitions);
        Ok(())
    }
}

type Told = dyn FnMut(&str, &KafkaConsumer, &[TopicPartition]) -> Result<(), BoxError> + Send;

/// A listener that calls this with `assigned`, `revoked` or `lost`.
pub(crate) struct Listen(Box<Told>);

impl Listen {
    pub(crate) fn new(
        told: impl FnMut(&str, &KafkaConsumer, &[TopicPartition]) -> Result<(), BoxError>
        + Send
        + 'static,
    ) -> Self {
        Self(Box::new(told))
    }
}

impl ConsumerRebalanceListener for Listen {
    fn on_partitions_assigned(
        &mut self,
        consumer: &KafkaConsumer,
        partitions: &[TopicPartition],
    ) -> Result<(), BoxError> {
        (self.0)("assigned", consumer, partitions)
    }

    fn on_partitions_revoked(
        &mut self,
        consumer: &KafkaConsumer,
        partitions: &[TopicPartition],
    ) -> Result<(), BoxError> {
        (self.0)("revoked", consumer, partitions)
    }

    fn on_partitions_lost(
        &mut self,
        consumer: &KafkaConsumer,
        partitions: &[TopicPartition],
    ) -> Result<(), BoxError> {
        (self.0)("lost", consumer, partitions)
    }
}

// Driving members

/// Lets the members poll in turn until something holds; gives the records that came meanwhile.
#[track_caller]
pub(crate) fn drive(
    consumers: &[&KafkaConsumer],
    what: &str,
    mut holds: impl FnMut() -> bool,
) -> Vec<ConsumerRecord> {
    let start = Instant::now();
    let mut records = Vec::new();
    while !holds() {
        assert!(start.elapsed() < LONG, "{what}: not within {LONG:?}");
        for consumer in consumers {
            let polled = consumer.poll(TURN).unwrap_or_else(|e| panic!("{what}: {e}"));
            records.extend(polled.into_records());
        }
    }
    records
}

/// Lets the members poll in turn for a while.
#[track_caller]
pub(crate) fn drive_for(consumers: &[&KafkaConsumer], time: Duration) -> Vec<ConsumerRecord> {
    let start = Instant::now();
    drive(consumers, "a while", || start.elapsed() >= time)
}

/// Lets the members poll until all have their share of so many partitions of one generation.
#[track_caller]
pub(crate) fn settle(consumers: &[&KafkaConsumer], partitions: usize) -> Vec<ConsumerRecord> {
    drive(consumers, "all have their share", || are_settled(consumers, partitions))
}

fn are_settled(consumers: &[&KafkaConsumer], partitions: usize) -> bool {
    let standings: Vec<_> = consumers.iter().map(|c| c.group_metadata().unwrap()).collect();
    let generations: BTreeSet<i32> = standings.iter().map(|s| s.generation_id).collect();
    let all: Vec<_> = consumers.iter().flat_map(|c| c.assignment().unwrap()).collect();
    let distinct: BTreeSet<_> = all.iter().collect();
    standings.iter().all(|s| s.state == GroupState::Stable)
        && generations.len() == 1
        && (all.len(), distinct.len()) == (partitions, partitions)
}

/// The first of these records of a partition of `t`, or the next one that comes.
#[track_caller]
pub(crate) fn first_of(
    records: &[ConsumerRecord],
    partition: i32,
    consumer: &KafkaConsumer,
) -> i64 {
    let mut all = records.to_vec();
    loop {
        if let Some(record) = all.iter().find(|record| record.partition() == partition) {
            return record.offset();
        }
        all = take(consumer, 1);
    }
}

/// Polls until an error comes.
#[track_caller]
pub(crate) fn next_error(consumer: &KafkaConsumer) -> Error {
    let start = Instant::now();
    loop {
        assert!(start.elapsed() < LONG, "no error came");
        if let Err(error) = consumer.poll(TURN) {
            return error;
        }
    }
}

/// The partitions of `t` that a member has.
pub(crate) fn share(consumer: &KafkaConsumer) -> Vec<i32> {
    let mut share: Vec<i32> =
        consumer.assignment().unwrap().iter().map(TopicPartition::partition).collect();
    share.sort_unstable();
    share
}

pub(crate) fn generation(consumer: &KafkaConsumer) -> i32 {
    consumer.group_metadata().unwrap().generation_id
}

pub(crate) fn member_id(consumer: &KafkaConsumer) -> String {
    consumer.group_metadata().unwrap().member_id
}

// What the broker saw

pub(crate) fn view(broker: &ScriptedBroker) -> GroupView {
    broker.group("g").view()
}

/// How many requests of an API have come.
pub(crate) fn count<R: Request>(broker: &ScriptedBroker) -> usize {
    broker.requests().iter().filter(|r| r.is::<R>()).count()
}

pub(crate) fn joins(broker: &ScriptedBroker) -> Vec<JoinGroupRequest> {
    broker.requests_of::<JoinGroupRequest>()
}

pub(crate) fn lookups(broker: &ScriptedBroker) -> usize {
    count::<FindCoordinatorRequest>(broker)
}

pub(crate) fn leaves(broker: &ScriptedBroker) -> usize {
    count::<LeaveGroupRequest>(broker)
}

/// Sleeps as a program that is busy with records.
pub(crate) fn work_for(time: Duration) {
    std::thread::sleep(time);
}
