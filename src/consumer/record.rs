//! What a consumer hands out: one record, as cheap to move as a few words.

use std::{fmt, sync::Arc};

use super::deserializer::Shared;
use crate::{
    error::BoxError,
    records::{Batch, Chunk, Entry, Field, Headers, RecordRef, Text, TimestampType, write_headers},
    types::TopicPartition,
};

/// The content of a key or value without a deserializer: bytes.
pub type Raw = [u8];

/// What a record's key or value can be: [`Raw`], or any sized type that a deserializer makes.
///
/// It is there so that [`ConsumerRecord::key`] gives `Option<&[u8]>` of a raw record and `Option<&K>` of a
/// typed one. There is nothing to implement.
///
/// ```
/// use kafka_blocking::{ConsumerRecord, Content};
///
/// // A function for records of any types.
/// fn place<K: ?Sized + Content, V: ?Sized + Content>(record: &ConsumerRecord<K, V>) -> String {
///     format!("{}@{}", record.topic_partition(), record.offset())
/// }
/// assert_eq!(place(&ConsumerRecord::builder("t", 0, 42).build()), "t-0@42");
/// ```
pub trait Content {
    /// What the record stores of it.
    type Stored;

    /// What makes it.
    #[doc(hidden)]
    type Deserializer: Clone;

    /// Whether making it runs code of the user.
    #[doc(hidden)]
    const TYPED: bool;

    /// What is stored where nothing was made.
    #[doc(hidden)]
    fn untyped() -> Self::Stored;

    /// What is seen of it.
    #[doc(hidden)]
    fn view<'a>(stored: &'a Self::Stored, raw: Option<&'a [u8]>) -> Option<&'a Self>;

    /// Makes it of `raw`, which is the key or value of `record`.
    #[doc(hidden)]
    fn read(
        deserializer: &Self::Deserializer,
        record: &ConsumerRecord,
        raw: Option<&[u8]>,
    ) -> Result<Self::Stored, BoxError>;
}

impl<T: 'static> Content for T {
    type Stored = Option<T>;
    type Deserializer = Shared<T>;
    const TYPED: bool = true;

    #[inline]
    fn untyped() -> Option<T> {
        None
    }

    #[inline]
    fn view<'a>(stored: &'a Option<T>, _raw: Option<&'a [u8]>) -> Option<&'a T> {
        stored.as_ref()
    }

    fn read(
        deserializer: &Shared<T>,
        record: &ConsumerRecord,
        raw: Option<&[u8]>,
    ) -> Result<Option<T>, BoxError> {
        raw.map(|data| deserializer.deserialize(record.topic(), record.headers(), data)).transpose()
    }
}

impl Content for [u8] {
    type Stored = ();
    type Deserializer = ();
    const TYPED: bool = false;

    #[inline]
    fn untyped() {}

    #[inline]
    fn view<'a>(_stored: &'a (), raw: Option<&'a [u8]>) -> Option<&'a [u8]> {
        raw
    }

    #[inline(always)]
    fn read(_: &(), _: &ConsumerRecord, _: Option<&[u8]>) -> Result<(), BoxError> {
        Ok(())
    }
}

/// A record, with where it is from.
///
/// It owns what it shows, through one reference count on its batch: it can be kept, cloned and sent to other
/// threads. A record that is kept keeps its chunk of memory, up to 1 MiB and more when its batch is larger;
/// [`detach`](Self::detach) it to keep few records for long.
///
/// `K` and `V` are what the deserializers make; without them they are [`Raw`], bytes.
///
/// ```
/// use kafka_blocking::ConsumerRecord;
///
/// let record = ConsumerRecord::builder("my-topic", 0, 42).key("k").value("hello").build();
/// assert_eq!((record.topic(), record.partition(), record.offset()), ("my-topic", 0, 42));
/// assert_eq!(record.key(), Some(&b"k"[..]));
/// assert_eq!(record.value(), Some(&b"hello"[..]));
/// ```
///
/// kafka-python: `ConsumerRecord`.
pub struct ConsumerRecord<K: ?Sized + Content = Raw, V: ?Sized + Content = Raw> {
    batch: Arc<Batch>,
    entry: Entry,
    key: K::Stored,
    value: V::Stored,
}

impl ConsumerRecord {
    /// The record that `entry`, which was read from `batch`, describes.
    #[doc(hidden)]
    #[inline(always)]
    #[must_use]
    pub fn new(batch: &Arc<Batch>, entry: Entry) -> Self {
        Self { batch: Arc::clone(batch), entry, key: (), value: () }
    }

    /// Makes a record by hand, to test what handles records.
    ///
    /// ```
    /// use kafka_blocking::ConsumerRecord;
    ///
    /// fn handle(record: &ConsumerRecord) -> usize {
    ///     record.value().map_or(0, <[u8]>::len)
    /// }
    /// assert_eq!(handle(&ConsumerRecord::builder("my-topic", 0, 42).value("abc").build()), 3);
    /// ```
    pub fn builder(topic: impl Into<Arc<str>>, partition: i32, offset: i64) -> RecordBuilder {
        RecordBuilder {
            topic: topic.into(),
            partition,
            offset,
            timestamp: -1,
            leader_epoch: -1,
            key: None,
            value: None,
            headers: Vec::new(),
        }
    }

    /// The same record with contents that deserializers made.
    #[doc(hidden)]
    #[inline]
    #[must_use]
    pub fn with_contents<K: ?Sized + Content, V: ?Sized + Content>(
        self,
        key: K::Stored,
        value: V::Stored,
    ) -> ConsumerRecord<K, V> {
        ConsumerRecord { batch: self.batch, entry: self.entry, key, value }
    }
}

impl<K: ?Sized + Content, V: ?Sized + Content> ConsumerRecord<K, V> {
    /// The topic's name.
    #[inline]
    #[must_use]
    pub fn topic(&self) -> &str {
        self.batch.topic()
    }

    /// The number of the partition.
    #[inline]
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.batch.partition()
    }

    /// Topic and partition, as the consumer's methods take them. Costs a reference count.
    ///
    /// ```
    /// # let record = kafka_blocking::ConsumerRecord::builder("my-topic", 3, 42).build();
    /// assert_eq!(record.topic_partition().to_string(), "my-topic-3");
    /// ```
    #[must_use]
    pub fn topic_partition(&self) -> TopicPartition {
        TopicPartition::new(Arc::clone(self.batch.shared_topic()), self.batch.partition())
    }

    /// The record's position in its partition.
    #[inline]
    #[must_use]
    pub fn offset(&self) -> i64 {
        self.entry.offset
    }

    /// Milliseconds since the start of 1970 (UTC), −1 when unknown.
    #[inline]
    #[must_use]
    pub fn timestamp(&self) -> i64 {
        self.entry.timestamp
    }

    /// Who set the timestamp: the producer, or the broker when it wrote the record to its log.
    ///
    /// kafka-python: the numbers 0 and 1.
    #[must_use]
    pub fn timestamp_type(&self) -> TimestampType {
        self.batch.timestamp_type()
    }

    /// The key: bytes, or what the key deserializer made of them. `None` when it is null.
    #[inline]
    #[must_use]
    pub fn key(&self) -> Option<&K> {
        K::view(&self.key, self.raw_key())
    }

    /// The value: bytes, or what the value deserializer made of them. `None` when it is null (a tombstone).
    #[inline]
    #[must_use]
    pub fn value(&self) -> Option<&V> {
        V::view(&self.value, self.raw_value())
    }

    /// The key's bytes, whatever the deserializer made of them.
    #[inline]
    #[must_use]
    pub fn raw_key(&self) -> Option<&[u8]> {
        self.entry.key.of(self.batch.bytes())
    }

    /// The value's bytes, whatever the deserializer made of them.
    #[inline]
    #[must_use]
    pub fn raw_value(&self) -> Option<&[u8]> {
        self.entry.value.of(self.batch.bytes())
    }

    /// The headers, in the order in which they were sent; decoded as they are iterated over.
    ///
    /// ```
    /// # use kafka_blocking::ConsumerRecord;
    /// let record = ConsumerRecord::builder("my-topic", 0, 42).header("trace", "17").build();
    /// for header in record.headers() {
    ///     assert_eq!((&*header.key(), header.value()), ("trace", Some(&b"17"[..])));
    /// }
    /// assert_eq!(record.headers().len(), 1);
    /// ```
    #[must_use]
    pub fn headers(&self) -> Headers<'_> {
        self.view().headers()
    }

    /// The leader's epoch in which the record was written, when the broker tells it.
    #[must_use]
    pub fn leader_epoch(&self) -> Option<i32> {
        self.batch.leader_epoch()
    }

    /// The record's own checksum, which only message formats 0 and 1 have: `None` since Kafka 0.11, where
    /// batches have one.
    #[must_use]
    pub fn checksum(&self) -> Option<u32> {
        None
    }

    /// How many bytes the key has; `None` when it is null, where kafka-python gives −1.
    #[must_use]
    pub fn serialized_key_size(&self) -> Option<usize> {
        self.entry.key.size()
    }

    /// How many bytes the value has, uncompressed; `None` when it is null, where kafka-python gives −1.
    #[must_use]
    pub fn serialized_value_size(&self) -> Option<usize> {
        self.entry.value.size()
    }

    /// How many bytes the headers' keys and values have; `None` without headers, where kafka-python gives −1.
    ///
    /// ```
    /// # use kafka_blocking::ConsumerRecord;
    /// let record = ConsumerRecord::builder("my-topic", 0, 42).header("trace", "17").build();
    /// assert_eq!(record.serialized_header_size(), Some(7));
    /// assert_eq!(record.serialized_value_size(), None);
    /// ```
    #[must_use]
    pub fn serialized_header_size(&self) -> Option<usize> {
        let headers = self.headers();
        if headers.len() == 0 {
            return None;
        }
        Some(headers.map(|h| h.key_bytes().len() + h.value().map_or(0, <[u8]>::len)).sum())
    }

    /// Copies the record's bytes, so that it no longer keeps the memory of the records around it.
    ///
    /// ```
    /// # use kafka_blocking::ConsumerRecord;
    /// # let record = ConsumerRecord::builder("my-topic", 0, 42).value("hello").build();
    /// let mut latest = Vec::new();
    /// latest.push(record.detach());
    /// assert_eq!(latest[0].value(), Some(&b"hello"[..]));
    /// ```
    #[must_use]
    pub fn detach(mut self) -> Self {
        let from = self.batch.bytes();
        let mut bytes = Vec::with_capacity(
            [self.entry.key, self.entry.value, self.entry.headers]
                .iter()
                .filter_map(|field| field.size())
                .sum(),
        );
        let mut copy = |field: Field| field.copy_to(&mut bytes, from);
        let (key, value, headers) =
            (copy(self.entry.key), copy(self.entry.value), copy(self.entry.headers));
        self.entry = Entry { key, value, headers, ..self.entry };
        self.batch = Arc::new(self.batch.with_bytes(bytes));
        self
    }

    fn view(&self) -> RecordRef<'_> {
        RecordRef::new(&self.batch, self.entry)
    }
}

impl<K: 'static, V: ?Sized + Content> ConsumerRecord<K, V> {
    /// Takes the key out that the deserializer made. `None` when it is null.
    #[must_use]
    pub fn into_key(self) -> Option<K> {
        self.key
    }
}

impl<K: ?Sized + Content, V: 'static> ConsumerRecord<K, V> {
    /// Takes the value out that the deserializer made. `None` when it is null.
    #[must_use]
    pub fn into_value(self) -> Option<V> {
        self.value
    }
}

impl<K: 'static, V: 'static> ConsumerRecord<K, V> {
    /// Takes key and value out.
    #[must_use]
    pub fn into_key_value(self) -> (Option<K>, Option<V>) {
        (self.key, self.value)
    }
}

impl<K: ?Sized + Content, V: ?Sized + Content> Clone for ConsumerRecord<K, V>
where
    K::Stored: Clone,
    V::Stored: Clone,
{
    fn clone(&self) -> Self {
        Self {
            batch: Arc::clone(&self.batch),
            entry: self.entry,
            key: self.key.clone(),
            value: self.value.clone(),
        }
    }
}

/// Shows key, value and headers as text, lossy and shortened, as they were before a deserializer.
impl<K: ?Sized + Content, V: ?Sized + Content> fmt::Debug for ConsumerRecord<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsumerRecord")
            .field("topic", &self.topic())
            .field("partition", &self.partition())
            .field("offset", &self.offset())
            .field("timestamp", &self.timestamp())
            .field("key", &Text(self.raw_key()))
            .field("value", &Text(self.raw_value()))
            .field("headers", &self.headers())
            .finish()
    }
}

/// Makes a [`ConsumerRecord`] by hand; from [`ConsumerRecord::builder`].
///
/// ```
/// # use kafka_blocking::ConsumerRecord;
/// let record = ConsumerRecord::builder("t", 0, 42).key("k").value("v").header("h", "x").timestamp(1).leader_epoch(3).build();
/// assert_eq!((record.timestamp(), record.leader_epoch(), record.headers().len()), (1, Some(3), 1));
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct RecordBuilder {
    topic: Arc<str>,
    partition: i32,
    offset: i64,
    timestamp: i64,
    leader_epoch: i32,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

impl RecordBuilder {
    /// Sets the key, which is null otherwise.
    pub fn key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sets the value, which is null otherwise.
    pub fn value(mut self, value: impl Into<Vec<u8>>) -> Self {
        self.value = Some(value.into());
        self
    }

    /// Adds a header.
    pub fn header(mut self, key: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((key.into(), Some(value.into())));
        self
    }

    /// Sets the timestamp, which is −1 otherwise: unknown.
    pub fn timestamp(mut self, milliseconds: i64) -> Self {
        self.timestamp = milliseconds;
        self
    }

    /// Sets the leader's epoch, which is unknown otherwise.
    pub fn leader_epoch(mut self, epoch: i32) -> Self {
        self.leader_epoch = epoch;
        self
    }

    /// The record.
    ///
    /// # Panics
    /// When key, value and headers have 2 GiB or more together, which no record of Kafka has.
    #[must_use]
    pub fn build(self) -> ConsumerRecord {
        let mut bytes = Vec::new();
        let key = Field::append_to(&mut bytes, self.key.as_deref());
        let value = Field::append_to(&mut bytes, self.value.as_deref());
        let headers = if self.headers.is_empty() {
            Field::NULL
        } else {
            let mut encoded = Vec::new();
            write_headers(&mut encoded, &self.headers);
            Field::append_to(&mut bytes, Some(&encoded))
        };
        assert!(i32::try_from(bytes.len()).is_ok(), "a record of 2 GiB or more");
        let batch = Batch::new(
            Arc::new(Chunk::from(bytes)),
            self.topic,
            self.partition,
            self.leader_epoch,
            TimestampType::CreateTime,
        );
        let entry = Entry { offset: self.offset, timestamp: self.timestamp, key, value, headers };
        ConsumerRecord::new(&Arc::new(batch), entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> ConsumerRecord {
        ConsumerRecord::builder("t", 3, 42)
            .key("k")
            .value("v".repeat(500))
            .header("h", "x")
            .header("h", [0xff])
            .timestamp(1_700_000_000_000)
            .leader_epoch(7)
            .build()
    }

    #[test]
    fn a_raw_record_has_at_most_56_bytes() {
        assert!(size_of::<ConsumerRecord>() <= 56, "{}", size_of::<ConsumerRecord>());
    }

    #[test]
    fn a_record_can_be_sent_to_another_thread_and_shared() {
        fn check<T: Send + Sync + 'static>() {}
        check::<ConsumerRecord>();
        check::<ConsumerRecord<String, Vec<u8>>>();
        let value = std::thread::spawn({
            let record = sample();
            move || record.value().map(<[u8]>::len)
        });
        assert_eq!(value.join().unwrap(), Some(500));
    }

    #[test]
    fn key_and_value_have_one_signature_for_raw_and_typed_records() {
        let raw = sample();
        let bytes: Option<&[u8]> = raw.key();
        assert_eq!(bytes, Some(&b"k"[..]));
        let typed = raw.with_contents::<String, u32>(Some("k".into()), Some(9));
        let (key, value): (Option<&String>, Option<&u32>) = (typed.key(), typed.value());
        assert_eq!((key.unwrap().as_str(), value), ("k", Some(&9)));
        assert_eq!(typed.raw_key(), Some(&b"k"[..]));
        assert_eq!(typed.clone().into_key(), Some("k".to_owned()));
        assert_eq!(typed.clone().into_value(), Some(9));
        assert_eq!(typed.into_key_value(), (Some("k".to_owned()), Some(9)));
    }

    #[test]
    fn a_record_may_have_a_typed_value_and_a_raw_key() {
        let record = sample().with_contents::<Raw, u32>((), None);
        assert_eq!((record.key(), record.value()), (Some(&b"k"[..]), None));
    }

    #[test]
    fn null_and_empty_are_told_apart() {
        let null = ConsumerRecord::builder("t", 0, 0).build();
        assert_eq!((null.key(), null.value(), null.headers().len()), (None, None, 0));
        assert_eq!((null.serialized_key_size(), null.serialized_value_size()), (None, None));
        assert_eq!(null.serialized_header_size(), None);
        assert_eq!((null.timestamp(), null.leader_epoch(), null.checksum()), (-1, None, None));
        let empty = ConsumerRecord::builder("t", 0, 0).key("").value("").build();
        assert_eq!((empty.key(), empty.value()), (Some(&b""[..]), Some(&b""[..])));
        assert_eq!(
            (empty.serialized_key_size(), empty.serialized_value_size()),
            (Some(0), Some(0))
        );
    }

    #[test]
    fn a_detached_record_is_the_same_and_lets_its_batch_go() {
        let record = sample();
        let batch = Arc::downgrade(&record.batch);
        let text = format!("{record:?}");
        let detached = record.detach();
        assert!(batch.upgrade().is_none());
        assert_eq!(format!("{detached:?}"), text);
        assert_eq!(detached.value().map(<[u8]>::len), Some(500));
        assert_eq!(detached.headers().count(), 2);
        assert_eq!(detached.leader_epoch(), Some(7));
        let null = ConsumerRecord::builder("t", 0, 0).build().detach();
        assert_eq!((null.key(), null.value()), (None, None));
    }

    #[test]
    fn debug_shows_text_lossy_and_shortened() {
        let text = format!("{:?}", sample());
        assert!(text.contains(r#"topic: "t", partition: 3, offset: 42"#), "{text}");
        assert!(text.contains("vvv\"… (500 bytes)"), "{text}");
        assert!(text.contains("�"), "{text}");
        assert!(text.len() < 300, "{text}");
    }

    #[test]
    fn headers_keep_their_order_and_repeat() {
        let record = sample();
        let headers: Vec<_> = record.headers().map(|h| h.value().unwrap()).collect();
        assert_eq!(headers, [&b"x"[..], &[0xff]]);
        assert_eq!(record.serialized_header_size(), Some(4));
    }
}
