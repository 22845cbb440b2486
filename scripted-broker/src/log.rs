//! What a partition's log holds, and which of its bytes a reader gets.

use crate::records::{Record, encode_batch};

/// One batch, and where it stands.
#[derive(Clone, Debug)]
struct Stored {
    base: i64,
    last: i64,
    bytes: Vec<u8>,
    /// Offset and time of each record, as far as they are known.
    times: Vec<(i64, i64)>,
}

/// Batches in the order of their offsets.
#[derive(Clone, Debug, Default)]
pub struct Log {
    start: i64,
    end: i64,
    /// Less than the end where a test says so.
    high_watermark: Option<i64>,
    batches: Vec<Stored>,
}

/// What a fetch gets of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    /// Batches; the last may be cut, as in a real broker, which sends ranges of a file.
    pub bytes: Vec<u8>,
    /// Whether not even the first batch is whole.
    pub incomplete: bool,
}

impl Log {
    /// Appends one batch of these records; gives the offset of the first.
    pub fn append(&mut self, records: &[Record], leader_epoch: i32) -> i64 {
        let base = self.append_batch(encode_batch(records), leader_epoch);
        let times = (base..).zip(records).map(|(offset, r)| (offset, r.timestamp)).collect();
        self.batches.last_mut().expect("appended just now").times = times;
        base
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
        let time = |at: usize| i64::from_be_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
        let last = base + i64::from(delta.max(0));
        let times = vec![(base, time(27)), (last, time(35))];
        self.batches.push(Stored { base, last, bytes, times });
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
    }

    /// Cuts off what lies at or behind an offset, as a new leader with a shorter log does.
    pub fn truncate(&mut self, offset: i64) {
        self.batches.retain(|b| b.last < offset);
        self.end = self.end.min(offset);
    }

    /// Hides what lies at or behind an offset; `None` shows it all.
    pub fn set_high_watermark(&mut self, offset: Option<i64>) {
        self.high_watermark = offset;
    }

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

    /// Whether there is such an offset; the end is one.
    #[must_use]
    pub fn contains(&self, offset: i64) -> bool {
        (self.start..=self.end).contains(&offset)
    }

    /// The bytes from the batch with `offset` on, up to `limit`; the first batch whole in any case if `whole_first`.
    #[must_use]
    pub fn read(&self, offset: i64, limit: usize, whole_first: bool) -> Slice {
        let visible = self.high_watermark();
        let mut wanted =
            self.batches.iter().filter(|b| b.last >= offset && b.base < visible).peekable();
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

    /// Offset and time of the first record at or after a time.
    #[must_use]
    pub fn find_time(&self, timestamp: i64) -> Option<(i64, i64)> {
        self.times().find(|(_, time)| *time >= timestamp)
    }

    /// Offset and time of the record with the latest time.
    #[must_use]
    pub fn latest_time(&self) -> Option<(i64, i64)> {
        let latest = self.times().map(|(_, time)| time).max()?;
        self.times().find(|(_, time)| *time == latest)
    }

    fn times(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        let visible = self.start..self.high_watermark();
        self.batches
            .iter()
            .flat_map(|b| b.times.iter().copied())
            .filter(move |(offset, _)| visible.contains(offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> Log {
        let mut log = Log::default();
        log.append(&[Record::value("a").at(10), Record::value("b").at(30)], 0);
        log.append(&[Record::value("c").at(20)], 0);
        log
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
        assert_eq!(log.latest_time(), Some((1, 30)));
    }

    #[test]
    fn a_time_is_found_at_its_first_record_and_nothing_before_the_start() {
        let mut log = log();
        assert_eq!(log.find_time(15), Some((1, 30)));
        log.delete_before(2);
        assert_eq!(log.find_time(15), Some((2, 20)));
        assert_eq!(log.find_time(31), None);
        assert!(!log.contains(1));
    }
}
