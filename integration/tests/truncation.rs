//! Whether a reader of records that an unclean election took away goes on as it should, and never silently.
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

use kafka_blocking::{Error, KafkaConsumer};
use kafka_blocking_integration::{Cluster, Truncation, Way, open};

#[test]
fn what_was_read_of_a_lost_log_is_left_for_the_new_one_or_is_an_error() {
    let (cluster, _turn) = three_nodes();
    let cluster = &cluster;
    let truncation = Truncation::prepare(cluster, "read", 2);
    let mut readers: Vec<Reader> =
        ["earliest", "latest", "none"].map(|policy| Reader::new(cluster, "read", policy)).into();
    for reader in &mut readers {
        reader.read_until("all that is there", |read| read.iter().all(|r| r.len() == 30));
    }
    // The new log of partition 0 is shorter than what was read, that of partition 1 longer.
    truncation.happen(&[5, 40]);
    for reader in &mut readers[..2] {
        reader.read_until("the others", |read| read[0].len() == 35 && read[1].len() == 70);
        assert_eq!(reader.read[0], [kept(), lost(30), others(5)].concat(), "{}", reader.policy);
        assert_eq!(reader.read[1], [kept(), lost(30), others(40)].concat(), "{}", reader.policy);
        reader.assert_at_the_ends();
    }
    let reader = &mut readers[2];
    reader.wait_for_truncation();
    reader.assert_fails_at(30);
    truncation.reunite();
    reader.assert_fails_at(30);
    reader.go_on_from_divergent(1, 70);
    reader.go_on_from_divergent(0, 35);
    assert_eq!(reader.read[0], [kept(), lost(30), others(5)].concat());
    assert_eq!(reader.read[1], [kept(), lost(30), others(40)].concat());
    reader.assert_at_the_ends();
}

#[test]
fn what_is_buffered_of_a_lost_log_never_comes_after_the_new_one() {
    let (cluster, _turn) = three_nodes();
    let cluster = &cluster;
    // Handed out of each partition: some of what both logs have, just that, some of what is lost, as far as the new log
    // goes, and all but one.
    let handed_out: [i64; 5] = [4, 10, 13, 15, 29];
    let truncation = Truncation::prepare(cluster, "buffered", 10);
    let policies = ["earliest", "latest", "none"];
    let mut readers: Vec<(bool, Reader)> = [false, true]
        .into_iter()
        .flat_map(|notices| policies.map(|policy| (notices, policy)))
        .map(|(notices, policy)| (notices, Reader::new(cluster, "buffered", policy)))
        .collect();
    for (_, reader) in &mut readers {
        reader.hand_out(|partition| handed_out[partition % 5]);
    }
    truncation.happen(&[5, 5, 5, 5, 5, 40, 40, 40, 40, 40]);
    for (notices, reader) in &mut readers {
        if *notices {
            reader.notice(|partition| handed_out[partition % 5]);
        }
        let end = |partition: usize| if partition < 5 { "other 14" } else { "other 49" };
        let truncations = reader.read_through_truncations(end);
        for (partition, read) in reader.read.iter().enumerate() {
            let what = format!("{}, notices {notices}, partition {partition}", reader.policy);
            // Who reads on is given what is buffered first.
            let from_lost = if *notices { handed_out[partition % 5].max(10) } else { 30 };
            let others = others(if partition < 5 { 5 } else { 40 });
            assert_eq!(*read, [kept(), lost(from_lost), others].concat(), "{what}");
            let told = truncations.get(&partition).copied();
            let wanted = (reader.policy == "none" && from_lost > 10).then_some(from_lost);
            assert_eq!(told, wanted, "{what}");
        }
        reader.assert_at_the_ends();
    }
}

/// A consumer of a topic, and the values that it was handed by partition.
struct Reader {
    policy: &'static str,
    consumer: KafkaConsumer,
    topic: &'static str,
    read: Vec<Vec<String>>,
}

impl Reader {
    fn new(cluster: &Cluster, topic: &'static str, policy: &'static str) -> Self {
        let partitions = cluster.java().describe(topic).len();
        let options = [("auto_offset_reset", policy), ("consumer_timeout_ms", "500")];
        let count = i32::try_from(partitions).unwrap();
        let consumer = open(cluster.bootstrap(), topic, count, &options);
        for partition in 0..count {
            consumer.seek((topic, partition), 0).unwrap();
        }
        Self { policy, consumer, topic, read: vec![Vec::new(); partitions] }
    }

    fn at(&self, partition: usize) -> (&'static str, i32) {
        (self.topic, i32::try_from(partition).unwrap())
    }

    fn read_until(&mut self, what: &str, holds: impl Fn(&[Vec<String>]) -> bool) {
        let patience = Instant::now() + PATIENCE;
        while !holds(&self.read) {
            assert!(Instant::now() < patience, "{}: no {what}: {:#?}", self.policy, self.read);
            self.step().unwrap();
        }
    }

    /// Reads one record of every partition in turn, so that some of each are handed out and the rest is buffered.
    fn hand_out(&mut self, count: impl Fn(usize) -> i64) {
        for partition in 0..self.read.len() {
            self.consumer.pause((0..self.read.len()).map(|p| self.at(p))).unwrap();
            self.consumer.resume([self.at(partition)]).unwrap();
            let patience = Instant::now() + PATIENCE;
            while self.consumer.position(self.at(partition)).unwrap() < count(partition) {
                assert!(Instant::now() < patience, "{partition}: {:#?}", self.read);
                self.step().unwrap();
            }
        }
        self.consumer.resume((0..self.read.len()).map(|p| self.at(p))).unwrap();
        for partition in 0..self.read.len() {
            assert_eq!(self.read[partition].len(), usize::try_from(count(partition)).unwrap());
        }
    }

    fn step(&mut self) -> Result<(), Error> {
        for record in Way::Next.read(&self.consumer, PATIENCE)? {
            assert_eq!(record.position, record.offset + 1);
            let value = record.value.expect("they have values");
            assert!(
                value.ends_with(&format!(" {}", record.offset)),
                "{value} at {}",
                record.offset
            );
            self.read[usize::try_from(record.partition).unwrap()].push(value);
        }
        Ok(())
    }

    fn has_last(&self, last: impl Fn(usize) -> &'static str) -> bool {
        let mut read = self.read.iter().enumerate();
        read.all(|(partition, read)| read.last().is_some_and(|value| value == last(partition)))
    }

    /// Learns of the truncation while records are buffered, by asking for offsets.
    fn notice(&self, handed_out: impl Fn(usize) -> i64) {
        let patience = Instant::now() + PATIENCE;
        let noticed = |partition: usize| match self.consumer.position(self.at(partition)) {
            Ok(position) => position == handed_out(partition).min(Truncation::KEPT),
            Err(error) => truncation(&error) == (partition, handed_out(partition)),
        };
        while !(0..self.read.len()).all(noticed) {
            assert!(Instant::now() < patience, "{}", self.policy);
            self.consumer.end_offsets(self.consumer.assignment().unwrap()).unwrap();
        }
    }

    /// Reads until everything came, and goes where truncations say; tells where the partitions were then.
    fn read_through_truncations(
        &mut self,
        last: impl Fn(usize) -> &'static str,
    ) -> BTreeMap<usize, i64> {
        let mut truncations = BTreeMap::new();
        let patience = Instant::now() + PATIENCE;
        while !self.has_last(&last) {
            assert!(Instant::now() < patience, "{}: {:#?}", self.policy, self.read);
            if let Err(error) = self.step() {
                let (partition, offset) = truncation(&error);
                assert_eq!(truncations.insert(partition, offset), None, "{error}");
                self.consumer.seek(self.at(partition), Truncation::KEPT).unwrap();
            }
        }
        truncations
    }

    /// Errors come again and again, in every way to read, and the positions stay.
    fn assert_fails_at(&self, position: i64) {
        for partition in 0..self.read.len() {
            let error = self.consumer.position_timeout(self.at(partition), PATIENCE).unwrap_err();
            assert_eq!(truncation(&error), (partition, position));
        }
        for way in [Way::ALL, Way::ALL].concat() {
            let error = way.read(&self.consumer, PATIENCE).unwrap_err();
            assert_eq!(truncation(&error), (0, position), "{way:?}");
        }
    }

    /// Polls until all partitions turn out to be truncated.
    fn wait_for_truncation(&self) {
        let patience = Instant::now() + PATIENCE;
        let truncated = |partition| self.consumer.position(self.at(partition)).is_err();
        while !(0..self.read.len()).all(truncated) {
            assert!(Instant::now() < patience, "{}", self.policy);
            if let Ok(polled) = self.consumer.poll(SOON) {
                assert!(polled.is_empty(), "{:?}", polled.into_records().next());
            }
        }
    }

    /// Goes where the error says, and reads what is there, also between the errors of other partitions.
    fn go_on_from_divergent(&mut self, partition: usize, end: usize) {
        let error = self.consumer.position(self.at(partition)).unwrap_err();
        let (at, offset) = error.next_position().expect("the leader can tell");
        assert_eq!((&at, offset), (&self.at(partition).into(), Truncation::KEPT));
        self.consumer.seek(at, offset).unwrap();
        let patience = Instant::now() + PATIENCE;
        while self.read[partition].len() < end {
            assert!(Instant::now() < patience, "{:#?}", self.read);
            if let Err(error) = self.step() {
                assert_eq!(truncation(&error).0, 0);
            }
        }
    }

    fn assert_at_the_ends(&self) {
        let partitions = self.consumer.assignment().unwrap();
        for (partition, end) in self.consumer.end_offsets(&partitions).unwrap() {
            assert_eq!(self.consumer.position(&partition).unwrap(), end, "{partition}");
        }
    }
}

/// The partition and the position of a truncation whose logs part where these do.
fn truncation(error: &Error) -> (usize, i64) {
    match error {
        Error::LogTruncation { partition, offset, divergent } => {
            assert_eq!(*divergent, Some(Truncation::KEPT), "{error}");
            (usize::try_from(partition.partition()).unwrap(), *offset)
        }
        other => panic!("{other}"),
    }
}

fn kept() -> Vec<String> {
    (0..Truncation::KEPT).map(|number| format!("kept {number}")).collect()
}

fn lost(end: i64) -> Vec<String> {
    (Truncation::KEPT..end).map(|number| format!("lost {number}")).collect()
}

fn others(count: i64) -> Vec<String> {
    (Truncation::KEPT..Truncation::KEPT + count).map(|number| format!("other {number}")).collect()
}

/// One test at a time, each with nodes of its own to lose.
fn three_nodes() -> (Cluster, MutexGuard<'static, ()>) {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(|poison| poison.into_inner());
    (Cluster::release("4.4.0").nodes(3).start(), turn)
}

const SOON: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(20);
