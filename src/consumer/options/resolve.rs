//! Whether the options fit together, and the parsed values that the machines are built from.

use std::{fmt, time::Duration};

use super::{ConsumerBuilder, ConsumerValues, DnsLookup, OffsetReset};
use crate::{
    IsolationLevel,
    error::{Error, Result},
    net::{
        servers::HostPort,
        socket_options::{SocketOption, receive_buffer, send_buffer},
    },
    options::Millis,
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
    /// At least 1.
    pub max_poll_records: usize,
    /// `None` is no limit.
    pub consumer_timeout: Option<Duration>,
    /// At least the connection's request time-out.
    pub api_timeout: Duration,
    pub bootstrap_timeout: Duration,
    /// At least 1 ms.
    pub retry_backoff: Duration,
}

/// What a connection to a broker needs to know.
#[derive(Clone, Debug)]
pub struct ConnectionOptions {
    pub request_timeout: Duration,
    /// From 1 ms to `backoff_max`.
    pub backoff: Duration,
    pub backoff_max: Duration,
    /// From 1 ms to `setup_timeout_max`.
    pub setup_timeout: Duration,
    pub setup_timeout_max: Duration,
    /// At least 1.
    pub max_in_flight: usize,
    /// More than `request_timeout`.
    pub max_idle: Duration,
    /// To be set before the socket connects, in this order; the buffer sizes are the last of them.
    pub socket_options: Vec<SocketOption>,
    /// Leaves room for the largest fetch that is asked for.
    pub receive_message_max: usize,
    pub dns_lookup: DnsLookup,
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
    pub rack: String,
}

impl ConsumerBuilder {
    /// Checks the options as a whole and parses them for the machines. The first error of a setter comes first.
    #[doc(hidden)]
    pub fn resolve(self) -> Result<Resolved> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let values = self.values;
        check_client_id(&values.client_id)?;
        check_times(&values)?;
        Ok(Resolved {
            connection: connection(&values),
            metadata: MetadataOptions {
                max_age: values.metadata_max_age_ms.get(),
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
                isolation: IsolationLevel::ReadUncommitted,
                rack: String::new(),
            },
            servers: values.bootstrap_servers.into_vec(),
            topics: values.topics.into_vec(),
            client_id: values.client_id,
            reset: values.auto_offset_reset,
            max_poll_records: values.max_poll_records,
            consumer_timeout: values.consumer_timeout_ms.map(Millis::get),
            api_timeout: values.default_api_timeout_ms.get(),
            bootstrap_timeout: values.bootstrap_timeout_ms.get(),
            retry_backoff: wait(values.retry_backoff_ms),
        })
    }
}

fn connection(values: &ConsumerValues) -> ConnectionOptions {
    let mut socket_options = values.socket_options.clone().into_vec();
    socket_options.extend(values.receive_buffer_bytes.map(receive_buffer));
    socket_options.extend(values.send_buffer_bytes.map(send_buffer));

    // As kafka-python does: what is asked for must be able to arrive.
    let largest_fetch = values.fetch_max_bytes.saturating_add(values.max_partition_fetch_bytes);
    let receive_message_max = values.receive_message_max_bytes.max(largest_fetch);

    ConnectionOptions {
        request_timeout: values.request_timeout_ms.get(),
        backoff: wait(values.reconnect_backoff_ms),
        backoff_max: wait(values.reconnect_backoff_max_ms),
        setup_timeout: values.socket_connection_setup_timeout_ms.get(),
        setup_timeout_max: values.socket_connection_setup_timeout_max_ms.get(),
        max_in_flight: values.max_in_flight_requests_per_connection,
        max_idle: values.connections_max_idle_ms.get(),
        socket_options,
        receive_message_max: usize::try_from(receive_message_max).unwrap_or(usize::MAX),
        dns_lookup: values.client_dns_lookup,
    }
}

/// A wait between attempts: without any, a failure would keep the processor busy.
fn wait(time: Millis) -> Duration {
    time.get().max(Duration::from_millis(1))
}

fn check_client_id(client_id: &str) -> Result<()> {
    // The protocol counts its bytes in an int16.
    if client_id.is_empty() || client_id.len() > 32_767 {
        let allowed = "must have from 1 to 32767 bytes";
        let shown: String = client_id.chars().take(40).collect();
        return Err(Error::configuration("client_id", shown, allowed));
    }
    Ok(())
}

fn check_times(values: &ConsumerValues) -> Result<()> {
    let fetch_max_wait = ("fetch_max_wait_ms", values.fetch_max_wait_ms);
    let request_timeout = ("request_timeout_ms", values.request_timeout_ms);
    let max_idle = ("connections_max_idle_ms", values.connections_max_idle_ms);
    let api_timeout = ("default_api_timeout_ms", values.default_api_timeout_ms);
    let backoff = ("reconnect_backoff_ms", values.reconnect_backoff_ms);
    let backoff_max = ("reconnect_backoff_max_ms", values.reconnect_backoff_max_ms);
    let setup = ("socket_connection_setup_timeout_ms", values.socket_connection_setup_timeout_ms);
    let setup_max =
        ("socket_connection_setup_timeout_max_ms", values.socket_connection_setup_timeout_max_ms);

    // The protocol's field is an int32.
    if fetch_max_wait.1.get().as_millis() > i32::MAX.unsigned_abs().into() {
        return refuse(fetch_max_wait, format!("must be no more than {}", i32::MAX));
    }
    // A broker that has nothing answers after the wait: before the request has failed by that.
    less(fetch_max_wait, request_timeout)?;
    // A connection must not be taken for idle while an answer is due.
    less(request_timeout, max_idle)?;
    // A call lasts for one request at least.
    no_more(request_timeout, api_timeout)?;
    no_more(backoff, backoff_max)?;
    no_more(setup, setup_max)?;
    if setup.1.get() < Duration::from_millis(1) {
        return refuse(setup, "must be 1 or more".to_owned());
    }
    Ok(())
}

type Named = (&'static str, Millis);

fn less(smaller: Named, larger: Named) -> Result<()> {
    if smaller.1 < larger.1 {
        return Ok(());
    }
    refuse(smaller, format!("must be less than {} = {}", larger.0, larger.1))
}

fn no_more(smaller: Named, larger: Named) -> Result<()> {
    if smaller.1 <= larger.1 {
        return Ok(());
    }
    refuse(smaller, format!("must be no more than {} = {}", larger.0, larger.1))
}

fn refuse((name, value): (&str, impl fmt::Display), allowed: String) -> Result<()> {
    Err(Error::configuration(name, value.to_string(), allowed))
}
