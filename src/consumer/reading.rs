//! How records are waited for and handed out.

use std::time::{Duration, Instant};

use super::{
    ConsumerRecord, ConsumerRecords, Content, KafkaConsumer, RecordBatch, Records, cursor,
    driver::{Driver, Ended, deadline},
    in_hand::{InHand, Untaken},
};
use crate::{
    BoxError, DeserializationError, Error, RecordPart, Result,
    coordinator::{Attendance, Step},
    fetcher::Item,
    subscriptions::Mode,
};

impl<K: ?Sized + Content, V: ?Sized + Content> KafkaConsumer<K, V> {
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
    /// [`Error::UnsupportedCodec`], [`Error::RecordTooLarge`], [`Error::Deserialization`]: the position stays, later calls repeat the error until the
    /// caller seeks, and other partitions go on in between. [`Error::OffsetOutOfRange`], [`Error::NoOffsetForPartition`],
    /// [`Error::LogTruncation`] where `auto_offset_reset` is `none`. [`Error::TopicAuthorizationFailed`]. [`Error::Wakeup`] after
    /// [`ConsumerHandle::wakeup`](crate::ConsumerHandle::wakeup) and [`ConsumerHandle::stop`](crate::ConsumerHandle::stop).
    /// [`Error::IllegalState`] while nothing is subscribed or assigned. [`Error::Closed`].
    ///
    /// kafka-python: `poll(timeout_ms)`.
    pub fn poll(&self, timeout: Duration) -> Result<ConsumerRecords<K, V>> {
        self.poll_max(timeout, self.limits.max_poll_records)
    }

    /// As [`poll`](Self::poll), with another limit than `max_poll_records` for this call.
    ///
    /// ```
    /// # let broker = scripted_broker::ScriptedBroker::start();
    /// # broker.create_topic("t", 1);
    /// # broker.append("t", 0, ["a", "b", "c"]);
    /// # let consumer = kafka_blocking::KafkaConsumer::builder()
    /// #     .bootstrap_servers(broker.address()).auto_offset_reset("earliest").consumer_timeout_ms(500).build()?;
    /// use std::time::Duration;
    ///
    /// consumer.assign([("t", 0)])?;
    /// assert_eq!(consumer.poll_max(Duration::from_secs(5), 2)?.count(), 2);
    /// assert_eq!(consumer.poll_max(Duration::from_secs(5), 2)?.count(), 1);
    /// # Ok::<(), kafka_blocking::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`poll`](Self::poll); [`Error::IllegalArgument`] for a limit of zero.
    ///
    /// kafka-python: `poll(timeout_ms, max_records)`.
    pub fn poll_max(&self, timeout: Duration, max_records: usize) -> Result<ConsumerRecords<K, V>> {
        if max_records == 0 {
            return Err(Error::IllegalArgument("max_records must be at least 1".into()));
        }
        let until = deadline(timeout);
        let mut polled = InHand::new(self);
        self.begin("poll()")?;
        loop {
            while polled.records.count() < max_records {
                let taken = self.cursor.borrow_mut().next_in_batch();
                let Some(record) = taken else { break };
                match self.typed(record) {
                    Ok(record) => polled.records.push(record),
                    Err(error) if polled.records.is_empty() => return Err(error),
                    Err(_) => return Ok(polled.give()),
                }
            }
            if polled.records.count() == max_records {
                return Ok(polled.give());
            }
            let empty = polled.records.is_empty();
            match self.advance(if empty { Patience::Until(until) } else { Patience::None }) {
                Ok(Advance::More) => {}
                Ok(Advance::Nothing) => return Ok(polled.give()),
                Ok(Advance::Signalled) => return Err(Error::Wakeup),
                // Records are in hand, and counted as handed out: what is wrong shows again in the next call.
                Err(_) if !empty => return Ok(polled.give()),
                Err(error) => return Err(error),
            }
        }
    }

    /// The rest of a batch, or the next batch, as it was fetched; waits up to `timeout` for one. For those who look at many
    /// records and keep few: the records are borrowed from the batch, so that none costs a reference count.
    ///
    /// The position moves behind the batch at once. Deserializers are not used. `None` when nothing came in time.
    ///
    /// ```
    /// # let broker = scripted_broker::ScriptedBroker::start();
    /// # broker.create_topic("t", 1);
    /// # broker.append("t", 0, ["a", "b", "c"]);
    /// # let consumer = kafka_blocking::KafkaConsumer::builder()
    /// #     .topics("t").bootstrap_servers(broker.address()).auto_offset_reset("earliest").build()?;
    /// use std::time::Duration;
    ///
    /// let mut bytes = 0;
    /// while let Some(batch) = consumer.poll_batch(Duration::from_millis(500))? {
    ///     for record in &batch {
    ///         bytes += record?.value().map_or(0, <[u8]>::len);
    ///     }
    /// }
    /// assert_eq!(bytes, 3);
    /// # Ok::<(), kafka_blocking::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`poll`](Self::poll).
    ///
    /// There is no such method in kafka-python.
    pub fn poll_batch(&self, timeout: Duration) -> Result<Option<RecordBatch>> {
        let until = deadline(timeout);
        self.begin("poll_batch()")?;
        match self.advance(Patience::Until(until))? {
            Advance::More => Ok(self.cursor.borrow_mut().take_batch().map(RecordBatch::new)),
            Advance::Nothing => Ok(None),
            Advance::Signalled => Err(Error::Wakeup),
        }
    }

    /// The next record; waits for it up to `consumer_timeout_ms`, by default for ever.
    ///
    /// `None` when that time is over, or the consumer was [stopped](crate::ConsumerHandle::stop) or closed; after a time-out the
    /// next call goes on. The position moves on by one record a call. Mixes with [`poll`](Self::poll): nothing comes twice.
    ///
    /// ```
    /// # let broker = scripted_broker::ScriptedBroker::start();
    /// # broker.create_topic("t", 1);
    /// # broker.append("t", 0, ["a", "b", "c"]);
    /// # let consumer = kafka_blocking::KafkaConsumer::builder()
    /// #     .bootstrap_servers(broker.address()).auto_offset_reset("earliest").consumer_timeout_ms(500).build()?;
    /// consumer.assign([("t", 0)])?;
    /// while let Some(record) = consumer.next() {
    ///     println!("{:?}", record?.value());
    /// }
    /// # Ok::<(), kafka_blocking::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`poll`](Self::poll).
    ///
    /// kafka-python: `next(consumer)`.
    #[inline]
    pub fn next(&self) -> Option<Result<ConsumerRecord<K, V>>> {
        self.shared.presence.note_progress();
        let mut looked = !self.shared.signals.any();
        loop {
            if !(K::TYPED || V::TYPED) {
                // The hot path: the record is built where the caller wants it.
                if looked && let Some(record) = self.cursor.borrow_mut().next_in_batch() {
                    return Some(Ok(record.with_contents(K::untyped(), V::untyped())));
                }
            } else if looked {
                // Not borrowed while a deserializer runs.
                let taken = self.cursor.borrow_mut().next_in_batch();
                if let Some(record) = taken {
                    return Some(self.typed(record));
                }
            }
            match self.make_ready() {
                Made::Ready => looked = true,
                Made::End => return None,
                Made::Failed(error) => return Some(Err(*error)),
            }
        }
    }

    /// An iterator over records; the same as `for record in &consumer`.
    ///
    /// ```
    /// # let broker = scripted_broker::ScriptedBroker::start();
    /// # broker.create_topic("t", 1);
    /// # broker.append("t", 0, ["a", "b", "c"]);
    /// # let consumer = kafka_blocking::KafkaConsumer::builder()
    /// #     .bootstrap_servers(broker.address()).auto_offset_reset("earliest").consumer_timeout_ms(500).build()?;
    /// consumer.assign([("t", 0)])?;
    /// for record in consumer.iter().take(2) {
    ///     println!("{:?}", record?.value());
    /// }
    /// # Ok::<(), kafka_blocking::Error>(())
    /// ```
    #[must_use]
    pub fn iter(&self) -> Records<'_, K, V> {
        Records::new(self)
    }

    // Helpers

    /// What the deserializers make of a record that was taken off the cursor; it is put back where they fail, or panic.
    #[inline(always)]
    fn typed(&self, record: ConsumerRecord) -> Result<ConsumerRecord<K, V>> {
        let untaken = (K::TYPED || V::TYPED).then(|| Untaken::new(self, &record));
        let key = match K::read(&self.deserializers.key, &record, record.raw_key()) {
            Ok(key) => key,
            Err(error) => return Err(failed(&record, RecordPart::Key, error)),
        };
        let value = match V::read(&self.deserializers.value, &record, record.raw_value()) {
            Ok(value) => value,
            Err(error) => return Err(failed(&record, RecordPart::Value, error)),
        };
        std::mem::forget(untaken);
        Ok(record.with_contents(key, value))
    }

    /// What a call that reads does first: it heeds signals, and what its group wants.
    fn begin(&self, call: &str) -> Result<()> {
        self.shared.presence.note_progress();
        self.refuse_in_callback(call)?;
        if self.take_signal() {
            return Err(Error::Wakeup);
        }
        self.attend_group()
    }

    /// Does what the group wants of a caller who has come back from all that was handed out, without waiting for anything.
    fn attend_group(&self) -> Result<()> {
        while self.shared.signals.group() {
            let step = self.with_driver(|driver| {
                driver.machines.attendance = Attendance::Reading;
                let pumped = driver.pump();
                driver.machines.attendance = Attendance::Present;
                pumped?;
                Ok(driver.machines.step())
            })?;
            match step {
                Some(step) => self.take_step(step)?,
                None => break,
            }
        }
        Ok(())
    }

    /// Whether there is a wake-up, which counts for this call, or a stop.
    fn take_signal(&self) -> bool {
        self.shared.signals.any()
            && (self.shared.signals.take_wakeup() || self.shared.signals.is_stopped())
    }

    /// Sees to it that the cursor has a record, for [`next`](Self::next). What it gives is small, so that the records of
    /// the hot path need not pass through memory that both share.
    #[cold]
    #[inline(never)]
    fn make_ready(&self) -> Made {
        if self.shared.signals.is_stopped() || self.closed.get() {
            return Made::End;
        }
        if self.shared.signals.take_wakeup() {
            return Made::Failed(Box::new(Error::Wakeup));
        }
        if let Err(error) = self.refuse_in_callback("next()").and_then(|()| self.attend_group()) {
            return Made::Failed(Box::new(error));
        }
        match self.advance(Patience::Fresh(self.limits.consumer_timeout)) {
            Ok(Advance::More) => Made::Ready,
            Ok(Advance::Nothing) => Made::End,
            Ok(Advance::Signalled) if self.shared.signals.is_stopped() => Made::End,
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
            let refilled = match self.refill(patience)? {
                Refilled::Done(refilled) => refilled,
                Refilled::Step(step) => {
                    self.take_step(*step)?;
                    continue;
                }
            };
            match refilled {
                // Much may come that is no record for the caller: markers of transactions, or what lies before the position.
                Advance::More if self.cursor.borrow_mut().advance().is_ok_and(|has| !has) => {
                    if matches!(patience, Patience::None) {
                        // Records are in hand: they do not wait until all of that is read, and a signal waits for the next call.
                        return Ok(Advance::Nothing);
                    }
                    if self.take_signal() {
                        return Ok(Advance::Signalled);
                    }
                    let over = matches!(patience, Patience::Until(until) if deadline(Duration::ZERO) >= until);
                    if over {
                        return Ok(Advance::Nothing);
                    }
                }
                Advance::More => {}
                nothing => return Ok(nothing),
            }
        }
    }

    /// Gives the cursor, which has run dry, something to hand out.
    fn refill(&self, patience: Patience) -> Result<Refilled> {
        self.with_driver(|driver| {
            // With records in hand nothing is committed that the caller has not come back from.
            let in_hand = matches!(patience, Patience::None);
            driver.machines.attendance =
                if in_hand { Attendance::Present } else { Attendance::Reading };
            let refilled = self.refill_from(driver, patience);
            driver.machines.attendance = Attendance::Present;
            refilled
        })
    }

    fn refill_from(&self, driver: &mut Driver, patience: Patience) -> Result<Refilled> {
        if *driver.machines.subscriptions.mode() == Mode::None {
            return Err(Error::IllegalState(
                "nothing to read from: call subscribe() or assign() first".into(),
            ));
        }
        self.cursor.borrow_mut().clear();
        if self.cursor.borrow_mut().open_resumed() {
            return Ok(Refilled::Done(Advance::More));
        }
        let until = match patience {
            Patience::None => {
                // Records are in hand: what is not records waits for the next call.
                if !driver.machines.fetcher.has_ready_records() {
                    driver.pump()?;
                    return Ok(Refilled::Done(Advance::Nothing));
                }
                driver.now()
            }
            Patience::Until(until) => until,
            Patience::Fresh(timeout) => deadline(timeout.unwrap_or(Duration::MAX)),
        };
        let group = driver.machines.group.is_some() && !matches!(patience, Patience::None);
        if group || !driver.machines.fetcher.has_ready() {
            let ended = driver.run_until(until, &self.shared.signals, |m| {
                if let Some(step) = group.then(|| m.step()).flatten() {
                    return Some(Ok(Some(Box::new(step))));
                }
                if m.fetcher.has_ready() {
                    return Some(Ok(None));
                }
                m.poll_error().or_else(|| m.subscriptions.stuck()).map(Err)
            })?;
            match ended {
                Ended::Done(Ok(Some(step))) => return Ok(Refilled::Step(step)),
                Ended::Done(Ok(None)) => {}
                Ended::Done(Err(error)) => {
                    // The same may be wrong at every call: other partitions get on meanwhile.
                    driver.pump()?;
                    return Err(error);
                }
                Ended::TimedOut => return Ok(Refilled::Done(Advance::Nothing)),
                Ended::Signalled => return Ok(Refilled::Done(Advance::Signalled)),
            }
        }
        self.take_ready(driver)?;
        if driver.machines.fetcher.wants_more() {
            driver.pump()?;
        }
        Ok(Refilled::Done(Advance::More))
    }

    fn take_ready(&self, driver: &mut Driver) -> Result<()> {
        let now = driver.now();
        let machines = &mut driver.machines;
        let Some(ready) = machines.fetcher.take_ready() else { return Ok(()) };
        match ready.item {
            Item::Records(fetched) => {
                if let Some(state) = machines.subscriptions.state(ready.id) {
                    self.cursor.borrow_mut().open(ready.id, state, fetched);
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
            driver.machines.fetcher.handle_damage(
                damage.id,
                &mut driver.machines.subscriptions,
                now,
            );
            Ok(damage.error)
        })
    }
}

fn failed(record: &ConsumerRecord, part: RecordPart, source: BoxError) -> Error {
    Error::Deserialization(Box::new(DeserializationError {
        partition: record.topic_partition(),
        offset: record.offset(),
        part,
        key: record.key().map(<[u8]>::to_vec),
        value: record.value().map(<[u8]>::to_vec),
        source: source.into(),
    }))
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

/// What came of looking for more.
enum Refilled {
    Done(Advance),
    /// The group wants something first.
    Step(Box<Step>),
}

/// The same for `next`.
enum Made {
    Ready,
    End,
    Failed(Box<Error>),
}
