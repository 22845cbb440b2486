//! Which options a consumer has: the table of their names, types, defaults and ranges.

use std::{fmt, sync::Arc};

use crate::{
    consumer::{KafkaConsumer, deserializer::Deserializers},
    error::{Error, Result},
    net::{
        resolver::{Resolver, SystemResolver},
        servers::Servers,
        socket_options::SocketOptions,
    },
    options::{Millis, Refused, options},
};

mod refused;
mod resolve;
mod topics;
mod values;

pub use resolve::{ConnectionOptions, FetchOptions, MetadataOptions, Resolved};
pub use topics::Topics;

pub use values::{DnsLookup, OffsetReset};

/// The options of a consumer, with the names that kafka-python gives to the arguments of `KafkaConsumer(…)`.
///
/// ```
/// use kafka_blocking::ConsumerBuilder;
///
/// // KafkaConsumer('my-topic', bootstrap_servers='localhost:9092', auto_offset_reset='earliest', consumer_timeout_ms=1000)
/// let builder = ConsumerBuilder::new()
///     .topics("my-topic")
///     .bootstrap_servers("localhost:9092")
///     .auto_offset_reset("earliest")
///     .consumer_timeout_ms(1000);
/// ```
///
/// Every setter also takes its value as text, which is what [`set`](Self::set) hands on. A setter given twice keeps the last value.
/// A value that is not allowed is remembered, and the first of them is the error that `build()` returns.
///
/// kafka-python: the keyword arguments of `KafkaConsumer`. Defaults are those of its release 3.
#[derive(Clone, Debug, Default)]
pub struct ConsumerBuilder {
    values: ConsumerValues,
    error: Option<Error>,
    resolver: UserResolver,
}

/// The resolver that was given, if one was.
#[derive(Clone, Default)]
struct UserResolver(Option<Arc<dyn Resolver>>);

impl fmt::Debug for UserResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "given" } else { "the system's" })
    }
}

impl ConsumerBuilder {
    /// All options at their defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the option of this name to the value that the text says: for configuration files and `-X name=value` flags.
    ///
    /// A name that is no option is remembered as an error, as a value that is not allowed is.
    ///
    /// ```
    /// use kafka_blocking::ConsumerBuilder;
    ///
    /// let mut builder = ConsumerBuilder::new();
    /// for line in ["bootstrap_servers = a:9092, b:9092", "fetch_max_wait_ms = 250"] {
    ///     let (name, value) = line.split_once('=').unwrap();
    ///     builder = builder.set(name.trim(), value);
    /// }
    /// ```
    #[must_use]
    pub fn set(self, name: &str, value: &str) -> Self {
        self.set_by_name(name, value)
    }

    /// Finds the addresses of brokers with `resolver` instead of the operating system.
    ///
    /// It is called on helper threads; see [`Resolver`]. There is no such option in kafka-python.
    #[must_use]
    pub fn resolver(mut self, resolver: impl Resolver) -> Self {
        self.resolver = UserResolver(Some(Arc::new(resolver)));
        self
    }

    /// Makes the consumer and connects it. Blocks until a broker has told what the cluster looks like, up to
    /// `bootstrap_timeout_ms`.
    ///
    /// # Errors
    /// [`Error::Configuration`] for an option that is not allowed or not served, before anything is connected;
    /// [`Error::NoBrokersAvailable`] with each address and its cause when no broker answered in time;
    /// [`Error::UnsupportedVersion`] for a broker that is too old.
    ///
    /// kafka-python: the constructor `KafkaConsumer(…)`.
    pub fn build(self) -> Result<KafkaConsumer> {
        let resolver = self.resolver.0.clone().unwrap_or_else(|| Arc::new(SystemResolver));
        KafkaConsumer::connect(self.resolve()?, resolver, Deserializers { key: (), value: () })
    }

    /// Refused by `build()`: the consumer waits with the operating system's own selector, and takes no other one.
    #[must_use]
    pub fn selector(self, selector: &str) -> Self {
        self.set("selector", selector)
    }

    /// Remembers why there is nothing to set under this name.
    fn set_unknown(mut self, name: &str, value: &str) -> Self {
        self.refuse(name, refused::reason(name, value));
        self
    }

    /// Remembers why an option is refused; of several the first.
    fn refuse(&mut self, name: &str, refused: Refused) {
        self.error
            .get_or_insert_with(|| Error::configuration(name, refused.value, refused.allowed));
    }
}

const CLIENT_ID: &str = concat!("kafka-blocking-", env!("CARGO_PKG_VERSION"));

options! {
    impl ConsumerBuilder { values: ConsumerValues }

    /// Topics to subscribe to from the start: a name, names with commas between them, or a list of names. Without any,
    /// call `subscribe` or `assign` on the consumer.
    ///
    /// A name has 1 to 249 of the characters `A-Z a-z 0-9 . _ -`, and is neither `.` nor `..`.
    ///
    /// kafka-python: the positional arguments, `KafkaConsumer('a', 'b')`.
    topics: Topics = "", shown "none";

    /// Servers that are asked first for the cluster's metadata: `"host:port"`, several with commas between them, or a list.
    /// One that answers is enough; the other brokers are learnt from it.
    ///
    /// The port is 9092 where none is given. An IPv6 address with a port stands in brackets, `[::1]:9092`. A prefix such as
    /// `PLAINTEXT://` is left out, and so are duplicates.
    ///
    /// ```
    /// use kafka_blocking::ConsumerBuilder;
    ///
    /// let one = ConsumerBuilder::new().bootstrap_servers("localhost");
    /// let two = ConsumerBuilder::new().bootstrap_servers("a.example:9092, [::1]:19092");
    /// let list = ConsumerBuilder::new().bootstrap_servers(["a.example:9092", "b.example:9092"]);
    /// ```
    bootstrap_servers: Servers = "localhost:9092";

    /// The name of this client, sent in the header of every request, by which brokers know it in their logs, metrics and quotas.
    client_id: String = CLIENT_ID, shown "`kafka-blocking-{version}`";

    /// Bytes that a broker shall have before it answers a fetch; it waits for them up to
    /// [`fetch_max_wait_ms`](Self::fetch_max_wait_ms). Sent in every fetch as `min_bytes`.
    ///
    /// More means fewer and fuller answers, and later ones. At 0 a broker answers at once, with nothing if need be.
    fetch_min_bytes: i32 = 1, in 0..=i32::MAX;

    /// Milliseconds that a broker may wait until it has [`fetch_min_bytes`](Self::fetch_min_bytes). Sent in every fetch as
    /// `max_wait_ms`, in whole milliseconds.
    ///
    /// Must be less than [`request_timeout_ms`](Self::request_timeout_ms), and no more than 2147483647.
    fetch_max_wait_ms: Millis = 500;

    /// Bytes of records that a broker shall send at most in one fetch. Sent in every fetch as `max_bytes`.
    ///
    /// A first batch that is larger comes nevertheless, so that the consumer gets on.
    fetch_max_bytes: i32 = 52_428_800, in 1..=i32::MAX;

    /// Bytes of records that a broker shall send at most of one partition in one fetch. Sent for every partition as
    /// `partition_max_bytes`.
    ///
    /// A first batch that is larger comes nevertheless, so that the consumer gets on.
    max_partition_fetch_bytes: i32 = 1_048_576, in 1..=i32::MAX;

    /// Milliseconds after which an unanswered request has failed. Its connection is closed then, and what else was in flight
    /// on it has failed too; what the call needs is asked for again.
    ///
    /// Must be more than [`fetch_max_wait_ms`](Self::fetch_max_wait_ms), less than
    /// [`connections_max_idle_ms`](Self::connections_max_idle_ms), and no more than
    /// [`default_api_timeout_ms`](Self::default_api_timeout_ms). Release 2.0 of kafka-python had 305000.
    request_timeout_ms: Millis = 30_000;

    /// Milliseconds to wait before a request that failed is sent again. At 0 it is 1, so that failures do not keep the
    /// processor busy.
    retry_backoff_ms: Millis = 100;

    /// Milliseconds to wait before the first new attempt to connect to a broker after a failure. Each further failure in a row
    /// doubles it, up to [`reconnect_backoff_max_ms`](Self::reconnect_backoff_max_ms), varied at random by up to 20 % either way.
    /// At 0 it is 1, so that failures do not keep the processor busy.
    reconnect_backoff_ms: Millis = 50;

    /// Milliseconds to which the wait before an attempt to connect may grow.
    ///
    /// Must be no less than [`reconnect_backoff_ms`](Self::reconnect_backoff_ms). Release 2.0 of kafka-python had 1000.
    reconnect_backoff_max_ms: Millis = 30_000;

    /// Requests that may be unanswered at a time on one connection; further ones wait.
    max_in_flight_requests_per_connection: usize = 5, in 1..=usize::MAX;

    /// Where reading begins in a partition that has no position, and where it goes on when the position is out of the log:
    /// `"earliest"`, `"latest"` or `"none"`, which is an error to the caller, or an [`OffsetReset`].
    ///
    /// The older names `"smallest"` and `"largest"` are taken too. Where kafka-python takes anything else for `none`, it is refused.
    auto_offset_reset: OffsetReset = "latest";

    /// Whether the checksum of every batch is verified before its records are handed out.
    check_crcs: bool = true;

    /// Milliseconds after which the cluster's metadata is asked for again, even if nothing seems to have changed.
    metadata_max_age_ms: Millis = 300_000;

    /// Records that one `poll` returns at most.
    max_poll_records: usize = 500, in 1..=usize::MAX;

    /// Size of the receive buffer of each connection's socket (`SO_RCVBUF`) in bytes; `None` leaves it to the system.
    ///
    /// Ignored by release 3 of kafka-python.
    receive_buffer_bytes: Option<i32> = None, in 1..=i32::MAX;

    /// Size of the send buffer of each connection's socket (`SO_SNDBUF`) in bytes; `None` leaves it to the system.
    ///
    /// Ignored by release 3 of kafka-python.
    send_buffer_bytes: Option<i32> = None, in 1..=i32::MAX;

    /// Options of each connection's socket, as `(level, name, value)` with the constants of the module
    /// [`socket`](crate::socket), or as text, `"TCP_NODELAY=1,SO_KEEPALIVE=1"`. Others than those are refused.
    ///
    /// They replace the default. [`receive_buffer_bytes`](Self::receive_buffer_bytes) and
    /// [`send_buffer_bytes`](Self::send_buffer_bytes) are set after them.
    socket_options: SocketOptions = "TCP_NODELAY=1", shown "`[(IPPROTO_TCP, TCP_NODELAY, 1)]`";

    /// Milliseconds that iteration waits for the next record before it ends; it can be resumed. `None`, infinity and negative
    /// numbers stand for no limit.
    ///
    /// ```
    /// use std::time::Duration;
    /// use kafka_blocking::ConsumerBuilder;
    ///
    /// let second = ConsumerBuilder::new().consumer_timeout_ms(1000);
    /// let minute = ConsumerBuilder::new().consumer_timeout_ms(Duration::from_secs(60));
    /// let endless = ConsumerBuilder::new().consumer_timeout_ms(f64::INFINITY).consumer_timeout_ms(None);
    /// ```
    consumer_timeout_ms: Option<Millis> = None, shown "no limit, kafka-python's `float('inf')`";

    /// Milliseconds after which a connection without traffic is closed. Brokers close theirs after 10 minutes, by default.
    ///
    /// Must be more than [`request_timeout_ms`](Self::request_timeout_ms).
    connections_max_idle_ms: Millis = 540_000;

    /// Milliseconds that `build()` takes at most to get the cluster's metadata from one of the
    /// [`bootstrap_servers`](Self::bootstrap_servers), before it gives up with an error that names each with its cause.
    ///
    /// The 2.0 name, `api_version_auto_timeout_ms`, had 2000.
    bootstrap_timeout_ms: Millis = 30_000, alias api_version_auto_timeout_ms;

    /// Milliseconds that a call takes at most if it is given no time-out of its own.
    ///
    /// Must be no less than [`request_timeout_ms`](Self::request_timeout_ms).
    default_api_timeout_ms: Millis = 60_000;

    /// Milliseconds in which a connection must be ready for requests, from the first packet on. Each failure in a row doubles
    /// it, up to [`socket_connection_setup_timeout_max_ms`](Self::socket_connection_setup_timeout_max_ms). Must be 1 or more.
    socket_connection_setup_timeout_ms: Millis = 10_000;

    /// Milliseconds to which the time for setting up a connection may grow.
    ///
    /// Must be no less than [`socket_connection_setup_timeout_ms`](Self::socket_connection_setup_timeout_ms).
    socket_connection_setup_timeout_max_ms: Millis = 30_000;

    /// Bytes that a broker's answer may have; the connection of a larger one is closed before it is read.
    ///
    /// Raised to the sum of [`fetch_max_bytes`](Self::fetch_max_bytes) and
    /// [`max_partition_fetch_bytes`](Self::max_partition_fetch_bytes) where that is more.
    receive_message_max_bytes: i32 = 100_000_000, in 1..=i32::MAX;

    /// Bytes that the records of one compressed batch may take after decompression. One that needs more is an error at its
    /// offset, found before the memory is taken. kafka-python has no such limit.
    max_decompressed_batch_bytes: usize = 268_435_456, in 1..=usize::MAX;

    /// What to do with a name that has several addresses: `"use_all_dns_ips"` tries one after the other,
    /// `"resolve_canonical_bootstrap_servers_only"` takes each address of a bootstrap server for a server of its own, under
    /// its canonical name, as Kerberos and TLS may need it. Or a [`DnsLookup`].
    client_dns_lookup: DnsLookup = "use_all_dns_ips";

    /// Whether a broker may create a topic that is subscribed to and does not exist, if its own settings allow that.
    /// Sent in every metadata request as `allow_auto_topic_creation`. Release 3 of kafka-python always sends true.
    allow_auto_create_topics: bool = true;

    /// Whether fetches are incremental where the broker can do that (KIP-227), so that only what changed is named in them.
    enable_incremental_fetch_sessions: bool = true;
}

#[cfg(test)]
mod tests;
