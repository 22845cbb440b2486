//! [`KafkaConsumer`]: the public methods, each a few lines over the loop and the machines.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{Error, Result, fetcher::Item, subscriptions::Mode, types::TopicPartition};

mod cursor;
mod driver;
mod handle;
mod iter;
pub mod machines;
pub mod options;
mod record;
mod records;
mod selector;
mod topics;

use cursor::Cursor;
use driver::{Driver, Ended, Signals, deadline};
pub use handle::ConsumerHandle;
pub use iter::Records;
pub use options::{ConsumerBuilder, OffsetReset};
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
pub struct KafkaConsumer {
    /// What is touched for every record: no lock.
    cursor: RefCell<Cursor>,
    /// The machines and the sockets: entered when the cursor runs dry, or a call needs them.
    driver: Mutex<Option<Driver>>,
    signals: Arc<Signals>,
    limits: Limits,
    closed: Cell<bool>,
}

/// The options that the methods themselves use.
#[derive(Clone, Copy, Debug)]
struct Limits {
    max_poll_records: usize,
    consumer_timeout: Option<Duration>,
    api_timeout: Duration,
    exclude_internal_topics: bool,
}

impl KafkaConsumer {
    /// Starts with every option at its default; see [`ConsumerBuilder`].
    #[must_use]
    pub fn builder() -> ConsumerBuilder {
        ConsumerBuilder::new()
    }

    /// Makes the consumer, and connects it: the end of [`ConsumerBuilder::build`].
    fn connect(options: options::Resolved, resolver: Arc<dyn crate::Resolver>) -> Result<Self> {
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
        Ok(Self {
            cursor: RefCell::new(Cursor::new(&options.fetch, pool)),
            driver: Mutex::new(Some(driver)),
            signals,
            limits: Limits {
                max_poll_records: options.max_poll_records,
                consumer_timeout: options.consumer_timeout,
                api_timeout: options.api_timeout,
                exclude_internal_topics: true,
            },
            closed: Cell::new(false),
        })
    }

    // What to read

    /// Reads from these partitions from now on, in place of the ones before.
    ///
    /// A partition that was assigned before keeps its position; a new one begins where `auto_offset_reset` says, unless
    /// [`seek`](Self::seek) says otherwise. Does not block; whether the partitions exist is seen when they are read.
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
        for partition in &partitions {
            check_topic(partition.topic())?;
            if partition.partition() < 0 {
                return Err(Error::IllegalArgument(
                    format!("{partition}: partitions count from 0").into(),
                ));
            }
        }
        self.change_subscription(|driver| driver.machines.subscriptions.assign(partitions))
    }

    /// The partitions that are assigned now, in order. After [`subscribe`](Self::subscribe) it is empty until metadata
    /// has come. Does not block.
    ///
    /// # Errors
    /// [`Error::Closed`].
    ///
    /// kafka-python: `assignment`.
    pub fn assignment(&self) -> Result<Vec<TopicPartition>> {
        self.with_driver(|driver| Ok(driver.machines.subscriptions.assignment().cloned().collect()))
    }

    // Records

    /// Records that are there, by partition; waits up to `timeout` for the first.
    ///
    /// Gives up to `max_poll_records`; the rest comes with the next calls. Positions move on by what is given. Empty
    /// when nothing came in time, which is no error: a cluster that cannot be reached is tried again and again.
    /// With [`Duration::ZERO`] it gives what is there and does not wait.
    ///
    /// ```
    /// # let broker = scripted_broker::ScriptedBroker::start();
    /// # broker.create_topic("t", 1);
    /// # broker.append("t", 0, ["a", "b", "c"]);
    /// # let consumer = kafka_blocking::KafkaConsumer::builder()
    /// #     .topics("t").bootstrap_servers(broker.address()).auto_offset_reset("earliest").build()?;
    /// use std::time::Duration;
    ///
    /// let polled = consumer.poll(Duration::from_secs(5))?;
    /// assert_eq!(polled.count(), 3);
    /// for (partition, records) in polled {
    ///     println!("{} records of {partition}", records.len());
    /// }
    /// # Ok::<(), kafka_blocking::Error>(())
    /// ```
    ///
    /// # Errors
    /// Records before an error are given first, the error by the next call. [`Error::CorruptRecord`],
    /// [`Error::UnsupportedCodec`], [`Error::RecordTooLarge`]: the position stays, later calls repeat the error until the
    /// caller seeks, and other partitions go on in between. [`Error::OffsetOutOfRange`], [`Error::NoOffsetForPartition`]
    /// where `auto_offset_reset` is `none`. [`Error::TopicAuthorizationFailed`]. [`Error::Wakeup`] after
    /// [`ConsumerHandle::wakeup`] and [`ConsumerHandle::stop`]. [`Error::IllegalState`] while nothing is subscribed or
    /// assigned. [`Error::Closed`].
    ///
    /// kafka-python: `poll(timeout_ms)`.
    pub fn poll(&self, timeout: Duration) -> Result<ConsumerRecords> {
        self.poll_max(timeout, self.limits.max_poll_records)
    }

    /// As [`poll`](Self::poll), with another limit than `max_poll_records` for this call.
    ///
    /// # Errors
    /// As [`poll`](Self::poll); [`Error::IllegalArgument`] for a limit of zero.
    ///
    /// kafka-python: `poll(timeout_ms, max_records)`.
    pub fn poll_max(&self, timeout: Duration, max_records: usize) -> Result<ConsumerRecords> {
        if max_records == 0 {
            return Err(Error::IllegalArgument("max_records must be at least 1".into()));
        }
        let until = deadline(timeout);
        let mut polled = ConsumerRecords::new();
        if self.signals.any() && (self.signals.take_wakeup() || self.signals.is_stopped()) {
            return Err(Error::Wakeup);
        }
        loop {
            let mut cursor = self.cursor.borrow_mut();
            while polled.count() < max_records {
                let Some(record) = cursor.next_in_batch() else { break };
                polled.push(record);
            }
            drop(cursor);
            if polled.count() == max_records {
                return Ok(polled);
            }
            let patience = if polled.is_empty() { Patience::Until(until) } else { Patience::None };
            match self.advance(patience) {
                Ok(Advance::More) => {}
                Ok(Advance::Nothing) => return Ok(polled),
                Ok(Advance::Signalled) => return Err(Error::Wakeup),
                // Records are in hand, and counted as handed out: what is wrong shows again in the next call.
                Err(_) if !polled.is_empty() => return Ok(polled),
                Err(error) => return Err(error),
            }
        }
    }

    /// The next record; waits for it up to `consumer_timeout_ms`, by default for ever.
    ///
    /// `None` when that time is over, or the consumer was [stopped](ConsumerHandle::stop) or closed; after a time-out the
    /// next call goes on. The position moves on by one record a call. Mixes with [`poll`](Self::poll): nothing comes twice.
    ///
    /// # Errors
    /// As [`poll`](Self::poll).
    ///
    /// kafka-python: `next(consumer)`.
    #[inline]
    pub fn next(&self) -> Option<Result<ConsumerRecord>> {
        loop {
            if !self.signals.any()
                && let Some(record) = self.cursor.borrow_mut().next_in_batch()
            {
                return Some(Ok(record));
            }
            match self.make_ready() {
                Made::Ready => {}
                Made::End => return None,
                Made::Failed(error) => return Some(Err(*error)),
            }
        }
    }

    /// An iterator over records; the same as `for record in &consumer`.
    #[must_use]
    pub fn iter(&self) -> Records<'_> {
        Records::new(self)
    }

    // Positions

    /// Moves the position of a partition: the next record handed out is the first at or after `offset`.
    ///
    /// Whether the partition has such an offset is seen when it is fetched; `auto_offset_reset` decides if not. Does not
    /// block; what was buffered of the partition is dropped. When its leader is just holding back an answer until new
    /// records come, that request is given up with its connection, so that the records asked for come at once.
    ///
    /// # Errors
    /// [`Error::IllegalState`] where the partition is not assigned; [`Error::IllegalArgument`] for a negative offset.
    ///
    /// kafka-python: `seek`.
    pub fn seek(&self, partition: impl Into<TopicPartition>, offset: i64) -> Result<()> {
        let partition = partition.into();
        if offset < 0 {
            return Err(Error::IllegalArgument(
                format!("{partition}: offset {offset} is negative").into(),
            ));
        }
        self.with_driver(|driver| {
            let id = driver.machines.subscriptions.seek(&partition, offset)?;
            driver.machines.fetcher.discard(id);
            self.cursor.borrow_mut().discard(id);
            Ok(())
        })
    }

    /// The offset of the next record that will be handed out of a partition.
    ///
    /// Blocks only while the partition has no position yet, up to `default_api_timeout_ms`.
    ///
    /// # Errors
    /// [`Error::IllegalState`] where the partition is not assigned; [`Error::NoOffsetForPartition`] where it has no
    /// position and `auto_offset_reset` is `none`; [`Error::Timeout`] with what stands in the way; [`Error::Wakeup`].
    ///
    /// kafka-python: `position`.
    pub fn position(&self, partition: impl Into<TopicPartition>) -> Result<i64> {
        let partition = partition.into();
        let after = self.limits.api_timeout;
        let until = deadline(after);
        self.with_driver(|driver| {
            let id = driver.machines.subscriptions.id(&partition)?;
            let ended = driver.run_until(until, &self.signals, |m| {
                let state = m.subscriptions.state(id);
                if let Some(position) = state.and_then(|s| s.position.filter(|_| s.reset.is_none()))
                {
                    return Some(Ok(position));
                }
                if state.is_some_and(|s| s.reset == Some(OffsetReset::None)) {
                    return Some(Err(Error::NoOffsetForPartition { partition: partition.clone() }));
                }
                m.poll_error_about(partition.topic()).map(Err)
            })?;
            match ended {
                Ended::Done(result) => result,
                Ended::Signalled => Err(Error::Wakeup),
                Ended::TimedOut => {
                    let subject = format!("{partition} has no position");
                    Err(driver.machines.timeout("position", after, &subject, driver.now()))
                }
            }
        })
    }

    // Life

    /// What other threads and signal handlers may hold: wakes the consumer up, or stops it.
    #[must_use]
    pub fn handle(&self) -> ConsumerHandle {
        ConsumerHandle::new(self.signals.clone())
    }

    /// Closes all connections. Later calls fail with [`Error::Closed`], iteration ends; closing twice does nothing.
    /// Does not block. Dropping the consumer does the same.
    ///
    /// # Errors
    /// None as long as there is no group to leave.
    ///
    /// kafka-python: `close`.
    pub fn close(&self) -> Result<()> {
        self.closed.set(true);
        self.cursor.borrow_mut().clear();
        drop(self.lock().take());
        Ok(())
    }

    // Helpers

    fn lock(&self) -> MutexGuard<'_, Option<Driver>> {
        // No user code runs under the lock, so a panic there is ours, and the machines are as whole as before it.
        self.driver.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters the machines, which are told first how far the caller has come.
    fn with_driver<T>(&self, f: impl FnOnce(&mut Driver) -> Result<T>) -> Result<T> {
        let mut guard = self.lock();
        let driver = guard.as_mut().ok_or(Error::Closed)?;
        if let Some((id, position)) = self.cursor.borrow().position() {
            driver.machines.subscriptions.advance_position(id, position);
        }
        f(driver)
    }

    fn change_subscription(&self, change: impl FnOnce(&mut Driver) -> Result<()>) -> Result<()> {
        self.with_driver(|driver| {
            change(driver)?;
            let now = driver.now();
            driver.machines.subscription_changed(now);
            let mut cursor = self.cursor.borrow_mut();
            if cursor
                .position()
                .is_some_and(|(id, _)| driver.machines.subscriptions.state(id).is_none())
            {
                cursor.clear();
            }
            Ok(())
        })
    }

    /// Sees to it that the cursor has a record, for [`next`](Self::next). What it gives is small, so that the records of
    /// the hot path need not pass through memory that both share.
    #[cold]
    #[inline(never)]
    fn make_ready(&self) -> Made {
        if self.signals.is_stopped() || self.closed.get() {
            return Made::End;
        }
        if self.signals.take_wakeup() {
            return Made::Failed(Box::new(Error::Wakeup));
        }
        match self.advance(Patience::Fresh(self.limits.consumer_timeout)) {
            Ok(Advance::More) => Made::Ready,
            Ok(Advance::Nothing) => Made::End,
            Ok(Advance::Signalled) if self.signals.is_stopped() => Made::End,
            Ok(Advance::Signalled) => Made::Failed(Box::new(Error::Wakeup)),
            Err(error) => Made::Failed(Box::new(error)),
        }
    }

    /// Goes on to the next record, through the machines if need be.
    fn advance(&self, mut patience: Patience) -> Result<Advance> {
        loop {
            let next = self.cursor.borrow_mut().advance();
            match next {
                Ok(true) => return Ok(Advance::More),
                Ok(false) => {}
                // Records are in hand: the damage is met again by the next call.
                Err(_) if matches!(patience, Patience::None) => return Ok(Advance::Nothing),
                Err(damage) => return Err(self.report(damage)?),
            }
            // The clock is read when there is really something to wait for.
            if let Patience::Fresh(timeout) = patience {
                patience = Patience::Until(deadline(timeout.unwrap_or(Duration::MAX)));
            }
            match self.refill(patience)? {
                // Much may come that is no record for the caller: markers of transactions, or what lies before the position.
                Advance::More if self.cursor.borrow_mut().advance().is_ok_and(|has| !has) => {
                    if self.signals.any()
                        && (self.signals.take_wakeup() || self.signals.is_stopped())
                    {
                        return Ok(Advance::Signalled);
                    }
                    if matches!(patience, Patience::Until(until) if deadline(Duration::ZERO) >= until)
                    {
                        return Ok(Advance::Nothing);
                    }
                }
                Advance::More => {}
                nothing => return Ok(nothing),
            }
        }
    }

    /// Gives the cursor, which has run dry, something to hand out.
    fn refill(&self, patience: Patience) -> Result<Advance> {
        self.with_driver(|driver| {
            if *driver.machines.subscriptions.mode() == Mode::None {
                return Err(Error::IllegalState(
                    "nothing to read from: call subscribe() or assign() first".into(),
                ));
            }
            self.cursor.borrow_mut().clear();
            let until = match patience {
                Patience::None => {
                    // Records are in hand: what is not records waits for the next call.
                    if !driver.machines.fetcher.has_ready_records() {
                        driver.pump()?;
                        return Ok(Advance::Nothing);
                    }
                    driver.now()
                }
                Patience::Until(until) => until,
                Patience::Fresh(timeout) => deadline(timeout.unwrap_or(Duration::MAX)),
            };
            if !driver.machines.fetcher.has_ready() {
                let ended = driver.run_until(until, &self.signals, |m| {
                    if m.fetcher.has_ready() {
                        return Some(Ok(()));
                    }
                    let stuck = m.subscriptions.without_policy().cloned();
                    m.poll_error()
                        .or_else(|| {
                            stuck.map(|partition| Error::NoOffsetForPartition { partition })
                        })
                        .map(Err)
                })?;
                match ended {
                    Ended::Done(result) => result?,
                    Ended::TimedOut => return Ok(Advance::Nothing),
                    Ended::Signalled => return Ok(Advance::Signalled),
                }
            }
            self.take_ready(driver)?;
            if driver.machines.fetcher.wants_more() {
                driver.pump()?;
            }
            Ok(Advance::More)
        })
    }

    fn take_ready(&self, driver: &mut Driver) -> Result<()> {
        let now = driver.now();
        let machines = &mut driver.machines;
        let Some(ready) = machines.fetcher.take_ready() else { return Ok(()) };
        match ready.item {
            Item::Records(piece) => {
                if let Some(state) = machines.subscriptions.state(ready.id) {
                    self.cursor.borrow_mut().open(ready.id, state, piece);
                }
                Ok(())
            }
            item => machines.fetcher.settle(ready.id, item, &mut machines.subscriptions, now),
        }
    }

    /// Turns damaged data into an error for the caller; the partition is fetched again from its position.
    fn report(&self, damage: cursor::Damage) -> Result<Error> {
        self.with_driver(|driver| {
            let now = driver.now();
            self.cursor.borrow_mut().clear();
            driver.machines.fetcher.handle_damage(
                damage.id,
                &mut driver.machines.subscriptions,
                now,
            );
            Ok(damage.error)
        })
    }
}

fn check_topic(name: &str) -> Result<()> {
    let refused = options::Topics::check_name(name).err();
    refused.map_or(Ok(()), |r| {
        Err(Error::IllegalArgument(format!("{:?}: {}", r.value, r.allowed).into()))
    })
}

/// How long to wait for records.
#[derive(Clone, Copy, Debug)]
enum Patience {
    /// Not at all, and not for an error either: there are records in hand.
    None,
    /// This long, from when there is something to wait for; `None` is for ever.
    Fresh(Option<Duration>),
    Until(Instant),
}

/// What came of waiting for records.
enum Advance {
    More,
    Nothing,
    Signalled,
}

/// The same for `next`.
enum Made {
    Ready,
    End,
    Failed(Box<Error>),
}

impl fmt::Debug for KafkaConsumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaConsumer").field("closed", &self.closed.get()).finish_non_exhaustive()
    }
}
