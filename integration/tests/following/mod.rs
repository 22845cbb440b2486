//! A consumer on a thread of its own, what it was handed, and whether that is what was written.
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard,
        mpsc::{self, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime},
};

use kafka_blocking::{ConsumerBuilder, ConsumerHandle};
use kafka_blocking_integration::Acknowledged;

/// Reads a topic from its beginning until it is told to stop.
pub(crate) struct Following {
    handle: ConsumerHandle,
    received: Arc<Mutex<Vec<Acknowledged>>>,
    thread: JoinHandle<()>,
}

impl Following {
    /// With a consumer of what is to be read.
    pub(crate) fn start(builder: ConsumerBuilder) -> Self {
        let received = Arc::new(Mutex::new(Vec::new()));
        let (sender, handles) = mpsc::channel();
        let list = Arc::clone(&received);
        let builder = builder.auto_offset_reset("earliest");
        let thread = thread::spawn(move || {
            // Tests see the panic's text in their output, and that the thread is gone.
            follow(builder, &sender, &list).expect("no fault is an error to the caller");
        });
        let handle = handles.recv().expect("the consumer was built");
        Self { handle, received, thread }
    }

    pub(crate) fn count(&self) -> usize {
        lock(&self.received).len()
    }

    pub(crate) fn wait_for(&self, count: usize, within: Duration) {
        let patience = Instant::now() + within;
        while self.count() < count {
            assert!(!self.thread.is_finished(), "the consumer ended early");
            assert!(
                Instant::now() < patience,
                "{} records within {within:?}, not {count}",
                self.count()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for the records that are still missing, ends the consumer and returns what it was handed.
    pub(crate) fn finish(self, count: usize) -> Vec<Acknowledged> {
        self.wait_for(count, Duration::from_secs(20));
        self.handle.stop();
        self.thread.join().expect("the consumer ends without an error");
        lock(&self.received).clone()
    }
}

fn follow(
    builder: ConsumerBuilder,
    handle: &Sender<ConsumerHandle>,
    list: &Mutex<Vec<Acknowledged>>,
) -> kafka_blocking::Result<()> {
    let consumer = builder.build()?;
    handle.send(consumer.handle()).expect("the test waits for it");
    for record in &consumer {
        let record = record?;
        let (partition, offset) = (record.partition(), record.offset());
        let number = record.value().and_then(|value| std::str::from_utf8(value).ok());
        let number = number.and_then(|text| text.parse().ok()).expect("the writer writes numbers");
        lock(list).push(Acknowledged { partition, offset, number, at_ms: now_ms() });
    }
    Ok(())
}

pub(crate) fn assert_each_once_in_order(acknowledged: &[Acknowledged], received: &[Acknowledged]) {
    let expected =
        by_partition(acknowledged, |records| records.sort_by_key(|record| record.offset));
    let found = by_partition(received, |_| ());
    for (partition, expected) in &expected {
        let found = found.get(partition).map_or(&[][..], Vec::as_slice);
        let differs = expected.iter().zip(found).position(|(wanted, got)| wanted != got);
        if let Some(at) = differs {
            panic!(
                "partition {partition}: (offset, number) {:?} were acknowledged, {:?} arrived",
                &expected[at..][..1],
                &found[at..][..1]
            );
        }
        assert_eq!(found.len(), expected.len(), "partition {partition}: how many records arrived");
    }
}

/// Offset and number of each record, in the order in which they came.
fn by_partition(
    records: &[Acknowledged],
    order: impl Fn(&mut Vec<Acknowledged>),
) -> BTreeMap<i32, Vec<(i64, i64)>> {
    let mut sorted = BTreeMap::<i32, Vec<Acknowledged>>::new();
    for record in records {
        sorted.entry(record.partition).or_default().push(*record);
    }
    let pairs = |mut records: Vec<Acknowledged>| {
        order(&mut records);
        records.iter().map(|record| (record.offset, record.number)).collect()
    };
    sorted.into_iter().map(|(partition, records)| (partition, pairs(records))).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poison| poison.into_inner())
}

pub(crate) fn now_ms() -> u64 {
    let now =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is later than 1970");
    u64::try_from(now.as_millis()).expect("for a while yet")
}
