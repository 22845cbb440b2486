//! [`KafkaConsumer`] and the offsets of its group: committing them, and asking for them.

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    fmt,
    time::{Duration, Instant},
};

use super::{
    Content, KafkaConsumer,
    driver::{Driver, Ended, deadline},
    finally::Finally,
    options::CommitCallback,
};
use crate::{
    Error, OffsetAndMetadata, Result, TopicPartition,
    coordinator::{CommitId, Coordinator, Finished, Offsets},
    subscriptions::Context,
};

type Callback = Box<dyn FnOnce(&Offsets, Result<()>) + Send>;

/// What is to happen with the outcome of a commit.
enum Plan {
    /// Somebody waits for it.
    Wait(Option<Result<()>>),
    /// The user's function is called.
    Call(Callback),
    /// It is looked at before anybody is told.
    Look(Option<Finished>),
}

/// The outcomes of commits, on their way to those who want to know.
pub(super) struct Outcomes {
    plans: RefCell<BTreeMap<CommitId, Plan>>,
    /// What each was told of is not told again, also where a callback panics.
    finished: RefCell<VecDeque<Finished>>,
    /// Those for whom a handle waits.
    handles: RefCell<BTreeMap<CommitId, Option<Result<()>>>>,
    default: Option<CommitCallback>,
}

impl Outcomes {
    pub(super) fn new(default: Option<CommitCallback>) -> Self {
        Self {
            plans: RefCell::default(),
            finished: RefCell::default(),
            handles: RefCell::default(),
            default,
        }
    }
}

/// A commit on its way: what [`commit_async`](KafkaConsumer::commit_async) returns.
///
/// It goes its way with the calls that the program makes anyway; dropping this changes nothing.
///
/// ```
/// # let broker = scripted_broker::ScriptedBroker::start();
/// # broker.create_topic("t", 1);
/// # broker.append("t", 0, ["a", "b"]);
/// # let consumer = kafka_blocking::KafkaConsumer::builder()
/// #     .bootstrap_servers(broker.address()).auto_offset_reset("earliest").group_id("g").topics("t").build()?;
/// use std::time::Duration;
///
/// consumer.next().expect("waits for ever")?;
/// let pending = consumer.commit_async()?;
/// pending.wait_timeout(Duration::from_secs(5))?;
/// assert_eq!(consumer.committed(("t", 0))?, Some(1));
/// # Ok::<(), kafka_blocking::Error>(())
/// ```
///
/// kafka-python: the `Future` of `commit_async`.
pub struct PendingCommit<'a, K: ?Sized + Content, V: ?Sized + Content> {
    consumer: &'a KafkaConsumer<K, V>,
    id: CommitId,
}

impl<K: ?Sized + Content, V: ?Sized + Content> PendingCommit<'_, K, V> {
    /// Waits until the commit is done, up to `default_api_timeout_ms`.
    ///
    /// # Errors
    /// Those of [`commit`](KafkaConsumer::commit).
    pub fn wait(&self) -> Result<()> {
        self.wait_timeout(self.consumer.limits.api_timeout)
    }

    /// The same, and waits up to `timeout`; the commit goes on nevertheless.
    ///
    /// # Errors
    /// Those of [`commit`](KafkaConsumer::commit).
    pub fn wait_timeout(&self, timeout: Duration) -> Result<()> {
        let outcome = || self.consumer.outcomes.handles.borrow().get(&self.id).cloned().flatten();
        if let Some(result) = outcome() {
            return result;
        }
        self.consumer.wait_for_commit(self.id, timeout)?;
        outcome().unwrap_or(Ok(()))
    }

    /// Whether it is known what has become of the commit. Does not block, and does not bring it on.
    #[must_use]
    pub fn is_done(&self) -> bool {
        let handles = self.consumer.outcomes.handles.borrow();
        handles.get(&self.id).is_some_and(Option::is_some)
    }
}

impl<K: ?Sized + Content, V: ?Sized + Content> Drop for PendingCommit<'_, K, V> {
    fn drop(&mut self) {
        self.consumer.outcomes.handles.borrow_mut().remove(&self.id);
    }
}

impl<K: ?Sized + Content, V: ?Sized + Content> fmt::Debug for PendingCommit<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingCommit").field("done", &self.is_done()).finish_non_exhaustive()
    }
}

impl<K: ?Sized + Content, V: ?Sized + Content> KafkaConsumer<K, V> {
    // Committing

    /// Commits the positions of all assigned partitions, and waits until the group has stored them, up to
    /// `default_api_timeout_ms`. In a loop over the consumer that is the record at hand + 1.
    ///
    /// Partitions without a position are left out; where none has one, nothing is sent. What can be tried again is tried
    /// again until the time is over: a coordinator that moves or restarts does not show. After [`Error::Timeout`] it is not
    /// known whether the offsets were stored. Callbacks of earlier [`commit_async`](Self::commit_async) run first.
    ///
    /// ```
    /// # let broker = scripted_broker::ScriptedBroker::start();
    /// # broker.create_topic("t", 1);
    /// # broker.append("t", 0, ["a", "b", "c"]);
    /// # let builder = kafka_blocking::KafkaConsumer::builder()
    /// #     .bootstrap_servers(broker.address()).auto_offset_reset("earliest").consumer_timeout_ms(500);
    /// let consumer = builder.group_id("my-group").topics("t").enable_auto_commit(false).build()?;
    /// for record in &consumer {
    ///     let record = record?;
    ///     consumer.commit()?;
    ///     assert_eq!(consumer.committed(record.topic_partition())?, Some(record.offset() + 1));
    /// }
    /// # Ok::<(), kafka_blocking::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::CommitFailed`] where the group has gone on without this consumer; [`Error::RebalanceInProgress`] where it is
    /// about to, and the next `poll` or `next` takes part in it; [`Error::FencedInstanceId`];
    /// [`Error::GroupAuthorizationFailed`], [`Error::TopicAuthorizationFailed`] and other refusals of the broker;
    /// [`Error::Timeout`] with what stood in the way; [`Error::Wakeup`]; [`Error::IllegalState`] without a `group_id`;
    /// [`Error::Closed`].
    ///
    /// kafka-python: `commit`.
    pub fn commit(&self) -> Result<()> {
        self.commit_timeout(self.limits.api_timeout)
    }

    /// As [`commit`](Self::commit), and waits up to `timeout`.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    ///
    /// kafka-python: `commit(timeout_ms)`.
    pub fn commit_timeout(&self, timeout: Duration) -> Result<()> {
        self.commit_and_wait(timeout, |group, cx| {
            let positions = cx.subscriptions.positions();
            group.commit(positions.into_iter().map(|(p, (_, o))| (p, o)).collect(), timeout, cx)
        })
    }

    /// Commits these offsets, each that of the next record to read, and waits as [`commit`](Self::commit) does.
    ///
    /// Numbers will do, or [`OffsetAndMetadata`] with a note. Positions do not change. In a group that assigns partitions,
    /// only those that are assigned can be committed.
    ///
    /// ```
    /// # let broker = scripted_broker::ScriptedBroker::start();
    /// # broker.create_topic("t", 2);
    /// # let consumer = kafka_blocking::KafkaConsumer::builder()
    /// #     .bootstrap_servers(broker.address()).group_id("g").build()?;
    /// use kafka_blocking::OffsetAndMetadata;
    ///
    /// consumer.assign([("t", 0), ("t", 1)])?;
    /// consumer.commit_offsets([(("t", 0), 17), (("t", 1), 4)])?;
    /// consumer.commit_offsets([(("t", 0), OffsetAndMetadata::new(18).with_metadata("checkpoint 7"))])?;
    /// assert_eq!(consumer.committed(("t", 0))?, Some(18));
    /// # Ok::<(), kafka_blocking::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`commit`](Self::commit); [`Error::IllegalArgument`] for a negative offset.
    ///
    /// kafka-python: `commit(offsets)`.
    pub fn commit_offsets<I, P, O>(&self, offsets: I) -> Result<()>
    where
        I: IntoIterator<Item = (P, O)>,
        P: Into<TopicPartition>,
        O: Into<OffsetAndMetadata>,
    {
        self.commit_offsets_timeout(offsets, self.limits.api_timeout)
    }

    /// As [`commit_offsets`](Self::commit_offsets), and waits up to `timeout`.
    ///
    /// # Errors
    /// As [`commit_offsets`](Self::commit_offsets).
    ///
    /// kafka-python: `commit(offsets, timeout_ms)`.
    pub fn commit_offsets_timeout<I, P, O>(&self, offsets: I, timeout: Duration) -> Result<()>
    where
        I: IntoIterator<Item = (P, O)>,
        P: Into<TopicPartition>,
        O: Into<OffsetAndMetadata>,
    {
        let offsets = checked(offsets)?;
        self.commit_and_wait(timeout, |group, cx| group.commit(offsets, timeout, cx))
    }

    /// Commits the positions of all assigned partitions, and does not wait for it: the commit goes its way with the next calls.
    ///
    /// Commits are stored in the order of the calls, and one that has to be sent again never overwrites a later one. It is
    /// tried for `default_api_timeout_ms`. The outcome goes to `default_offset_commit_callback` if there is one; what this
    /// returns can be waited on. Does not block.
    ///
    /// An example is at [`PendingCommit`].
    ///
    /// # Errors
    /// [`Error::CommitFailed`] where this consumer is no member of its group; [`Error::IllegalState`] without a `group_id`;
    /// [`Error::Closed`].
    ///
    /// kafka-python: `commit_async`, whose callbacks run newest first.
    pub fn commit_async(&self) -> Result<PendingCommit<'_, K, V>> {
        self.commit_later(None, positions)
    }

    /// As [`commit_async`](Self::commit_async); `callback` is called with the outcome, in the order of the commits, on this
    /// thread, inside a later call that reads, commits or closes.
    ///
    /// ```
    /// # let broker = scripted_broker::ScriptedBroker::start();
    /// # broker.create_topic("t", 1);
    /// # broker.append("t", 0, ["a", "b"]);
    /// # let consumer = kafka_blocking::KafkaConsumer::builder()
    /// #     .bootstrap_servers(broker.address()).auto_offset_reset("earliest").group_id("g").topics("t").build()?;
    /// consumer.next().expect("waits for ever")?;
    /// consumer.commit_async_then(|offsets, result| match result {
    ///     Ok(()) => println!("committed {offsets:?}"),
    ///     Err(error) => eprintln!("{offsets:?}: {error}"),
    /// })?;
    /// consumer.commit()?; // runs it
    /// # Ok::<(), kafka_blocking::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`commit_async`](Self::commit_async).
    ///
    /// kafka-python: `commit_async(callback)`, which gives a response of `None` on success.
    pub fn commit_async_then(
        &self,
        callback: impl FnOnce(&BTreeMap<TopicPartition, OffsetAndMetadata>, Result<()>) + Send + 'static,
    ) -> Result<PendingCommit<'_, K, V>> {
        self.commit_later(Some(Box::new(callback)), positions)
    }

    /// Commits these offsets, as [`commit_offsets`](Self::commit_offsets) does, without waiting, as
    /// [`commit_async`](Self::commit_async) does.
    ///
    /// # Errors
    /// As [`commit_async`](Self::commit_async); [`Error::IllegalArgument`] for a negative offset.
    ///
    /// kafka-python: `commit_async(offsets)`.
    pub fn commit_offsets_async<I, P, O>(&self, offsets: I) -> Result<PendingCommit<'_, K, V>>
    where
        I: IntoIterator<Item = (P, O)>,
        P: Into<TopicPartition>,
        O: Into<OffsetAndMetadata>,
    {
        let offsets = checked(offsets)?;
        self.commit_later(None, |_| offsets)
    }

    /// Commits these offsets, without waiting, and calls `callback` with the outcome, as
    /// [`commit_async_then`](Self::commit_async_then) does.
    ///
    /// # Errors
    /// As [`commit_offsets_async`](Self::commit_offsets_async).
    ///
    /// kafka-python: `commit_async(offsets, callback)`.
    pub fn commit_offsets_async_then<I, P, O>(
        &self,
        offsets: I,
        callback: impl FnOnce(&BTreeMap<TopicPartition, OffsetAndMetadata>, Result<()>) + Send + 'static,
    ) -> Result<PendingCommit<'_, K, V>>
    where
        I: IntoIterator<Item = (P, O)>,
        P: Into<TopicPartition>,
        O: Into<OffsetAndMetadata>,
    {
        let offsets = checked(offsets)?;
        self.commit_later(Some(Box::new(callback)), |_| offsets)
    }

    // Asking

    /// The offset that the group has committed last of a partition, assigned or not: that of the next record to read. `None`
    /// where there is none. Always asks the coordinator, and waits up to `default_api_timeout_ms`.
    ///
    /// An example is at [`commit_offsets`](Self::commit_offsets).
    ///
    /// # Errors
    /// [`Error::GroupAuthorizationFailed`], [`Error::TopicAuthorizationFailed`] and other refusals of the broker;
    /// [`Error::Timeout`] with what stood in the way; [`Error::Wakeup`]; [`Error::IllegalState`] without a `group_id`;
    /// [`Error::Closed`].
    ///
    /// kafka-python: `committed`.
    pub fn committed(&self, partition: impl Into<TopicPartition>) -> Result<Option<i64>> {
        self.committed_timeout(partition, self.limits.api_timeout)
    }

    /// As [`committed`](Self::committed), and waits up to `timeout`.
    ///
    /// # Errors
    /// As [`committed`](Self::committed).
    ///
    /// kafka-python: `committed(partition, timeout_ms)`.
    pub fn committed_timeout(
        &self,
        partition: impl Into<TopicPartition>,
        timeout: Duration,
    ) -> Result<Option<i64>> {
        Ok(self.committed_metadata_timeout(partition, timeout)?.map(|committed| committed.offset()))
    }

    /// As [`committed`](Self::committed), with the note and the leader's epoch that were committed beside the offset.
    ///
    /// ```
    /// # let broker = scripted_broker::ScriptedBroker::start();
    /// # broker.create_topic("t", 1);
    /// # let consumer = kafka_blocking::KafkaConsumer::builder()
    /// #     .bootstrap_servers(broker.address()).group_id("g").build()?;
    /// use kafka_blocking::OffsetAndMetadata;
    ///
    /// assert_eq!(consumer.committed_metadata(("t", 0))?, None);
    /// let offset = OffsetAndMetadata::new(18).with_metadata("checkpoint 7").with_leader_epoch(2);
    /// consumer.commit_offsets([(("t", 0), &offset)])?;
    /// assert_eq!(consumer.committed_metadata(("t", 0))?, Some(offset));
    /// # Ok::<(), kafka_blocking::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`committed`](Self::committed).
    ///
    /// kafka-python: `committed(partition, metadata=True)`.
    pub fn committed_metadata(
        &self,
        partition: impl Into<TopicPartition>,
    ) -> Result<Option<OffsetAndMetadata>> {
        self.committed_metadata_timeout(partition, self.limits.api_timeout)
    }

    /// As [`committed_metadata`](Self::committed_metadata), and waits up to `timeout`.
    ///
    /// # Errors
    /// As [`committed`](Self::committed).
    ///
    /// kafka-python: `committed(partition, metadata=True, timeout_ms)`.
    pub fn committed_metadata_timeout(
        &self,
        partition: impl Into<TopicPartition>,
        timeout: Duration,
    ) -> Result<Option<OffsetAndMetadata>> {
        let partition = partition.into();
        super::check_partition(&partition)?;
        let until = deadline(timeout);
        self.with_group("committed", |group, _| {
            group.ask_committed(partition.clone());
            Ok(())
        })?;
        self.with_driver(|driver| {
            let ended = driver.run_until(until, &self.shared.signals, |m| {
                m.group.as_mut().and_then(Coordinator::take_committed)
            });
            if let Some(group) = &mut driver.machines.group {
                group.cancel_committed();
            }
            match ended? {
                Ended::Done(answer) => answer,
                Ended::Signalled => Err(Error::Wakeup),
                Ended::TimedOut => Err(driver.machines.timeout(
                    "committed",
                    timeout,
                    &partition.to_string(),
                    driver.now(),
                )),
            }
        })
    }

    // Helpers

    fn commit_and_wait(
        &self,
        timeout: Duration,
        start: impl FnOnce(&mut Coordinator, &mut Context<'_>) -> Result<CommitId>,
    ) -> Result<()> {
        let id = self.with_group("commit", start)?;
        self.outcomes.plans.borrow_mut().insert(id, Plan::Wait(None));
        // Also where the callback of an earlier commit panics.
        let _plan = Finally::new((), |()| drop(self.outcomes.plans.borrow_mut().remove(&id)));
        let waited = self.wait_for_commit(id, timeout);
        let plan = self.outcomes.plans.borrow_mut().remove(&id);
        match plan {
            Some(Plan::Wait(Some(result))) => result,
            _ => waited,
        }
    }

    fn commit_later(
        &self,
        callback: Option<Callback>,
        offsets: impl FnOnce(&Context<'_>) -> Offsets,
    ) -> Result<PendingCommit<'_, K, V>> {
        let timeout = self.limits.api_timeout;
        let id =
            self.with_group("commit_async", |group, cx| group.commit(offsets(cx), timeout, cx))?;
        if let Some(callback) = callback {
            self.outcomes.plans.borrow_mut().insert(id, Plan::Call(callback));
        }
        self.outcomes.handles.borrow_mut().insert(id, None);
        // It leaves now if it can, and not with the next call only.
        self.with_driver(Driver::pump)?;
        self.tell_of_finished()?;
        Ok(PendingCommit { consumer: self, id })
    }

    /// Drives the loop until it is known what has become of a commit, and tells everybody.
    pub(super) fn wait_for_commit(&self, id: CommitId, timeout: Duration) -> Result<()> {
        let until = deadline(timeout);
        let ended = self.with_driver(|driver| {
            let ended = driver.run_until(until, &self.shared.signals, |m| {
                let pending = m.group.as_ref().is_some_and(|group| group.is_pending(id));
                (!pending).then_some(())
            })?;
            if ended == Ended::TimedOut {
                let error = driver.machines.timeout("commit", timeout, "", driver.now());
                return Ok((ended, Err(error)));
            }
            Ok((ended, Ok(())))
        });
        self.tell_of_finished()?;
        match ended? {
            (Ended::Signalled, _) => Err(Error::Wakeup),
            (_, result) => result,
        }
    }

    /// Waits for a commit whatever the signals say. Says what has become of it before anybody but this caller is told, if
    /// it is known.
    pub(super) fn look_at_commit(&self, id: CommitId, until: Instant) -> Result<Option<Finished>> {
        self.outcomes.plans.borrow_mut().insert(id, Plan::Look(None));
        self.with_driver(|driver| {
            driver.run_through(until, |m| {
                let pending = m.group.as_ref().is_some_and(|group| group.is_pending(id));
                (!pending).then_some(())
            })
        })?;
        self.tell_of_finished()?;
        match self.outcomes.plans.borrow_mut().remove(&id) {
            Some(Plan::Look(finished)) => Ok(finished),
            _ => Ok(None),
        }
    }

    fn tell_of_finished(&self) -> Result<()> {
        let finished = self.with_driver(|driver| {
            Ok(driver.machines.group.as_mut().map(Coordinator::take_finished).unwrap_or_default())
        })?;
        self.tell_of_commits(finished);
        Ok(())
    }

    /// Tells everybody what has become of their commits, in the order in which they were made.
    pub(super) fn tell_of_commits(&self, finished: Vec<Finished>) {
        self.outcomes.finished.borrow_mut().extend(finished);
        // Where a callback panics, the others are told of by the next call.
        let _rest = Finally::new((), |()| {
            let rest = std::mem::take(&mut *self.outcomes.finished.borrow_mut());
            if !rest.is_empty() {
                self.done(|group, _| group.put_back_finished(rest));
            }
        });
        loop {
            let next = self.outcomes.finished.borrow_mut().pop_front();
            let Some(finished) = next else { return };
            self.tell_of_commit(finished);
        }
    }

    fn tell_of_commit(&self, finished: Finished) {
        if let Some(Plan::Look(look)) = self.outcomes.plans.borrow_mut().get_mut(&finished.id) {
            *look = Some(finished);
            return;
        }
        let Finished { id, offsets, result } = finished;
        let handled = match self.outcomes.handles.borrow_mut().get_mut(&id) {
            Some(handle) => handle.replace(result.clone()).is_none(),
            None => false,
        };
        let plan = self.outcomes.plans.borrow_mut().remove(&id);
        match plan {
            Some(Plan::Wait(_)) => {
                self.outcomes.plans.borrow_mut().insert(id, Plan::Wait(Some(result)));
            }
            Some(Plan::Call(callback)) => {
                let _user_code = self.user_code();
                callback(&offsets, result);
            }
            Some(Plan::Look(_)) | None => {
                if let Err(error) = result.as_ref().map_err(|e| e.to_string())
                    && !handled
                {
                    log::warn!(target: "kafka_blocking::group", "positions were not committed: {error}");
                }
                if let Some(callback) = &self.outcomes.default {
                    let _user_code = self.user_code();
                    callback.call(&offsets, result);
                }
            }
        }
    }
}

fn positions(cx: &Context<'_>) -> Offsets {
    cx.subscriptions.positions().into_iter().map(|(p, (_, offset))| (p, offset)).collect()
}

fn checked<I, P, O>(offsets: I) -> Result<Offsets>
where
    I: IntoIterator<Item = (P, O)>,
    P: Into<TopicPartition>,
    O: Into<OffsetAndMetadata>,
{
    let offsets: Offsets = offsets.into_iter().map(|(p, o)| (p.into(), o.into())).collect();
    for (partition, offset) in &offsets {
        super::check_partition(partition)?;
        if offset.offset() < 0 {
            let why = format!("{partition}: offset {} is negative", offset.offset());
            return Err(Error::IllegalArgument(why.into()));
        }
    }
    Ok(offsets)
}
