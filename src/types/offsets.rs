//! Offsets with what is known beside them: when to commit, where to seek, what was found.

use std::fmt;

/// An offset to commit or to seek to, with a note of the one who committed it.
///
/// A bare number is one without a note, and so is what a search by time has found.
///
/// ```
/// use kafka_blocking::{OffsetAndMetadata, OffsetAndTimestamp};
///
/// // OffsetAndMetadata(42, 'checkpoint 7', -1)
/// let offset = OffsetAndMetadata::new(42).with_metadata("checkpoint 7");
/// assert_eq!(offset.offset(), 42);
/// assert_eq!(offset.metadata(), "checkpoint 7");
/// assert_eq!(offset.leader_epoch(), None);
///
/// assert_eq!(OffsetAndMetadata::from(42), OffsetAndMetadata::new(42));
/// let found = OffsetAndTimestamp::new(42, 1_600_000_000_000).with_leader_epoch(3);
/// assert_eq!(OffsetAndMetadata::from(&found), OffsetAndMetadata::new(42).with_leader_epoch(3));
/// ```
///
/// Displays as the offset, then the epoch and the note where there are any. Orders by offset, then note, then epoch.
///
/// kafka-python: `OffsetAndMetadata`, whose epoch is -1 where it is not known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OffsetAndMetadata {
    offset: i64,
    metadata: String,
    leader_epoch: Option<i32>,
}

impl OffsetAndMetadata {
    /// The offset of the record that is to be read next, without a note; whether it can be is seen when it is used.
    #[must_use]
    pub const fn new(offset: i64) -> Self {
        Self { offset, metadata: String::new(), leader_epoch: None }
    }

    /// The same with a note, which a group keeps beside the offset.
    #[must_use]
    pub fn with_metadata(mut self, metadata: impl Into<String>) -> Self {
        self.metadata = metadata.into();
        self
    }

    /// The same with the epoch of the leader that had the record before the offset, by which a truncated log is noticed.
    /// A negative epoch is one that is not known, as in kafka-python.
    #[must_use]
    pub fn with_leader_epoch(mut self, epoch: impl Into<Option<i32>>) -> Self {
        self.leader_epoch = known(epoch.into());
        self
    }

    /// The offset of the record that is to be read next.
    #[must_use]
    pub const fn offset(&self) -> i64 {
        self.offset
    }

    /// The note; empty where there is none.
    #[must_use]
    pub fn metadata(&self) -> &str {
        &self.metadata
    }

    /// The epoch of the leader that had the record before the offset, if it is known.
    #[must_use]
    pub const fn leader_epoch(&self) -> Option<i32> {
        self.leader_epoch
    }
}

impl From<i64> for OffsetAndMetadata {
    fn from(offset: i64) -> Self {
        Self::new(offset)
    }
}

impl From<&Self> for OffsetAndMetadata {
    fn from(other: &Self) -> Self {
        other.clone()
    }
}

impl From<&OffsetAndTimestamp> for OffsetAndMetadata {
    fn from(found: &OffsetAndTimestamp) -> Self {
        // The epoch of the record at the offset, where that of the record before it is meant: the log has that one as well.
        Self::new(found.offset).with_leader_epoch(found.leader_epoch)
    }
}

impl From<OffsetAndTimestamp> for OffsetAndMetadata {
    fn from(found: OffsetAndTimestamp) -> Self {
        Self::from(&found)
    }
}

impl fmt::Display for OffsetAndMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.offset, OfEpoch(self.leader_epoch))?;
        if self.metadata.is_empty() { Ok(()) } else { write!(f, " {:?}", self.metadata) }
    }
}

/// The offset of the first record that is not older than a time, and the time of that record.
///
/// ```
/// use kafka_blocking::OffsetAndTimestamp;
///
/// let found = OffsetAndTimestamp::new(42, 1_600_000_000_000);
/// assert_eq!((found.offset(), found.timestamp()), (42, 1_600_000_000_000));
/// assert_eq!(found.to_string(), "42 at 1600000000000");
/// ```
///
/// kafka-python: `OffsetAndTimestamp`, whose epoch is -1 where it is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OffsetAndTimestamp {
    offset: i64,
    timestamp: i64,
    leader_epoch: Option<i32>,
}

impl OffsetAndTimestamp {
    /// The offset of a record, and its time in milliseconds since 1970.
    #[must_use]
    pub const fn new(offset: i64, timestamp: i64) -> Self {
        Self { offset, timestamp, leader_epoch: None }
    }

    /// The same with the epoch of the leader that has the record. A negative epoch is one that is not known, as in
    /// kafka-python.
    #[must_use]
    pub fn with_leader_epoch(mut self, epoch: impl Into<Option<i32>>) -> Self {
        self.leader_epoch = known(epoch.into());
        self
    }

    /// The offset of the record.
    #[must_use]
    pub const fn offset(&self) -> i64 {
        self.offset
    }

    /// The time of the record, in milliseconds since 1970.
    #[must_use]
    pub const fn timestamp(&self) -> i64 {
        self.timestamp
    }

    /// The epoch of the leader that has the record, if it is known.
    #[must_use]
    pub const fn leader_epoch(&self) -> Option<i32> {
        self.leader_epoch
    }
}

impl fmt::Display for OffsetAndTimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}{}", self.offset, self.timestamp, OfEpoch(self.leader_epoch))
    }
}

/// The protocol writes -1 for an epoch that is not known.
fn known(epoch: Option<i32>) -> Option<i32> {
    epoch.filter(|epoch| *epoch >= 0)
}

/// Writes ` of leader epoch 3`, or nothing where it is not known.
struct OfEpoch(Option<i32>);

impl fmt::Display for OfEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |epoch| write!(f, " of leader epoch {epoch}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_epoch_is_none_whether_it_is_written_as_none_or_as_a_negative_number() {
        for unknown in [None, Some(-1), Some(i32::MIN)] {
            assert_eq!(OffsetAndMetadata::new(1).with_leader_epoch(unknown).leader_epoch(), None);
            assert_eq!(
                OffsetAndTimestamp::new(1, 2).with_leader_epoch(unknown).leader_epoch(),
                None
            );
        }
        assert_eq!(OffsetAndMetadata::new(1).with_leader_epoch(0).leader_epoch(), Some(0));
        let offset = OffsetAndMetadata::new(1).with_leader_epoch(5);
        assert_eq!(offset.with_leader_epoch(None).leader_epoch(), None);
    }

    #[test]
    fn offsets_order_by_their_number_first() {
        let last = OffsetAndMetadata::new(10);
        assert!(OffsetAndMetadata::new(9).with_metadata("z").with_leader_epoch(99) < last);
        assert!(OffsetAndTimestamp::new(9, 99) < OffsetAndTimestamp::new(10, 1));
    }

    #[test]
    fn an_offset_displays_with_what_is_known_beside_it() {
        let offset = OffsetAndMetadata::new(42);
        assert_eq!(offset.to_string(), "42");
        let offset = offset.with_leader_epoch(3).with_metadata("a\nb");
        assert_eq!(offset.to_string(), "42 of leader epoch 3 \"a\\nb\"");
        let found = OffsetAndTimestamp::new(42, 1000).with_leader_epoch(0);
        assert_eq!(found.to_string(), "42 at 1000 of leader epoch 0");
    }
}
