//! Whether the options fit together, and the parsed values that the machines are built from.

use std::{sync::Arc, time::Duration};

use super::{
    CommitCallback, ConnectionOptions, ConsumerBuilder, ConsumerValues, GroupOptions, OffsetReset,
    group,
};
use crate::{
    assignors::AssignmentStrategy,
    client::options::ResolvedClient,
    consumer::Content,
    error::Result,
    net::servers::HostPort,
    options::{
        Given, Millis,
        checks::{fits_int32, fits_string, less},
    },
    types::IsolationLevel,
};

/// The options of a consumer, checked: what each machine needs of them, in the machine's types.
///
/// A time may be as long as [`Duration::MAX`]. A deadline is the sum of one and `now` by `checked_add`; where there is no
/// such sum, there is no deadline.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// At least one, each once.
    pub servers: Vec<HostPort>,
    /// To subscribe to from the start; each is a name that brokers allow.
    pub topics: Vec<String>,
    pub client_id: String,
    pub connection: ConnectionOptions,
    pub metadata: MetadataOptions,
    pub fetch: FetchOptions,
    pub reset: OffsetReset,
    /// Of a pattern that is subscribed to.
    pub exclude_internal_topics: bool,
    /// At least 1.
    pub max_poll_records: usize,
    /// `None` is no limit.
    pub consumer_timeout: Option<Duration>,
    /// At least the connection's request time-out.
    pub api_timeout: Duration,
    pub bootstrap_timeout: Duration,
    /// At least 1 ms.
    pub retry_backoff: Duration,
    /// The group to be a member of, if there is one.
    pub group: Option<GroupOptions>,
    /// With a group: at least one, none twice, and with a protocol in common.
    pub assignors: AssignmentStrategy,
    pub commit_callback: Option<CommitCallback>,
}

/// What the refresh of metadata needs to know.
#[derive(Clone, Copy, Debug)]
pub struct MetadataOptions {
    pub max_age: Duration,
    pub allow_auto_create: bool,
}

/// What the fetcher needs to know.
#[derive(Clone, Debug)]
pub struct FetchOptions {
    pub min_bytes: i32,
    /// Fits the protocol: no more than `i32::MAX` milliseconds.
    pub max_wait: Duration,
    pub max_bytes: i32,
    pub partition_max_bytes: i32,
    pub check_crcs: bool,
    /// Bytes that one batch may take after decompression.
    pub max_decompressed: usize,
    /// Whether fetch sessions are used.
    pub sessions: bool,
    pub isolation: IsolationLevel,
    /// Fits the protocol; empty is none.
    pub rack: Arc<str>,
}

impl<K: ?Sized + Content, V: ?Sized + Content> ConsumerBuilder<K, V> {
    /// Checks the options as a whole and parses them for the machines. The first error of a setter comes first.
    #[doc(hidden)]
    pub fn resolve(self) -> Result<Resolved> {
        let client = self.client.resolve()?;
        let asked_for_auto_commit = self.given.enable_auto_commit == Some(true);
        let values = self.given.complete();
        check(&values, &client)?;
        let rack: Arc<str> = values.client_rack.as_str().into();
        let group = group::resolve(&values, &rack, asked_for_auto_commit)?;
        Ok(Resolved {
            connection: with_room_for_fetches(client.connection, &values),
            metadata: MetadataOptions {
                max_age: client.metadata_max_age,
                allow_auto_create: values.allow_auto_create_topics,
            },
            fetch: FetchOptions {
                min_bytes: values.fetch_min_bytes,
                max_wait: values.fetch_max_wait_ms.get(),
                max_bytes: values.fetch_max_bytes,
                partition_max_bytes: values.max_partition_fetch_bytes,
                check_crcs: values.check_crcs,
                max_decompressed: values.max_decompressed_batch_bytes,
                sessions: values.enable_incremental_fetch_sessions,
                isolation: values.isolation_level,
                rack,
            },
            servers: client.servers,
            topics: values.topics.into_vec(),
            client_id: client.client_id,
            reset: values.auto_offset_reset,
            exclude_internal_topics: values.exclude_internal_topics,
            max_poll_records: values.max_poll_records,
            consumer_timeout: values.consumer_timeout_ms.map(Millis::get),
            api_timeout: client.api_timeout,
            bootstrap_timeout: client.bootstrap_timeout,
            retry_backoff: client.retry_backoff,
            group,
            assignors: values.partition_assignment_strategy,
            commit_callback: self.commit_callback,
        })
    }
}

/// As kafka-python does: what is asked for must be able to arrive.
fn with_room_for_fetches(
    mut connection: ConnectionOptions,
    values: &ConsumerValues,
) -> ConnectionOptions {
    let largest = values.fetch_max_bytes.saturating_add(values.max_partition_fetch_bytes);
    let largest = usize::try_from(largest).unwrap_or(usize::MAX);
    connection.receive_message_max = connection.receive_message_max.max(largest);
    connection
}

fn check(values: &ConsumerValues, client: &ResolvedClient) -> Result<()> {
    fits_string(("client_rack", &values.client_rack))?;
    let fetch_max_wait = ("fetch_max_wait_ms", values.fetch_max_wait_ms);
    fits_int32(fetch_max_wait)?;
    // A broker that has nothing answers after the wait: before the request has failed by that.
    less(fetch_max_wait, ("request_timeout_ms", client.connection.request_timeout.into()))
}
