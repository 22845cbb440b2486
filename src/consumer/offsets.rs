//! Offsets that the leaders of partitions are asked for: the ends of logs, and what was written when.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    Content, KafkaConsumer, check_partition,
    driver::{Ended, deadline},
};
use crate::{
    Error, OffsetAndTimestamp, Result, TopicPartition,
    fetcher::{
        list_offsets::{EARLIEST, LATEST},
        query::FoundOffsets,
    },
};

impl<K: ?Sized + Content, V: ?Sized + Content> KafkaConsumer<K, V> {
    /// The first offset of each of these partitions, which need not be assigned.
    ///
    /// Asks the leaders; positions stay as they are. Blocks up to `default_api_timeout_ms`. Without partitions the answer is
    /// empty, at once.
    ///
    /// ```
    /// # let broker = scripted_broker::ScriptedBroker::start();
    /// # broker.create_topic("t", 1);
    /// # broker.append("t", 0, ["a", "b", "c"]);
    /// # let consumer = kafka_blocking::KafkaConsumer::builder()
    /// #     .bootstrap_servers(broker.address()).build()?;
    /// let partition = ("t", 0).into();
    /// assert_eq!(consumer.beginning_offsets([&partition])?[&partition], 0);
    /// assert_eq!(consumer.end_offsets([&partition])?[&partition], 3);
    /// # Ok::<(), kafka_blocking::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Timeout`], which names the partition that does not exist, has no leader or no answer;
    /// [`Error::TopicAuthorizationFailed`]; [`Error::IllegalArgument`] for a name that cannot be a topic's, or a negative
    /// partition; [`Error::UnsupportedVersion`] where a leader is too old to be asked; [`Error::Wakeup`]; [`Error::Closed`].
    ///
    /// kafka-python: `beginning_offsets`.
    pub fn beginning_offsets<I>(&self, partitions: I) -> Result<BTreeMap<TopicPartition, i64>>
    where
        I: IntoIterator,
        I::Item: Into<TopicPartition>,
    {
        self.beginning_offsets_timeout(partitions, self.limits.api_timeout)
    }

    /// As [`beginning_offsets`](Self::beginning_offsets), and blocks up to `timeout`.
    ///
    /// # Errors
    /// As [`beginning_offsets`](Self::beginning_offsets).
    ///
    /// kafka-python: `beginning_offsets(partitions, timeout_ms)`.
    pub fn beginning_offsets_timeout<I>(
        &self,
        partitions: I,
        timeout: Duration,
    ) -> Result<BTreeMap<TopicPartition, i64>>
    where
        I: IntoIterator,
        I::Item: Into<TopicPartition>,
    {
        let wanted = partitions.into_iter().map(|p| (p.into(), EARLIEST)).collect();
        self.query("beginning_offsets", wanted, timeout).map(ends)
    }

    /// The offset behind the last record of each of these partitions, which need not be assigned: the high watermark, or with
    /// `isolation_level` `read_committed` the last stable offset.
    ///
    /// Asks the leaders; positions stay as they are. Blocks up to `default_api_timeout_ms`. An example is at
    /// [`beginning_offsets`](Self::beginning_offsets).
    ///
    /// # Errors
    /// As [`beginning_offsets`](Self::beginning_offsets).
    ///
    /// kafka-python: `end_offsets`.
    pub fn end_offsets<I>(&self, partitions: I) -> Result<BTreeMap<TopicPartition, i64>>
    where
        I: IntoIterator,
        I::Item: Into<TopicPartition>,
    {
        self.end_offsets_timeout(partitions, self.limits.api_timeout)
    }

    /// As [`end_offsets`](Self::end_offsets), and blocks up to `timeout`.
    ///
    /// # Errors
    /// As [`beginning_offsets`](Self::beginning_offsets).
    ///
    /// kafka-python: `end_offsets(partitions, timeout_ms)`.
    pub fn end_offsets_timeout<I>(
        &self,
        partitions: I,
        timeout: Duration,
    ) -> Result<BTreeMap<TopicPartition, i64>>
    where
        I: IntoIterator,
        I::Item: Into<TopicPartition>,
    {
        let wanted = partitions.into_iter().map(|p| (p.into(), LATEST)).collect();
        self.query("end_offsets", wanted, timeout).map(ends)
    }

    /// The first record of each partition whose timestamp is not before the one that stands beside it, in milliseconds since
    /// the start of 1970 (UTC). `None` for a partition that has no such record, or whose format has no timestamps.
    ///
    /// What is found may be a marker of a transaction, which is no record for a caller: reading goes on behind it. The
    /// partitions need not be assigned. Asks the leaders; positions stay as they are. Blocks up to `default_api_timeout_ms`.
    /// Without partitions the answer is empty, at once.
    ///
    /// ```
    /// # use scripted_broker::Record;
    /// # let broker = scripted_broker::ScriptedBroker::start();
    /// # broker.create_topic("t", 1);
    /// # broker.append("t", 0, [Record::value("a").at(1_000), Record::value("b").at(2_000)]);
    /// # let consumer = kafka_blocking::KafkaConsumer::builder()
    /// #     .bootstrap_servers(broker.address()).build()?;
    /// let partition = ("t", 0).into();
    /// consumer.assign([&partition])?;
    /// let found = consumer.offsets_for_times([(&partition, 1_500)])?;
    /// if let Some(found) = &found[&partition] {
    ///     assert_eq!((found.offset(), found.timestamp()), (1, 2_000));
    ///     consumer.seek(&partition, found)?;
    /// }
    /// # Ok::<(), kafka_blocking::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::IllegalArgument`] for a negative time; otherwise as [`beginning_offsets`](Self::beginning_offsets).
    ///
    /// kafka-python: `offsets_for_times`.
    pub fn offsets_for_times<I, P>(
        &self,
        times: I,
    ) -> Result<BTreeMap<TopicPartition, Option<OffsetAndTimestamp>>>
    where
        I: IntoIterator<Item = (P, i64)>,
        P: Into<TopicPartition>,
    {
        self.offsets_for_times_timeout(times, self.limits.api_timeout)
    }

    /// As [`offsets_for_times`](Self::offsets_for_times), and blocks up to `timeout`.
    ///
    /// # Errors
    /// As [`offsets_for_times`](Self::offsets_for_times).
    ///
    /// kafka-python: `offsets_for_times(timestamps, timeout_ms)`.
    pub fn offsets_for_times_timeout<I, P>(
        &self,
        times: I,
        timeout: Duration,
    ) -> Result<BTreeMap<TopicPartition, Option<OffsetAndTimestamp>>>
    where
        I: IntoIterator<Item = (P, i64)>,
        P: Into<TopicPartition>,
    {
        let wanted: BTreeMap<TopicPartition, i64> =
            times.into_iter().map(|(p, time)| (p.into(), time)).collect();
        if let Some((partition, time)) = wanted.iter().find(|(_, time)| **time < 0) {
            return Err(Error::IllegalArgument(
                format!("{partition}: the time {time} is negative").into(),
            ));
        }
        let found = self.query("offsets_for_times", wanted, timeout)?;
        let found = found.into_iter().map(|(partition, found)| {
            let offset = found.map(|f| {
                OffsetAndTimestamp::new(f.offset, f.timestamp).with_leader_epoch(f.leader_epoch)
            });
            (partition, offset)
        });
        Ok(found.collect())
    }

    fn query(
        &self,
        operation: &'static str,
        wanted: BTreeMap<TopicPartition, i64>,
        timeout: Duration,
    ) -> Result<FoundOffsets> {
        wanted.keys().try_for_each(check_partition)?;
        let until = deadline(timeout);
        self.with_driver(|driver| {
            if wanted.is_empty() {
                return Ok(FoundOffsets::new());
            }
            let topics: BTreeSet<String> = wanted.keys().map(|p| p.topic().to_owned()).collect();
            let subject = subject(wanted.keys());
            let now = driver.now();
            driver.machines.start_query(wanted, now);
            let ended = driver.run_until(until, &self.shared.signals, |m| {
                let outcome = m.query_outcome();
                outcome.or_else(|| topics.iter().find_map(|t| m.poll_error_about(t)).map(Err))
            });
            let result = match ended {
                Ok(Ended::Done(outcome)) => outcome,
                Ok(Ended::Signalled) => Err(Error::Wakeup),
                Ok(Ended::TimedOut) => {
                    Err(driver.machines.timeout(operation, timeout, &subject, driver.now()))
                }
                Err(error) => Err(error),
            };
            let now = driver.now();
            driver.machines.end_query(now);
            result
        })
    }
}

/// What there is no offset of yet, for an error's text; of many the first.
fn subject<'a>(partitions: impl ExactSizeIterator<Item = &'a TopicPartition>) -> String {
    const NAMED: usize = 3;
    let more = partitions.len().saturating_sub(NAMED);
    let named: Vec<String> = partitions.take(NAMED).map(ToString::to_string).collect();
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("no offset of {}{rest}", named.join(", "))
}

/// Every log has both ends.
fn ends(found: FoundOffsets) -> BTreeMap<TopicPartition, i64> {
    found.into_iter().filter_map(|(partition, found)| Some((partition, found?.offset))).collect()
}
