//! Control batches: the markers that end transactions.

use super::{BATCH_OVERHEAD, entry::parse};

/// What a control batch marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlType {
    /// The producer's transaction was aborted.
    Abort,
    /// The producer's transaction was committed.
    Commit,
    /// Something that does not concern consumers, by its number.
    Other(i16),
}

impl ControlType {
    /// What a whole control batch marks: the key of its first record says it, in a version and a type of two bytes each.
    /// `None` for one that is empty or does not say it so.
    #[must_use]
    pub fn of_batch(batch: &[u8]) -> Option<Self> {
        // Markers are never compressed.
        let records = batch.get(BATCH_OVERHEAD..)?;
        let [v0, v1, t0, t1, ..] = *parse(records, 0).ok()?.key.of(records)? else { return None };
        if i16::from_be_bytes([v0, v1]) < 0 {
            return None;
        }
        Some(match i16::from_be_bytes([t0, t1]) {
            0 => Self::Abort,
            1 => Self::Commit,
            other => Self::Other(other),
        })
    }
}
