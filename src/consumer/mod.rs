//! [`KafkaConsumer`]: the public methods, each a few lines over the loop and the machines.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    fmt,
    sync::Arc,
    time::Duration,
};

use crate::{
    Error, IsolationLevel, PartitionAssignor, Result, subscriptions::Mode, types::TopicPartition,
};

mod batch;
mod closing;
mod commits;
pub mod cursor;
mod deserializer;
mod driver;
mod finally;
mod group;
mod handle;
mod in_hand;
mod iter;
mod keeper;
mod listener;
pub mod machines;
mod offsets;
pub mod options;
mod positions;
mod reading;
mod record;
mod records;
mod selector;
mod topics;

pub use batch::{BatchRecords, RecordBatch};
use commits::Outcomes;
pub use commits::PendingCommit;
use cursor::Cursor;
use deserializer::Deserializers;
pub use deserializer::{Deserializer, Utf8};
use driver::{Driver, Ended, deadline};
pub use group::ConsumerGroupMetadata;
pub use handle::ConsumerHandle;
pub use iter::Records;
use keeper::{Keeper, Shared};
pub use listener::ConsumerRebalanceListener;
use listener::Slot;
pub use options::{ConsumerBuilder, OffsetReset};
pub use positions::ALL_ASSIGNED;
pub use record::{ConsumerRecord, Content, Raw, RecordBuilder};
pub use records::ConsumerRecords;

/// Reads records from a Kafka cluster, blocking.
///
/// Every method takes `&self`, so what a kafka-python program does inside its loop compiles here too. The consumer may
/// move to another thread but is not shared between threads (it is `Send` and not `Sync`); what other threads and
/// signal handlers may do is wake it up or stop it, through its [`handle`](Self::handle).
///
/// ```
/// # let broker = scripted_broker::ScriptedBroker::start();
/// # broker.create_topic("my-topic", 1);
/// # broker.append("my-topic", 0, ["a", "b", "c"]);
/// # let servers = broker.address();
/// use kafka_blocking::KafkaConsumer;
///
/// let consumer = KafkaConsumer::builder()
///     .topics(["my-topic"])
///     .bootstrap_servers(servers)
///     .auto_offset_reset("earliest")
///     .consumer_timeout_ms(500)
///     .build()?;
/// for record in &consumer {
///     let record = record?;
///     if record.offset() == 0 {
///         consumer.seek(record.topic_partition(), 2)?; // inside its own loop
///     }
///     println!("{}:{}:{} {:?}", record.topic(), record.partition(), record.offset(), record.value());
/// }
/// assert_eq!(consumer.position(("my-topic", 0))?, 3);
/// # Ok::<(), kafka_blocking::Error>(())
/// ```
///
/// kafka-python: `KafkaConsumer`.
pub struct KafkaConsumer<K: ?Sized + Content = Raw, V: ?Sized + Content = Raw> {
    /// What is touched for every record: no lock.
    cursor: RefCell<Cursor>,
    /// The machines and the sockets: entered when the cursor runs dry, or a call needs them.
    shared: Arc<Shared>,
    /// Runs while there is a membership to keep alive.
    keeper: RefCell<Option<Keeper>>,
    listener: Slot<K, V>,
    assignors: RefCell<Vec<Box<dyn PartitionAssignor>>>,
    outcomes: Outcomes,
    deserializers: Deserializers<K, V>,
    limits: Limits,
    closed: Cell<bool>,
}

/// The options that the methods themselves use.
#[derive(Clone, Copy, Debug)]
struct Limits {
    max_poll_records: usize,
    consumer_timeout: Option<Duration>,
    api_timeout: Duration,
    request_timeout: Duration,
    /// Whether positions are committed without being asked for.
    auto_commit: bool,
    read_committed: bool,
    exclude_internal_topics: bool,
}

impl KafkaConsumer {
    /// Starts with every option at its default; see [`ConsumerBuilder`].
    ///
    /// ```
    /// let builder = kafka_blocking::KafkaConsumer::builder().topics("my-topic");
    /// ```
    #[must_use]
    pub fn builder() -> ConsumerBuilder {
        ConsumerBuilder::new()
    }
}

impl<K: ?Sized + Content, V: ?Sized + Content> KafkaConsumer<K, V> {
    /// Makes the consumer, and connects it: the end of [`ConsumerBuilder::build`].
    fn connect(
        options: options::Resolved,
        resolver: Arc<dyn crate::Resolver>,
        deserializers: Deserializers<K, V>,
    ) -> Result<Self> {
        let (mut driver, signals) = Driver::new(&options, resolver)?;
        let started = driver.now();
        if !options.topics.is_empty() {
            let topics = options.topics.iter().map(|t| t.as_str().into()).collect();
            driver.machines.subscriptions.subscribe(topics, driver.machines.metadata.cluster())?;
            driver.machines.subscription_changed(started);
        }
        let until = deadline(options.bootstrap_timeout);
        let ended = driver.run_until(until, &signals, |m| match m.metadata.last_error() {
            Some(error @ Error::UnsupportedVersion { .. }) => Some(Err(error.clone())),
            _ => (m.metadata.answers() > 0).then_some(Ok(())),
        })?;
        match ended {
            Ended::Done(result) => result?,
            Ended::TimedOut | Ended::Signalled => {
                let error = driver.machines.timeout(
                    "bootstrap",
                    options.bootstrap_timeout,
                    "",
                    driver.now(),
                );
                let Error::Timeout { cause, .. } = error else { return Err(error) };
                return Err(Error::NoBrokersAvailable(cause));
            }
        }
        let pool = driver.machines.client.pool().clone();
        let consumer = Self {
            cursor: RefCell::new(Cursor::new(&options.fetch, pool)),
            shared: Arc::new(Shared::new(driver, signals)),
            keeper: RefCell::new(None),
            listener: Slot::new(),
            assignors: RefCell::new(options.assignors.assignors()),
            outcomes: Outcomes::new(options.commit_callback.clone()),
            deserializers,
            limits: Limits {
                max_poll_records: options.max_poll_records,
                consumer_timeout: options.consumer_timeout,
                api_timeout: options.api_timeout,
                request_timeout: options.connection.request_timeout,
                auto_commit: options.group.is_some_and(|group| group.auto_commit.is_some()),
                read_committed: options.fetch.isolation == IsolationLevel::ReadCommitted,
                exclude_internal_topics: options.exclude_internal_topics,
            },
            closed: Cell::new(false),
        };
        if !options.topics.is_empty() {
            consumer.start_keeper()?;
        }
        Ok(consumer)
    }

    // What to read

    /// Reads from these partitions from now on, in place of the ones before.
    ///
    /// A partition that was assigned before keeps its position; a new one begins where `auto_offset_reset` says, unless
    /// [`seek`](Self::seek) says otherwise. Does not block; whether the partitions exist is seen when they are read.
    ///
    /// ```
    /// # let broker = scripted_broker::ScriptedBroker::start();
    /// # broker.create_topic("t", 1);
    /// # broker.append("t", 0, ["a", "b", "c"]);
    /// # let consumer = kafka_blocking::KafkaConsumer::builder()
    /// #     .bootstrap_servers(broker.address()).auto_offset_reset("earliest").consumer_timeout_ms(500).build()?;
    /// use kafka_blocking::TopicPartition;
    ///
    /// consumer.assign([("t", 0)])?;
    /// consumer.assign([TopicPartition::new("t", 0), TopicPartition::new("u", 3)])?; // replaces
    /// assert_eq!(consumer.assignment()?.len(), 2);
    /// # Ok::<(), kafka_blocking::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::IllegalState`] after [`subscribe`](Self::subscribe); [`Error::IllegalArgument`] for a topic name that
    /// cannot be one, or a negative partition.
    ///
    /// kafka-python: `assign`.
    pub fn assign<I>(&self, partitions: I) -> Result<()>
    where
        I: IntoIterator,
        I::Item: Into<TopicPartition>,
    {
        let partitions: BTreeSet<TopicPartition> = partitions.into_iter().map(Into::into).collect();
        partitions.iter().try_for_each(check_partition)?;
        self.change_subscription(|driver| {
            let now = driver.now();
            let is_assigned = matches!(driver.machines.subscriptions.mode(), Mode::Assigned);
            if self.limits.auto_commit && is_assigned {
                // What is dropped is not committed any more otherwise.
                driver.machines.with_group(now, |group, cx| {
                    group.commit_positions(|p| !partitions.contains(p), self.limits.api_timeout, cx)
                });
            }
            driver.machines.subscriptions.assign(partitions)
        })?;
        self.start_keeper()
    }

    /// The partitions that are assigned now, in order. After [`subscribe`](Self::subscribe) it is empty until metadata
    /// has come; with a group, until calls of `poll` or `next` have joined it. The list is the caller's own. Does not block.
    ///
    /// ```
    /// # let broker = scripted_broker::ScriptedBroker::start();
    /// # broker.create_topic("t", 1);
    /// # broker.append("t", 0, ["a", "b", "c"]);
    /// # let consumer = kafka_blocking::KafkaConsumer::builder()
    /// #     .bootstrap_servers(broker.address()).auto_offset_reset("earliest").consumer_timeout_ms(500).build()?;
    /// assert!(consumer.assignment()?.is_empty());
    /// consumer.assign([("t", 0)])?;
    /// assert_eq!(consumer.assignment()?, [("t", 0).into()]);
    /// # Ok::<(), kafka_blocking::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Closed`].
    ///
    /// kafka-python: `assignment`.
    pub fn assignment(&self) -> Result<Vec<TopicPartition>> {
        self.with_driver(|driver| Ok(driver.machines.subscriptions.assignment().cloned().collect()))
    }

    // Life

    /// What other threads and signal handlers may hold: wakes the consumer up, or stops it.
    ///
    /// An example is at [`ConsumerHandle`].
    #[must_use]
    pub fn handle(&self) -> ConsumerHandle {
        ConsumerHandle::new(self.shared.signals.clone())
    }

    // Helpers

    /// Enters the machines, which are told first how far the caller has come; what they say of what is buffered is followed
    /// on the way out.
    fn with_driver<T>(&self, f: impl FnOnce(&mut Driver) -> Result<T>) -> Result<T> {
        let mut entered = self.shared.enter();
        let driver = entered.guard.as_mut().ok_or(Error::Closed)?;
        if let Some((ticket, place)) = self.cursor.borrow().position() {
            driver.machines.subscriptions.advance_position(ticket, place);
        }
        let result = f(driver);
        self.cursor.borrow_mut().follow(&mut driver.machines.subscriptions);
        driver.machines.follow();
        self.shared.signals.set_group(driver.machines.wants_caller(driver.now()));
        result
    }

    /// Has the membership kept alive while the caller is away, if there is going to be one; and has it called in when auto
    /// commit is due in the midst of a batch.
    fn start_keeper(&self) -> Result<()> {
        let shared = self.with_driver(|driver| Ok(driver.machines.subscriptions.is_shared()))?;
        let mut keeper = self.keeper.borrow_mut();
        if (shared || self.limits.auto_commit) && keeper.is_none() {
            let started = Keeper::start(self.shared.clone());
            *keeper = Some(started.map_err(|source| Error::Connection {
                node: "this machine".into(),
                step: "starting a thread",
                source: Arc::new(source),
            })?);
        }
        Ok(())
    }

    fn change_subscription(&self, change: impl FnOnce(&mut Driver) -> Result<()>) -> Result<()> {
        self.with_driver(|driver| {
            change(driver)?;
            let now = driver.now();
            driver.machines.subscription_changed(now);
            Ok(())
        })
    }
}

fn check_partition(partition: &TopicPartition) -> Result<()> {
    check_topic(partition.topic())?;
    if partition.partition() < 0 {
        let why = format!("{partition}: partitions count from 0");
        return Err(Error::IllegalArgument(why.into()));
    }
    Ok(())
}

fn check_topic(name: &str) -> Result<()> {
    let refused = options::Topics::check_name(name).err();
    refused.map_or(Ok(()), |r| {
        Err(Error::IllegalArgument(format!("{:?}: {}", r.value, r.allowed).into()))
    })
}

impl<K: ?Sized + Content, V: ?Sized + Content> fmt::Debug for KafkaConsumer<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaConsumer").field("closed", &self.closed.get()).finish_non_exhaustive()
    }
}
