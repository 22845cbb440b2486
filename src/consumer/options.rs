//! Which options a consumer has: the table of their names, types, defaults and ranges.

use std::{fmt, sync::Arc};

use crate::{
    client::options::client_options,
    consumer::{Content, Deserializer, KafkaConsumer, Raw, deserializer::Deserializers},
    error::Result,
    net::{resolver::Resolver, servers::Servers, socket_options::SocketOptions},
    options::{Millis, Refused, unknown},
    types::IsolationLevel,
};

mod offset_reset;
mod refused;
mod resolve;
mod topics;

pub use offset_reset::OffsetReset;
pub use resolve::{FetchOptions, MetadataOptions, Resolved};
pub use topics::Topics;

pub use crate::client::options::{ClientOptions, ConnectionOptions, DnsLookup};

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
pub struct ConsumerBuilder<K: ?Sized + Content = Raw, V: ?Sized + Content = Raw> {
    given: ConsumerGiven,
    client: ClientOptions,
    deserializers: Deserializers<K, V>,
}

impl ConsumerBuilder {
    /// All options at their defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl<K: ?Sized + Content, V: ?Sized + Content> ConsumerBuilder<K, V> {
    /// Makes what [`ConsumerRecord::key`](crate::ConsumerRecord::key) gives of a key's bytes; without one it gives the bytes.
    ///
    /// Any function from bytes to a [`Result`](std::result::Result) will do, [`Utf8`](crate::Utf8), or a [`Deserializer`] of
    /// one's own. It is not called for a null key.
    ///
    /// ```
    /// # let broker = scripted_broker::ScriptedBroker::start();
    /// # broker.create_topic("numbers", 1);
    /// # broker.append("numbers", 0, [scripted_broker::Record::new("one", "1")]);
    /// # let servers = broker.address();
    /// use kafka_blocking::{KafkaConsumer, Utf8};
    ///
    /// let consumer = KafkaConsumer::builder()
    ///     .topics("numbers")
    ///     .bootstrap_servers(servers)
    ///     .auto_offset_reset("earliest")
    ///     .key_deserializer(Utf8)
    ///     .value_deserializer(|bytes: &[u8]| String::from_utf8_lossy(bytes).parse::<u64>())
    ///     .build()?;
    /// let record = consumer.next().expect("waits for ever")?;
    /// assert_eq!((record.key().map(String::as_str), record.value()), (Some("one"), Some(&1)));
    /// # Ok::<(), kafka_blocking::Error>(())
    /// ```
    ///
    /// kafka-python: `key_deserializer`, which is called for a null key, too.
    #[must_use]
    pub fn key_deserializer<T: 'static>(
        self,
        deserializer: impl Deserializer<T>,
    ) -> ConsumerBuilder<T, V> {
        let Self { given, client, deserializers: Deserializers { value, .. } } = self;
        let key = Arc::new(deserializer);
        ConsumerBuilder { given, client, deserializers: Deserializers { key, value } }
    }

    /// Makes what [`ConsumerRecord::value`](crate::ConsumerRecord::value) gives of a value's bytes, as
    /// [`key_deserializer`](Self::key_deserializer) does of a key's. It is not called for a null value, a tombstone.
    ///
    /// kafka-python: `value_deserializer`, which is called for a null value, too.
    #[must_use]
    pub fn value_deserializer<T: 'static>(
        self,
        deserializer: impl Deserializer<T>,
    ) -> ConsumerBuilder<K, T> {
        let Self { given, client, deserializers: Deserializers { key, .. } } = self;
        let value = Arc::new(deserializer);
        ConsumerBuilder { given, client, deserializers: Deserializers { key, value } }
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
        self.client = self.client.resolver(resolver);
        self
    }

    /// Takes over the options that are set in `options`, as if each were set here; one that is set later, here or in another
    /// set, replaces it.
    #[must_use]
    pub fn client_options(mut self, options: &ClientOptions) -> Self {
        self.client.override_with(options);
        self
    }

    /// Makes the consumer and connects it. Blocks until a broker has told what the cluster looks like, up to
    /// `bootstrap_timeout_ms`.
    ///
    /// # Errors
    /// [`Configuration`](crate::Error::Configuration) for an option that is not allowed or not served, before anything is
    /// connected; [`NoBrokersAvailable`](crate::Error::NoBrokersAvailable) with each address and its cause when no broker
    /// answered in time; [`UnsupportedVersion`](crate::Error::UnsupportedVersion) for a broker that is too old.
    ///
    /// kafka-python: the constructor `KafkaConsumer(…)`.
    pub fn build(self) -> Result<KafkaConsumer<K, V>> {
        let resolver = self.client.resolver_or_system();
        let deserializers = self.deserializers.clone();
        KafkaConsumer::connect(self.resolve()?, resolver, deserializers)
    }

    /// Refused by `build()`: the consumer waits with the operating system's own selector, and takes no other one.
    #[must_use]
    pub fn selector(self, selector: &str) -> Self {
        self.set("selector", selector)
    }

    /// Remembers why there is nothing to set under this name.
    fn set_unknown(mut self, name: &str, value: &str) -> Self {
        self.refuse(name, unknown::reason(name, value, &refused::KNOWN));
        self
    }

    /// Remembers why an option is refused; of several the first.
    fn refuse(&mut self, name: &str, refused: Refused) {
        self.client.refuse(name, refused);
    }
}

impl Default for ConsumerBuilder {
    fn default() -> Self {
        let deserializers = Deserializers { key: (), value: () };
        Self { given: ConsumerGiven::default(), client: ClientOptions::default(), deserializers }
    }
}

impl<K: ?Sized + Content, V: ?Sized + Content> Clone for ConsumerBuilder<K, V> {
    fn clone(&self) -> Self {
        let Self { given, client, deserializers } = self;
        Self { given: given.clone(), client: client.clone(), deserializers: deserializers.clone() }
    }
}

impl<K: ?Sized + Content, V: ?Sized + Content> fmt::Debug for ConsumerBuilder<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsumerBuilder")
            .field("given", &self.given)
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

client_options! {
    impl[K: ?Sized + Content, V: ?Sized + Content] ConsumerBuilder[K, V] { given: ConsumerGiven, values: ConsumerValues }

    /// Topics to subscribe to from the start: a name, names with commas between them, or a list of names. Without any,
    /// call `subscribe` or `assign` on the consumer.
    ///
    /// A name has 1 to 249 of the characters `A-Z a-z 0-9 . _ -`, and is neither `.` nor `..`.
    ///
    /// kafka-python: the positional arguments, `KafkaConsumer('a', 'b')`.
    topics: Topics = "", shown "none";

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

    /// Where reading begins in a partition that has no position, and where it goes on when the position is out of the log:
    /// `"earliest"`, `"latest"` or `"none"`, which is an error to the caller, or an [`OffsetReset`].
    ///
    /// The older names `"smallest"` and `"largest"` are taken too. Where kafka-python takes anything else for `none`, it is refused.
    auto_offset_reset: OffsetReset = "latest";

    /// Whether records of transactions are read before they are committed: `"read_uncommitted"`, which reads everything, or
    /// `"read_committed"`, which leaves out what was aborted and stops before the first record of an open transaction; also
    /// as 0 and 1, or an [`IsolationLevel`]. Sent in every fetch and every question for offsets as `isolation_level`.
    ///
    /// With `"read_committed"` the end of a partition is its last stable offset.
    isolation_level: IsolationLevel = "read_uncommitted";

    /// The rack, or the zone, in which this program runs. A leader that knows of a replica there sends the consumer to it
    /// (KIP-392). Sent in every fetch as `rack_id`. Empty stands for none.
    client_rack: String = "", shown "none";

    /// Whether a pattern that is subscribed to leaves out the topics that brokers keep for themselves, such as
    /// `__consumer_offsets`. They can be subscribed to by name in any case.
    exclude_internal_topics: bool = true;

    /// Whether the checksum of every batch is verified before its records are handed out.
    check_crcs: bool = true;

    /// Records that one `poll` returns at most.
    max_poll_records: usize = 500, in 1..=usize::MAX;

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

    /// Bytes that the records of one compressed batch may take after decompression. One that needs more is an error at its
    /// offset, found before the memory is taken. kafka-python has no such limit.
    max_decompressed_batch_bytes: usize = 268_435_456, in 1..=usize::MAX;

    /// Whether a broker may create a topic that is subscribed to and does not exist, if its own settings allow that.
    /// Sent in every metadata request as `allow_auto_topic_creation`. Release 3 of kafka-python always sends true.
    allow_auto_create_topics: bool = true;

    /// Whether fetches are incremental where the broker can do that (KIP-227), so that only what changed is named in them.
    enable_incremental_fetch_sessions: bool = true;

    ..client
}

#[cfg(test)]
mod tests;
