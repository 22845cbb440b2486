//! What the log of one partition holds, and what of it a reader is to see: told without asking the broker.

use fastrand::Rng;
use kafka_blocking::records::{BatchWriter, Codec, ControlType};
use scripted_broker::ScriptedBroker;

/// A record that some reader may see.
#[derive(Debug)]
struct Entry {
    offset: i64,
    value: Option<Vec<u8>>,
    transaction: Option<usize>,
}

#[derive(Debug)]
struct Transaction {
    producer: i64,
    first: i64,
    /// Whether it was committed, once that is decided.
    committed: Option<bool>,
}

/// The log, as it was written.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) topic: &'static str,
    pub(crate) partition: i32,
    start: i64,
    end: i64,
    entries: Vec<Entry>,
    transactions: Vec<Transaction>,
    read_committed: bool,
    /// The most bytes of a value.
    largest: usize,
}

const PRODUCERS: i64 = 3;

const CODECS: [(Codec, bool); 5] = [
    (Codec::None, true),
    (Codec::Gzip, cfg!(feature = "gzip")),
    (Codec::Snappy, cfg!(feature = "snappy")),
    (Codec::Lz4, cfg!(feature = "lz4")),
    (Codec::Zstd, cfg!(feature = "zstd")),
];

impl Log {
    /// Nothing is in it yet; `read_committed` says who reads it, and `largest` how long values are at most.
    pub(crate) fn new(
        topic: &'static str,
        partition: i32,
        read_committed: bool,
        largest: usize,
    ) -> Self {
        let (entries, transactions) = (Vec::new(), Vec::new());
        let (start, end) = (0, 0);
        Self { topic, partition, start, end, entries, transactions, read_committed, largest }
    }

    // Writing, here and at the broker

    /// Appends a batch, a marker, or a gap.
    pub(crate) fn write(&mut self, broker: &ScriptedBroker, random: &mut Rng) {
        let producer = random.i64(1..=PRODUCERS);
        match random.u8(0..10) {
            0..5 => self.write_records(broker, random, None),
            5..7 => self.write_records(broker, random, Some(producer)),
            7..9 => self.write_marker(broker, producer, random.bool()),
            _ => {
                self.end += random.i64(1..5);
                let (topic, partition, end) = (self.topic, self.partition, self.end);
                broker.with_state(|s| s.partition_mut(topic, partition).log.skip_to(end));
            }
        }
    }

    /// Deletes what lies before an offset somewhere in the log.
    pub(crate) fn delete_front(&mut self, broker: &ScriptedBroker, random: &mut Rng) {
        self.start = random.i64(self.start..=self.end);
        broker.delete_records_before(self.topic, self.partition, self.start);
    }

    fn write_records(&mut self, broker: &ScriptedBroker, random: &mut Rng, producer: Option<i64>) {
        let transaction = producer.map(|producer| self.begin(producer));
        let mut batch = BatchWriter::new(0);
        let codecs: Vec<Codec> = CODECS.iter().filter(|(_, has)| *has).map(|(c, _)| *c).collect();
        batch.codec =
            if random.bool() { Codec::None } else { codecs[random.usize(..codecs.len())] };
        batch.transactional = producer.is_some();
        batch.producer_id = producer.unwrap_or(-1);
        let size = if random.u8(0..5) == 0 { self.largest } else { 30 };
        let mut delta = 0;
        for _ in 0..random.usize(1..6) {
            delta += hole(random);
            let offset = self.end + delta;
            let value = self.value(offset, random.usize(..size));
            let value = Some(value).filter(|_| random.u8(0..10) > 0);
            batch.append(delta, 1_700_000_000_000, None, value.as_deref(), &[]);
            self.entries.push(Entry { offset, value, transaction });
            delta += 1;
        }
        delta += hole(random);
        batch.last_offset_delta = Some(i32::try_from(delta - 1).expect("a small number"));
        self.append(broker, &batch, delta);
    }

    fn write_marker(&mut self, broker: &ScriptedBroker, producer: i64, commit: bool) {
        let mut batch = BatchWriter::new(0);
        (batch.producer_id, batch.producer_epoch) = (producer, 0);
        let control = if commit { ControlType::Commit } else { ControlType::Abort };
        batch.append_control(0, 1_700_000_000_000, control, 0);
        self.append(broker, &batch, 1);
        if let Some(open) = self.open(producer) {
            self.transactions[open].committed = Some(commit);
        }
    }

    fn append(&mut self, broker: &ScriptedBroker, batch: &BatchWriter, offsets: i64) {
        let bytes = batch.finish().expect("a codec that this build has");
        assert_eq!(broker.append_batch(self.topic, self.partition, bytes), self.end);
        self.end += offsets;
    }

    fn begin(&mut self, producer: i64) -> usize {
        self.open(producer).unwrap_or_else(|| {
            self.transactions.push(Transaction { producer, first: self.end, committed: None });
            self.transactions.len() - 1
        })
    }

    fn open(&self, producer: i64) -> Option<usize> {
        self.transactions.iter().position(|t| t.producer == producer && t.committed.is_none())
    }

    /// What tells a record from all others.
    fn value(&self, offset: i64, length: usize) -> Vec<u8> {
        let mut value = format!("{}-{}@{offset} ", self.topic, self.partition).into_bytes();
        value.resize(value.len() + length, offset as u8);
        value
    }

    /// The leader's epoch in which what stands before an offset was written, if anything does.
    pub(crate) fn epoch_before(&self, broker: &ScriptedBroker, offset: i64) -> Option<i32> {
        let inside = self.start < offset && offset <= self.end;
        broker.with_state(|state| {
            let log = &state.partition_mut(self.topic, self.partition).log;
            log.epoch_of(offset - 1).filter(|_| inside)
        })
    }

    // What a reader is to see

    /// The first offset.
    pub(crate) fn start(&self) -> i64 {
        self.start
    }

    /// The offset behind the last record, visible or not.
    pub(crate) fn end(&self) -> i64 {
        self.end
    }

    /// Up to where it can be read: to the end, or to the first transaction that is not decided.
    pub(crate) fn readable_end(&self) -> i64 {
        let open = self.transactions.iter().filter(|t| t.committed.is_none());
        let undecided = open.map(|t| t.first.max(self.start)).min();
        undecided.filter(|_| self.read_committed).unwrap_or(self.end)
    }

    /// The first visible record at or after an offset.
    pub(crate) fn next_visible(&self, offset: i64) -> Option<i64> {
        let mut visible = self.entries.iter().filter(|entry| self.is_visible(entry));
        visible.find(|entry| entry.offset >= offset).map(|entry| entry.offset)
    }

    /// The value of the record at an offset, which must be there.
    pub(crate) fn value_at(&self, offset: i64) -> Option<&[u8]> {
        let at = self.entries.binary_search_by_key(&offset, |entry| entry.offset);
        self.entries[at.expect("a record that is there")].value.as_deref()
    }

    fn is_visible(&self, entry: &Entry) -> bool {
        let aborted = |n: usize| self.transactions[n].committed == Some(false);
        let hidden = entry.offset >= self.readable_end() || entry.transaction.is_some_and(aborted);
        entry.offset >= self.start && !(self.read_committed && hidden)
    }
}

/// How many offsets a cleaned log lacks here.
fn hole(random: &mut Rng) -> i64 {
    if random.u8(0..6) == 0 { random.i64(1..4) } else { 0 }
}
