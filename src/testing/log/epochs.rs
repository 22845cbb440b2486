//! Where each epoch of the leaders began in a log, and so where it ended.

/// Epochs and the offsets at which they began, both increasing.
#[derive(Clone, Debug, Default)]
pub(super) struct Epochs(Vec<(i32, i64)>);

impl Epochs {
    /// An epoch begins at an offset, if it is a new one. One in which nothing was written is forgotten.
    pub(super) fn begin(&mut self, epoch: i32, offset: i64) {
        if epoch < 0 || self.latest().is_some_and(|latest| latest >= epoch) {
            return;
        }
        self.truncate(offset);
        self.0.push((epoch, offset));
    }

    /// The log ends at an offset now.
    pub(super) fn truncate(&mut self, offset: i64) {
        self.0.retain(|(_, start)| *start < offset);
    }

    /// The log begins at an offset now: the epoch of that offset begins there, too.
    pub(super) fn delete_before(&mut self, offset: i64) {
        let first = self.0.iter().rposition(|(_, start)| *start <= offset).unwrap_or(0);
        self.0.drain(..first);
        if let Some((_, start)) = self.0.first_mut() {
            *start = offset.max(*start);
        }
    }

    /// The epoch in which what stands at an offset was written.
    pub(super) fn of(&self, offset: i64) -> Option<i32> {
        self.0.iter().rfind(|(_, start)| *start <= offset).map(|(epoch, _)| *epoch)
    }

    /// Where an epoch began.
    pub(super) fn start_of(&self, epoch: i32) -> Option<i64> {
        self.0.iter().find(|(known, _)| *known == epoch).map(|(_, start)| *start)
    }

    /// The last epoch up to the asked one, and where it ended, in a log that ends at `end`.
    pub(super) fn end_of(&self, asked: i32, end: i64) -> Option<(i32, i64)> {
        if asked < 0 {
            return None;
        }
        if self.latest() == Some(asked) {
            return Some((asked, end));
        }
        // None where the asked epoch is later than all.
        let next = self.0.iter().position(|(epoch, _)| *epoch > asked)?;
        // What is older than all that is left has ended where the log begins.
        let epoch = next.checked_sub(1).map_or(asked, |floor| self.0[floor].0);
        Some((epoch, self.0[next].1.min(end)))
    }

    fn latest(&self) -> Option<i32> {
        self.0.last().map(|(epoch, _)| *epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs() -> Epochs {
        let mut epochs = Epochs::default();
        for (epoch, offset) in [(1, 0), (1, 3), (2, 5), (4, 5), (6, 9)] {
            epochs.begin(epoch, offset);
        }
        epochs
    }

    #[test]
    fn an_epoch_ends_where_the_next_one_begins() {
        let epochs = epochs();
        assert_eq!(epochs.end_of(1, 12), Some((1, 5)));
        assert_eq!(epochs.end_of(4, 12), Some((4, 9)));
        assert_eq!(epochs.end_of(6, 12), Some((6, 12)), "the latest one ends with the log");
        assert_eq!(epochs.end_of(5, 12), Some((4, 9)), "the one before stands for a missing one");
        assert_eq!(epochs.end_of(0, 12), Some((0, 0)), "older than the log");
        assert_eq!((epochs.end_of(7, 12), epochs.end_of(-1, 12)), (None, None));
    }

    #[test]
    fn an_epoch_in_which_nothing_was_written_leaves_no_trace() {
        assert_eq!(epochs().end_of(2, 12), Some((1, 5)));
    }

    #[test]
    fn what_is_cut_off_at_either_end_is_forgotten() {
        let mut epochs = epochs();
        epochs.truncate(9);
        assert_eq!(epochs.end_of(6, 9), None);
        assert_eq!(epochs.end_of(4, 9), Some((4, 9)));
        epochs.delete_before(7);
        assert_eq!(epochs.of(7), Some(4));
        assert_eq!(epochs.end_of(1, 9), Some((1, 7)));
    }
}
