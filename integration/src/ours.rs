//! What our own consumer sees, in the terms in which Java's answers.
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use kafka_blocking::{ConsumerRecord, KafkaConsumer, RecordRef, TimestampType, TopicPartition};

use crate::{
    canonical::RecordFields,
    java::{JavaRecord, Lookups, TimeLookup},
};

/// A consumer of a topic's first partitions from the earliest records on, with more options.
pub fn open(
    bootstrap: &str,
    topic: &str,
    partitions: i32,
    options: &[(&str, &str)],
) -> KafkaConsumer {
    let builder = KafkaConsumer::builder()
        .bootstrap_servers(bootstrap)
        .auto_offset_reset("earliest")
        .consumer_timeout_ms(100);
    let builder = options.iter().fold(builder, |builder, (name, value)| builder.set(name, value));
    let consumer = builder.build().expect("the brokers are there");
    let partitions = (0..partitions).map(|partition| (topic, partition));
    consumer.assign(partitions).expect("these names are allowed");
    consumer
}

/// A way to read: all of them are to give the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `next`, with the position after each record.
    Next,
    /// `poll`.
    Poll,
    /// `poll_batch`.
    Batch,
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Next, Self::Poll, Self::Batch];

    /// What comes within about `timeout`: at least one record if there is any; the position stands in `next`'s.
    ///
    /// For `next` it is the consumer's `consumer_timeout_ms` that counts.
    pub fn read(
        self,
        consumer: &KafkaConsumer,
        timeout: Duration,
    ) -> kafka_blocking::Result<Vec<JavaRecord>> {
        match self {
            Self::Next => {
                let Some(record) = consumer.next().transpose()? else { return Ok(Vec::new()) };
                let position = consumer.position(record.topic_partition())?;
                Ok(vec![JavaRecord { position, ..JavaRecord::from(&record) }])
            }
            Self::Poll => {
                let polled = consumer.poll(timeout)?;
                Ok(polled.into_records().map(|record| JavaRecord::from(&record)).collect())
            }
            Self::Batch => {
                let Some(batch) = consumer.poll_batch(timeout)? else { return Ok(Vec::new()) };
                batch.iter().map(|record| record.map(|record| JavaRecord::from(&record))).collect()
            }
        }
    }

    /// Reads until the positions of all partitions are where they end now, as Java's `list` does.
    pub fn list(self, consumer: &KafkaConsumer) -> kafka_blocking::Result<Vec<JavaRecord>> {
        let ends = consumer.end_offsets(consumer.assignment()?)?;
        let patience = Instant::now() + PATIENCE;
        let mut records = Vec::new();
        loop {
            let mut missing = Vec::new();
            for (partition, end) in &ends {
                let position = consumer.position(partition)?;
                if position < *end {
                    missing.push(format!("{partition}: {position} of {end}"));
                }
            }
            if missing.is_empty() {
                return Ok(records);
            }
            assert!(
                Instant::now() < patience,
                "{missing:?} after {} records: {:?}",
                records.len(),
                records.last()
            );
            records.extend(self.read(consumer, Duration::from_millis(100))?);
        }
    }
}

/// Beginning, end and offsets by time of each assigned partition, as Java's `lookups`.
pub fn lookups(consumer: &KafkaConsumer, times: &[i64]) -> kafka_blocking::Result<Vec<Lookups>> {
    let partitions = consumer.assignment()?;
    let beginnings = consumer.beginning_offsets(&partitions)?;
    let ends = consumer.end_offsets(&partitions)?;
    let one = |partition: &TopicPartition| {
        let found = times.iter().map(|time| {
            let found = consumer.offsets_for_times([(partition, *time)])?[partition];
            Ok(found.map(|found| TimeLookup {
                offset: found.offset(),
                timestamp: found.timestamp(),
                epoch: found.leader_epoch().unwrap_or(-1),
            }))
        });
        Ok(Lookups {
            partition: partition.partition(),
            beginning: beginnings[partition],
            end: ends[partition],
            times: found.collect::<kafka_blocking::Result<_>>()?,
        })
    };
    partitions.iter().map(one).collect()
}

/// A field of each record, by partition.
pub fn by_partition<T>(
    records: &[JavaRecord],
    field: impl Fn(&JavaRecord) -> T,
) -> BTreeMap<i32, Vec<T>> {
    let mut found = BTreeMap::<i32, Vec<T>>::new();
    for record in records {
        found.entry(record.partition).or_default().push(field(record));
    }
    found
}

impl<'a> From<&'a ConsumerRecord> for RecordFields<'a> {
    fn from(record: &'a ConsumerRecord) -> Self {
        Self {
            partition: record.partition(),
            offset: record.offset(),
            timestamp: record.timestamp(),
            appended: record.timestamp_type() == TimestampType::LogAppendTime,
            key: record.key(),
            value: record.value(),
            headers: record.headers().map(|header| (header.key(), header.value())).collect(),
        }
    }
}

impl From<&ConsumerRecord> for JavaRecord {
    fn from(record: &ConsumerRecord) -> Self {
        Self {
            partition: record.partition(),
            offset: record.offset(),
            timestamp: record.timestamp(),
            appended: record.timestamp_type() == TimestampType::LogAppendTime,
            epoch: record.leader_epoch().unwrap_or(-1),
            key: text(record.key()),
            value: text(record.value()),
            position: -1,
        }
    }
}

impl From<&RecordRef<'_>> for JavaRecord {
    fn from(record: &RecordRef<'_>) -> Self {
        Self {
            partition: record.partition(),
            offset: record.offset(),
            timestamp: record.timestamp(),
            appended: record.timestamp_type() == TimestampType::LogAppendTime,
            epoch: record.leader_epoch().unwrap_or(-1),
            key: text(record.key()),
            value: text(record.value()),
            position: -1,
        }
    }
}

fn text(field: Option<&[u8]>) -> Option<String> {
    field.map(|bytes| String::from_utf8(bytes.to_vec()).expect("these fields are text"))
}

const PATIENCE: Duration = Duration::from_secs(60);
