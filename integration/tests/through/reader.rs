//! A reader of known records over damaged connections: each record is compared, and what goes wrong has to be explained.
use std::{
    collections::BTreeMap,
    ops::RangeInclusive,
    time::{Duration, Instant},
};

use kafka_blocking::{ConsumerRecord, Error, KafkaConsumer, TopicPartition};
use kafka_blocking_integration::proxy::{Flip, Proxy};

use super::{
    value,
    words::{last_words, listen},
};

/// Reads a topic of one partition from the first record to the last.
pub(crate) struct Reader<'a> {
    proxy: &'a Proxy,
    consumer: KafkaConsumer,
    partition: TopicPartition,
    records: i64,
    /// What is to come next.
    expected: i64,
    last: Instant,
    longest: Duration,
    errors: BTreeMap<String, u32>,
    /// How often records came at other offsets than theirs, since no checksum covers these.
    misplaced: u32,
}

impl<'a> Reader<'a> {
    pub(crate) fn open(proxy: &'a Proxy, topic: &str, records: i64, fetched: usize) -> Self {
        listen();
        let partition = TopicPartition::new(topic, 0);
        let open = || {
            let consumer = KafkaConsumer::builder()
                .bootstrap_servers(proxy.bootstrap())
                .auto_offset_reset("none")
                .set("max_partition_fetch_bytes", &fetched.to_string())
                .request_timeout_ms(3_000)
                .consumer_timeout_ms(100)
                .build()?;
            consumer.assign([&partition])?;
            consumer.seek(&partition, 0)?;
            Ok::<_, Error>(consumer)
        };
        // Even the first answer may be damaged.
        let consumer = (0..5).find_map(|_| open().ok()).expect("one in five answers is whole");
        let (last, longest) = (Instant::now(), Duration::ZERO);
        let (errors, misplaced) = (BTreeMap::new(), 0);
        Self { proxy, consumer, partition, records, expected: 0, last, longest, errors, misplaced }
    }

    /// With `next` or with `poll`.
    pub(crate) fn read_all(&mut self, way: &str) {
        while self.expected < self.records {
            let read = match way {
                "next" => self.consumer.next().map_or(Ok(Vec::new()), |record| Ok(vec![record?])),
                "poll" => self
                    .consumer
                    .poll(Duration::from_millis(100))
                    .map(|polled| polled.into_records().collect()),
                other => panic!("no such way to read: {other}"),
            };
            match read {
                Ok(records) => self.compare(&records),
                Err(error) => self.note(&error),
            }
            let silence = self.last.elapsed();
            assert!(
                silence < HANG,
                "nothing came for {silence:?} at {}: {}{}",
                self.expected,
                self.summary(),
                last_words()
            );
        }
    }

    pub(crate) fn summary(&self) -> String {
        format!(
            "{} records, {} of them misplaced, at most {:?} without one, errors {:?}",
            self.expected, self.misplaced, self.longest, self.errors
        )
    }

    fn compare(&mut self, records: &[ConsumerRecord]) {
        for record in records {
            let told =
                std::str::from_utf8(record.value().expect("all have one")).expect("it is text");
            let written: i64 = told
                .split(':')
                .next()
                .and_then(|number| number.parse().ok())
                .expect("it begins with its offset");
            assert!(told == value(written), "a value that nobody wrote: {told}");
            if record.offset() == self.expected && written == self.expected {
                self.expected += 1;
                self.longest = self.longest.max(self.last.elapsed());
                self.last = Instant::now();
                continue;
            }
            // The offset of a batch is the one thing that is not in its checksum.
            let flipped = self.proxy.reports().into_iter().flat_map(|report| report.flips);
            let batches: Vec<RangeInclusive<i64>> =
                flipped.filter_map(|flip| batch_whose_offset(&flip)).collect();
            let explained = |offset| batches.iter().any(|batch| batch.contains(&offset));
            assert!(
                explained(self.expected) || explained(written),
                "{written} came at {} instead of {}: {}; flipped were the offsets of {batches:?}",
                record.offset(),
                self.expected,
                self.summary()
            );
            self.misplaced += 1;
            return self.again();
        }
    }

    fn note(&mut self, error: &Error) {
        let text = format!("{error:?}");
        let name = text.split([' ', '(', '{']).next().unwrap_or_default().to_owned();
        *self.errors.entry(name).or_default() += 1;
        if !error.retriable() {
            self.again();
        }
    }

    /// Has what is expected fetched once more.
    fn again(&self) {
        self.consumer.seek(&self.partition, self.expected).expect("it is assigned");
    }
}

/// The offsets of the records of a batch, if the bit that was flipped is one of the batch's own offset.
fn batch_whose_offset(flip: &Flip) -> Option<RangeInclusive<i64>> {
    let bytes = [flip.before.as_slice(), &flip.after].concat();
    let at = flip.before.len();
    (at.saturating_sub(7)..=at).find_map(|start| {
        let header: &[u8; 27] = bytes.get(start..)?.first_chunk()?;
        let int =
            |at: usize| i32::from_be_bytes(*header[at..].first_chunk().expect("it is long enough"));
        let base = i64::from_be_bytes(*header.first_chunk().expect("it is long enough"));
        let (length, magic, delta) = (int(8), header[16], int(23));
        let is_one = magic == 2
            && (49..100_000).contains(&length)
            && (0..10_000).contains(&delta)
            && (0..1 << 32).contains(&base);
        is_one.then(|| base..=base + i64::from(delta))
    })
}

/// A flipped throttle time keeps a node from being asked for a minute, which is the longest; then a request may time out.
const HANG: Duration = Duration::from_secs(75);
