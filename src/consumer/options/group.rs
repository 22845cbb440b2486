//! What a group needs to know of the options, and whether they fit together.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::ConsumerValues;
use crate::{
    assignors::RebalanceProtocol,
    error::{Error, Result},
    options::{
        Millis,
        checks::{Named, fits_int32, fits_string, less, refuse},
    },
    types::{IsolationLevel, OffsetAndMetadata, TopicPartition, topic_name},
};

/// What membership in a group needs to know.
#[derive(Clone, Debug)]
pub struct GroupOptions {
    /// Not empty, and fits the protocol.
    pub group_id: Arc<str>,
    /// Of a static member; follows the rules of brokers.
    pub instance_id: Option<Arc<str>>,
    /// From 1 ms to what the protocol can say.
    pub session_timeout: Duration,
    /// From 1 ms to what the protocol can say.
    pub max_poll_interval: Duration,
    /// From 1 ms to less than the session time-out.
    pub heartbeat_interval: Duration,
    /// How often positions are committed, if they are by themselves.
    pub auto_commit: Option<Duration>,
    /// The highest one that all assignors have.
    pub protocol: RebalanceProtocol,
    /// Fits the protocol; empty is none.
    pub rack: Arc<str>,
    /// Whether committed offsets of open transactions are waited for.
    pub read_committed: bool,
}

/// Checks what the options say of a group, if they name one. `asked_for_auto_commit`: whether it was set to true.
pub(super) fn resolve(
    values: &ConsumerValues,
    rack: &Arc<str>,
    asked_for_auto_commit: bool,
) -> Result<Option<GroupOptions>> {
    let Some(group_id) = &values.group_id else {
        if let Some(instance_id) = &values.group_instance_id {
            return refuse(("group_instance_id", instance_id), "needs a group_id beside it");
        }
        if asked_for_auto_commit {
            log::warn!(target: "kafka_blocking::group", "enable_auto_commit has no effect without a group_id");
        }
        return Ok(None);
    };
    check_names(group_id, values.group_instance_id.as_deref())?;
    check_times(values)?;
    let protocol = values.partition_assignment_strategy.protocol().map_err(|refused| {
        Error::configuration("partition_assignment_strategy", refused.value, refused.allowed)
    })?;
    Ok(Some(GroupOptions {
        group_id: group_id.as_str().into(),
        instance_id: values.group_instance_id.as_deref().map(Into::into),
        session_timeout: values.session_timeout_ms.get(),
        max_poll_interval: values.max_poll_interval_ms.get(),
        heartbeat_interval: values.heartbeat_interval_ms.get(),
        auto_commit: values.enable_auto_commit.then_some(values.auto_commit_interval_ms.get()),
        protocol,
        rack: rack.clone(),
        read_committed: values.isolation_level == IsolationLevel::ReadCommitted,
    }))
}

fn check_names(group_id: &str, instance_id: Option<&str>) -> Result<()> {
    if group_id.is_empty() {
        return refuse(
            ("group_id", group_id),
            "must not be empty; leave it out to read without a group",
        );
    }
    fits_string(("group_id", group_id))?;
    let Some(instance_id) = instance_id else { return Ok(()) };
    topic_name::check_as("an instance's id", instance_id).map_err(|refused| {
        Error::configuration("group_instance_id", refused.value, refused.allowed)
    })
}

fn check_times(values: &ConsumerValues) -> Result<()> {
    let session = ("session_timeout_ms", values.session_timeout_ms);
    let heartbeat = ("heartbeat_interval_ms", values.heartbeat_interval_ms);
    let poll = ("max_poll_interval_ms", values.max_poll_interval_ms);
    for time in [session, heartbeat, poll] {
        at_least_1(time)?;
    }
    fits_int32(session)?;
    fits_int32(poll)?;
    // A member that is silent for its session time-out is taken for dead.
    less(heartbeat, session)?;
    if heartbeat.1.get() > session.1.get() / 3 {
        log::warn!(target: "kafka_blocking::group", "heartbeat_interval_ms = {} is more than a third of session_timeout_ms = {}: two heartbeats that are lost end the membership", heartbeat.1, session.1);
    }
    Ok(())
}

fn at_least_1(time: Named<Millis>) -> Result<()> {
    if time.1.get() >= Duration::from_millis(1) {
        return Ok(());
    }
    refuse(time, "must be 1 or more")
}

/// What is called with the outcome of each commit that nobody waits for.
#[derive(Clone)]
pub struct CommitCallback(Arc<Mutex<Callback>>);

type Callback = dyn FnMut(&BTreeMap<TopicPartition, OffsetAndMetadata>, Result<(), Error>) + Send;

impl CommitCallback {
    pub(super) fn new(
        callback: impl FnMut(&BTreeMap<TopicPartition, OffsetAndMetadata>, Result<(), Error>)
        + Send
        + 'static,
    ) -> Self {
        Self(Arc::new(Mutex::new(callback)))
    }

    /// Calls it. Consumers that share it, on several threads, call it one after the other.
    pub fn call(
        &self,
        offsets: &BTreeMap<TopicPartition, OffsetAndMetadata>,
        result: Result<(), Error>,
    ) {
        // One that panicked before is the user's, and so is what it left behind.
        (self.0.lock().unwrap_or_else(PoisonError::into_inner))(offsets, result);
    }
}

impl fmt::Debug for CommitCallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CommitCallback")
    }
}

#[cfg(test)]
#[path = "group_tests.rs"]
mod tests;
