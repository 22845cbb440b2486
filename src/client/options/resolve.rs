//! Whether the options that clients share fit together, and what a connection is built from.

use std::time::Duration;

use super::{ClientValues, DnsLookup, security};
use crate::{
    error::Result,
    net::{
        sasl::Sasl,
        security::Security,
        servers::HostPort,
        socket_options::{SocketOption, receive_buffer, send_buffer},
    },
    options::{
        Millis,
        checks::{fits_string, less, no_more, refuse},
    },
};

/// The options that clients share, checked, in the machines' types.
#[derive(Clone, Debug)]
pub(crate) struct ResolvedClient {
    /// At least one, each once.
    pub(crate) servers: Vec<HostPort>,
    pub(crate) client_id: String,
    pub(crate) connection: ConnectionOptions,
    pub(crate) metadata_max_age: Duration,
    /// At least the connection's request time-out.
    pub(crate) api_timeout: Duration,
    pub(crate) bootstrap_timeout: Duration,
    /// At least 1 ms.
    pub(crate) retry_backoff: Duration,
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
    /// Leaves room for the largest answer that is asked for.
    pub receive_message_max: usize,
    pub dns_lookup: DnsLookup,
    pub security: Security,
}

pub(super) fn resolve(values: ClientValues, sasl: Option<Sasl>) -> Result<ResolvedClient> {
    if values.client_id.is_empty() {
        return refuse(("client_id", values.client_id), "must not be empty");
    }
    fits_string(("client_id", &values.client_id))?;
    check_times(&values)?;
    let security = security::security(&values, sasl)?;
    Ok(ResolvedClient {
        connection: connection(&values, security),
        servers: values.bootstrap_servers.into_vec(),
        client_id: values.client_id,
        metadata_max_age: values.metadata_max_age_ms.get(),
        api_timeout: values.default_api_timeout_ms.get(),
        bootstrap_timeout: values.bootstrap_timeout_ms.get(),
        retry_backoff: wait(values.retry_backoff_ms),
    })
}

fn connection(values: &ClientValues, security: Security) -> ConnectionOptions {
    let mut socket_options = values.socket_options.clone().into_vec();
    socket_options.extend(values.receive_buffer_bytes.map(receive_buffer));
    socket_options.extend(values.send_buffer_bytes.map(send_buffer));
    ConnectionOptions {
        request_timeout: values.request_timeout_ms.get(),
        backoff: wait(values.reconnect_backoff_ms),
        backoff_max: wait(values.reconnect_backoff_max_ms),
        setup_timeout: values.socket_connection_setup_timeout_ms.get(),
        setup_timeout_max: values.socket_connection_setup_timeout_max_ms.get(),
        max_in_flight: values.max_in_flight_requests_per_connection,
        max_idle: values.connections_max_idle_ms.get(),
        socket_options,
        receive_message_max: usize::try_from(values.receive_message_max_bytes)
            .unwrap_or(usize::MAX),
        dns_lookup: values.client_dns_lookup,
        security,
    }
}

/// A wait between attempts: without any, a failure would keep the processor busy.
fn wait(time: Millis) -> Duration {
    time.get().max(Duration::from_millis(1))
}

fn check_times(values: &ClientValues) -> Result<()> {
    let request_timeout = ("request_timeout_ms", values.request_timeout_ms);
    let max_idle = ("connections_max_idle_ms", values.connections_max_idle_ms);
    let api_timeout = ("default_api_timeout_ms", values.default_api_timeout_ms);
    let backoff = ("reconnect_backoff_ms", values.reconnect_backoff_ms);
    let backoff_max = ("reconnect_backoff_max_ms", values.reconnect_backoff_max_ms);
    let setup = ("socket_connection_setup_timeout_ms", values.socket_connection_setup_timeout_ms);
    let setup_max =
        ("socket_connection_setup_timeout_max_ms", values.socket_connection_setup_timeout_max_ms);

    // A connection must not be taken for idle while an answer is due.
    less(request_timeout, max_idle)?;
    // A call lasts for one request at least.
    no_more(request_timeout, api_timeout)?;
    no_more(backoff, backoff_max)?;
    no_more(setup, setup_max)?;
    if setup.1.get() < Duration::from_millis(1) {
        return refuse(setup, "must be 1 or more");
    }
    Ok(())
}
