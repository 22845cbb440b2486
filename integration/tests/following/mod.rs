//! A consumer with default options on a thread of its own, and what it was handed.
use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        mpsc::{self, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime},
};

use kafka_blocking::{ConsumerHandle, KafkaConsumer};
use kafka_blocking_integration::Acknowledged;

/// Reads a topic from its beginning until it is told to stop.
pub(crate) struct Following {
    handle: ConsumerHandle,
    received: Arc<Mutex<Vec<Acknowledged>>>,
    thread: JoinHandle<()>,
}

impl Following {
    pub(crate) fn start(bootstrap: &str, topic: &'static str) -> Self {
        let received = Arc::new(Mutex::new(Vec::new()));
        let (sender, handles) = mpsc::channel();
        let (bootstrap, list) = (bootstrap.to_owned(), Arc::clone(&received));
        let thread = thread::spawn(move || {
            // Tests see the panic's text in their output, and that the thread is gone.
            follow(bootstrap, topic, &sender, &list).expect("no fault is an error to the caller");
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
    bootstrap: String,
    topic: &str,
    handle: &Sender<ConsumerHandle>,
    list: &Mutex<Vec<Acknowledged>>,
) -> kafka_blocking::Result<()> {
    let consumer = KafkaConsumer::builder()
        .topics([topic])
        .bootstrap_servers(bootstrap)
        .auto_offset_reset("earliest")
        .build()?;
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poison| poison.into_inner())
}

pub(crate) fn now_ms() -> u64 {
    let now =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is later than 1970");
    u64::try_from(now.as_millis()).expect("for a while yet")
}
