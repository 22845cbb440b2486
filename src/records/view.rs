//! A record that is borrowed from its batch: nothing is counted and nothing copied.

use super::{Headers, TimestampType, entry::Entry, walk::Batch};

/// A record that lives as long as the borrow of its batch.
#[derive(Clone, Copy, Debug)]
pub struct RecordRef<'a> {
    batch: &'a Batch,
    entry: Entry,
}

impl<'a> RecordRef<'a> {
    /// The record that `entry`, which was read from `batch`, describes.
    #[doc(hidden)]
    #[inline]
    #[must_use]
    pub fn new(batch: &'a Batch, entry: Entry) -> Self {
        Self { batch, entry }
    }

    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &'a str {
        self.batch.topic()
    }

    /// The partition.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.batch.partition()
    }

    /// The offset.
    #[inline]
    #[must_use]
    pub fn offset(&self) -> i64 {
        self.entry.offset
    }

    /// Milliseconds since 1970, −1 when unknown.
    #[inline]
    #[must_use]
    pub fn timestamp(&self) -> i64 {
        self.entry.timestamp
    }

    /// Who set the timestamp.
    #[must_use]
    pub fn timestamp_type(&self) -> TimestampType {
        self.batch.timestamp_type()
    }

    /// The leader's epoch in which it was written.
    #[must_use]
    pub fn leader_epoch(&self) -> Option<i32> {
        self.batch.leader_epoch()
    }

    /// The key, `None` for null.
    #[inline]
    #[must_use]
    pub fn key(&self) -> Option<&'a [u8]> {
        self.entry.key.of(self.batch.bytes())
    }

    /// The value, `None` for null.
    #[inline]
    #[must_use]
    pub fn value(&self) -> Option<&'a [u8]> {
        self.entry.value.of(self.batch.bytes())
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> Headers<'a> {
        Headers::new(self.entry.headers.of(self.batch.bytes()).unwrap_or_default())
    }
}
