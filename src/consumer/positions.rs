//! Where partitions are read, and whether: positions, seeks, pauses, and what is known of the ends of logs.

use std::{collections::BTreeSet, time::Duration};

use super::{
    Content, KafkaConsumer, OffsetReset,
    driver::{Ended, deadline},
};
use crate::{
    Error, OffsetAndMetadata, Result, TopicPartition,
    subscriptions::{PartitionState, Place, Subscriptions},
};

/// Stands for all assigned partitions in [`KafkaConsumer::seek_to_beginning`] and [`KafkaConsumer::seek_to_end`].
///
/// kafka-python: no arguments.
pub const ALL_ASSIGNED: [TopicPartition; 0] = [];

impl<K: ?Sized + Content, V: ?Sized + Content> KafkaConsumer<K, V> {
    /// Moves the position of a partition: the next record handed out is the first at or after `offset`.
    ///
    /// The offset may be a number, what [`offsets_for_times`](Self::offsets_for_times) found, or an [`OffsetAndMetadata`]. With
    /// a leader epoch in it, a log that was truncated since is noticed, as it is for positions that were reached by reading.
    ///
    /// Whether the partition has such an offset is seen when it is fetched; `auto_offset_reset` decides if not. Does not
    /// block; what was buffered of the partition is dropped. When its leader is just holding back an answer until new
    /// records come, that request is given up with its connection, so that the records asked for come at once.
    ///
    /// ```
    /// # let broker = scripted_broker::ScriptedBroker::start();
    /// # broker.create_topic("t", 1);
    /// # broker.append("t", 0, ["a", "b", "c"]);
    /// # let consumer = kafka_blocking::KafkaConsumer::builder()
    /// #     .bootstrap_servers(broker.address()).build()?;
    /// use kafka_blocking::OffsetAndMetadata;
    ///
    /// consumer.assign([("t", 0)])?;
    /// consumer.seek(("t", 0), 1)?;
    /// assert_eq!(consumer.next().expect("waits for ever")?.value(), Some(&b"b"[..]));
    /// consumer.seek(("t", 0), OffsetAndMetadata::new(0).with_leader_epoch(0))?;
    /// assert_eq!(consumer.next().expect("waits for ever")?.value(), Some(&b"a"[..]));
    /// # Ok::<(), kafka_blocking::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::IllegalState`] where the partition is not assigned; [`Error::IllegalArgument`] for a negative offset.
    ///
    /// kafka-python: `seek`.
    pub fn seek(
        &self,
        partition: impl Into<TopicPartition>,
        offset: impl Into<OffsetAndMetadata>,
    ) -> Result<()> {
        let (partition, to) = (partition.into(), offset.into());
        let place = Place { offset: to.offset(), epoch: to.leader_epoch() };
        if place.offset < 0 {
            return Err(Error::IllegalArgument(
                format!("{partition}: offset {} is negative", place.offset).into(),
            ));
        }
        self.with_driver(|driver| driver.machines.subscriptions.seek(&partition, place))
    }

    /// Goes to the first offset of partitions, or of [`ALL_ASSIGNED`]. As in kafka-python, an empty list stands for all that
    /// are assigned.
    ///
    /// Lazy: the offset is looked up by the next call that reads, or asks for the [`position`](Self::position). Does not block.
    ///
    /// ```
    /// # let broker = scripted_broker::ScriptedBroker::start();
    /// # broker.create_topic("t", 2);
    /// # broker.append("t", 0, ["a", "b", "c"]);
    /// # let consumer = kafka_blocking::KafkaConsumer::builder()
    /// #     .bootstrap_servers(broker.address()).build()?;
    /// use kafka_blocking::ALL_ASSIGNED;
    ///
    /// consumer.assign([("t", 0), ("t", 1)])?;
    /// consumer.seek_to_end([("t", 0)])?;
    /// assert_eq!(consumer.position(("t", 0))?, 3);
    /// consumer.seek_to_beginning(ALL_ASSIGNED)?;
    /// assert_eq!(consumer.position(("t", 0))?, 0);
    /// # Ok::<(), kafka_blocking::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::IllegalState`] where one is not assigned, which leaves all as they were, or where none is.
    ///
    /// kafka-python: `seek_to_beginning`.
    pub fn seek_to_beginning<I>(&self, partitions: I) -> Result<()>
    where
        I: IntoIterator,
        I::Item: Into<TopicPartition>,
    {
        self.seek_to(set(partitions), OffsetReset::Earliest)
    }

    /// Goes behind the last offset of partitions, or of [`ALL_ASSIGNED`]; with `isolation_level` `read_committed`, to the first
    /// offset of the oldest open transaction if there is one. As in kafka-python, an empty list stands for all that are assigned.
    ///
    /// Lazy, as [`seek_to_beginning`](Self::seek_to_beginning) is, with an example there: records that are written before the
    /// offset is looked up are skipped, too. Does not block.
    ///
    /// # Errors
    /// [`Error::IllegalState`] where one is not assigned, which leaves all as they were, or where none is.
    ///
    /// kafka-python: `seek_to_end`.
    pub fn seek_to_end<I>(&self, partitions: I) -> Result<()>
    where
        I: IntoIterator,
        I::Item: Into<TopicPartition>,
    {
        self.seek_to(set(partitions), OffsetReset::Latest)
    }

    fn seek_to(&self, partitions: BTreeSet<TopicPartition>, end: OffsetReset) -> Result<()> {
        self.with_driver(|driver| {
            let subscriptions = &mut driver.machines.subscriptions;
            let all = || subscriptions.assignment().cloned().collect();
            let partitions = if partitions.is_empty() { all() } else { partitions };
            if partitions.is_empty() {
                return Err(Error::IllegalState(
                    "no partitions are assigned: call assign(), or subscribe() and poll(), first"
                        .into(),
                ));
            }
            subscriptions.seek_to(&partitions, end)
        })
    }

    /// The offset of the next record that will be handed out of a partition, or a smaller one where there is no record between
    /// the two: compaction and transactions leave gaps.
    ///
    /// Blocks only while the partition has no position yet, up to `default_api_timeout_ms`.
    ///
    /// An example is at [`seek_to_beginning`](Self::seek_to_beginning).
    ///
    /// # Errors
    /// [`Error::IllegalState`] where the partition is not assigned; [`Error::NoOffsetForPartition`] where it has no
    /// position and `auto_offset_reset` is `none`; [`Error::LogTruncation`]; [`Error::Timeout`] with what stands in the way;
    /// [`Error::Wakeup`].
    ///
    /// kafka-python: `position`, which gives `None` where this fails with [`Error::Timeout`].
    pub fn position(&self, partition: impl Into<TopicPartition>) -> Result<i64> {
        self.position_timeout(partition, self.limits.api_timeout)
    }

    /// As [`position`](Self::position), and blocks up to `timeout`.
    ///
    /// # Errors
    /// As [`position`](Self::position).
    ///
    /// kafka-python: `position(partition, timeout_ms)`.
    pub fn position_timeout(
        &self,
        partition: impl Into<TopicPartition>,
        timeout: Duration,
    ) -> Result<i64> {
        let partition = partition.into();
        let until = deadline(timeout);
        self.with_driver(|driver| {
            let ended = driver.run_until(until, &self.shared.signals, |m| {
                // Looked up each time: a topic that is made anew has other ones.
                let id = match m.subscriptions.id(&partition) {
                    Ok(id) => id,
                    Err(error) => return Some(Err(error)),
                };
                if let Some(stuck) = m.subscriptions.stuck_at(id) {
                    return Some(Err(stuck));
                }
                let offset = m.subscriptions.state(id).and_then(PartitionState::offset);
                offset.map(Ok).or_else(|| m.poll_error_about(partition.topic()).map(Err))
            })?;
            match ended {
                Ended::Done(result) => result,
                Ended::Signalled => Err(Error::Wakeup),
                Ended::TimedOut => {
                    let subject = format!("{partition} has no position");
                    Err(driver.machines.timeout("position", timeout, &subject, driver.now()))
                }
            }
        })
    }

    // Pausing

    /// Hands out no records of these partitions from now on, and fetches none, until they are [resumed](Self::resume).
    ///
    /// They stay assigned, and keep their positions. What is buffered of them is kept, and handed out when they are resumed;
    /// above 16 MiB in all it is fetched again instead. Pausing a paused partition does nothing. Does not block.
    ///
    /// ```
    /// # let broker = scripted_broker::ScriptedBroker::start();
    /// # broker.create_topic("t", 2);
    /// # broker.append("t", 0, ["a"]);
    /// # broker.append("t", 1, ["b"]);
    /// # let consumer = kafka_blocking::KafkaConsumer::builder()
    /// #     .bootstrap_servers(broker.address()).auto_offset_reset("earliest").build()?;
    /// consumer.assign([("t", 0), ("t", 1)])?;
    /// consumer.pause([("t", 0)])?;
    /// assert_eq!(consumer.next().expect("waits for ever")?.partition(), 1);
    /// assert_eq!(consumer.paused()?, [("t", 0).into()]);
    /// consumer.resume(consumer.paused()?)?;
    /// assert_eq!(consumer.next().expect("waits for ever")?.partition(), 0);
    /// # Ok::<(), kafka_blocking::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::IllegalState`] where one is not assigned; none is paused then.
    ///
    /// kafka-python: `pause`.
    pub fn pause<I>(&self, partitions: I) -> Result<()>
    where
        I: IntoIterator,
        I::Item: Into<TopicPartition>,
    {
        let partitions = set(partitions);
        self.with_subscriptions(|subscriptions| subscriptions.pause(&partitions))
    }

    /// Goes on with partitions that were [paused](Self::pause), where they were left. Resuming others does nothing. Does not
    /// block. Where nothing of them is buffered, their leader is asked at once, as after a [`seek`](Self::seek).
    ///
    /// An example is at [`pause`](Self::pause).
    ///
    /// # Errors
    /// [`Error::IllegalState`] where one is not assigned; none is resumed then.
    ///
    /// kafka-python: `resume`.
    pub fn resume<I>(&self, partitions: I) -> Result<()>
    where
        I: IntoIterator,
        I::Item: Into<TopicPartition>,
    {
        let partitions = set(partitions);
        self.with_subscriptions(|subscriptions| subscriptions.resume(&partitions))
    }

    /// The partitions that are paused, in order. Does not block.
    ///
    /// An example is at [`pause`](Self::pause).
    ///
    /// # Errors
    /// [`Error::Closed`].
    ///
    /// kafka-python: `paused`.
    pub fn paused(&self) -> Result<Vec<TopicPartition>> {
        self.with_subscriptions(|subscriptions| {
            let paused: BTreeSet<_> = subscriptions.paused().map(|(_, p)| p.clone()).collect();
            Ok(paused.into_iter().collect())
        })
    }

    // Ends of logs

    /// The high watermark of a partition: the offset behind the last record that all in-sync replicas have, as the last fetch of
    /// it told. `None` before the first. Does not block; [`end_offsets`](Self::end_offsets) asks.
    ///
    /// With `isolation_level` `read_committed` too it is the high watermark, and not the end of what is decided.
    ///
    /// ```
    /// # let broker = scripted_broker::ScriptedBroker::start();
    /// # broker.create_topic("t", 1);
    /// # broker.append("t", 0, ["a", "b", "c"]);
    /// # let consumer = kafka_blocking::KafkaConsumer::builder()
    /// #     .bootstrap_servers(broker.address()).auto_offset_reset("earliest").build()?;
    /// consumer.assign([("t", 0)])?;
    /// assert_eq!(consumer.highwater(("t", 0))?, None);
    /// consumer.next().expect("waits for ever")?;
    /// assert_eq!(consumer.highwater(("t", 0))?, Some(3));
    /// assert_eq!(consumer.lag(("t", 0))?, Some(2));
    /// # Ok::<(), kafka_blocking::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::IllegalState`] where the partition is not assigned.
    ///
    /// kafka-python: `highwater`.
    pub fn highwater(&self, partition: impl Into<TopicPartition>) -> Result<Option<i64>> {
        let partition = partition.into();
        self.with_subscriptions(|subscriptions| {
            let id = subscriptions.id(&partition)?;
            Ok(subscriptions.state(id).and_then(|state| state.marks.high_watermark))
        })
    }

    /// How many offsets there are from the position of a partition to the end of what can be read, as the last fetch of it told:
    /// to the high watermark, or with `isolation_level` `read_committed` to the last stable offset. `None` before the first, and
    /// while there is no position. Does not block. An example is at [`highwater`](Self::highwater).
    ///
    /// # Errors
    /// [`Error::IllegalState`] where the partition is not assigned.
    ///
    /// kafka-python has it only as the metric `records-lag-max`; Java: `currentLag` (KIP-695).
    pub fn lag(&self, partition: impl Into<TopicPartition>) -> Result<Option<i64>> {
        let partition = partition.into();
        let committed = self.limits.read_committed;
        self.with_subscriptions(|subscriptions| {
            let id = subscriptions.id(&partition)?;
            Ok(subscriptions.state(id).and_then(|state| {
                let marks = state.marks;
                let end = if committed { marks.last_stable } else { marks.high_watermark };
                Some(end?.saturating_sub(state.offset()?).max(0))
            }))
        })
    }

    fn with_subscriptions<T>(&self, f: impl FnOnce(&mut Subscriptions) -> Result<T>) -> Result<T> {
        self.with_driver(|driver| f(&mut driver.machines.subscriptions))
    }
}

fn set<I>(partitions: I) -> BTreeSet<TopicPartition>
where
    I: IntoIterator,
    I::Item: Into<TopicPartition>,
{
    partitions.into_iter().map(Into::into).collect()
}
