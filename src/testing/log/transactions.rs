//! Which transactions a log holds: up to where everything is decided, and what was aborted.

/// A transaction that was aborted, as a broker's index has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aborted {
    /// Whose it was.
    pub producer_id: i64,
    /// The offset of its first record.
    pub first_offset: i64,
    /// The offset of its marker.
    pub last_offset: i64,
}

#[derive(Clone, Debug)]
struct Transaction {
    producer_id: i64,
    first: i64,
    end: Option<End>,
}

#[derive(Clone, Copy, Debug)]
struct End {
    marker: i64,
    aborted: bool,
}

/// In the order in which they began.
#[derive(Clone, Debug, Default)]
pub(super) struct Transactions(Vec<Transaction>);

impl Transactions {
    /// Records of a transaction stand at `offset`: the first ones begin it.
    pub(super) fn append(&mut self, producer_id: i64, offset: i64) {
        if self.open(producer_id).is_none() {
            self.0.push(Transaction { producer_id, first: offset, end: None });
        }
    }

    /// A marker stands at `offset`. Without records before it, it marks nothing.
    pub(super) fn end(&mut self, producer_id: i64, marker: i64, aborted: bool) {
        if let Some(transaction) = self.open(producer_id) {
            transaction.end = Some(End { marker, aborted });
        }
    }

    /// What stands at or behind an offset is gone: transactions that ended there are open again.
    pub(super) fn truncate(&mut self, offset: i64) {
        self.0.retain(|t| t.first < offset);
        for transaction in &mut self.0 {
            transaction.end = transaction.end.filter(|end| end.marker < offset);
        }
    }

    /// The first offset that is not decided yet for readers up to `high_watermark`, who do not see markers beyond it.
    pub(super) fn first_undecided(&self, high_watermark: i64) -> Option<i64> {
        let seen = |t: &&Transaction| t.end.is_none_or(|end| end.marker >= high_watermark);
        self.0.iter().filter(seen).map(|t| t.first).min()
    }

    /// What was aborted of a range, whose upper bound is exclusive; in the order of the markers, as the index is.
    pub(super) fn aborted(&self, from: i64, upper_bound: i64) -> Vec<Aborted> {
        let mut aborted: Vec<Aborted> = self
            .0
            .iter()
            .filter_map(|t| {
                let end = t.end.filter(|end| end.aborted)?;
                Some(Aborted {
                    producer_id: t.producer_id,
                    first_offset: t.first,
                    last_offset: end.marker,
                })
            })
            .filter(|a| a.last_offset >= from && a.first_offset < upper_bound)
            .collect();
        aborted.sort_unstable_by_key(|a| a.last_offset);
        aborted
    }

    fn open(&mut self, producer_id: i64) -> Option<&mut Transaction> {
        self.0.iter_mut().find(|t| t.producer_id == producer_id && t.end.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Producer 1 from 0 to 6 aborted, producer 2 from 2 to 4 aborted, 3 from 8 open.
    fn transactions() -> Transactions {
        let mut transactions = Transactions::default();
        for (producer, offset) in [(1, 0), (2, 2), (1, 3)] {
            transactions.append(producer, offset);
        }
        transactions.end(2, 4, true);
        transactions.end(1, 6, true);
        transactions.end(1, 7, true);
        transactions.append(3, 8);
        transactions
    }

    fn producers(aborted: &[Aborted]) -> Vec<i64> {
        aborted.iter().map(|a| a.producer_id).collect()
    }

    #[test]
    fn what_was_aborted_comes_in_the_order_of_its_markers() {
        assert_eq!(producers(&transactions().aborted(0, 9)), [2, 1]);
    }

    #[test]
    fn only_what_overlaps_a_range_is_told() {
        assert_eq!(producers(&transactions().aborted(5, 9)), [1]);
        assert_eq!(producers(&transactions().aborted(0, 2)), [1]);
        assert_eq!(producers(&transactions().aborted(7, 9)), [] as [i64; 0]);
    }

    #[test]
    fn a_transaction_is_undecided_until_its_marker_is_seen() {
        let transactions = transactions();
        assert_eq!(transactions.first_undecided(9), Some(8));
        assert_eq!(transactions.first_undecided(6), Some(0));
    }

    #[test]
    fn a_transaction_whose_marker_is_cut_off_is_open_again() {
        let mut transactions = transactions();
        transactions.truncate(5);
        assert_eq!(transactions.first_undecided(5), Some(0));
        assert_eq!(producers(&transactions.aborted(0, 9)), [2]);
        transactions.end(1, 5, false);
        assert_eq!(transactions.first_undecided(6), None);
    }
}
