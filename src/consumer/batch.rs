//! Records that are borrowed from their batch: the way to read that counts no references.

use crate::{
    Error, RecordRef, Result,
    records::{BatchWalk, RecordsError},
    types::TopicPartition,
};

/// The records of one batch, or the rest of it, as [`KafkaConsumer::poll_batch`](crate::KafkaConsumer::poll_batch) gives it.
///
/// The batch owns the bytes, and lends its records: a [`RecordRef`] lives as long as the batch is borrowed, and cannot
/// outlive it. That is what saves the reference count of each [`ConsumerRecord`](crate::ConsumerRecord), which owns its bytes.
///
/// ```
/// # let broker = scripted_broker::ScriptedBroker::start();
/// # broker.create_topic("t", 1);
/// # broker.append("t", 0, ["a", "b", "c"]);
/// # let consumer = kafka_blocking::KafkaConsumer::builder()
/// #     .bootstrap_servers(broker.address()).auto_offset_reset("earliest").consumer_timeout_ms(500).build()?;
/// use std::time::Duration;
///
/// consumer.assign([("t", 0)])?;
/// let batch = consumer.poll_batch(Duration::from_secs(5))?.expect("three records");
/// assert_eq!((batch.partition().to_string(), batch.len(), batch.next_offset()), ("t-0".into(), 3, 3));
/// let mut records = batch.iter();
/// assert_eq!(records.next().expect("three records")?.value(), Some(&b"a"[..]));
/// assert_eq!(records.count(), 2);
/// # Ok::<(), kafka_blocking::Error>(())
/// ```
///
/// ```compile_fail,E0597
/// # fn f(consumer: &kafka_blocking::KafkaConsumer) -> Option<()> {
/// let kept = {
///     let batch = consumer.poll_batch(std::time::Duration::ZERO).ok()??;
///     batch.iter().next()?.ok()? // does not live long enough
/// };
/// println!("{:?}", kept.value());
/// # Some(()) }
/// ```
#[derive(Clone, Debug)]
pub struct RecordBatch {
    partition: TopicPartition,
    walk: BatchWalk,
    next_offset: i64,
}

impl RecordBatch {
    pub(super) fn new(walk: BatchWalk) -> Self {
        let batch = walk.batch();
        let partition = TopicPartition::new(batch.shared_topic().clone(), batch.partition());
        Self { partition, next_offset: walk.header().next_offset(), walk }
    }

    /// The partition that the records are from.
    #[must_use]
    pub fn partition(&self) -> &TopicPartition {
        &self.partition
    }

    /// How many records there are, as the head of the batch says; at least 1.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.walk.remaining()
    }

    /// The offset behind the batch, where the position of the partition is since it was handed out.
    #[must_use]
    pub fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// The records, in order. An item is an error, and the last one, where the batch is damaged inside although its checksum
    /// is right.
    #[must_use]
    pub fn iter(&self) -> BatchRecords<'_> {
        BatchRecords { batch: self, walk: self.walk.clone(), failed: false }
    }
}

impl<'a> IntoIterator for &'a RecordBatch {
    type Item = Result<RecordRef<'a>>;
    type IntoIter = BatchRecords<'a>;

    fn into_iter(self) -> BatchRecords<'a> {
        self.iter()
    }
}

/// An iterator over the records of a [`RecordBatch`].
///
/// ```
/// # let broker = scripted_broker::ScriptedBroker::start();
/// # broker.create_topic("t", 1);
/// # broker.append("t", 0, ["a", "b", "c"]);
/// # let consumer = kafka_blocking::KafkaConsumer::builder()
/// #     .bootstrap_servers(broker.address()).auto_offset_reset("earliest").consumer_timeout_ms(500).build()?;
/// use std::time::Duration;
///
/// consumer.assign([("t", 0)])?;
/// let batch = consumer.poll_batch(Duration::from_secs(5))?.expect("three records");
/// assert_eq!((batch.partition().to_string(), batch.len(), batch.next_offset()), ("t-0".into(), 3, 3));
/// let mut records = batch.iter();
/// assert_eq!(records.next().expect("three records")?.value(), Some(&b"a"[..]));
/// assert_eq!(records.count(), 2);
/// # Ok::<(), kafka_blocking::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct BatchRecords<'a> {
    batch: &'a RecordBatch,
    walk: BatchWalk,
    failed: bool,
}

impl BatchRecords<'_> {
    #[cold]
    fn damage(&mut self, error: &RecordsError) -> Error {
        self.failed = true;
        Error::CorruptRecord {
            partition: self.batch.partition.clone(),
            offset: self.walk.next_candidate(),
            next_offset: self.batch.next_offset,
            reason: error.to_string().into(),
        }
    }
}

impl<'a> Iterator for BatchRecords<'a> {
    type Item = Result<RecordRef<'a>>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        match self.walk.next_entry() {
            Ok(entry) => Some(Ok(RecordRef::new(self.batch.walk.batch(), entry?))),
            Err(error) => Some(Err(self.damage(&error))),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        if self.failed { (0, Some(0)) } else { (0, Some(self.walk.remaining() + 1)) }
    }
}
