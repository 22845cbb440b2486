//! What a partition's log holds, and which of its bytes a reader gets.

use crate::records::ControlType;

use self::{epochs::Epochs, transactions::Transactions};
use crate::testing::{
    records::{Record, encode_batch, seal},
    unpack::unpack,
};

mod epochs;
mod transactions;

pub use self::transactions::Aborted;

/// One batch, and where it stands.
#[derive(Clone, Debug)]
struct Stored {
    base: i64,
    last: i64,
    bytes: Vec<u8>,
}

/// Batches in the order of their offsets.
#[derive(Clone, Debug, Default)]
pub struct Log {
    start: i64,
    end: i64,
    /// Less than the end where a test says so.
    high_watermark: Option<i64>,
    append_time: Option<i64>,
    batches: Vec<Stored>,
    epochs: Epochs,
    transactions: Transactions,
}

/// What a fetch gets of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    /// Batches; the last may be cut, as in a real broker, which sends ranges of a file.
    pub bytes: Vec<u8>,
    /// Whether not even the first batch is whole.
    pub incomplete: bool,
}

/// A record that was looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its offset.
    pub offset: i64,
    /// Its time.
    pub timestamp: i64,
    /// The leader's epoch in which it was written.
    pub leader_epoch: i32,
}

/// How many bytes of batches there are for an entry of a broker's index of offsets: Kafka's `index.interval.bytes`.
const INDEX_INTERVAL: usize = 4096;

// Changes
impl Log {
    /// Appends one batch of these records; gives the offset of the first.
    pub fn append(&mut self, records: &[Record], leader_epoch: i32) -> i64 {
        let batch = self.stamp(encode_batch(records));
        self.append_batch(batch, leader_epoch)
    }

    /// Appends a batch as it is, but for the offset and the epoch in its header, which a broker sets.
    ///
    /// # Panics
    /// Where it is shorter than a batch's header. Whatever follows the header is taken as it is.
    pub fn append_batch(&mut self, mut bytes: Vec<u8>, leader_epoch: i32) -> i64 {
        let base = self.end;
        bytes[..8].copy_from_slice(&base.to_be_bytes());
        bytes[12..16].copy_from_slice(&leader_epoch.to_be_bytes());
        let delta = i32::from_be_bytes(bytes[23..27].try_into().expect("four bytes"));
        let last = base + i64::from(delta.max(0));
        self.epochs.begin(leader_epoch, base);
        self.follow_transaction(&bytes, base);
        self.batches.push(Stored { base, last, bytes });
        self.end = last + 1;
        base
    }

    /// Leaves a gap before the next batch, as compaction does.
    pub fn skip_to(&mut self, offset: i64) {
        self.end = self.end.max(offset);
    }

    /// Deletes what lies before an offset, a batch at a time.
    pub fn delete_before(&mut self, offset: i64) {
        self.start = self.start.max(offset);
        self.end = self.end.max(offset);
        self.batches.retain(|b| b.last >= offset);
        self.epochs.delete_before(self.start);
    }

    /// Cuts off what lies at or behind an offset, as a new leader with a shorter log does.
    pub fn truncate(&mut self, offset: i64) {
        self.batches.retain(|b| b.last < offset);
        self.end = self.end.min(offset);
        self.epochs.truncate(offset);
        self.transactions.truncate(offset);
    }

    /// Hides what lies at or behind an offset; `None` shows it all.
    pub fn set_high_watermark(&mut self, offset: Option<i64>) {
        self.high_watermark = offset;
    }

    /// Has the broker set the time of records that are appended from now on, in place of the producer: Kafka's
    /// `message.timestamp.type=LogAppendTime`.
    pub fn set_append_time(&mut self, timestamp: Option<i64>) {
        self.append_time = timestamp;
    }

    /// The time that the broker sets.
    pub(crate) fn append_time(&self) -> Option<i64> {
        self.append_time
    }

    /// A leader begins its epoch.
    pub(crate) fn begin_epoch(&mut self, leader_epoch: i32) {
        self.epochs.begin(leader_epoch, self.end);
    }

    /// Sets the time of a batch, where that is the broker's task.
    pub(crate) fn stamp(&self, mut batch: Vec<u8>) -> Vec<u8> {
        if let Some(time) = self.append_time {
            batch[22] |= LOG_APPEND_TIME;
            batch[35..43].copy_from_slice(&time.to_be_bytes());
            seal(&mut batch);
        }
        batch
    }

    fn follow_transaction(&mut self, batch: &[u8], base: i64) {
        let attributes = batch[22];
        if batch[16] != 2 || attributes & TRANSACTIONAL == 0 {
            return;
        }
        let Some(id) = batch.get(43..51) else { return };
        let producer_id = i64::from_be_bytes(id.try_into().expect("eight bytes"));
        if attributes & CONTROL == 0 {
            return self.transactions.append(producer_id, base);
        }
        match ControlType::of_batch(batch) {
            Some(ControlType::Commit) => self.transactions.end(producer_id, base, false),
            Some(ControlType::Abort) => self.transactions.end(producer_id, base, true),
            _ => {}
        }
    }
}

/// The bits of a batch's attributes, of which only the lower byte is in use.
const LOG_APPEND_TIME: u8 = 8;
const TRANSACTIONAL: u8 = 16;
const CONTROL: u8 = 32;

// Looks
impl Log {
    /// The first offset.
    #[must_use]
    pub fn start(&self) -> i64 {
        self.start
    }

    /// The offset that the next record will have.
    #[must_use]
    pub fn end(&self) -> i64 {
        self.end
    }

    /// The offset up to which readers may see.
    #[must_use]
    pub fn high_watermark(&self) -> i64 {
        self.high_watermark.unwrap_or(self.end).min(self.end)
    }

    /// The offset up to which readers may see who want only what is committed; `high_watermark` is that of the node.
    #[must_use]
    pub fn last_stable_offset(&self, high_watermark: i64) -> i64 {
        let undecided = self.transactions.first_undecided(high_watermark);
        undecided.map_or(high_watermark, |first| first.max(self.start).min(high_watermark))
    }

    /// Whether there is such an offset; the end is one.
    #[must_use]
    pub fn contains(&self, offset: i64) -> bool {
        (self.start..=self.end).contains(&offset)
    }

    /// The bytes from the batch with `offset` on, up to `limit`; the first batch whole in any case if `whole_first`.
    #[must_use]
    pub fn read(&self, offset: i64, limit: usize, whole_first: bool) -> Slice {
        self.read_below(self.high_watermark(), offset, limit, whole_first)
    }

    /// The same, of what lies before an offset only.
    #[must_use]
    pub fn read_below(&self, bound: i64, offset: i64, limit: usize, whole_first: bool) -> Slice {
        let mut wanted =
            self.batches.iter().filter(|b| b.last >= offset && b.base < bound).peekable();
        let Some(first) = wanted.peek().map(|b| b.bytes.len()) else { return Slice::default() };
        let limit = if whole_first { limit.max(first) } else { limit };
        let mut bytes = Vec::new();
        for batch in wanted {
            let room = limit - bytes.len();
            bytes.extend_from_slice(&batch.bytes[..batch.bytes.len().min(room)]);
            if bytes.len() == limit {
                break;
            }
        }
        Slice { incomplete: bytes.len() < first, bytes }
    }

    /// The aborted transactions that a broker tells with so many bytes from the batch with `offset` on. Some lie behind
    /// them: the broker knows only from its index where the bytes end.
    #[must_use]
    pub fn aborted(&self, offset: i64, bytes: usize) -> Vec<Aborted> {
        self.transactions.aborted(offset, self.upper_bound(offset, bytes))
    }

    /// The last epoch up to the asked one, and where it ended, under a leader of `current` epoch.
    #[must_use]
    pub fn end_of_epoch(&self, asked: i32, current: i32) -> Option<(i32, i64)> {
        let mut epochs = self.epochs.clone();
        epochs.begin(current, self.end);
        epochs.end_of(asked, self.end)
    }

    /// The epoch of what stands at an offset.
    #[must_use]
    pub fn epoch_of(&self, offset: i64) -> Option<i32> {
        self.epochs.of(offset)
    }

    /// Where an epoch began.
    #[must_use]
    pub fn start_of_epoch(&self, epoch: i32) -> Option<i64> {
        self.epochs.start_of(epoch)
    }

    /// The first record at or after a time.
    #[must_use]
    pub fn find_time(&self, timestamp: i64) -> Option<Found> {
        self.records().find(|found| found.timestamp >= timestamp)
    }

    /// The first record with the latest time.
    #[must_use]
    pub fn latest_time(&self) -> Option<Found> {
        let latest = self.records().map(|found| found.timestamp).max()?;
        self.records().find(|found| found.timestamp == latest)
    }

    /// Records that readers see, of transactions or not, and markers.
    fn records(&self) -> impl Iterator<Item = Found> + '_ {
        let visible = self.start..self.high_watermark();
        let all = self.batches.iter().flat_map(Stored::records);
        all.filter(move |found| visible.contains(&found.offset))
    }

    /// The offset of the first entry of a broker's index behind so many bytes, or else the end.
    fn upper_bound(&self, offset: i64, bytes: usize) -> i64 {
        let (mut position, mut since, mut target) = (0, 0, None);
        for batch in &self.batches {
            if batch.last >= offset {
                target = target.or(Some(position + bytes));
            }
            if since > INDEX_INTERVAL {
                since = 0;
                if target.is_some_and(|target| position >= target) {
                    return batch.last;
                }
            }
            position += batch.bytes.len();
            since += batch.bytes.len();
        }
        self.end
    }
}

impl Stored {
    /// The records as far as they can be known: of a damaged batch, what its header says of the first and the last.
    fn records(&self) -> Vec<Found> {
        let leader_epoch =
            i32::from_be_bytes(self.bytes[12..16].try_into().expect("four bytes of a header"));
        let found = |offset, timestamp| Found { offset, timestamp, leader_epoch };
        match unpack(&self.bytes) {
            Ok(records) => records.into_iter().map(|r| found(r.offset, r.timestamp)).collect(),
            Err(_) => {
                let time = |at: usize| self.bytes[at..at + 8].try_into().map(i64::from_be_bytes);
                let times = [(self.base, time(27)), (self.last, time(35))];
                times.into_iter().map(|(o, t)| found(o, t.expect("8 bytes"))).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::records::Codec;

    use super::*;
    use crate::testing::{Marker, encode_marker, encode_transactional};

    fn log() -> Log {
        let mut log = Log::default();
        log.append(&[Record::value("a").at(10), Record::value("b").at(30)], 0);
        log.append(&[Record::value("c").at(20)], 0);
        log
    }

    fn at(found: Option<Found>) -> Option<(i64, i64)> {
        found.map(|found| (found.offset, found.timestamp))
    }

    #[test]
    fn offsets_go_on_from_batch_to_batch() {
        let mut log = log();
        assert_eq!((log.start(), log.end()), (0, 3));
        log.skip_to(7);
        assert_eq!(log.append(&["d".into()], 0), 7);
    }

    #[test]
    fn a_read_begins_with_the_batch_that_has_the_offset() {
        let log = log();
        let both = log.read(1, 10_000, true).bytes;
        let second = log.read(2, 10_000, true).bytes;
        assert_eq!(both[..8], 0_i64.to_be_bytes());
        assert_eq!(second[..8], 2_i64.to_be_bytes());
        assert!(both.ends_with(&second));
        assert_eq!(log.read(3, 10_000, true), Slice::default());
    }

    #[test]
    fn the_first_batch_is_whole_where_it_must_be_and_cut_where_not() {
        let log = log();
        let whole = log.read(2, 1, true);
        assert!(!whole.incomplete && whole.bytes.len() > 61);
        let cut = log.read(2, 1, false);
        assert!(cut.incomplete && cut.bytes.len() == 1);
    }

    #[test]
    fn nothing_behind_the_high_watermark_is_seen() {
        let mut log = log();
        log.set_high_watermark(Some(2));
        assert_eq!(log.read(2, 10_000, true), Slice::default());
        assert_eq!(at(log.latest_time()), Some((1, 30)));
    }

    #[test]
    fn a_time_is_found_at_its_first_record_and_nothing_before_the_start() {
        let mut log = log();
        assert_eq!(at(log.find_time(15)), Some((1, 30)));
        log.delete_before(2);
        assert_eq!(at(log.find_time(15)), Some((2, 20)));
        assert_eq!(log.find_time(31), None);
        assert!(!log.contains(1));
    }

    #[test]
    fn a_broker_that_sets_the_time_writes_it_into_the_batch() {
        let mut log = log();
        log.set_append_time(Some(77));
        log.append(&[Record::value("d").at(1), Record::value("e").at(2)], 0);
        assert_eq!(at(log.find_time(77)), Some((3, 77)));
        let batch = log.read(3, 1, true).bytes;
        assert_eq!((batch[22], &batch[35..43]), (LOG_APPEND_TIME, &77_i64.to_be_bytes()[..]));
        let mut sealed = batch.clone();
        seal(&mut sealed);
        assert_eq!(sealed, batch, "the checksum is right");
    }

    #[test]
    fn the_aborted_transactions_of_a_short_log_are_told_up_to_its_end() {
        let mut log = Log::default();
        let batch = |value: &str| encode_transactional(1, Codec::None, &[value.into()]);
        let large = "x".repeat(3000);
        for value in ["a", &large, "b", &large, &large, "c"] {
            log.append_batch(batch(value), 0);
            log.append_batch(encode_marker(1, &Marker::Abort), 0);
        }
        let firsts = |offset, bytes| -> Vec<i64> {
            log.aborted(offset, bytes).iter().map(|aborted| aborted.first_offset).collect()
        };
        assert_eq!(firsts(0, 1), [0, 2, 4, 6], "the index has an entry at 7");
        assert_eq!(firsts(5, 100), [4, 6]);
        assert_eq!(firsts(8, 5000), [8, 10], "no entry comes any more: up to the end");
    }
}
