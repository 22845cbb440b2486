//! One sequence of calls, on a real consumer and on the model, which are compared after each.

#![allow(clippy::disallowed_methods, reason = "what must come has to come in time")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use fastrand::Rng;
use kafka_blocking::{
    ConsumerBuilder, ConsumerRecord, Content, Error, KafkaConsumer, OffsetAndMetadata, OffsetReset,
    Raw, TopicPartition,
};
use scripted_broker::ScriptedBroker;

use crate::{
    expected::{Expected, Place},
    log::Log,
    steps::{NODES, Step, choose, fit},
};

/// Within this time a record comes that must come.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait for what must not come.
const SHORT: Duration = Duration::from_millis(2);

/// How many values the deserializer still reads before it fails.
type Fuse = Arc<AtomicUsize>;

/// Plays the sequence of a seed, and notes its steps in `story`; with `given` those steps instead of its own.
pub(crate) fn play(seed: u64, given: Option<&[Step]>, story: &mut Vec<Step>) {
    let mut random = Rng::with_seed(seed);
    let broker = ScriptedBroker::cluster(NODES as usize);
    let committed = random.bool();
    let logs = fill(&broker, committed, &mut random);
    let policies = [OffsetReset::Earliest, OffsetReset::Latest, OffsetReset::None];
    let policy = policies[[0, 0, 0, 1, 2][random.usize(..5)]];
    let builder = options(&broker, &mut random)
        .isolation_level(if committed { "read_committed" } else { "read_uncommitted" })
        .auto_offset_reset(policy);
    let fuse = Fuse::new(AtomicUsize::new(usize::MAX));
    let expected = Expected::new(logs, policy);
    if random.bool() {
        let consumer = builder.build().expect("a consumer");
        Run { broker, consumer, expected, fuse, typed: false }.run(random, given, story);
    } else {
        let burning = fuse.clone();
        let deserializer = move |bytes: &[u8]| match burning.load(Ordering::Relaxed) {
            0 => Err("it was told to fail"),
            left => {
                burning.store(left - 1, Ordering::Relaxed);
                Ok(bytes.to_vec())
            }
        };
        let consumer = builder.value_deserializer(deserializer).build().expect("a consumer");
        Run { broker, consumer, expected, fuse, typed: true }.run(random, given, story);
    }
}

/// Topics with logs in which something stands already.
fn fill(broker: &ScriptedBroker, committed: bool, random: &mut Rng) -> Vec<Log> {
    let mut logs = Vec::new();
    // Now and then so much that an answer comes in several chunks.
    let largest = if random.u8(0..40) == 0 { 400_000 } else { 3_000 };
    for topic in &["a", "b", "c"][..random.usize(1..=3)] {
        let partitions = random.i32(1..=3);
        broker.create_topic(topic, partitions as usize);
        for partition in 0..partitions {
            let mut log = Log::new(topic, partition, committed, largest);
            for _ in 0..random.usize(0..10) {
                log.write(broker, random);
            }
            if random.u8(0..4) == 0 {
                log.delete_front(broker, random);
            }
            logs.push(log);
        }
    }
    logs
}

fn options(broker: &ScriptedBroker, random: &mut Rng) -> ConsumerBuilder {
    let mut pick = |of: &[i32]| of[random.usize(..of.len())];
    KafkaConsumer::builder()
        .bootstrap_servers(broker.addresses())
        .consumer_timeout_ms(SHORT)
        .fetch_max_wait_ms(Duration::from_millis(pick(&[2, 5, 20]) as u64))
        .retry_backoff_ms(2)
        .reconnect_backoff_ms(1)
        .max_partition_fetch_bytes(pick(&[1, 150, 1_000, 1 << 20]))
        .fetch_max_bytes(pick(&[1, 400, 50 << 20, 50 << 20]))
        .max_poll_records(pick(&[1, 3, 500]) as usize)
        .enable_incremental_fetch_sessions(pick(&[0, 1, 1]) == 1)
}

struct Run<V: ?Sized + Content> {
    broker: ScriptedBroker,
    consumer: KafkaConsumer<Raw, V>,
    expected: Expected,
    fuse: Fuse,
    /// Whether there is a deserializer.
    typed: bool,
}

impl<V: ?Sized + Content> Run<V> {
    fn run(mut self, mut random: Rng, given: Option<&[Step]>, story: &mut Vec<Step>) {
        let length = given.map_or_else(|| random.usize(10..40), <[Step]>::len);
        for n in 0..length {
            let step =
                given.map_or_else(|| choose(&self.expected, &mut random), |given| given[n].clone());
            story.push(step.clone());
            if let Some(step) = fit(step, &self.expected) {
                self.take(step);
                self.compare();
            }
        }
        self.drain();
    }

    // Steps

    fn take(&mut self, step: Step) {
        match step {
            Step::Next => self.wait(Self::next),
            Step::Poll => {
                self.poll(Duration::ZERO, None);
            }
            Step::PollMax(max) => self.wait(|run, time| run.poll(time, Some(max))),
            Step::PollBatch => self.wait(Self::poll_batch),
            Step::Fail { after, poll } => self.fail(after, poll),
            Step::Append(n, seed) => {
                self.expected.logs[n].write(&self.broker, &mut Rng::with_seed(seed));
            }
            Step::MoveLeader(n, leader) => {
                let log = &self.expected.logs[n];
                self.broker.move_leader(log.topic, log.partition, leader);
            }
            Step::CloseConnections(node) => self.broker.close_connections(node),
            Step::Assign(partitions) => self.assign(&partitions),
            Step::AssignAnew(partitions) => {
                self.consumer.unsubscribe().unwrap();
                self.expected.assign(&[]);
                self.compare();
                self.assign(&partitions);
            }
            other => self.move_on(other),
        }
    }

    /// What is done with partitions that are assigned.
    fn move_on(&mut self, step: Step) {
        let Self { consumer, expected, broker, .. } = self;
        match step {
            Step::Seek(n, offset) => {
                consumer.seek(expected.name(n), offset).unwrap();
                expected.seek(n, offset);
            }
            Step::SeekInEpoch(n, offset) => {
                let (plain, epoch) =
                    (OffsetAndMetadata::new(offset), expected.logs[n].epoch_before(broker, offset));
                let to = plain.with_leader_epoch(epoch);
                consumer.seek(expected.name(n), to).unwrap();
                expected.seek(n, offset);
            }
            Step::SeekToBeginning(partitions) => {
                consumer.seek_to_beginning(names(expected, &partitions)).unwrap();
                partitions.iter().for_each(|n| expected.seek_to_beginning(*n));
            }
            Step::SeekToEnd(partitions) => {
                consumer.seek_to_end(names(expected, &partitions)).unwrap();
                partitions.iter().for_each(|n| expected.seek_to_end(*n));
            }
            Step::Position(n) => self.see_position(n, PATIENCE),
            Step::Pause(partitions) => {
                consumer.pause(names(expected, &partitions)).unwrap();
                expected.set_paused(&partitions, true);
            }
            Step::Resume(partitions) => {
                consumer.resume(names(expected, &partitions)).unwrap();
                expected.set_paused(&partitions, false);
            }
            other => unreachable!("{other:?}"),
        }
    }

    fn assign(&mut self, partitions: &[usize]) {
        self.consumer.assign(names(&self.expected, partitions)).unwrap();
        self.expected.assign(partitions);
    }

    /// Reads until a record comes, if one must come; otherwise once, for a short time.
    fn wait(&mut self, mut read: impl FnMut(&mut Self, Duration) -> usize) {
        if !self.expected.must_come() {
            read(self, SHORT);
            return;
        }
        let start = Instant::now();
        // Errors about other partitions, and `consumer_timeout_ms`, end calls before.
        while read(self, PATIENCE) == 0 {
            assert!(start.elapsed() < PATIENCE, "no record came: {:?}", self.expected.assigned);
        }
    }

    /// Says how many records came.
    fn next(&mut self, _: Duration) -> usize {
        match self.consumer.next() {
            None => 0,
            Some(Ok(record)) => self.take_records([&record]),
            Some(Err(error)) => self.take_error(&error),
        }
    }

    fn poll(&mut self, time: Duration, max: Option<usize>) -> usize {
        let polled = match max {
            Some(max) => self.consumer.poll_max(time, max),
            None => self.consumer.poll(time),
        };
        match polled {
            Err(error) => self.take_error(&error),
            Ok(polled) => {
                assert!(max.is_none_or(|max| polled.count() <= max), "{}", polled.count());
                let records: Vec<_> = polled.into_records().collect();
                assert!(time < PATIENCE || !records.is_empty(), "no record came");
                self.take_records(&records)
            }
        }
    }

    fn poll_batch(&mut self, time: Duration) -> usize {
        let batch = match self.consumer.poll_batch(time) {
            Err(error) => return self.take_error(&error),
            Ok(batch) => batch,
        };
        let Some(batch) = batch else {
            assert!(time < PATIENCE, "no batch came");
            return 0;
        };
        let mut count = 0;
        for record in &batch {
            let record = record.unwrap();
            self.expected.take(batch.partition(), record.offset(), record.value());
            count += 1;
        }
        assert_eq!(count, batch.len(), "{batch:?}");
        // It is handed out as a whole.
        let n = self.expected.number(batch.partition());
        self.expected.see_position(n, Some(batch.next_offset()));
        count
    }

    fn fail(&mut self, after: usize, poll: bool) {
        self.fuse.store(after, Ordering::Relaxed);
        if poll {
            self.poll(SHORT, None);
        } else {
            for _ in 0..=after {
                self.next(SHORT);
            }
        }
        self.fuse.store(usize::MAX, Ordering::Relaxed);
    }

    // What came

    fn take_records<'a>(
        &mut self,
        records: impl IntoIterator<Item = &'a ConsumerRecord<Raw, V>>,
    ) -> usize
    where
        V: 'a,
    {
        let before = self.expected.count;
        for record in records {
            self.expected.take(&record.topic_partition(), record.offset(), record.raw_value());
        }
        self.expected.count - before
    }

    fn take_error(&mut self, error: &Error) -> usize {
        let fails = self.typed && self.fuse.load(Ordering::Relaxed) == 0;
        self.expected.take_error(error, fails);
        0
    }

    // Comparing

    /// What the consumer says of itself is what the model says.
    fn compare(&mut self) {
        assert_eq!(self.consumer.assignment().unwrap(), self.expected.assignment());
        assert_eq!(self.consumer.paused().unwrap(), self.expected.paused());
        for n in self.expected.assigned.keys().copied().collect::<Vec<_>>() {
            self.see_position(n, Duration::ZERO);
            self.compare_marks(n);
        }
    }

    fn see_position(&mut self, n: usize, time: Duration) {
        match self.consumer.position_timeout(self.expected.name(n), time) {
            Ok(position) => self.expected.see_position(n, Some(position)),
            Err(Error::Timeout { cause, .. }) => {
                assert!(time < PATIENCE, "no position: {cause}");
                self.expected.see_position(n, None);
            }
            Err(error) => self.expected.take_error(&error, false),
        }
    }

    /// The ends of logs are not behind what was written, and lag is what is between.
    fn compare_marks(&self, n: usize) {
        let (name, reading) = (self.expected.name(n), &self.expected.assigned[&n]);
        let Some(high) = self.consumer.highwater(name.clone()).unwrap() else { return };
        assert!((0..=self.expected.logs[n].end()).contains(&high), "{name} ends at {high}");
        let lag = self.consumer.lag(name.clone()).unwrap();
        if let Place::At(position) | Place::Outside(position) = reading.place {
            let lag = lag.unwrap_or_else(|| panic!("{name} is at {position} and has no lag"));
            assert!(
                (0..=(high - position).max(0)).contains(&lag),
                "{name} lags {lag} behind {high}"
            );
        } else {
            assert_eq!(lag, None, "{name} has no position");
        }
    }

    /// What is left of all partitions comes, and nothing more.
    fn drain(&mut self) {
        let all: Vec<usize> = (0..self.expected.logs.len()).collect();
        self.assign(&all);
        let Self { consumer, expected, .. } = self;
        consumer.resume(names(expected, &all)).unwrap();
        expected.set_paused(&all, false);
        for n in all {
            let start = expected.logs[n].start();
            let place = expected.assigned[&n].place;
            if matches!(place, Place::Nowhere | Place::Outside(_)) {
                consumer.seek(expected.name(n), start).unwrap();
                expected.seek(n, start);
            }
        }
        while self.expected.must_come() {
            self.wait(|run, time| run.poll(time, None));
        }
        self.poll(SHORT, None);
        self.compare();
    }
}

fn names(expected: &Expected, partitions: &[usize]) -> Vec<TopicPartition> {
    partitions.iter().map(|n| expected.name(*n)).collect()
}
