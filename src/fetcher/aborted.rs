//! Which batches of an answer belong to aborted transactions: what `read_committed` leaves out.
//!
//! A broker sends everything up to the last stable offset, and names the transactions in it that were aborted: a producer
//! and the first offset. The abort marker in the data says where each ends.

use std::collections::{BTreeSet, VecDeque};

use crate::{
    protocol::fetch::AbortedTransaction,
    records::{BatchHeader, ControlType, next_batch_len},
};

/// Walks over the batches of one partition's answer, in their order.
#[derive(Debug)]
pub(super) struct AbortedFilter {
    /// By first offset; those behind were begun.
    ahead: VecDeque<AbortedTransaction>,
    /// The producers within an aborted transaction.
    active: BTreeSet<i64>,
}

impl AbortedFilter {
    /// For an answer that names these transactions; `None` where it names none.
    pub(super) fn new(mut aborted: Vec<AbortedTransaction>) -> Option<Self> {
        // Brokers other than Kafka's do not sort them.
        aborted.sort_by_key(|transaction| transaction.first_offset);
        (!aborted.is_empty()).then(|| Self { ahead: aborted.into(), active: BTreeSet::new() })
    }

    /// The base offsets of the batches in `bytes` that belong to aborted transactions, in order. Stops at what is no batch.
    pub(super) fn aborted_batches(&mut self, mut bytes: &[u8]) -> Vec<i64> {
        let mut aborted = Vec::new();
        while let Ok(Some(len)) = next_batch_len(bytes)
            && let (Ok(header), Some(batch)) = (BatchHeader::parse(bytes), bytes.get(..len))
        {
            if self.is_aborted(&header, batch) {
                aborted.push(header.base_offset);
            }
            bytes = &bytes[len..];
        }
        aborted
    }

    fn is_aborted(&mut self, header: &BatchHeader, batch: &[u8]) -> bool {
        while self.ahead.front().is_some_and(|t| t.first_offset <= header.last_offset())
            && let Some(begun) = self.ahead.pop_front()
        {
            self.active.insert(begun.producer_id);
        }
        if header.is_control() {
            if ControlType::of_batch(batch) == Some(ControlType::Abort) {
                self.active.remove(&header.producer_id);
            }
            return false;
        }
        header.is_transactional() && self.active.contains(&header.producer_id)
    }
}
