//! The record: one shared reference to its batch, and where in it its parts are.

use std::{borrow::Cow, fmt, sync::Arc};

use crate::{
    records::{
        chunk::Chunk,
        walk::{Batch, HeaderWalk},
    },
    types::TopicPartition,
};

/// Bytes as the broker keeps them: what keys and values are without a deserializer.
pub type Raw = [u8];

/// What a key or a value can be: bytes, or any type that a deserializer makes of them.
///
/// Implemented for every type; there is nothing to do.
pub trait Content {
    /// What a record holds of it beside the bytes.
    #[doc(hidden)]
    type Stored;

    /// The content, from what is held and the bytes; `None` for null.
    #[doc(hidden)]
    fn view<'a>(stored: &'a Self::Stored, bytes: Option<&'a [u8]>) -> Option<&'a Self>;
}

impl Content for [u8] {
    type Stored = ();

    #[inline]
    fn view<'a>((): &'a (), bytes: Option<&'a [u8]>) -> Option<&'a Self> {
        bytes
    }
}

impl<T> Content for T {
    type Stored = Option<T>;

    #[inline]
    fn view<'a>(stored: &'a Option<T>, _: Option<&'a [u8]>) -> Option<&'a Self> {
        stored.as_ref()
    }
}

/// A record, as it was read from a partition.
///
/// It owns its data by one reference count on its batch, so handing it on or keeping it costs no copy, and it may move
/// to other threads. A record that is kept for long keeps the memory of its neighbours too, up to 1 MiB or its batch
/// if that is larger; [`detach`](Self::detach) makes it independent.
///
/// `Debug` shows text, lossy and shortened.
///
/// kafka-python: `ConsumerRecord`; its fields are methods here.
pub struct ConsumerRecord<K: ?Sized + Content = Raw, V: ?Sized + Content = Raw> {
    pub(crate) batch: Arc<Batch>,
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    pub(crate) key: Span,
    pub(crate) value: Span,
    pub(crate) headers: Span,
    pub(crate) stored_key: K::Stored,
    pub(crate) stored_value: V::Stored,
}

/// Where bytes are; a negative length is null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) len: i32,
}

impl Span {
    #[inline]
    pub(crate) fn of(self, bytes: &[u8]) -> Option<&[u8]> {
        let len = usize::try_from(self.len).ok()?;
        bytes.get(self.start as usize..)?.get(..len)
    }
}

/// What a record's timestamp tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TimestampType {
    /// When the producer made the record, by its clock, or what it wanted there. kafka-python: 0.
    CreateTime,
    /// When the broker took the record. kafka-python: 1.
    LogAppendTime,
}

impl<K: ?Sized + Content, V: ?Sized + Content> ConsumerRecord<K, V> {
    /// The topic that it was read from.
    #[inline]
    #[must_use]
    pub fn topic(&self) -> &str {
        self.batch.partition.topic()
    }

    /// The number of the partition that it was read from.
    #[inline]
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.batch.partition.partition()
    }

    /// The topic and the partition.
    #[must_use]
    pub fn topic_partition(&self) -> TopicPartition {
        self.batch.partition.clone()
    }

    /// The offset within the partition.
    #[inline]
    #[must_use]
    pub fn offset(&self) -> i64 {
        self.offset
    }

    /// Milliseconds since 1970-01-01 UTC, -1 where there is none; [`timestamp_type`](Self::timestamp_type) says whose.
    #[inline]
    #[must_use]
    pub fn timestamp(&self) -> i64 {
        self.timestamp
    }

    /// Whose timestamp it is.
    #[must_use]
    pub fn timestamp_type(&self) -> TimestampType {
        if self.batch.log_append_time {
            TimestampType::LogAppendTime
        } else {
            TimestampType::CreateTime
        }
    }

    /// The key: bytes, or what the key's deserializer made of them. `None` for null.
    #[inline]
    #[must_use]
    pub fn key(&self) -> Option<&K> {
        K::view(&self.stored_key, self.raw_key())
    }

    /// The value: bytes, or what the value's deserializer made of them. `None` for null, which compacted topics take
    /// for "deleted".
    #[inline]
    #[must_use]
    pub fn value(&self) -> Option<&V> {
        V::view(&self.stored_value, self.raw_value())
    }

    /// The bytes of the key, whatever was made of them.
    #[inline]
    #[must_use]
    pub fn raw_key(&self) -> Option<&[u8]> {
        self.key.of(self.batch.memory.filled())
    }

    /// The bytes of the value, whatever was made of them.
    #[inline]
    #[must_use]
    pub fn raw_value(&self) -> Option<&[u8]> {
        self.value.of(self.batch.memory.filled())
    }

    /// The headers in their order; names may repeat. They are read as they are asked for.
    #[must_use]
    pub fn headers(&self) -> Headers<'_> {
        Headers {
            walk: HeaderWalk::new(self.headers.of(self.batch.memory.filled()).unwrap_or_default()),
        }
    }

    /// The epoch of the leader that took the record, where brokers tell it.
    #[must_use]
    pub fn leader_epoch(&self) -> Option<i32> {
        Some(self.batch.leader_epoch).filter(|epoch| *epoch >= 0)
    }

    /// The checksum of a single record: `None`, since whole batches have one that is checked before their records are
    /// handed out (`check_crcs`).
    #[must_use]
    pub fn checksum(&self) -> Option<u32> {
        None
    }

    /// Bytes of the key, uncompressed; -1 for null, as in kafka-python.
    #[must_use]
    pub fn serialized_key_size(&self) -> i32 {
        self.key.len
    }

    /// Bytes of the value, uncompressed; -1 for null, as in kafka-python.
    #[must_use]
    pub fn serialized_value_size(&self) -> i32 {
        self.value.len
    }

    /// Bytes of all header names and values; -1 without headers, as in kafka-python.
    #[must_use]
    pub fn serialized_header_size(&self) -> i32 {
        let sizes = self.headers().map(|h| h.key.len() + h.value.map_or(0, <[u8]>::len));
        sizes
            .map(|n| i32::try_from(n).unwrap_or(i32::MAX))
            .reduce(i32::saturating_add)
            .unwrap_or(-1)
    }

    /// Copies the record's own bytes, so that it no longer keeps the memory of its neighbours.
    #[must_use]
    pub fn detach(self) -> Self {
        // Key, value and headers stand in this order, with nothing between them but lengths.
        let (start, end) = (self.key.start, self.headers.start + self.headers.len.unsigned_abs());
        let bytes = self.batch.memory.filled()[start as usize..end as usize].to_vec();
        let moved = |span: Span| Span { start: span.start - start, ..span };
        let batch = Batch {
            partition: self.batch.partition.clone(),
            leader_epoch: self.batch.leader_epoch,
            log_append_time: self.batch.log_append_time,
            memory: Arc::new(Chunk::from_vec(bytes)),
        };
        Self {
            batch: Arc::new(batch),
            key: moved(self.key),
            value: moved(self.value),
            headers: moved(self.headers),
            ..self
        }
    }
}

impl<K: Content, V: ?Sized + Content> ConsumerRecord<K, V> {
    /// Takes the deserialized key out.
    #[must_use]
    pub fn into_key(self) -> Option<K>
    where
        K: Content<Stored = Option<K>>,
    {
        self.stored_key
    }
}

impl<K: ?Sized + Content, V: Content> ConsumerRecord<K, V> {
    /// Takes the deserialized value out.
    #[must_use]
    pub fn into_value(self) -> Option<V>
    where
        V: Content<Stored = Option<V>>,
    {
        self.stored_value
    }
}

impl<K: ?Sized + Content, V: ?Sized + Content> Clone for ConsumerRecord<K, V>
where
    K::Stored: Clone,
    V::Stored: Clone,
{
    fn clone(&self) -> Self {
        Self {
            batch: self.batch.clone(),
            offset: self.offset,
            timestamp: self.timestamp,
            key: self.key,
            value: self.value,
            headers: self.headers,
            stored_key: self.stored_key.clone(),
            stored_value: self.stored_value.clone(),
        }
    }
}

impl<K: ?Sized + Content, V: ?Sized + Content> fmt::Debug for ConsumerRecord<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsumerRecord")
            .field("partition", &format_args!("{}", self.batch.partition))
            .field("offset", &self.offset)
            .field("timestamp", &self.timestamp)
            .field("key", &self.raw_key().map(Shortened))
            .field("value", &self.raw_value().map(Shortened))
            .field("headers", &self.headers().collect::<Vec<_>>())
            .finish()
    }
}

/// Bytes as text, the first of them.
struct Shortened<'a>(&'a [u8]);

impl fmt::Debug for Shortened<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 64;
        let text = String::from_utf8_lossy(&self.0[..self.0.len().min(SHOWN)]);
        write!(f, "{text:?}")?;
        if self.0.len() > SHOWN { write!(f, "… ({} bytes)", self.0.len()) } else { Ok(()) }
    }
}

/// One header of a record.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    key: &'a [u8],
    value: Option<&'a [u8]>,
}

impl<'a> Header<'a> {
    /// The name; bytes in it that are not UTF-8 are replaced.
    #[must_use]
    pub fn key(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.key)
    }

    /// The bytes of the name.
    #[must_use]
    pub fn key_bytes(&self) -> &'a [u8] {
        self.key
    }

    /// The value; `None` for null.
    #[must_use]
    pub fn value(&self) -> Option<&'a [u8]> {
        self.value
    }
}

impl fmt::Debug for Header<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {:?}", Shortened(self.key), self.value.map(Shortened))
    }
}

/// The headers of a record, in their order: an iterator.
#[derive(Clone, Debug)]
pub struct Headers<'a> {
    walk: HeaderWalk<'a>,
}

impl<'a> Iterator for Headers<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        self.walk.next().map(|(key, value)| Header { key, value })
    }
}
