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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::BatchWriter;

    const ABORTED: i64 = 5;
    const OTHER: i64 = 6;

    fn batch(base: i64, producer: i64, transactional: bool) -> Vec<u8> {
        let mut writer = BatchWriter::new(base);
        (writer.producer_id, writer.transactional) = (producer, transactional);
        writer.append(base, 0, None, None, &[]);
        writer.append(base + 1, 0, None, None, &[]);
        writer.finish().unwrap()
    }

    fn marker(base: i64, producer: i64, control: ControlType) -> Vec<u8> {
        let mut writer = BatchWriter::new(base);
        writer.producer_id = producer;
        writer.append_control(base, 0, control, 0);
        writer.finish().unwrap()
    }

    fn filter(aborted: &[(i64, i64)]) -> AbortedFilter {
        let named = aborted
            .iter()
            .map(|&(producer_id, first_offset)| AbortedTransaction { producer_id, first_offset });
        AbortedFilter::new(named.collect()).unwrap()
    }

    #[test]
    fn an_answer_that_names_no_transaction_needs_no_filter() {
        assert!(AbortedFilter::new(Vec::new()).is_none());
    }

    #[test]
    fn a_transaction_is_left_out_from_its_first_offset_to_its_marker() {
        let log = [
            batch(10, ABORTED, true),
            batch(12, ABORTED, true),
            batch(14, OTHER, true),
            batch(16, ABORTED, false),
            batch(18, ABORTED, true),
            marker(20, ABORTED, ControlType::Abort),
            batch(21, ABORTED, true),
        ];
        assert_eq!(filter(&[(ABORTED, 12)]).aborted_batches(&log.concat()), [12, 18]);
    }

    #[test]
    fn a_transaction_that_begins_with_the_last_record_of_a_batch_is_left_out_from_there() {
        let log = [batch(10, ABORTED, true), batch(12, ABORTED, true)].concat();
        assert_eq!(filter(&[(ABORTED, 11)]).aborted_batches(&log), [10, 12]);
    }

    #[test]
    fn a_marker_of_a_commit_ends_no_transaction_that_was_aborted() {
        let log = [
            batch(10, ABORTED, true),
            marker(12, ABORTED, ControlType::Commit),
            batch(13, ABORTED, true),
        ];
        assert_eq!(filter(&[(ABORTED, 10)]).aborted_batches(&log.concat()), [10, 13]);
    }

    #[test]
    fn transactions_are_found_in_whatever_order_they_are_named() {
        let log = [
            batch(10, OTHER, true),
            marker(12, OTHER, ControlType::Abort),
            batch(13, OTHER, true),
            batch(15, ABORTED, true),
        ];
        let mut filter = filter(&[(ABORTED, 15), (OTHER, 10)]);
        assert_eq!(filter.aborted_batches(&log.concat()), [10, 15]);
    }

    #[test]
    fn a_transaction_goes_on_in_the_next_piece_of_an_answer() {
        let mut filter = filter(&[(ABORTED, 10)]);
        assert_eq!(filter.aborted_batches(&batch(10, ABORTED, true)), [10]);
        assert_eq!(filter.aborted_batches(&batch(12, ABORTED, true)), [12]);
    }

    #[test]
    fn what_is_no_whole_batch_ends_the_walk() {
        let whole = batch(10, ABORTED, true);
        let broken = [&whole[..], &batch(12, ABORTED, true)[..70]].concat();
        assert_eq!(filter(&[(ABORTED, 10)]).aborted_batches(&broken), [10]);
        let mut old = batch(12, ABORTED, true);
        old[16] = 1; // magic
        let followed = [whole, old, batch(14, ABORTED, true)].concat();
        assert_eq!(filter(&[(ABORTED, 10)]).aborted_batches(&followed), [10]);
    }
}
