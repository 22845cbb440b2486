//! What other threads may do with a consumer.

use std::{fmt, sync::Arc};

use crate::consumer::driver::Signals;

/// Wakes a [`KafkaConsumer`](crate::KafkaConsumer) up, or stops it, from another thread or a signal handler.
///
/// Get it from [`KafkaConsumer::handle`](crate::KafkaConsumer::handle), clone it, send it. Both methods are one atomic
/// operation and one write to a file descriptor: they take no lock and allocate nothing, so a signal handler may call
/// them. They work on a consumer that is gone, too, and do nothing then.
///
/// ```
/// # let broker = scripted_broker::ScriptedBroker::start();
/// # broker.create_topic("my-topic", 1);
/// # let builder = kafka_blocking::KafkaConsumer::builder().topics("my-topic").bootstrap_servers(broker.address());
/// let consumer = builder.build()?;
/// let handle = consumer.handle();
/// std::thread::spawn(move || {
///     std::thread::sleep(std::time::Duration::from_millis(100));
///     handle.stop();
/// });
/// for record in &consumer {
///     println!("{:?}", record?);
/// }
/// println!("stopped");
/// # Ok::<(), kafka_blocking::Error>(())
/// ```
#[derive(Clone)]
pub struct ConsumerHandle {
    signals: Arc<Signals>,
}

impl ConsumerHandle {
    pub(super) fn new(signals: Arc<Signals>) -> Self {
        Self { signals }
    }

    /// Ends the call that blocks now, or else the next one that would, with [`Error::Wakeup`](crate::Error::Wakeup).
    /// It counts once, is never lost, and loses no record.
    pub fn wakeup(&self) {
        self.signals.wakeup();
    }

    /// Ends iteration, now and for good: `next` gives `None`, and `poll` fails with
    /// [`Error::Wakeup`](crate::Error::Wakeup). Other methods still work, so that positions can be read.
    pub fn stop(&self) {
        self.signals.stop();
    }
}

impl fmt::Debug for ConsumerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsumerHandle").field("stopped", &self.signals.is_stopped()).finish()
    }
}
