//! Which options a consumer has: the table of their names, types, defaults and ranges.

use std::{collections::BTreeMap, fmt, sync::Arc};

use crate::{
    assignors::AssignmentStrategy,
    client::options::client_options,
    consumer::{Content, Deserializer, KafkaConsumer, Raw, deserializer::Deserializers},
    error::Result,
    net::{
        proxy::Proxy,
        resolver::Resolver,
        sasl::{SaslMechanism, TokenSource},
        servers::Servers,
        socket_options::SocketOptions,
        tls::SslContext,
    },
    options::{Millis, Pem, Refused, Secret, unknown},
    types::{IsolationLevel, OffsetAndMetadata, TopicPartition},
};

mod group;
mod offset_reset;
mod refused;
mod resolve;
mod topics;

pub use group::{CommitCallback, GroupOptions};
pub use offset_reset::OffsetReset;
pub use resolve::{FetchOptions, MetadataOptions, Resolved};
pub use topics::Topics;

pub use crate::client::options::{ClientOptions, ConnectionOptions, DnsLookup, SecurityProtocol};

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
    commit_callback: Option<CommitCallback>,
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
        let (key, value) = (Arc::new(deserializer), self.deserializers.value);
        ConsumerBuilder {
            given: self.given,
            client: self.client,
            commit_callback: self.commit_callback,
            deserializers: Deserializers { key, value },
        }
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
        let (value, key) = (Arc::new(deserializer), self.deserializers.key);
        ConsumerBuilder {
            given: self.given,
            client: self.client,
            commit_callback: self.commit_callback,
            deserializers: Deserializers { key, value },
        }
    }

    /// Calls this with the outcome of each commit that nobody waits for: those of auto commit, and those of `commit_async`
    /// without a callback of its own.
    ///
    /// It gets the offsets, and the error where they could not be committed. It runs inside `poll`, `next`, a commit and
    /// `close`, on the thread that calls the consumer. Consumers that are built of clones of this builder share it, and call
    /// it one after the other.
    ///
    /// Default: none; what fails is logged.
    ///
    /// ```
    /// use kafka_blocking::ConsumerBuilder;
    ///
    /// let builder = ConsumerBuilder::new().group_id("my-group").default_offset_commit_callback(|offsets, result| {
    ///     if let Err(error) = result {
    ///         eprintln!("{} partitions were not committed: {error}", offsets.len());
    ///     }
    /// });
    /// ```
    ///
    /// kafka-python: `default_offset_commit_callback`, whose second argument is an exception or `None`.
    #[must_use]
    pub fn default_offset_commit_callback(
        mut self,
        callback: impl FnMut(&BTreeMap<TopicPartition, OffsetAndMetadata>, Result<()>) + Send + 'static,
    ) -> Self {
        self.commit_callback = Some(CommitCallback::new(callback));
        self
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
    ///
    /// Space around the value is left out, also of a password; its own setter takes that as it is.
    #[must_use]
    pub fn set(self, name: &str, value: &str) -> Self {
        self.set_by_name(name, value.trim())
    }

    /// Finds the addresses of brokers with `resolver` instead of the operating system.
    ///
    /// It is called on helper threads; see [`Resolver`]. There is no such option in kafka-python.
    #[must_use]
    pub fn resolver(mut self, resolver: impl Resolver) -> Self {
        self.client = self.client.resolver(resolver);
        self
    }

    /// Logs in with a mechanism of one's own, in place of [`sasl_mechanism`](Self::sasl_mechanism).
    ///
    /// An example is at [`SaslMechanism`]. kafka-python: `register_sasl_mechanism`.
    #[must_use]
    pub fn sasl(mut self, mechanism: impl SaslMechanism) -> Self {
        self.client = self.client.sasl(mechanism);
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
        Self {
            given: ConsumerGiven::default(),
            client: ClientOptions::default(),
            commit_callback: None,
            deserializers: Deserializers { key: (), value: () },
        }
    }
}

impl<K: ?Sized + Content, V: ?Sized + Content> Clone for ConsumerBuilder<K, V> {
    fn clone(&self) -> Self {
        Self {
            given: self.given.clone(),
            client: self.client.clone(),
            commit_callback: self.commit_callback.clone(),
            deserializers: self.deserializers.clone(),
        }
    }
}

impl<K: ?Sized + Content, V: ?Sized + Content> fmt::Debug for ConsumerBuilder<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsumerBuilder")
            .field("given", &self.given)
            .field("client", &self.client)
            .field("commit_callback", &self.commit_callback)
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

    /// The group to be a member of: it divides the partitions of subscribed topics among its members, and keeps the offsets
    /// that they commit. Sent in every request about the group. `None` stands for none: every consumer reads everything.
    ///
    /// A group is known by its name alone. It must not be empty.
    ///
    /// ```
    /// use kafka_blocking::ConsumerBuilder;
    ///
    /// let member = ConsumerBuilder::new().topics("my-topic").group_id("my-group");
    /// let alone = ConsumerBuilder::new().topics("my-topic").group_id(None);
    /// ```
    group_id: Option<String> = None;

    /// The name of this program among the members of its group, the same after each start: a static member (KIP-345).
    /// Where one comes back within [`session_timeout_ms`](Self::session_timeout_ms), it gets the partitions that it had and
    /// the others notice nothing; so it does not leave the group when it is closed. Sent in every request about the group.
    ///
    /// It has 1 to 249 of the characters `A-Z a-z 0-9 . _ -`, is neither `.` nor `..`, and needs a
    /// [`group_id`](Self::group_id). Of two members with the same name, the older one is shut out.
    group_instance_id: Option<String> = None;

    /// Milliseconds between two commits where [`enable_auto_commit`](Self::enable_auto_commit) is on; less than 10 are
    /// taken for 10.
    auto_commit_interval_ms: Millis = 5_000;

    /// Whether positions are committed by themselves: every [`auto_commit_interval_ms`](Self::auto_commit_interval_ms)
    /// inside a call, before partitions go to another member, and when the consumer is closed.
    ///
    /// What is committed is what earlier calls have handed out, never a record that the program may still be at work on.
    /// Without a [`group_id`](Self::group_id) there is nothing to commit to.
    enable_auto_commit: bool = true;

    /// How the partitions of a group are divided among its members: a list of `"range"`, `"roundrobin"`, `"sticky"` and
    /// `"cooperative-sticky"`, the most wanted first, or an [`AssignmentStrategy`] with assignors of your own. What all
    /// members have in common is used. Sent in every request to join.
    ///
    /// Kafka-python's and Java's names of the classes are taken as well. The assignors must have a rebalance protocol in
    /// common; of several, the highest is used.
    ///
    /// ```
    /// use kafka_blocking::ConsumerBuilder;
    ///
    /// let text = ConsumerBuilder::new().partition_assignment_strategy("roundrobin");
    /// let list = ConsumerBuilder::new().partition_assignment_strategy(["roundrobin", "range"]);
    /// let python = ConsumerBuilder::new().partition_assignment_strategy(["RoundRobinPartitionAssignor"]);
    /// ```
    partition_assignment_strategy: AssignmentStrategy = "range,roundrobin", shown "`range,roundrobin`";

    /// Milliseconds that may pass between two calls that read, `poll` or `next`. A member that takes longer leaves its group,
    /// so that others go on with its partitions. Sent in every request to join as `rebalance_timeout_ms`.
    ///
    /// From 1 to 2147483647.
    max_poll_interval_ms: Millis = 300_000;

    /// Milliseconds without a heartbeat after which the broker takes a member for dead. Sent in every request to join.
    ///
    /// From 1 to 2147483647, and within what the broker allows (`group.min.session.timeout.ms` and
    /// `group.max.session.timeout.ms`). Release 2.0 of kafka-python had 10000.
    session_timeout_ms: Millis = 45_000;

    /// Milliseconds between two heartbeats of a member of a group.
    ///
    /// Must be less than [`session_timeout_ms`](Self::session_timeout_ms), and should be a third of it at most.
    heartbeat_interval_ms: Millis = 3_000;

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
