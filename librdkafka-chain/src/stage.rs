//! A member of a stage: this crate's consumer, whose records are written on before they are committed.
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use kafka_blocking::{
    BoxError, ConsumerRebalanceListener, ConsumerRecord, Error, KafkaConsumer, Result,
    TopicPartition,
};

use crate::{Outlet, Settings};

/// A consumer, and what it has written on but not yet committed: the offset after the last record.
pub(crate) struct Stage {
    consumer: KafkaConsumer,
    written: Written,
    lenient: bool,
}

type Written = Arc<Mutex<BTreeMap<TopicPartition, i64>>>;

struct Listener {
    written: Written,
    lenient: bool,
}

impl Stage {
    pub(crate) fn new(settings: &Settings) -> Result<Self> {
        let consumer = KafkaConsumer::builder()
            .bootstrap_servers(settings.servers.as_str())
            .group_id(settings.group.as_str())
            .partition_assignment_strategy(settings.assignor.as_str())
            .enable_auto_commit(false)
            .auto_offset_reset("earliest")
            .session_timeout_ms(settings.session)
            .heartbeat_interval_ms(HEARTBEAT)
            .set("max_poll_records", &settings.batch.to_string())
            .build()?;
        let (written, lenient) = (Written::default(), settings.lenient);
        let listener = Listener { written: Arc::clone(&written), lenient };
        consumer.subscribe_with([&settings.from], listener)?;
        Ok(Self { consumer, written, lenient })
    }

    /// Polls once, writes what came, commits, and says how much it was.
    pub(crate) fn round(&self, outlet: &Outlet, within: Duration) -> Result<usize> {
        let records: Vec<ConsumerRecord> = self.consumer.poll(within)?.into_records().collect();
        outlet.write(&records);
        for record in &records {
            let partition = record.topic_partition().clone();
            lock(&self.written).insert(partition, record.offset() + 1);
        }
        commit(&self.consumer, &self.written, |_| true, self.lenient)?;
        Ok(records.len())
    }

    /// Whether something is written that could not be committed yet.
    pub(crate) fn is_behind(&self) -> bool {
        !lock(&self.written).is_empty()
    }

    /// Looks for records, and does nothing with them.
    pub(crate) fn glance(&self, within: Duration) -> Result<()> {
        self.consumer.poll(within).map(drop)
    }

    pub(crate) fn close(&self) -> Result<()> {
        self.consumer.close()
    }
}

impl ConsumerRebalanceListener for Listener {
    fn on_partitions_revoked(
        &mut self,
        consumer: &KafkaConsumer,
        partitions: &[TopicPartition],
    ) -> std::result::Result<(), BoxError> {
        let theirs = |partition: &TopicPartition| partitions.contains(partition);
        Ok(commit(consumer, &self.written, theirs, self.lenient)?)
    }

    fn on_partitions_lost(
        &mut self,
        _: &KafkaConsumer,
        partitions: &[TopicPartition],
    ) -> std::result::Result<(), BoxError> {
        eprintln!("lost {partitions:?}");
        lock(&self.written).retain(|partition, _| !partitions.contains(partition));
        if self.lenient { Ok(()) } else { Err("no member was killed, so none is lost".into()) }
    }
}

/// Commits what was written of some partitions. In the middle of a rebalance it stays for the next time.
fn commit(
    consumer: &KafkaConsumer,
    written: &Written,
    which: impl Fn(&TopicPartition) -> bool,
    lenient: bool,
) -> Result<()> {
    let mut offsets = lock(written).clone();
    offsets.retain(|partition, _| which(partition));
    if offsets.is_empty() {
        return Ok(());
    }
    let done = consumer.commit_offsets(offsets.clone());
    eprintln!("committed {offsets:?}: {done:?}");
    match done {
        Err(Error::RebalanceInProgress) => return Ok(()),
        // Only one that was taken for dead, while the machine was busy, does not own them any more.
        Err(Error::CommitFailed { .. }) if lenient => {}
        done => done?,
    }
    lock(written).retain(|partition, _| !offsets.contains_key(partition));
    Ok(())
}

fn lock(written: &Written) -> MutexGuard<'_, BTreeMap<TopicPartition, i64>> {
    written.lock().unwrap_or_else(|poison| poison.into_inner())
}

const HEARTBEAT: Duration = Duration::from_millis(300);
